"""One trial: a fit with some settings, measured on valid, stopped where its curve stays below those of others."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Literal, Protocol

from matinee.errors import MatineeError, first_line
from matinee.training.run import OnEpoch

State = Literal["done", "pruned", "late", "failed"]
PRUNED_AFTER = 4
"""Finished trials before any is pruned."""


class Objective(Protocol):
    """What is searched: from settings to a score on valid. It can be sent to another process."""

    def __call__(self, settings: Mapping[str, Any], on_epoch: OnEpoch | None) -> float:
        """Fit and measure; higher is better. Raises MatineeError where these settings cannot be fitted."""
        ...

    def completed(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        """What a trial sets: these settings, what the data decide, and early stopping for a model that has epochs."""
        ...

    def n_epochs(self, settings: Mapping[str, Any]) -> int:
        """The most epochs that these settings train; 0 for a model that does not train by epochs."""
        ...


@dataclass(frozen=True, slots=True)
class Proposal:
    """Settings to try. point: where they stand in the ranges."""

    number: int
    point: dict[str, float]
    settings: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of a proposal.

    settings: those that were searched, {} for the defaults; value: on valid, higher is better, None without one; curve:
    (epoch, value) while it trained; note: why it failed or was stopped; seconds: of this trial; ended: of the whole
    search so far.
    """

    number: int
    point: dict[str, float]
    settings: dict[str, Any]
    state: State
    value: float | None = None
    curve: tuple[tuple[int, float], ...] = ()
    note: str = ""
    seconds: float = 0.0
    ended: float = 0.0


class _StoppedError(Exception):
    """Ends a fit from its progress report."""

    def __init__(self, state: State, note: str) -> None:
        super().__init__(note)
        self.state: State = state


def attempt(
    objective: Objective,
    proposal: Proposal,
    earlier: Sequence[Trial],
    left: float | None = None,
    on_epoch: OnEpoch | None = None,
) -> Trial:
    """Run one trial. earlier: those whose curves decide about pruning; left: seconds until it is cut, None for never.

    Which trials are pruned depends on `earlier` alone, not on when this one runs.
    """
    started = perf_counter()
    curve: list[tuple[int, float]] = []
    is_behind = _pruner(earlier, objective.n_epochs(proposal.settings))

    def watch(epoch: int, epochs: int, metrics: dict[str, float]) -> None:
        if on_epoch is not None:
            on_epoch(epoch, epochs, metrics)
        if "valid" in metrics:
            curve.append((epoch, metrics["valid"]))
            if epoch < epochs and is_behind(curve[-1]):
                raise _StoppedError("pruned", f"behind the median of earlier trials at epoch {epoch}")
        if left is not None and epoch < epochs and perf_counter() - started > left:
            raise _StoppedError("late", f"out of time at epoch {epoch} of {epochs}")

    value, state, note = None, "done", ""
    try:
        value = objective(proposal.settings, watch)
    except _StoppedError as stop:
        state, note = stop.state, str(stop)
        value = max((each for _, each in curve), default=None)
    except (MatineeError, MemoryError) as error:
        state, note = "failed", first_line(error) or "out of memory"
    seconds = perf_counter() - started
    return Trial(proposal.number, proposal.point, proposal.settings, state, value, tuple(curve), note, seconds)  # type: ignore[arg-type]


def _pruner(earlier: Sequence[Trial], epochs: int) -> Callable[[tuple[int, float]], bool]:
    """A function from a point of this trial's curve to whether the trial is behind: below the median at that epoch."""
    with_curves = [each for each in earlier if each.state == "done" and each.curve]
    if len(with_curves) < PRUNED_AFTER:
        return lambda point: False
    import optuna

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        pruner = optuna.pruners.MedianPruner(n_startup_trials=PRUNED_AFTER, n_warmup_steps=epochs // 4)
        study = new_study(pruner=pruner)
    for each in with_curves:
        study.add_trial(optuna.trial.create_trial(value=each.value, intermediate_values=dict(each.curve)))
    trial = study.ask()

    def is_behind(point: tuple[int, float]) -> bool:
        trial.report(point[1], point[0])
        return bool(trial.should_prune())

    return is_behind


def new_study(**options: Any) -> Any:  # noqa: ANN401 - optuna is slow to import, so its types are not named
    """A study in memory, to be maximised, without optuna's own log lines."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna.create_study(direction="maximize", **options)
