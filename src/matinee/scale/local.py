"""Workers that are processes of this machine."""

import multiprocessing
import os
import pickle
import shutil
import tempfile
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import partial
from mmap import ACCESS_COPY, ACCESS_READ, mmap
from multiprocessing.connection import Connection
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
KILLED = "a worker process was killed, perhaps for want of memory; fewer at a time take less (--workers, --jobs)"


class Packed(NamedTuple):
    """A job in a file that all workers map, or a result that the caller does. sizes: bytes of the pickle and arrays."""

    path: str
    sizes: tuple[int, ...]


class Processes(Workers):
    """Runs parts in `workers` processes, each with so many threads for matrix products.

    A thread here looks after each process: starts it when there is work for it, hands it part after part, and learns
    from the end of their pipe that it was killed. A part after that starts another.
    """

    def __init__(self, workers: int, threads: int = 1) -> None:
        self.workers, self._threads = workers, threads
        self._keepers = ThreadPoolExecutor(workers, "matinee-worker")
        self._own = threading.local()
        self._started: list[tuple[BaseProcess, Connection]] = []
        self._starting = threading.Lock()
        self._ended = False
        self._folder = Path(tempfile.mkdtemp(prefix="matinee-job-"))

    def ship(self, job: Callable[[Any], Any]) -> Packed:
        """See Workers. A file is mapped by all processes, so the job is in memory once."""
        return _written(*pack(job), self._folder)

    def begin(self, shipped: Packed, part: Any) -> Future[Outcome | Packed]:  # noqa: ANN401 - any part
        """See Workers."""
        return self._keepers.submit(self._run_there, pickle.dumps((shipped, part)))

    def ended(self, tasks: list[Any]) -> dict[Any, Outcome]:
        """See Workers. Raises LostWorkerError if a process was killed."""
        return {task: _received(task.result()) for task in wait(tasks, return_when=FIRST_COMPLETED).done}

    def cancel(self, tasks: list[Any]) -> None:
        """See Workers."""
        for task in tasks:
            task.cancel()

    def __exit__(self, *error: object) -> None:
        with self._starting:
            self._ended = True  # from here on none starts
        if error[0] is not None:
            for process, _ in self._started:
                process.terminate()  # a part that nobody waits for may run for minutes
        self._keepers.shutdown(wait=True, cancel_futures=True)
        for process, pipe in self._started:
            pipe.close()
            process.join()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _run_there(self, asked: bytes) -> Outcome | Packed:
        """In a thread: have its process run a part. Raises LostWorkerError if that is killed."""
        pipe: Connection = getattr(self._own, "pipe", None) or self._start()
        try:
            pipe.send_bytes(asked)
            answer = pipe.recv_bytes()
        except (EOFError, OSError):
            self._own.pipe = None
            raise LostWorkerError(KILLED) from None
        result: Outcome | Packed = pickle.loads(answer)  # noqa: S301 - from a process that this one started
        return result

    def _start(self) -> Connection:
        """In a thread: start its process. Raises LostWorkerError if it cannot start, or once the runner has ended."""
        context = multiprocessing.get_context("spawn")  # a fork would copy the threads of numeric libraries, locked
        with self._starting, threads_of_children(self._threads):
            if self._ended:
                raise LostWorkerError(KILLED)
            try:
                here, there = context.Pipe()
                process = context.Process(target=_serve, args=(there, self._threads))
                process.start()
            except OSError as error:
                raise LostWorkerError(f"a worker process cannot start: {first_line(error)}; try fewer") from None
            there.close()  # so that the pipe ends with the process
            self._started.append((process, here))
        self._own.pipe = here
        return here


_job: list[tuple[Packed, Any]] = []
"""In a worker: the last job, and where it came from."""


def _serve(pipe: Connection, threads: int) -> None:
    """A worker's life: parts until the pipe ends."""
    settle_child()
    while True:
        try:
            asked = pipe.recv_bytes()
        except EOFError:
            return
        answer = attempt(partial(_run, threads=threads), asked, threads)
        pipe.send_bytes(pickle.dumps(answer.value if answer.error is None else answer))


def _run(asked: bytes, threads: int) -> Outcome | Packed:
    shipped, part = pickle.loads(asked)  # noqa: S301 - from this process's parent
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
