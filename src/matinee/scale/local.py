"""Workers that are processes of this machine."""

import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from mmap import ACCESS_COPY, ACCESS_READ, mmap
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, NamedTuple

from matinee.errors import MatineeError, first_line
from matinee.processes import settle_child, threads_of_children
from matinee.scale.packing import pack, unpack
from matinee.scale.runner import LostWorkerError, Outcome, Workers, attempt

ALIGNED = 64
"""Bytes; arrays begin at multiples, as numpy's own do."""
LARGE = 2**20
"""Bytes of a result's arrays from which they come back through a file, which is mapped, and not through a pipe."""


class Packed(NamedTuple):
    """A job in a file that all workers map, or a result that the caller does. sizes: bytes of the pickle and arrays."""

    path: str
    sizes: tuple[int, ...]


class Started(dict[int, BaseProcess]):
    """Processes of a pool by their ids. Python 3.11 reads them in a thread of its own while others start."""

    def values(self) -> list[BaseProcess]:  # type: ignore[override]  # a copy, where dict has a view
        """Those there are now."""
        return list(super().values())


class Processes(Workers):
    """Runs parts in `workers` processes, each with so many threads for matrix products."""

    def __init__(self, workers: int, threads: int = 1) -> None:
        self.workers, self._threads = workers, threads
        context = multiprocessing.get_context("spawn")  # a fork would copy the threads of numeric libraries, locked
        self._pool = ProcessPoolExecutor(workers, context, settle_child)
        self._pool._processes = Started()  # type: ignore[assignment]  # the pool is typed with another class of process
        self._folder = Path(tempfile.mkdtemp(prefix="matinee-job-"))

    def ship(self, job: Callable[[Any], Any]) -> Packed:
        """See Workers. A file is mapped by all processes, so the job is in memory once."""
        return _written(*pack(job), self._folder)

    def begin(self, shipped: Packed, part: Any) -> Future[Outcome | Packed]:  # noqa: ANN401 - any part
        """See Workers."""
        with threads_of_children(self._threads):  # a process starts when there is work for it
            return self._submit(shipped, part)

    def _submit(self, shipped: Packed, part: object) -> Future[Outcome | Packed]:
        try:
            return self._pool.submit(_run, shipped, part, self._threads)
        except BrokenProcessPool:
            raise _killed() from None

    def ended(self, tasks: list[Any]) -> dict[Any, Outcome]:
        """See Workers. Raises MatineeError if a process was killed."""
        try:
            return {task: _received(task.result()) for task in wait(tasks, return_when=FIRST_COMPLETED).done}
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


def _killed() -> LostWorkerError:
    return LostWorkerError(
        "a worker process was killed, perhaps for want of memory; fewer at a time take less (--workers, --jobs)"
    )


_job: list[tuple[Packed, Any]] = []
"""In a worker: the last job, and where it came from."""


def _run(shipped: Packed, part: object, threads: int) -> Outcome | Packed:
    if not _job or _job[0][0] != shipped:
        _job[:] = [(shipped, _read(shipped, ACCESS_READ))]
    outcome = attempt(_job[0][1], part, threads)
    pickled, buffers = pack(outcome)
    if sum(map(len, buffers)) < LARGE:
        return outcome
    try:
        return _written(pickled, buffers, Path(shipped.path).parent)
    except OSError as error:
        return Outcome(
            error=MatineeError(f"a result cannot be written to {tempfile.gettempdir()}: {first_line(error)}")
        )


def _received(result: Outcome | Packed) -> Outcome:
    """A result of a worker; if it was written to a file, its arrays mapped, in memory as if they were the caller's."""
    if isinstance(result, Outcome):
        return result
    outcome: Outcome = _read(result, ACCESS_COPY)
    os.unlink(result.path)
    return outcome


def _written(pickled: bytes, buffers: Sequence[memoryview], folder: Path) -> Packed:
    pieces: list[bytes | memoryview] = [pickled, *buffers]
    sizes = []
    with tempfile.NamedTemporaryFile(dir=folder, delete=False) as file:
        for each in pieces:
            file.seek(-file.tell() % ALIGNED, 1)
            sizes.append(file.write(each))
        file.truncate()
    return Packed(file.name, tuple(sizes))


def _read(packed: Packed, access: int) -> Any:  # noqa: ANN401 - any job or result
    """What a file holds, its arrays mapped: read-only, or so that changes stay in this process."""
    with open(packed.path, "rb") as file:
        memory = memoryview(mmap(file.fileno(), 0, access=access))
    pieces, start = [], 0
    for size in packed.sizes:
        start += -start % ALIGNED
        pieces.append(memory[start : start + size])
        start += size
    return unpack(bytes(pieces[0]), pieces[1:])
