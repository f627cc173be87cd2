"""Whether explanations hold: deletion and insertion of the cited events, against random ones. docs/metrics.md."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from matinee.arrays import BoolArray, FloatArray, IntArray
from matinee.evaluation.bootstrap import Interval, draw_means, percentiles
from matinee.evaluation.metrics import PerUser
from matinee.histories import Histories
from matinee.models.base import Recommender
from matinee.ranking.explain import Explanation, Method, blocks, explain, only, without
from matinee.ranking.reasons import cite, liking
from matinee.vocab import UNKNOWN

MAX_USERS, N_ITEMS = 1000, 3
"""Users that are drawn, and listed items of each that are tested: the first."""

Explainer = Callable[[Recommender[Any], Histories, IntArray], Explanation]


@dataclass(frozen=True, slots=True)
class ExplanationTest:
    """The outcome for one model. Each measure is above 0 (wins: above 0.5) where citations beat random events.

    users: in the means; tested: number of listed items; without_reason: listed items that have none; measures: of
    `deletion` and `insertion`: -score in standard deviations of the user's scores, -rank in ranks, and -wins, the
    share of items that the cited events move further than the random ones.
    """

    method: Method
    users: int
    tested: int
    without_reason: int
    measures: dict[str, Interval]

    @property
    def holds(self) -> bool:
        """Whether the listed items fall further without their reasons: the interval of deletion-score is above 0."""
        return self.measures["deletion-score"].low > 0

    def to_json(self) -> dict[str, Any]:
        """In plain Python types."""
        return asdict(self) | {"holds": self.holds}

    def __str__(self) -> str:
        found = {name: f"{one.mean:+.3g} ({one.low:+.3g} to {one.high:+.3g})" for name, one in self.measures.items()}
        if not self.tested:
            return "reasons: none to test"
        return (
            f"reasons ({self.method}) of {self.tested:,} listed items of {self.users:,} users: without them an item "
            f"falls {found['deletion-score']} standard deviations and {found['deletion-rank']} ranks further than "
            f"without as many other events; from them alone it stands {found['insertion-score']} standard deviations "
            f"and {found['insertion-rank']} ranks higher; {self.without_reason:,} items have no reason"
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Cases:
    """P listed items with as many cited as random events of their user's history.

    users, items: [P] batch index and item row; cited, drawn: [P, m] events, UNKNOWN for none.
    """

    users: IntArray
    items: IntArray
    cited: IntArray
    drawn: IntArray


def measure_explanations(
    model: Recommender[Any],
    histories: Histories,
    masked: Histories | None,
    items: IntArray,
    *,
    rng: np.random.Generator,
    samples: int = 1000,
    explainer: Explainer = explain,
) -> ExplanationTest:
    """Delete the events that explain the first items of each list, or all others, and compare with random events.

    histories, masked: of B users; items: [B, k] their lists. The random events are as many, of the same history, liked,
    and not cited. Masked items and those of the whole history stay out of the ranks, whatever is deleted. rng draws
    the users, the events and the resamples.
    """
    liked = histories.owners[liking(model, histories) > 0]
    users = np.flatnonzero(np.bincount(liked, minlength=len(histories)) > 0)
    users = np.sort(rng.choice(users, min(MAX_USERS, len(users)), replace=False))
    histories, masked = histories.take(users), None if masked is None else masked.take(users)
    rows = items[users, :N_ITEMS]
    found = explainer(model, histories, rows)
    weights = liking(model, histories)
    cited = cite(found.contributions, weights, histories.starts)
    cases = _cases(cited, rows, replace(histories, mapped=weights), rng)
    values = _moves(model, histories, masked, cases) if len(cases.users) else {}
    per_user = {name: _mean_of_each(column, cases.users) for name, column in values.items()}
    return ExplanationTest(
        method=found.method,
        users=len(np.unique(cases.users)),
        tested=len(cases.users),
        without_reason=int(((cited[..., 0] == UNKNOWN) & (rows != UNKNOWN)).sum()),
        measures=_intervals(per_user, samples, rng),
    )


def _cases(cited: IntArray, rows: IntArray, weighed: Histories, rng: np.random.Generator) -> _Cases:
    """The listed items with a reason, and with as many other liked events. cited: [B, n, m]; rows: [B, n]."""
    liked = np.flatnonzero(weighed.weights > 0)
    firsts = np.searchsorted(liked, weighed.starts)  # of each user's liked events, in `liked`
    users, columns = np.nonzero((cited[..., 0] != UNKNOWN) & (rows != UNKNOWN))
    named = cited[users, columns]  # [P, m]
    n_named, n_liked = (named != UNKNOWN).sum(axis=1), np.diff(firsts)[users]
    enough = n_liked >= 2 * n_named
    users, columns, named, n_liked = users[enough], columns[enough], named[enough], n_liked[enough]
    positions = np.where(named == UNKNOWN, np.iinfo(np.int64).max, np.searchsorted(liked, named) - firsts[users, None])
    drawn = draw_others(positions, n_liked, rng)
    events = np.where(named == UNKNOWN, UNKNOWN, liked[np.minimum(drawn + firsts[users, None], len(liked) - 1)])
    return _Cases(users, rows[users, columns], named, events)


def draw_others(positions: IntArray, lengths: IntArray, rng: np.random.Generator) -> IntArray:
    """Draw m positions of 0..length-1, all different, and none of those given, with equal probability. [P, m].

    positions: [P, m], the largest integer for none; lengths: [P], at least twice the number of positions given. Where a
    row has fewer than m, only as many of its draws, the first, mean anything.
    """
    taken = np.sort(positions, axis=1)
    n_left = lengths - (positions != np.iinfo(np.int64).max).sum(axis=1)
    drawn = np.zeros_like(positions)
    for column in range(positions.shape[1]):
        place = rng.integers(0, np.maximum(n_left - column, 1))
        for other in taken.T:  # ascending: each one passed moves the place by one
            place = place + (place >= other)
        drawn[:, column] = place
        taken = np.sort(np.concatenate([taken, place[:, None]], axis=1), axis=1)
    return drawn


def _moves(
    model: Recommender[Any], histories: Histories, masked: Histories | None, cases: _Cases
) -> dict[str, FloatArray]:
    """Each measure of each case. [P]."""
    excluded = [histories] if masked is None else [histories, masked]
    scale = _score_scales(model, histories, excluded)[cases.users]
    measures: dict[str, FloatArray] = {}
    for test, change, sign in (("deletion", without, -1), ("insertion", only, 1)):
        (cited, cited_ranks), (drawn, drawn_ranks) = (
            _standing(model, change(histories, cases.users, events), excluded, cases)
            for events in (cases.cited, cases.drawn)
        )
        further = sign * (cited - drawn)
        measures[f"{test}-score"] = further / np.where(scale > 0, scale, 1)
        measures[f"{test}-rank"] = sign * (drawn_ranks - cited_ranks).astype(np.float64)
        measures[f"{test}-wins"] = (np.sign(further) + 1) / 2
    return measures


def _standing(
    model: Recommender[Any], changed: Histories, excluded: list[Histories], cases: _Cases
) -> tuple[FloatArray, IntArray]:
    """Score and rank of each case's item, for a changed history. [P] each; ties are ranked by item row."""
    scores, ranks = np.empty(len(changed), dtype=np.float64), np.empty(len(changed), dtype=np.int64)
    for start, stop in blocks(changed):
        found = model.score(model.state_of(changed.block(start, stop)))  # [b, I]
        items = cases.items[start:stop, None]
        own = np.take_along_axis(found, items, axis=1)
        _exclude(found, excluded, cases.users[start:stop])
        ties = (found == own) & (np.arange(found.shape[1]) < items)
        scores[start:stop] = own[:, 0]
        ranks[start:stop] = 1 + np.count_nonzero(found > own, axis=1) + np.count_nonzero(ties, axis=1)
    return scores, ranks


