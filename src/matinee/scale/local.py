"""Workers that are processes of this machine."""

import multiprocessing
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any, NamedTuple

from matinee.errors import MatineeError
from matinee.processes import settle_child, threads_of_children
from matinee.scale.packing import pack, unpack
from matinee.scale.runner import Outcome, Workers, attempt

ALIGNED = 64
"""Bytes; arrays begin at multiples, as numpy's own do."""


class Packed(NamedTuple):
    """A job in a file that all workers map. sizes: bytes of its pickle and of each array."""

    path: str
    sizes: tuple[int, ...]


class Processes(Workers):
    """Runs parts in `workers` processes, each with so many threads for matrix products."""

    def __init__(self, workers: int, threads: int = 1) -> None:
        self.workers, self._threads = workers, threads
        context = multiprocessing.get_context("spawn")  # a fork would copy the threads of numeric libraries, locked
        self._pool = ProcessPoolExecutor(workers, context, settle_child)
        self._folder = Path(tempfile.mkdtemp(prefix="matinee-job-"))

    def ship(self, job: Callable[[Any], Any]) -> Packed:
        """See Workers. A file is mapped by all processes, so the job is in memory once."""
        pickled, buffers = pack(job)
        pieces: list[bytes | memoryview] = [pickled, *buffers]
        sizes = []
        with tempfile.NamedTemporaryFile(dir=self._folder, delete=False) as file:
            for each in pieces:
                file.seek(-file.tell() % ALIGNED, 1)
                sizes.append(file.write(each))
            file.truncate()
        return Packed(file.name, tuple(sizes))

    def begin(self, shipped: Packed, part: Any) -> Future[Outcome]:  # noqa: ANN401 - any part
        """See Workers."""
        with threads_of_children(self._threads):  # a process starts when there is work for it
            return self._submit(shipped, part)

    def _submit(self, shipped: Packed, part: object) -> Future[Outcome]:
        try:
            return self._pool.submit(_run, shipped, part, self._threads)
        except BrokenProcessPool:
            raise _killed() from None

    def ended(self, tasks: list[Any]) -> dict[Any, Outcome]:
        """See Workers. Raises MatineeError if a process was killed."""
        try:
            return {task: task.result() for task in wait(tasks, return_when=FIRST_COMPLETED).done}
        except BrokenProcessPool:
            raise _killed() from None

    def cancel(self, tasks: list[Any]) -> None:
        """See Workers."""
        for task in tasks:
            task.cancel()

    def __exit__(self, *error: object) -> None:
        for process in list((self._pool._processes or {}).values()) if error[0] is not None else []:
            process.terminate()  # a part that nobody waits for may run for minutes
        self._pool.shutdown(wait=True, cancel_futures=True)
        shutil.rmtree(self._folder, ignore_errors=True)


def _killed() -> MatineeError:
    return MatineeError(
        "a worker process was killed, perhaps for want of memory; fewer at a time take less (--workers, --jobs)"
    )


_job: list[tuple[Packed, Any]] = []
"""In a worker: the last job, and where it came from."""


def _run(shipped: Packed, part: object, threads: int) -> Outcome:
    if not _job or _job[0][0] != shipped:
        _job[:] = [(shipped, _read(shipped))]
    return attempt(_job[0][1], part, threads)


def _read(shipped: Packed) -> Any:  # noqa: ANN401 - any job
    """The job of a file, its arrays mapped read-only."""
    with open(shipped.path, "rb") as file:
        memory = memoryview(mmap(file.fileno(), 0, access=ACCESS_READ))
    pieces, start = [], 0
    for size in shipped.sizes:
        start += -start % ALIGNED
        pieces.append(memory[start : start + size])
        start += size
    return unpack(bytes(pieces[0]), pieces[1:])
