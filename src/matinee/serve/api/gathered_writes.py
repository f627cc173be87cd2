"""Writes of requests that arrive while another is at work, handed together to one thread and to one transaction."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Generic, TypeVar

from starlette.concurrency import run_in_threadpool

from matinee.store.protocols import NotKept
from matinee.store.turn import MOST_WHILE_STUCK, STALL_SECONDS

Asked = TypeVar("Asked")
Found = TypeVar("Found")


@dataclass(slots=True, eq=False)
class _Call(Generic[Asked, Found]):
    asked: Asked
    outcome: Found | Exception | None = None


class GatheredWrites(Generic[Asked, Found]):
    """Carries out the writes of coroutines. write_all: called in a thread; returns each one's result or what to raise.

    As in `GroupCommit`, whose turn it is takes all that wait, and the others find theirs written when their turn comes.
    But who waits here holds no thread, and all that are taken together cost one change of thread.
    """

    def __init__(self, write_all: Callable[[Sequence[Asked]], Sequence[Found | Exception]]) -> None:
        self._write_all = write_all
        self._turn = asyncio.Lock()
        self._since: float | None = None
        self._waiting: list[_Call[Asked, Found]] = []

    async def write(self, asked: Asked) -> Found:
        """The result of a write. Raises what write_all says, and NotKept behind others that are stuck."""
        if self._is_stuck() and len(self._waiting) >= MOST_WHILE_STUCK:
            raise NotKept("the database is busy with another write")
        call: _Call[Asked, Found] = _Call(asked)
        self._waiting.append(call)
        async with self._turn:
            if call.outcome is None:
                taken, self._waiting, self._since = self._waiting, [], monotonic()
                try:
                    await run_in_threadpool(self._write, taken)
                finally:  # also when who asked has gone meanwhile
                    self._since = None
        if isinstance(call.outcome, Exception):
            raise call.outcome
        assert call.outcome is not None
        return call.outcome

    def _is_stuck(self) -> bool:
        return self._since is not None and monotonic() - self._since > STALL_SECONDS

    def _write(self, calls: Sequence[_Call[Asked, Found]]) -> None:
        outcomes: Sequence[Found | Exception]
        try:
            outcomes = self._write_all([call.asked for call in calls])
        except Exception as error:  # raised again by each of them
            outcomes = [error] * len(calls)
        for call, outcome in zip(calls, outcomes, strict=True):
            call.outcome = outcome