def _score_scales(model: Recommender[Any], histories: Histories, excluded: list[Histories]) -> FloatArray:
    """Standard deviation of each user's scores of the items that may be listed. [B]."""
    scales = np.empty(len(histories))
    for start, stop in blocks(histories):
        found = model.score(model.state_of(histories.block(start, stop))).astype(np.float64)
        listable = np.isfinite(_exclude(found, excluded, np.arange(start, stop)))
        scales[start:stop] = found.std(axis=1, where=listable)
    return scales


def _exclude(scores: FloatArray, excluded: list[Histories], users: IntArray) -> FloatArray:
    """Minus infinity for the excluded items of each row's user, in place. scores: [b, I]; users: [b]."""
    for rows in excluded:
        taken = rows.take(users)
        scores[taken.owners, taken.items] = -np.inf
    return scores


def _mean_of_each(values: FloatArray, users: IntArray) -> PerUser:
    """The mean over each user's cases, users without one left out. [P] -> [U]."""
    counts = np.bincount(users)
    is_tested: BoolArray = counts > 0
    return PerUser(np.bincount(users, values)[is_tested] / counts[is_tested])


def _intervals(per_user: dict[str, PerUser], samples: int, rng: np.random.Generator) -> dict[str, Interval]:
    if not per_user:
        nothing = float("nan")
        names = [f"{test}-{kind}" for test in ("deletion", "insertion") for kind in ("score", "rank", "wins")]
        return dict.fromkeys(names, Interval(nothing, nothing, nothing))
    measured = list(per_user.values())
    n_users = len(measured[0].values)
    draws = draw_means(measured, n_users, samples, rng)
    return {name: percentiles(each.mean, draw) for (name, each), draw in zip(per_user.items(), draws.T, strict=True)}
