"""Runners: a job mapped over parts, in this process or by workers, with the same results in the same order."""

import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol, Self, TypeVar

from threadpoolctl import threadpool_limits

from matinee.errors import MatineeError, first_line

P = TypeVar("P")
R = TypeVar("R")
AHEAD = 2
"""Parts that are with each worker or waiting for it, so that none is idle while a result is read."""
HELD = 8
"""Parts for each worker that are begun and not yet read, at most: results that wait for an earlier part take memory."""


class LostWorkerError(MatineeError):
    """A worker ended in the middle of a part."""


class Runner(Protocol):
    """Maps a job over parts. Open until the end of its `with`, for any number of maps."""

    @property
    def workers(self) -> int:
        """Parts that run at once."""
        ...

    @property
    def host(self) -> str:
        """The address by which workers on other machines reach this one; empty where there are none."""
        ...

    def map(self, job: Callable[[P], R], parts: Iterable[P]) -> Iterator[R]:
        """Yield what the job gives for each part, in the order of the parts.

        The job and the parts can be pickled, and must not change. What the job draws follows from its part alone, so
        the results are the same wherever the parts run. parts: taken from it when a worker is about to be free; a
        caller that stops reading, or is interrupted, leaves the rest undone.
        Raises MatineeError, naming the part by its number from 1, if the job fails.
        """
        ...

    def as_ended(self, job: Callable[[P], R], parts: Iterable[P]) -> Iterator[tuple[P, R]]:
        """Yield each part with what the job gives for it, as they end: for parts of very different length.

        A part is taken from `parts` only when a worker is free to begin it. Otherwise as `map`.
        """
        ...

    def __enter__(self) -> Self:
        """Open until the end of the `with`."""
        ...

    def __exit__(self, *error: object) -> None:
        """End the workers, at once after an error."""
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a part. error: why it failed, None if it did not; trace: the worker's."""

    value: Any = None
    error: MatineeError | None = None
    trace: str = ""

    def result(self, index: int) -> Any:  # noqa: ANN401 - what the job gives
        """The value. Raises MatineeError, which names the part."""
        if self.error is None:
            return self.value
        error = type(self.error)(f"part {index + 1}: {self.error}")
        error.add_note(self.trace)
        raise error


def attempt(job: Callable[[P], R], part: P, threads: int | None) -> Outcome:
    """Run a job on a part. threads: those of matrix products, which can decide about the last digit of a score."""
    try:
        with threadpool_limits(limits=threads):
            return Outcome(job(part))
    except MatineeError as error:
        return Outcome(error=type(error)(*error.args), trace=traceback.format_exc())
    except MemoryError:
        return Outcome(error=MatineeError("not enough memory; fewer workers take less"), trace=traceback.format_exc())
    except Exception as error:
        message = f"unexpected {type(error).__name__}: {first_line(error)}"
        return Outcome(error=MatineeError(message), trace=traceback.format_exc())


class Workers(ABC):
    """A Runner that hands parts to workers. What a kind of workers must do is a method each."""

    workers: int
    host = ""

    @abstractmethod
    def ship(self, job: Callable[[Any], Any]) -> Any:  # noqa: ANN401 - what `begin` takes
        """Bring a job to where workers find it, once for all of its parts."""

    @abstractmethod
    def begin(self, shipped: Any, part: Any) -> Any:  # noqa: ANN401 - a task of the kind
        """Have a worker run a part."""

    @abstractmethod
    def ended(self, tasks: list[Any]) -> dict[Any, Outcome]:
        """Wait until at least one of the tasks has ended, and return those that have."""

    @abstractmethod
    def cancel(self, tasks: list[Any]) -> None:
        """Give up tasks that nobody waits for."""

    def map(self, job: Callable[[P], R], parts: Iterable[P]) -> Iterator[R]:
        """See Runner."""
        shipped, waiting = self.ship(job), iter(enumerate(parts))
        running: dict[Any, int] = {}
        done: dict[int, Outcome] = {}
        following = 0
        try:
            while True:
                free = min(AHEAD * self.workers, HELD * self.workers - len(done)) - len(running)
                for index, part in islice(waiting, max(free, 0)):
                    running[self.begin(shipped, part)] = index
                if following not in done:
                    if not running:
                        return
                    done |= {running.pop(task): outcome for task, outcome in self.ended(list(running)).items()}
                while following in done:
                    yield done.pop(following).result(following)
                    following += 1
        finally:
            self.cancel(list(running))

    def as_ended(self, job: Callable[[P], R], parts: Iterable[P]) -> Iterator[tuple[P, R]]:
        """See Runner."""
        shipped, waiting = self.ship(job), iter(enumerate(parts))
        running: dict[Any, tuple[int, P]] = {}
        try:
            while True:
                for index, part in islice(waiting, self.workers - len(running)):
                    running[self.begin(shipped, part)] = index, part
                if not running:
                    return
                for task, outcome in self.ended(list(running)).items():
                    index, part = running.pop(task)
                    yield part, outcome.result(index)
        finally:
            self.cancel(list(running))

    def __enter__(self) -> Self:
        return self

    @abstractmethod
    def __exit__(self, *error: object) -> None: ...


class Here:
    """Runs parts one after the other in this process. threads: those of matrix products, None for the machine's."""

    workers = 1
    host = ""

    def __init__(self, threads: int | None = None) -> None:
        self._threads = threads

    def map(self, job: Callable[[P], R], parts: Iterable[P]) -> Iterator[R]:
        """See Runner."""
        for index, part in enumerate(parts):
            yield attempt(job, part, self._threads).result(index)

    def as_ended(self, job: Callable[[P], R], parts: Iterable[P]) -> Iterator[tuple[P, R]]:
        """See Runner."""
        for index, part in enumerate(parts):
            yield part, attempt(job, part, self._threads).result(index)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass
