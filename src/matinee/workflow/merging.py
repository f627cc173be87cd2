"""The data behind a version, with what a site's log brought since: new events, new users and new items."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from matinee.arrays import BoolArray, FloatArray, IntArray
from matinee.catalogue import Catalogue
from matinee.dataset import Dataset, Events, event_order
from matinee.errors import MatineeError
from matinee.item_table import ItemTable
from matinee.store.artefact import Artefact
from matinee.store.log_reading import LoggedEvents
from matinee.store.protocols import LiveItem
from matinee.vocab import UNKNOWN, Id, IdArray, Vocab

BEYOND_CATALOGUE = ("lists", "texts", "numbers", "link", "picture", "credit")
"""What is kept of a live item and no catalogue has, except tags."""
STEERING = ("more", "less", "dismissed", "restored", "saved", "unsaved")
"""Kinds of events that steer one's own lists, and from which nothing is learned for others."""


def merge(artefact: Artefact, logged: LoggedEvents, items: Sequence[LiveItem]) -> tuple[Dataset, BoolArray]:
    """The training data of an artefact and the events of a log as one data set, and which events are new. [N].

    items: those that came live; those with events join the catalogue, with all that is kept of them, and what changed
    of trained ones takes the place of what was read. An event that the training data have already, of the same user,
    item and time, is not taken again. Raises MatineeError if the log has events and none is of a known item: it is the
    log of another catalogue.
    """
    live = {item.item_id: item for item in items if _counts(item, artefact)}
    kept = _kept(artefact, logged, live)
    _require_known(artefact, logged, kept)
    user_ids = [logged.user_ids[index] for index in kept.tolist()]
    item_ids = [logged.item_ids[index] for index in kept.tolist()]
    users, all_items = _grown(artefact.users, user_ids), _grown(artefact.items, item_ids)
    known = artefact.known.events
    columns = (
        np.concatenate([users.rows(artefact.users.ids)[known.user_rows], users.rows(user_ids)]),
        np.concatenate([all_items.rows(artefact.items.ids)[known.item_rows], all_items.rows(item_ids)]),
        np.concatenate([known.values, _values(artefact, logged, kept)]),
        np.concatenate([known.times, np.array([logged.times[index] for index in kept.tolist()], dtype=np.int64)]),
    )
    is_new = np.arange(len(columns[0])) >= len(known)
    order = event_order(columns[0], columns[3])
    order = order[~(is_new & _repeats(columns))[order]]
    events = Events.ordered(*(column[order] for column in columns))
    counts = np.bincount(events.item_rows, minlength=len(all_items))
    data = Dataset(
        str(artefact.manifest.get("data", {}).get("name", "events")),
        users,
        all_items,
        events,
        _catalogue(artefact, all_items, live).with_counts(counts),
        kind=artefact.manifest.get("kind", "rating"),
        timed=bool(events.times.any()),
        table=_table(artefact, all_items, live),
        noun=artefact.noun,
        source=artefact.source,
        event_kinds=artefact.event_kinds,
    )
    return data, is_new[order]


def _counts(item: LiveItem, artefact: Artefact) -> bool:
    """Whether what is kept of an item is to be used: of trained ones, if it is newer than what was read."""
    return bool(item.about) and (artefact.items.row(item.item_id) == UNKNOWN or item.is_newer(artefact.manifest))


def _require_known(artefact: Artefact, logged: LoggedEvents, kept: IntArray) -> None:
    if len(logged) and not len(kept) and not (artefact.items.rows(list(logged.item_ids)) != UNKNOWN).any():
        raise MatineeError(
            f"none of the {len(logged):,} new events is of an item of this catalogue; --db names another site's log"
        )


def _repeats(columns: tuple[np.ndarray, ...]) -> BoolArray:
    """Which events repeat an earlier one of the same user, item and time. columns: users, items, values, times. [N]."""
    users, items, _, times = columns
    order = np.lexsort((times, items, users))  # stable: the earlier of equals comes first
    same = np.ones(max(len(order) - 1, 0), dtype=bool)
    for column in (users, items, times):
        same &= column[order][1:] == column[order][:-1]
    found = np.zeros(len(order), dtype=bool)
    found[order[1:][same]] = True
    return found


