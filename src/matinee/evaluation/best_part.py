"""Whether a model over others is better than the best of them, paired by user."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from matinee.arrays import FloatArray
from matinee.evaluation.bootstrap import Interval, percentiles, resample
from matinee.evaluation.significance import paired_p

SAMPLES = 1000
ALPHA = 0.05


@dataclass(frozen=True, slots=True)
class AgainstBestPart:
    """A model over others beside its best part.

    part: the part with the best mean; users: those compared; scores: mean NDCG@10 of the model and of each part;
    difference: of the model from that part, with its interval; p: two-sided, by the paired bootstrap over users.
    """

    model: str
    part: str
    users: int
    scores: dict[str, float]
    difference: Interval
    p: float

    @property
    def is_better(self) -> bool:
        """Whether the model is significantly better."""
        return self.p <= ALPHA and self.difference.mean > 0

    def sentence(self) -> str:
        """What was found, and what follows from it."""
        own, best = self.scores[self.model], self.scores[self.part]
        found = (
            f"NDCG@10 {own:.4f} against {best:.4f}, {self.difference.mean:+.4f} "
            f"({self.difference.low:+.4f} to {self.difference.high:+.4f}) on held-out training events of "
            f"{self.users:,} users"
        )
        if self.is_better:
            return f"{self.model} beats its best part, {self.part}: {found}"
        return f"{self.model} does not beat its best part significantly: {found}; {self.part} alone costs less"

    def to_json(self) -> dict[str, Any]:
        """As an artefact saves it."""
        return asdict(self) | {"is_better": self.is_better}


def against_best_part(held_out: Mapping[str, FloatArray], rng: np.random.Generator) -> AgainstBestPart | None:
    """The comparison of a model over others with its best part; None with fewer than two users.

    held_out: NDCG@10 by user, of the model first and then of each part, NaN without a target (`HasParts`).
    """
    names = list(held_out)
    values = np.stack([held_out[name] for name in names], axis=1).astype(np.float64)
    values = values[~np.isnan(values).any(axis=1)]
    if len(values) < 2:
        return None
    means = values.mean(axis=0)
    best = 1 + int(np.argmax(means[1:]))
    gaps = values[:, 0] - values[:, best]
    draws = np.concatenate([counts @ gaps / len(gaps) for counts in resample(len(gaps), SAMPLES, rng)])
    difference = percentiles(float(gaps.mean()), draws)
    scores = dict(zip(names, means.tolist(), strict=True))
    return AgainstBestPart(names[0], names[best], len(values), scores, difference, float(paired_p(draws[:, None])[0]))
