"""The search itself: proposals in batches, run one after another or side by side, until the budget is spent."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from time import perf_counter

import numpy as np

from matinee.errors import MatineeError, UsageError
from matinee.extras import require
from matinee.training.run import OnEpoch
from matinee.tuning.ranges import Range
from matinee.tuning.record import StudyFolder
from matinee.tuning.side_by_side import run_side_by_side, runner_for
from matinee.tuning.trials import Objective, Proposal, Trial, attempt, new_study

BATCH = 4
"""Trials that are proposed at once: fixed, so that the result does not depend on how many run side by side."""
NEAR_DEFAULTS = 8
"""Trials that are drawn around the defaults, before proposals follow from earlier ones."""
STEP = 0.15
"""Standard deviation of such a draw, as a share of the range."""

OnTrial = Callable[[Trial, Sequence[Trial]], None]
"""Called after each trial as (trial, all so far)."""


@dataclass(frozen=True, slots=True)
class Budget:
    """When a search ends: after so many trials, or when so many seconds have passed; whichever is first.

    Raises UsageError for none at all, or one that is not above 0.
    """

    trials: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        if self.trials is None and self.seconds is None:
            raise UsageError("a search needs a budget: --trials or --seconds")
        if self.trials is not None and self.trials < 1:
            raise UsageError(f"--trials {self.trials}: a search needs at least one trial")
        if self.seconds is not None and not 0 < self.seconds < float("inf"):
            raise UsageError(f"--seconds {self.seconds:g}: a search needs a time above 0")


def search(  # noqa: PLR0913 - what, where, how much, and how
    objective: Objective,
    ranges: Mapping[str, Range],
    budget: Budget,
    *,
    seed: int,
    folder: StudyFolder | None = None,
    jobs: int = 1,
    on: str | None = None,
    on_trial: OnTrial = lambda trial, trials: None,
    on_epoch: OnEpoch | None = None,
) -> tuple[Trial, ...]:
    """Search until the budget is spent, from the trials that a folder holds. Returns all trials, in order.

    The first trial has the default settings. Limited by trials, the result follows from the seed alone, however many
    jobs run side by side; limited by seconds, the machine decides how far it comes, and in a folder earlier seconds
    count. on: the address of a Ray cluster, whose workers run the trials; on_epoch is called with one job here only.
    Raises MatineeError if all trials fail, with the reason of the first.
    """
    if jobs < 1:
        raise UsageError(f"--jobs {jobs}: at least one trial must run at a time")
    require("optuna", "a search proposes settings by optuna")
    opened: AbstractContextManager[list[Trial]] = nullcontext([]) if folder is None else folder.opened()
    with opened as known, _runner(objective, jobs, on, on_epoch) as run:
        trials: dict[int, Trial] = {each.number: each for each in known}
        before, started = max((each.ended for each in known), default=0.0), perf_counter()

        def elapsed() -> float:
            return before + perf_counter() - started

        number = 0
        while not _is_spent(budget, number, elapsed()):
            earlier = [trials[each] for each in range(number)]
            proposed = _proposals(objective, ranges, earlier, seed)
            missing = [each for each in proposed if each.number not in trials and _fits(budget, each.number)]
            for trial in run(missing, earlier, None if budget.seconds is None else budget.seconds - elapsed()):
                trials[trial.number] = ended = replace(trial, ended=elapsed())
                if folder is not None:
                    folder.add(ended)
                on_trial(ended, [trials[each] for each in sorted(trials)])
            if any(each.number not in trials for each in proposed):
                break  # the budget ended within the batch
            number += BATCH
    found = tuple(trials[each] for each in sorted(trials))
    if all(each.value is None for each in found):
        why = found[0].note if found else "none was started"
        raise MatineeError(f"all {len(found)} trials failed, so there are no best settings; the first: {why}")
    return found


def best_of(trials: Sequence[Trial]) -> Trial:
    """The best finished trial, the first of equal ones; a stopped one only if none finished."""
    finished = [each for each in trials if each.state == "done"] or trials
    return max((each for each in finished if each.value is not None), key=lambda each: each.value or 0.0)


def _is_spent(budget: Budget, number: int, elapsed: float) -> bool:
    return not _fits(budget, number) or (budget.seconds is not None and elapsed >= budget.seconds and number > 0)


def _fits(budget: Budget, number: int) -> bool:
    return budget.trials is None or number < budget.trials


def _proposals(
    objective: Objective, ranges: Mapping[str, Range], earlier: Sequence[Trial], seed: int
) -> list[Proposal]:
    """The next batch, which follows from the seed and the trials before it."""
    start = len(earlier)
    drawn = np.random.SeedSequence([seed, start])
    points = _near_defaults(ranges, drawn, start == 0) if start < NEAR_DEFAULTS else _by_earlier(ranges, earlier, drawn)
    proposed = []
    for number, point in enumerate(points, start):
        values = {name: each.value(point[name]) for name, each in ranges.items()}
        changed = {name: value for name, value in values.items() if value is not None and value != ranges[name].default}
        proposed.append(Proposal(number, point, {} if number == 0 else objective.completed(changed)))
    return proposed


def _near_defaults(
    ranges: Mapping[str, Range], drawn: np.random.SeedSequence, is_first: bool
) -> list[dict[str, float]]:
    """A batch of points around the defaults; the first point of the first batch is the defaults.

    Defaults are chosen by measurement, so a point that is drawn evenly from all ranges is mostly far worse: here most
    fields stay, those that decide much move more often, and what moves goes a part of its range.
    """
    rng = np.random.default_rng(drawn)
    points = [{name: each.default_point for name, each in ranges.items()} for _ in range(BATCH)]
    for point in points[int(is_first) :]:
        moves = {name: rng.random() < (0.7 if each.first else 0.2) for name, each in ranges.items()}
        moves[list(ranges)[rng.integers(len(ranges))]] |= not any(moves.values())
        for name, each in ranges.items():
            step, anywhere = rng.normal(0, STEP), rng.random()
            if moves[name]:
                point[name] = each.within(anywhere) if each.has_off else each.moved(point[name], step)
    return points


def _by_earlier(
    ranges: Mapping[str, Range], earlier: Sequence[Trial], drawn: np.random.SeedSequence
) -> list[dict[str, float]]:
    """A batch of points that a tree-structured Parzen estimator finds promising after the trials so far."""
    import optuna

    seed = int(drawn.generate_state(1)[0])
    sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=1, multivariate=True, constant_liar=True)
    study = new_study(sampler=sampler)
    distributions: dict[str, optuna.distributions.BaseDistribution] = {
        name: optuna.distributions.FloatDistribution(*each.bounds) for name, each in ranges.items()
    }
    for trial in earlier:
        if trial.value is not None:
            study.add_trial(
                optuna.trial.create_trial(value=trial.value, params=trial.point, distributions=distributions)
            )
    return [dict(study.ask(distributions).params) for _ in range(BATCH)]


BatchRunner = Callable[[Sequence[Proposal], Sequence[Trial], float | None], Iterator[Trial]]


@contextmanager
def _runner(objective: Objective, jobs: int, on: str | None, on_epoch: OnEpoch | None) -> Iterator[BatchRunner]:
    """What runs a batch, in this process or by workers."""
    if jobs == 1 and on is None:
        yield partial(_in_turn, objective, on_epoch)
        return
    with runner_for(min(jobs, BATCH), on) as runner:
        yield partial(run_side_by_side, runner, objective)


def _in_turn(
    objective: Objective,
    on_epoch: OnEpoch | None,
    proposals: Sequence[Proposal],
    earlier: Sequence[Trial],
    left: float | None,
) -> Iterator[Trial]:
    started = perf_counter()
    for proposal in proposals:
        remaining = None if left is None or proposal.number == 0 else left - (perf_counter() - started)
        if remaining is not None and remaining <= 0:
            return
        yield attempt(objective, proposal, earlier, remaining, on_epoch)