def _kept(artefact: Artefact, logged: LoggedEvents, live: Mapping[str, LiveItem]) -> IntArray:
    """The indices of the events to learn from: of known or live items, and of kinds that are history."""
    own = set(artefact.event_kinds)
    is_click_log = artefact.manifest.get("kind", "rating") == "click"
    rows = artefact.items.rows(list(logged.item_ids)).tolist()
    return np.array(
        [
            index
            for index, (kind, item_id, row) in enumerate(zip(logged.kinds, logged.item_ids, rows, strict=True))
            if kind not in STEERING
            and (kind != "click" or is_click_log or "click" in own)
            and (row != UNKNOWN or (item_id in live and _may_join(item_id, artefact.items)))
        ],
        dtype=np.int64,
    )


def _may_join(text: str, items: Vocab) -> bool:
    return not items.numeric or (text.lstrip("-").isdecimal() and str(int(text)) == text)


def _values(artefact: Artefact, logged: LoggedEvents, kept: IntArray) -> FloatArray:
    """Values on the scale of the training data; NaN for an event without one beside ratings."""
    kinds = {name: kind.value for name, kind in artefact.event_kinds.items()}
    is_click_log = artefact.manifest.get("kind", "rating") == "click"
    names = [logged.kinds[index] for index in kept.tolist()]
    stars = np.array([logged.values[index] for index in kept.tolist()], dtype=np.float32)
    of_stars = artefact.model.value_map.of_stars(stars)
    plain = np.array([(kinds.get(name) or 1.0) if is_click_log else np.nan for name in names], dtype=np.float32)
    return np.where(np.array([name == "rating" for name in names], dtype=bool), of_stars, plain).astype(np.float32)


def _grown(vocab: Vocab, ids: Sequence[str]) -> Vocab:
    """A vocabulary with further ids; as text if any of them is no whole number."""
    rows = vocab.rows(list(ids))
    new: list[Id] = [id for id, row in zip(ids, rows.tolist(), strict=True) if row == UNKNOWN]
    if not new:
        return vocab
    if vocab.numeric and all(_may_join(str(id), vocab) for id in new):
        return Vocab.of([*vocab.ids.tolist(), *(int(id) for id in new)])
    texts: IdArray = np.array([*map(str, vocab.ids.tolist()), *map(str, new)], dtype=np.dtypes.StringDType())
    return Vocab(np.unique(texts))


def _catalogue(artefact: Artefact, items: Vocab, live: Mapping[str, LiveItem]) -> Catalogue:
    known = ItemTable.of_catalogue(artefact.items, artefact.catalogue).of_items(items)
    titles, years, genres = list(known.titles), known.years.tolist(), list(known.lists["genres"])
    tags = list(known.lists.get("tags", ()))
    for row, about in _by_row(items, live):
        titles[row], years[row] = str(about["title"]), int(about.get("year") or 0)
        genres[row] = tuple(about.get("genres", ()))
        if tags:
            tags[row] = tuple(about.get("lists", {}).get("tags", ()))
    return Catalogue(tuple(titles), tuple(years), tuple(genres), tuple(tags))


def _table(artefact: Artefact, items: Vocab, live: Mapping[str, LiveItem]) -> ItemTable | None:
    """What is known of items, with the columns that only live ones have; None where the catalogue says it all."""
    described = _by_row(items, live)
    abouts = [about for _, about in described]
    if artefact.table is None and not any(about.get(column) for about in abouts for column in BEYOND_CATALOGUE):
        return None
    names = ({name for about in abouts for name in about.get(kind, ())} for kind in ("lists", "texts", "numbers"))
    table = artefact.item_table.of_items(items).with_columns_of(*map(sorted, names))
    rows = np.array([row for row, _ in described], dtype=np.int32)
    return table.with_rows(rows, ItemTable.described(abouts, table)) if described else table


def _by_row(items: Vocab, live: Mapping[str, LiveItem]) -> list[tuple[int, Mapping[str, Any]]]:
    """What is kept of the live items among some items, by their rows."""
    rows = items.rows(list(live)).tolist()
    return [(row, item.about) for row, item in zip(rows, live.values(), strict=True) if row != UNKNOWN]
