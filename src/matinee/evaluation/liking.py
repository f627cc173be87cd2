"""Liking: whether lists hold what users rated high, or low. Definitions in docs/metrics.md.

Values are ratings on a scale. The scale begins at 0 (or at the lowest value of the log, if that is below 0) and ends at
the highest value of the log.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from matinee.arrays import FloatArray, IntArray, rows_of
from matinee.config import EvaluationConfig
from matinee.dataset import Dataset
from matinee.errors import MatineeError
from matinee.evaluation.metrics import OF_LIKING, PerUser, find_targets, parse_metric
from matinee.histories import Histories
from matinee.vocab import UNKNOWN

LIKED, DISLIKED = 0.8, 0.4
"""Shares of the scale: 4 and more of 5 stars is liked, 2 and less is disliked."""
TOP_GRADE = 5
"""The grade of the highest value: grades are stars, whatever the scale."""
MAX_DISTINCT, MAX_RATING = 101, 100
"""Values with more steps, or higher ones, are counts (plays, hours), of which none is a dislike."""


@dataclass(frozen=True, slots=True)
class Scale:
    """A scale of ratings: its ends, and the values from which a rating is liked and down to which it is disliked."""

    floor: float
    highest: float
    liked_from: float
    disliked_to: float

    def grades(self, values: FloatArray) -> FloatArray:
        """Values as grades from 0 to TOP_GRADE, whatever the scale: stars. [N] -> [N]."""
        grades: FloatArray = TOP_GRADE * (values.astype(np.float64) - self.floor) / (self.highest - self.floor)
        return grades


def scale_of(data: Dataset, config: EvaluationConfig) -> Scale | None:
    """The scale of a log's ratings; None if its values are counts, all the same, or missing, and no bound is set.

    Raises MatineeError for a bound on such a log, outside the scale, or for liked_from at or below disliked_to.
    """
    asked = {name: getattr(config, name) for name in ("relevant_from", "liked_from", "disliked_to")}
    given = {name: bound for name, bound in asked.items() if bound is not None}
    values = data.events.values
    lowest, highest = (float(values.min()), float(values.max())) if len(values) else (0.0, 0.0)
    if data.kind == "click" or lowest == highest:
        if given:
            raise MatineeError(f"{_option(given)}: {_without_ratings(data, highest)}; leave it out")
        return None
    for name, bound in given.items():
        if not lowest <= bound <= highest:
            raise MatineeError(
                f"{_option([name])} {bound:g} is outside the values of data {data.name}, {lowest:g} to {highest:g}"
            )
    if config.liked_from is None and config.disliked_to is None and not _are_ratings(values):
        return None
    floor = min(0.0, lowest)
    liked, disliked = (floor + share * (highest - floor) for share in (LIKED, DISLIKED))
    liked = liked if config.liked_from is None else config.liked_from
    disliked = disliked if config.disliked_to is None else config.disliked_to
    if liked <= disliked:
        raise MatineeError(f"--liked-from {liked:g} must be more than --disliked-to {disliked:g}: no value is both")
    return Scale(floor, highest, liked, disliked)


def require_scale(metric: str, scale: Scale | None, data: Dataset) -> None:
    """Raises MatineeError if a metric of liking is asked of a log without ratings."""
    if parse_metric(metric)[0] in OF_LIKING and scale is None:
        raise MatineeError(f"{metric} needs ratings, and data {data.name} has none; use one such as 'ndcg@10'")


def measure_liking(
    items: IntArray, judged: Histories, scale: Scale, n_items: int, ks: Iterable[int]
) -> dict[str, FloatArray]:
    """Liked, disliked and graded NDCG, and the share of the list that is disliked, at each k. Returns name@k -> [B].

    items: [B, K], best first; judged: the targets of the same B users, each item once with its value. NaN for a user
    without a liked (or disliked) target in that NDCG, and for one without any target in all.
    """
    ks = list(ks)
    found = find_targets(items, judged.starts, judged.items, n_items)  # [B, K]
    gains = {
        "liked-ndcg": (judged.values >= scale.liked_from).astype(np.float64),
        "disliked-ndcg": (judged.values <= scale.disliked_to).astype(np.float64),
        "graded-ndcg": 2 ** scale.grades(judged.values) - 1,
    }
    measured: dict[str, FloatArray] = {}
    for name, each in gains.items():
        listed = np.where(found == UNKNOWN, 0.0, np.append(each, 0.0)[found])
        measured |= {f"{name}@{k}": value for k, value in ndcg_of_gains(listed, each, judged.starts, ks).items()}
    is_disliked = (found != UNKNOWN) & np.append(gains["disliked-ndcg"] > 0, False)[found]
    counts = np.cumsum(is_disliked, axis=1)
    one = np.where(judged.lengths > 0, 1.0, np.nan)
    return measured | {f"disliked@{k}": counts[:, min(k, items.shape[1]) - 1] / k * one for k in ks}


def ndcg_of_gains(listed: FloatArray, gains: FloatArray, starts: IntArray, ks: Iterable[int]) -> dict[int, FloatArray]:
    """NDCG at each k of lists whose items have gains. Returns k -> [B], NaN for a user whose targets all gain 0.

    listed: [B, K], the gain of each listed item, 0 for one that is no target; gains: [N], of all targets, user b's
    from starts[b] to starts[b+1], none below 0. DCG = sum of gain / log2(rank + 1); the ideal list has the k largest
    gains in descending order (Burges et al. 2005).
    """
    owners = rows_of(starts)
    best_first = np.lexsort((-gains, owners))
    ranks = np.arange(len(gains)) - starts[owners]  # of the sorted gains, within each user
    ideal_terms = gains[best_first] / np.log2(ranks + 2)
    terms = np.cumsum(listed / np.log2(np.arange(listed.shape[1]) + 2), axis=1)
    found: dict[int, FloatArray] = {}
    for k in ks:
        ideal = np.bincount(owners, ideal_terms * (ranks < k), minlength=len(starts) - 1)
        undefined = np.full(len(ideal), np.nan)
        found[k] = np.divide(terms[:, min(k, listed.shape[1]) - 1], ideal, out=undefined, where=ideal > 0)
    return found


def count_users(per_user: Mapping[str, PerUser]) -> dict[str, int]:
    """How many users have a liked and a disliked target: those with a value of that NDCG."""
    counts: dict[str, int] = {}
    for kind in ("liked", "disliked"):
        columns = [each.values for name, each in per_user.items() if name.startswith(f"{kind}-ndcg@")]
        counts[kind] = int((~np.isnan(columns[0])).sum()) if columns else 0
    return counts


def _are_ratings(values: FloatArray) -> bool:
    return bool(values.max() <= MAX_RATING) and len(np.unique(values)) <= MAX_DISTINCT


def _option(names: Iterable[str]) -> str:
    return ", ".join(f"--{name.replace('_', '-')}" for name in names)


def _without_ratings(data: Dataset, value: float) -> str:
    if data.kind == "click":
        return f"data {data.name} has no ratings, only who chose what"
    return f"every event of data {data.name} has the value {value:g}, so none is liked more than another"
