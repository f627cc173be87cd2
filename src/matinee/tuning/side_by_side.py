"""Trials side by side: each a part that a runner's workers take, in processes here or on the nodes of a cluster."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter

from matinee.processes import n_cores
from matinee.scale.choice import runner_of
from matinee.scale.local import Processes
from matinee.scale.runner import Runner
from matinee.tuning.trials import Objective, Proposal, Trial, attempt


@dataclass(frozen=True, slots=True, eq=False)
class RunTrial:
    """The job of a runner: from a proposal, and the seconds until it is cut, to its trial."""

    objective: Objective
    earlier: Sequence[Trial]

    def __call__(self, part: tuple[Proposal, float | None]) -> Trial:
        """Run one trial."""
        proposal, left = part
        return attempt(self.objective, proposal, self.earlier, left)


def runner_for(jobs: int, on: str | None) -> Runner:
    """So many processes, which share the cores among them, or the Ray cluster at an address. Raises as RayCluster."""
    return Processes(jobs, max(1, n_cores() // jobs)) if on is None else runner_of(on)


def run_side_by_side(
    runner: Runner,
    objective: Objective,
    proposals: Sequence[Proposal],
    earlier: Sequence[Trial],
    left: float | None,
) -> Iterator[Trial]:
    """Yield the trials of a batch as they end; none is started after `left` seconds, but the first of all.

    Raises MatineeError if a worker dies, as it does when the system runs out of memory.
    """
    started = perf_counter()

    def parts() -> Iterator[tuple[Proposal, float | None]]:
        for proposal in proposals:
            remaining = None if left is None or proposal.number == 0 else left - (perf_counter() - started)
            if remaining is None or remaining > 0:
                yield proposal, remaining

    for _, trial in runner.as_ended(RunTrial(objective, earlier), parts()):
        yield trial
