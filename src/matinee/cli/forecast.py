"""How long a comparison still takes, from the fits that are done."""

from collections.abc import Callable, Sequence
from time import perf_counter

from matinee.workflow.planned_fits import PlannedFit


class Forecast:
    """Seconds of each fit so far, and from them those of the fits that are left.

    A model's first fit, with its search if there is one, is expected to take as long as those of the others so far; a
    further seed as long as the model's own fits with other seeds, or else as long as training took in its first.
    """

    def __init__(
        self, labels: Sequence[str], n_seeds: int, jobs: int, clock: Callable[[], float] = perf_counter
    ) -> None:
        self._n_seeds, self._jobs, self._clock = n_seeds, jobs, clock
        self._begun: dict[tuple[str, int], float] = {}
        self._first: dict[str, float | None] = dict.fromkeys(labels)
        self._later: dict[str, float] = {}
        self._left: dict[str, int] = dict.fromkeys(labels, n_seeds)

    def begin(self, planned: PlannedFit) -> None:
        """A fit begins, or takes its next step."""
        self._begun.setdefault((planned.label, planned.seed), self._clock())

    def end(self, planned: PlannedFit, trained: float, *, again: bool, kept: bool = False) -> None:
        """A fit ends. trained: its seconds of training; again: whether other seeds follow; kept: done before."""
        label = planned.label
        seconds = self._clock() - self._begun.pop((label, planned.seed), self._clock())
        if self._first[label] is None:
            self._first[label] = None if kept else seconds
            self._later[label] = trained
        elif not kept:
            self._later[label] = seconds
        self._left[label] = self._left[label] - 1 if again else 0

    def left(self) -> float | None:
        """Seconds until all fits are done; None before the first is."""
        known = [seconds for seconds in self._first.values() if seconds is not None]
        if not known:
            return None
        mean_first = sum(known) / len(known)
        mean_later = sum(self._later.values()) / max(1, len(self._later))
        total = 0.0
        for label, n_left in self._left.items():
            is_new = label not in self._later
            n_later = n_left - is_new if n_left else 0
            total += (mean_first if is_new and n_left else 0.0) + n_later * self._later.get(label, mean_later)
        running = sum(self._clock() - since for since in self._begun.values())
        return max(0.0, total - running) / self._jobs
