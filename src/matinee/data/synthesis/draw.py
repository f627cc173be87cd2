"""Drawing of a synthetic log: the facts of all users and items once, then events by blocks of users."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Self

import numpy as np
from scipy.special import ndtr

from matinee.arrays import BoolArray, FloatArray, IntArray
from matinee.data.synthesis.shape import LogShape, at
from matinee.errors import MatineeError

PART_EVENTS = 1_000_000
"""Events that are drawn at once, and stand in one file."""
N_TASTES = 24
FAVOURITES = (0.6, 0.3, 0.1)
"""Share of each of a user's three tastes among their sessions."""
TASTE_ROUNDS, TIMELY_ROUNDS, ROUNDS = 8, 24, 60
"""What a user had already is drawn again, so many rounds by taste; then by popularity among items that were there; then
from all items."""
FADING = 0.3
"""Share of draws that are made again where the item came long before: popularity moves to what is newer."""
ANY = -1
"""No taste: an event of all items."""
GROUPS, FITTING_ROUNDS = 32, 20
"""Groups of users, and rounds, in which the probabilities of items are fitted."""
_OF_ALL, _OF_PART = 0, 1


@dataclass(frozen=True, slots=True, eq=False)
class Population:
    """The users and items of a synthetic log.

    n_events: [U], of each user; by_taste: [I], item rows ordered by taste; weights: [I + 1], their popularity summed up
    in this order; tastes: [N_TASTES + 1], where each taste begins in it; released: [I], when each item came, as a share
    of the span, at most 0 if before it; quality: [I], how it is rated, of mean 0 and variance 1 over
    events.
    """

    shape: LogShape
    seed: int
    n_events: IntArray
    by_taste: IntArray
    weights: FloatArray
    tastes: IntArray
    released: FloatArray
    quality: FloatArray

    @classmethod
    def of(cls, shape: LogShape, n_users: int, n_items: int, n_events: int, seed: int) -> Self:
        """Raises MatineeError unless every user has an event and none more than half of the items."""
        if min(n_users, n_items) < 2 or not n_users <= n_events <= n_users * (n_items // 2):
            raise MatineeError(
                f"{n_events:,} events do not fit {n_users:,} users and {n_items:,} items: give each user at least one "
                f"event, and at most half of the items ({n_users * (n_items // 2):,} in all)"
            )
        rng = np.random.default_rng([seed, _OF_ALL])
        counts = _shared_out(at(shape.activity, rng.random(n_users)), n_events, n_items // 2)
        popularity = at(shape.popularity, (np.arange(n_items) + 0.5) / n_items)
        popularity = rng.permutation(_probabilities(popularity, counts))
        order = rng.permutation(n_items)
        tastes = np.sort(rng.integers(0, n_items, N_TASTES - 1))
        released = np.where(rng.random(n_items) < shape.new, rng.random(n_items), 0.0)
        known = _standard(np.log(np.maximum(popularity, 1e-300)), popularity)
        quality = 0.5 * known + np.sqrt(0.75) * rng.standard_normal(n_items)
        return cls(
            shape=shape,
            seed=seed,
            n_events=counts,
            by_taste=order.astype(np.int32),
            weights=np.concatenate([[0.0], np.cumsum(popularity[order])]),
            tastes=np.concatenate([[0], tastes, [n_items]]),
            released=released,
            quality=_standard(quality, popularity),
        )

    def parts(self) -> list[slice]:
        """Blocks of users that have about PART_EVENTS events each."""
        ends = np.cumsum(self.n_events)
        n_parts = max(1, round(int(ends[-1]) / PART_EVENTS))
        cuts = np.searchsorted(ends, np.arange(1, n_parts) * (ends[-1] / n_parts)) + 1
        bounds = np.unique(np.concatenate([[0], cuts, [len(ends)]])).tolist()
        return [slice(low, high) for low, high in pairwise(bounds)]


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """N events by user and time. user_rows, item_rows: [N]; values: [N], 1 for clicks; times: [N], UTC seconds."""

    user_rows: IntArray
    item_rows: IntArray
    values: FloatArray
    times: IntArray


def draw(population: Population) -> Iterator[Drawn]:
    """The events of each part, which do not depend on one another."""
    for number, users in enumerate(population.parts()):
        yield draw_part(population, number, users)


def draw_part(population: Population, number: int, users: slice) -> Drawn:
    """The events of one block of users, without repeats of a user's item."""
    shape, rng = population.shape, np.random.default_rng([population.seed, _OF_PART, number])
    counts = population.n_events[users]
    owners = np.repeat(np.arange(len(counts)), counts)
    is_first = np.diff(owners, prepend=-1) != 0
    begins = is_first | _session_starts(shape, len(owners), rng)
    shares = _moments(shape, owners, is_first, begins, rng)
    tastes = _tastes_of_sessions(population, counts, owners, begins, rng)
    own = rng.random(len(owners)) < shape.taste
    items = _items(population, owners, np.where(own, tastes, ANY), shares, rng)
    return Drawn(
        (owners + users.start).astype(np.int32),
        items,
        _values(population, owners, items, own, rng),
        (shape.start + shares * shape.span).astype(np.int64),
    )


def _shared_out(activity: FloatArray, n_events: int, most: int) -> IntArray:
    """Events of each user in proportion to their activity, at least 1 and at most `most`, `n_events` in all. [U]."""
    low, high = 0.0, n_events / activity.min() + 1
    for _ in range(100):
        middle = (low + high) / 2
        if np.clip(activity * middle, 1, most).sum() > n_events:
            high = middle
        else:
            low = middle
    exact = np.clip(activity * low, 1, most)
    counts: IntArray = np.floor(exact).astype(np.int64)
    free = np.flatnonzero(counts < most)
    missing = n_events - int(counts.sum())
    closest = free[np.argsort(counts[free] - exact[free], kind="stable")]  # those that rounding took most from
    counts[closest[:missing]] += 1
    return counts


def _standard(values: FloatArray, weights: FloatArray) -> FloatArray:
    """Values with a weighted mean of 0 and a weighted variance of 1, as far as they differ. [n]."""
    centred = values - np.average(values, weights=weights)
    deviation = float(np.sqrt(np.average(centred**2, weights=weights)))
    found: FloatArray = centred / max(deviation, 1e-9)
    return found


def _probabilities(popularity: FloatArray, counts: IntArray) -> FloatArray:
    """Probabilities of items for which their events are as popular as asked, although a user has each item once. [I].

    A user who draws n times has item i with probability 1 - exp(-n p_i). Users of about the same activity are one
    group, whose n is such that they end with their number of events.
    """
    ordered = np.sort(counts)
    groups = [part for part in np.array_split(ordered, GROUPS) if len(part)]
    sizes, events = np.array([len(part) for part in groups]), np.array([part.mean() for part in groups])
    wanted = np.minimum(popularity / popularity.sum() * counts.sum(), 0.95 * len(counts))
    probabilities: FloatArray = wanted / wanted.sum()
    draws = events.astype(np.float64)
    for _ in range(FITTING_ROUNDS):
        has = -np.expm1(-draws[:, None] * probabilities)  # [G, I]
        draws *= events / has.sum(axis=1)
        probabilities *= wanted / np.maximum(sizes @ has, 1e-300)
        probabilities /= probabilities.sum()
    return probabilities


def _session_starts(shape: LogShape, n_events: int, rng: np.random.Generator) -> BoolArray:
    """Whether each event begins a session, where sessions follow one another. [N]."""
    n_drawn = int(2 * n_events / shape.session) + 100
    lengths = np.maximum(np.rint(at(shape.sessions, rng.random(n_drawn)) * shape.session), 1).astype(np.int64)
    starts = np.cumsum(lengths)
    begins = np.zeros(n_events, dtype=bool)
    begins[starts[starts < n_events]] = True
    return begins


def _moments(
    shape: LogShape, owners: IntArray, is_first: BoolArray, begins: BoolArray, rng: np.random.Generator
) -> FloatArray:
    """When each event happens, as a share of the span: users join, come again after pauses, and stay for a session."""
    n_users = int(owners[-1]) + 1
    joined = np.interp(rng.random(n_users), np.linspace(0, 1, len(shape.joined)), shape.joined)
    waits = rng.exponential(np.where(begins, shape.pause, shape.gap)) / shape.span
    waits[is_first] = 0
    elapsed = np.cumsum(waits)
    elapsed -= elapsed[is_first][owners]
    last = np.flatnonzero(np.append(is_first[1:], True))
    squeezed = np.minimum(1, (1 - joined) / np.maximum(elapsed[last], 1e-12))  # nobody outlives the log
    return joined[owners] + elapsed * squeezed[owners]


def _tastes_of_sessions(
    population: Population, counts: IntArray, owners: IntArray, begins: BoolArray, rng: np.random.Generator
) -> IntArray:
    """The taste of each event's session, one of the user's favourites. [N]."""
    weights, tastes = population.weights, population.tastes
    popular = rng.random((len(counts), len(FAVOURITES))) * weights[-1]
    favourites = np.searchsorted(weights[tastes], popular, side="right") - 1  # [U, 3]
    chosen = np.searchsorted(np.cumsum(FAVOURITES)[:-1], rng.random(int(begins.sum())))
    session = np.cumsum(begins) - 1
    found: IntArray = favourites[owners, chosen[session]]
    return found


def _items(
    population: Population, owners: IntArray, tastes: IntArray, shares: FloatArray, rng: np.random.Generator
) -> IntArray:
    """Items by popularity, within the taste of each event or among ANY, each once a user. [N]."""
    n_items = len(population.by_taste)
    items = np.empty(len(owners), dtype=np.int32)
    taken = np.empty(0, dtype=np.int64)
    left = np.arange(len(owners))
    for number in range(ROUNDS):
        if number < TIMELY_ROUNDS:
            of_taste = tastes[left] if number < TASTE_ROUNDS else np.full(len(left), ANY)
            drawn = _by_popularity(population, of_taste, rng)
            fits = _is_timely(population, drawn, shares[left], rng)
        else:
            drawn, fits = rng.integers(0, n_items, len(left)).astype(np.int32), np.ones(len(left), dtype=bool)
        keys = owners[left] * np.int64(n_items) + drawn
        fits &= ~_are_in(taken, keys)
        first = np.zeros(len(left), dtype=bool)
        first[np.flatnonzero(fits)[np.unique(keys[fits], return_index=True)[1]]] = True
        items[left[first]] = drawn[first]
        taken = np.sort(np.concatenate([taken, keys[first]]), kind="stable")
        left = left[~first]
        if not len(left):
            return items
    raise AssertionError(f"{len(left)} events found no item")  # nobody has more than half of them


def _by_popularity(population: Population, tastes: IntArray, rng: np.random.Generator) -> IntArray:
    weights, bounds = population.weights, population.tastes
    low, high = np.where(tastes < 0, 0, bounds[tastes]), np.where(tastes < 0, len(weights) - 1, bounds[tastes + 1])
    drawn = weights[low] + rng.random(len(tastes)) * (weights[high] - weights[low])
    position = np.clip(np.searchsorted(weights, drawn, side="right") - 1, 0, len(weights) - 2)
    found: IntArray = population.by_taste[position]
    return found


def _is_timely(population: Population, items: IntArray, shares: FloatArray, rng: np.random.Generator) -> BoolArray:
    """Whether each item was there, and did not fade since it came. [n] booleans."""
    age = shares - population.released[items]
    fits: BoolArray = (age >= 0) & (rng.random(len(items)) >= FADING * np.clip(age, 0, 1))
    return fits


def _are_in(ascending: IntArray, keys: IntArray) -> BoolArray:
    """Whether each key is one of ascending ones. [n]."""
    if not len(ascending):
        return np.zeros(len(keys), dtype=bool)
    place = np.minimum(np.searchsorted(ascending, keys), len(ascending) - 1)
    found: BoolArray = ascending[place] == keys
    return found


def _values(
    population: Population, owners: IntArray, items: IntArray, own: BoolArray, rng: np.random.Generator
) -> FloatArray:
    """Values with the shares of the shape: higher for good items, generous users, and items of one's taste. [N]."""
    values = population.shape.values
    if not values:
        return np.ones(len(items), dtype=np.float32)
    generous = rng.standard_normal(int(owners[-1]) + 1)
    taste = (own - own.mean()) / max(own.std(), 1e-9)
    score = 0.5 * population.quality[items] + 0.4 * generous[owners] + 0.3 * taste
    score += np.sqrt(0.5) * rng.standard_normal(len(items))  # squares add up to 1
    levels, shares = (np.array(column) for column in zip(*values, strict=True))
    found: FloatArray = levels[np.searchsorted(np.cumsum(shares)[:-1], ndtr(score))].astype(np.float32)
    return found
