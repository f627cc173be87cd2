"""Synthetic logs: three whose correct recommendations are known by construction, and a realistic one of any size."""

import numpy as np

from matinee.arrays import FloatArray, IntArray
from matinee.catalogue import Catalogue
from matinee.dataset import Dataset, Events
from matinee.vocab import Vocab

_START = 1_000_000_000
"""The first time of a synthetic log: 9 September 2001."""
_DAY = 86_400
_TASTES = 12


def two_groups(n_users: int = 24, n_items: int = 12) -> Dataset:
    """Even users click even items, odd users odd items, each user all but one of them.

    The one left out, `missing_item(user_row, n_items)`, must come first in the user's list. All items are equally
    popular if n_users is a multiple of n_items. Raises ValueError unless both are even and at least 4.
    """
    if n_users < 4 or n_items < 4 or n_users % 2 or n_items % 2:
        raise ValueError(f"two groups need an even number of users and items, at least 4: {n_users}, {n_items}")
    users, items = np.meshgrid(np.arange(n_users), np.arange(n_items), indexing="ij")
    watched = (users % 2 == items % 2) & (items != missing_item(users, n_items))
    return _dataset("two-groups", users[watched], items[watched], ("Comedy", "Horror"))


def two_tastes(n_users: int = 24, n_items: int = 12) -> Dataset:
    """Ratings of the same two groups: 5 for the items of two_groups, 1 for every second item of the other group.

    The item left out of the user's own group, `missing_item(user_row, n_items)`, must come first in the user's list.
    """
    liked = two_groups(n_users, n_items).events
    users, items = np.meshgrid(np.arange(n_users), np.arange(n_items), indexing="ij")
    other = (users % 2 != items % 2) & ((users // 2 + items // 2) % 2 == 0)
    rows = np.concatenate([liked.user_rows, users[other]]), np.concatenate([liked.item_rows, items[other]])
    values = np.repeat(np.array([5, 1], dtype=np.float32), [len(liked), int(other.sum())])
    return _dataset("two-tastes", *rows, ("Comedy", "Horror"), values)


def missing_item(user_rows: IntArray, n_items: int) -> IntArray:
    """The item row of a user's own group that two_groups leaves out. Any shape."""
    return user_rows % 2 + 2 * (user_rows // 2 % (n_items // 2))


def cycle(n_users: int = 60, n_items: int = 12, length: int = 6) -> Dataset:
    """All users follow the same cycle: item i + 1 after item i, the first after the last; user u starts at item u.

    The next item of user u is item row (u + length) % n_items, unseen so far. All items are equally popular if
    n_users is a multiple of n_items. Raises ValueError unless 2 <= length < n_items.
    """
    if not 2 <= length < n_items:
        raise ValueError(f"a history must be shorter than the cycle: 2 <= {length} < {n_items}")
    users = np.repeat(np.arange(n_users), length)
    items = (users + np.tile(np.arange(length), n_users)) % n_items
    return _dataset("cycle", users, items, ("Drama",))


def zipf_log(n_users: int, n_items: int, n_events: int, rng: np.random.Generator) -> Dataset:
    """A realistic log of ratings: Zipf popularity, log-normal activity, tastes, sessions, growth over years.

    It has exactly these numbers of users, items and events, without repeats. Raises ValueError unless
    max(n_users, n_items) <= n_events <= n_users * n_items / 4.
    """
    if not max(n_users, n_items) <= n_events <= n_users * n_items / 4:
        raise ValueError(f"{n_events} events are too few or too many for {n_users} users and {n_items} items")
    keys = _zipf_pairs(n_users, n_items, n_events, rng)
    users, items = keys // n_items, keys % n_items
    order = np.lexsort((rng.random(n_events), users))
    users, items = users[order], items[order]
    quality = rng.normal(3.6, 0.5, n_items)
    values = np.clip(np.round(rng.normal(quality[items], 0.9) * 2) / 2, 0.5, 5.0)
    events = Events.ordered(users, items, values, _session_times(users, n_users, rng))
    titles = [f"Movie {number} ({year})" for number, year in enumerate(rng.integers(1930, 2020, n_items))]
    genres = [(f"Genre {number % _TASTES + 1}",) for number in range(n_items)]
    name = f"zipf-{n_users}-{n_items}-{n_events}"
    return Dataset(name, Vocab(np.arange(n_users)), Vocab(np.arange(n_items)), events, Catalogue.of(titles, genres))


def _zipf_pairs(n_users: int, n_items: int, n_events: int, rng: np.random.Generator) -> IntArray:
    """Distinct keys user * n_items + item [N], with every user and item at least once."""
    activity = np.cumsum(rng.lognormal(0.0, 1.1, n_users))
    # Zipf-Mandelbrot; offset and exponent give a Gini coefficient near that of MovieLens 1M (0.63) at any size
    popularity = np.cumsum((np.arange(n_items) + 0.03 * n_items + 1.0) ** -1.5)
    tastes = rng.integers(_TASTES, size=n_users)
    each_once = np.arange(max(n_users, n_items))
    keys = each_once % n_users * n_items + each_once % n_items
    while len(keys) < n_events:
        n_drawn = int((n_events - len(keys)) * 1.3) + 100
        users = np.searchsorted(activity, rng.random(n_drawn) * activity[-1])
        items = np.searchsorted(popularity, rng.random(n_drawn) * popularity[-1])
        # items of one taste are _TASTES rows apart, so moving to the user's taste keeps the popularity
        own = items - items % _TASTES + tastes[users]
        items = np.where((rng.random(n_drawn) < 0.6) & (own < n_items), own, items)
        keys = np.concatenate([keys, users * n_items + items])
        _, firsts = np.unique(keys, return_index=True)
        keys = keys[np.sort(firsts)]
    return keys[:n_events]


def _session_times(users: IntArray, n_users: int, rng: np.random.Generator) -> IntArray:
    """Times for events in user order [N]: most pauses are under a minute, some last weeks."""
    pauses = rng.exponential(np.where(rng.random(len(users)) < 0.95, 30.0, 30.0 * _DAY))
    elapsed = np.cumsum(pauses)
    firsts = np.searchsorted(users, np.arange(n_users))
    joined = np.sqrt(rng.random(n_users)) * 5 * 365 * _DAY  # the number of new users grows over the years
    return (_START + joined[users] + elapsed - elapsed[firsts][users]).astype(np.int64)


def _dataset(
    name: str, users: IntArray, items: IntArray, genres: tuple[str, ...], values: FloatArray | None = None
) -> Dataset:
    """Clicks or ratings a minute apart, in the given order; item i has genre i % len(genres)."""
    n_users, n_items = int(users.max()) + 1, int(items.max()) + 1
    times = _START + 60 * np.arange(len(users))
    kind = "click" if values is None else "rating"
    values = np.ones(len(users), dtype=np.float32) if values is None else values
    catalogue = Catalogue.of(
        [f"Movie {row} ({2000 + row % 20})" for row in range(n_items)],
        [(genres[row % len(genres)],) for row in range(n_items)],
    )
    events = Events.ordered(users, items, values, times)
    return Dataset(name, Vocab(np.arange(n_users)), Vocab(np.arange(n_items)), events, catalogue, kind=kind)
