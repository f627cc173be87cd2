"""Trials side by side, in processes of their own."""

import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from time import perf_counter
from typing import Self

from matinee.errors import MatineeError
from matinee.processes import THREADS, n_cores, settle_child, threads_of_children
from matinee.tuning.trials import Objective, Proposal, Trial, attempt

_objective: list[Objective] = []
"""In a process of the pool: what it searches."""


class Pool:
    """Runs the trials of a batch in `jobs` processes, which share the cores among them."""

    def __init__(self, objective: Objective, jobs: int) -> None:
        self._jobs = jobs
        self._threads = max(1, n_cores() // jobs)
        context = multiprocessing.get_context("spawn")  # a fork would copy the threads of numeric libraries, locked
        self._pool = ProcessPoolExecutor(jobs, context, _start, (objective, self._threads))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        processes = list((self._pool._processes or {}).values())
        self._pool.shutdown(wait=False, cancel_futures=True)
        for process in processes if error[0] is not None else []:
            process.terminate()  # a trial that nobody waits for may run for minutes
        self._pool.shutdown(wait=True)

    def __call__(self, proposals: Sequence[Proposal], earlier: Sequence[Trial], left: float | None) -> Iterator[Trial]:
        """Yield trials as they end; none is started after `left` seconds, but the first of all.

        Raises MatineeError if a process dies, as it does when the system runs out of memory.
        """
        started, waiting = perf_counter(), list(proposals)
        running: set[Future[Trial]] = set()
        while waiting or running:
            while waiting and len(running) < self._jobs:
                proposal = waiting.pop(0)
                remaining = None if left is None or proposal.number == 0 else left - (perf_counter() - started)
                if remaining is None or remaining > 0:
                    with threads_of_children(self._threads):
                        running.add(self._pool.submit(_attempt, proposal, earlier, remaining))
            ended, running = wait(running, return_when=FIRST_COMPLETED)
            for each in ended:
                try:
                    yield each.result()
                except BrokenProcessPool:
                    raise MatineeError(
                        "a process that ran a trial was killed, perhaps for want of memory; --jobs 1 takes less"
                    ) from None


def _start(objective: Objective, threads: int) -> None:
    """Prepare a process of the pool."""
    settle_child()
    os.environ |= {name: str(threads) for name in THREADS}
    _objective[:] = [objective]


def _attempt(proposal: Proposal, earlier: Sequence[Trial], left: float | None) -> Trial:
    return attempt(_objective[0], proposal, earlier, left)
