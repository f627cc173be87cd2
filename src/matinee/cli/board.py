"""The live table of a comparison: what each fit is doing, on standard error where it is a terminal."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter

from rich.live import Live
from rich.table import Table

from matinee.cli.forecast import Forecast
from matinee.cli.output import VOICE, SafeConsole, detail, table, warn
from matinee.workflow.planned_fits import PlannedFit
from matinee.workflow.side_by_side import Outcome

WAITING, DONE, FAILED = "waiting", "done", "failed"
EVERY = 30.0
"""Seconds between two lines on progress where there is no terminal."""


class Board:
    """A row for each model: its fits that are done, what runs now, and the deciding metric so far.

    jobs: fits at once; notes: those that were printed already.
    """

    def __init__(
        self, labels: Sequence[str], n_seeds: int, metric: str, jobs: int = 1, notes: Sequence[str] = ()
    ) -> None:
        self._metric, self._n_seeds = metric, n_seeds
        self._forecast = Forecast(labels, n_seeds, jobs)
        self._printed = perf_counter()
        self._notes = set(notes)
        self._state = dict.fromkeys(labels, WAITING)
        self._scores: dict[str, list[float]] = {label: [] for label in labels}
        self._started = perf_counter()
        self._live: Live | None = None

    @contextmanager
    def shown(self) -> Iterator["Board"]:
        """Show the table while the block runs."""
        console = SafeConsole(stderr=True)
        if VOICE.level != 0 or not console.is_terminal:
            yield self
            return
        with Live(self.table(), console=console, transient=True, refresh_per_second=4) as self._live:
            yield self

    def on_plan(self, planned: PlannedFit, change: str | None) -> None:
        """A fit will run; `change` is why a finished one does not count."""
        if change is not None:
            warn(f"{planned.label}, seed {planned.seed}: {change}, so it is measured again")

    def on_step(self, planned: PlannedFit, step: str) -> None:
        """A fit takes its next step."""
        self._forecast.begin(planned)
        self._set(planned, step.partition(" ")[0] if step.startswith(("fitting", "evaluating")) else step)
        detail(f"{perf_counter() - self._started:7.2f} s  {planned.label}, seed {planned.seed}: {step}")

    def on_epoch(self, planned: PlannedFit, epoch: int, epochs: int, values: dict[str, float]) -> None:
        """A fit has trained an epoch."""
        shown = "  ".join(f"{name} {value:.4g}" for name, value in values.items())
        self._set(planned, f"epoch {epoch} of {epochs}  {shown}")
        detail(f"{perf_counter() - self._started:7.2f} s  {planned.label}: epoch {epoch} of {epochs}  {shown}")

    def on_outcome(self, planned: PlannedFit, outcome: Outcome, kept: bool) -> None:
        """A fit is finished, or was already (`kept`)."""
        again = not isinstance(outcome, str) and outcome.drew
        trained = 0.0 if isinstance(outcome, str) else outcome.report.fit_seconds or 0.0
        self._forecast.end(planned, trained, again=again, kept=kept)
        if isinstance(outcome, str):
            self._set(planned, FAILED)
            warn(f"{planned.label} failed: {outcome}")
            return
        for note in outcome.report.read_notes:
            if note not in self._notes:
                self._notes.add(note)
                warn(note)
        if outcome.search:
            warn(f"tuned {outcome.search['text']}")
        if self._metric in outcome.report.metrics:
            self._scores[planned.label].append(outcome.report.metrics[self._metric].mean)
        self._set(planned, DONE)
        detail(f"{perf_counter() - self._started:7.2f} s  {planned.label}: {'kept from before' if kept else 'done'}")
        if self._live is None and perf_counter() - self._printed > EVERY:
            self._printed = perf_counter()
            warn(self._progress())

    def table(self) -> Table:
        """The table as it stands."""
        rows = [
            (label, f"{len(scores)} of {self._n_seeds}" if self._n_seeds > 1 else "", _mean(scores), self._state[label])
            for label, scores in self._scores.items()
        ]
        return table(self._progress(), ["model", "seeds" if self._n_seeds > 1 else "", self._metric, "now"], rows)

    def _progress(self) -> str:
        done = sum(bool(scores) for scores in self._scores.values())
        left = self._forecast.left()
        soon = "" if left is None else f", about {_duration(left)} left"
        return f"{done} of {len(self._scores)} models, {_duration(perf_counter() - self._started)}{soon}"

    def _set(self, planned: PlannedFit, state: str) -> None:
        self._state[planned.label] = state
        if self._live is not None:
            self._live.update(self.table())


def _duration(seconds: float) -> str:
    """`40 s`, `3 min`."""
    return f"{seconds:.0f} s" if seconds < 99.5 else f"{seconds / 60:.0f} min"


def _mean(scores: Sequence[float]) -> str:
    return f"{sum(scores) / len(scores):.4f}" if scores else ""
