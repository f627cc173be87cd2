"""How the people of the training data rated each item."""

from dataclasses import dataclass

import numpy as np

from matinee.serve.site import Site

STEPS = 10
"""Half stars to five."""


@dataclass(frozen=True, slots=True)
class Ratings:
    """The ratings of an item. counts: of each half star, the lowest first."""

    counts: tuple[int, ...]

    @property
    def n(self) -> int:
        """How many there are."""
        return sum(self.counts)

    @property
    def mean(self) -> float:
        """In stars."""
        return sum(half * count for half, count in enumerate(self.counts, start=1)) / (2 * self.n)

    @property
    def shares(self) -> list[float]:
        """Of the most frequent half star, 0 to 1."""
        return [count / max(self.counts) for count in self.counts]


class RatingCounts:
    """Counts the ratings that the models were fitted on, by item and half star; plays and the like are none."""

    def __init__(self, site: Site) -> None:
        artefact = next(iter(site.engine.artefacts.values()))
        events, value_map = artefact.known.events, artefact.model.value_map
        are_ratings = site.wording.has_ratings and not value_map.has_counts
        stars = value_map.stars_of(events.values) if are_ratings else np.zeros(0)
        is_rating = np.isfinite(stars)
        halves = np.clip(np.rint(2 * stars[is_rating]), 1, STEPS).astype(np.int64) - 1
        rows = events.item_rows[: len(stars)][is_rating].astype(np.int64)
        counts = np.bincount(rows * STEPS + halves, minlength=len(artefact.items) * STEPS)
        self._counts = counts.reshape(-1, STEPS)  # [I, 10]

    def of(self, item_row: int) -> Ratings | None:
        """The ratings of an item; None if it has none, or came after training."""
        counts = self._counts[item_row] if item_row < len(self._counts) else np.zeros(STEPS, dtype=np.int64)
        return Ratings(tuple(counts.tolist())) if counts.any() else None
