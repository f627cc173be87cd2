"""The catalogue of a running site: what was trained, and what was added, changed or withdrawn since.

Each change makes a new Site beside the old one, which requests in progress keep, and puts it in its place in one
assignment. Several processes over one database follow each other by its version.
"""

import re
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from matinee.arrays import FloatArray, IntArray
from matinee.catalogue import Catalogue
from matinee.config import configure
from matinee.errors import MatineeError
from matinee.histories import Histories
from matinee.item_table import ItemTable
from matinee.models.base import Recommender
from matinee.models.content.config import ContentConfig
from matinee.models.content.inputs import counted_events
from matinee.models.content.live import LiveContentMap
from matinee.ranking.new_items import NewItems, with_unranked
from matinee.reading.numbers import MISSING
from matinee.store.artefact import Artefact
from matinee.store.protocols import LiveItem, LiveItemBook
from matinee.vocab import UNKNOWN, GrownVocab, Vocab

LONGEST_ID = 200
_NUMBER = re.compile(r"0|-?[1-9][0-9]{0,18}")


class LiveItems:
    """Follows the live items of a database.

    artefacts: of the site; on_change: gets them, the catalogue as it is now, and what is kept of changed and new items.
    """

    def __init__(
        self,
        artefacts: Sequence[Artefact],
        book: LiveItemBook,
        on_change: Callable[[Sequence[Artefact], NewItems, Mapping[int, Mapping[str, Any]]], None],
    ) -> None:
        self._book, self._on_change = book, on_change
        self._artefacts, self._growth = artefacts, _Growth(artefacts)
        self._lock = threading.Lock()
        self._changes: dict[str, int] = {}
        self._kept: dict[str, LiveItem] = {}

    def prepare(self) -> None:
        """Make what the first new item would wait for: seconds of a processor. Later calls cost nothing."""
        self._growth.prepare()

    @property
    def _first(self) -> Artefact:
        return self._artefacts[0]

    @property
    def fingerprint(self) -> str:
        """Of the data behind the models that are served."""
        return str(self._first.manifest.get("data", {}).get("fingerprint", ""))

    def serve(self, artefacts: Sequence[Artefact]) -> None:
        """Put the artefacts of another version in the place of those that are served, with the live items over them.

        What takes long is made before; requests in progress keep the old ones. If it fails, all is as it was.
        """
        growth = _Growth(artefacts)
        if self._growth.parents is not None:
            growth.prepare()
        with self._lock:
            before = self._artefacts, self._growth
            self._artefacts, self._growth = artefacts, growth
            try:
                self._show(self._book.changes())
            except BaseException:
                self._artefacts, self._growth = before
                raise

    @property
    def columns(self) -> Mapping[str, set[str]]:
        """The names of lists, texts and numbers from which new items are predicted."""
        table = self._first.item_table
        return {"lists": {*table.lists}, "texts": {*table.texts}, "numbers": {*table.numbers}}

    def put(self, item: LiveItem) -> bool:
        """Keep a change and show it. Returns whether the item is new, or was withdrawn before."""
        is_new = self._book.put(item)
        self.follow()
        return is_new

    def follow(self) -> None:
        """Show the catalogue as the database has it, if that changed since the last call."""
        if self._book.version() == sum(self._changes.values()):
            return
        with self._lock:
            changes = self._book.changes()
            if changes != self._changes:
                self._show(changes)

    def about(self, item_id: str) -> LiveItem | None:
        """What is kept of an item, None if nothing."""
        return self._book.get(item_id)

    def _read(self, changes: Mapping[str, int]) -> list[LiveItem]:
        """The live items in the order in which they came; what did not change since they were shown is not read again.

        changes: of each, by id.
        """
        changed = [item_id for item_id, n in changes.items() if self._changes.get(item_id) != n]
        self._kept |= {item.item_id: item for item in self._book.some(changed)}
        return [self._kept[item_id] for item_id in changes]

    def _show(self, changes: dict[str, int]) -> None:
        kept, trained = self._read(changes), self._first.items
        rows = trained.rows([item.item_id for item in kept]).tolist()
        known = [(item, row) for item, row in zip(kept, rows, strict=True) if row != UNKNOWN]
        new = {
            item.item_id: item.about
            for item, row in zip(kept, rows, strict=True)
            if row == UNKNOWN and item.about and is_id(item.item_id, trained)
        }
        changed = {row: item.about for item, row in known if item.about and item.is_newer(self._first.manifest)}
        order = self._growth.grow(new, changed)
        items = GrownVocab.grow(trained, [int(item_id) if trained.numeric else item_id for item_id in order])
        about = changed | {len(trained) + n: new[item_id] for n, item_id in enumerate(order)}
        listed = np.ones(len(items), dtype=bool)
        withdrawn = items.rows([item.item_id for item in kept if item.withdrawn])
        listed[withdrawn[withdrawn != UNKNOWN]] = False
        now = NewItems(
            items,
            _catalogue(self._first, about, len(items)),
            dict(self._growth.models),  # requests in progress keep the old ones
            None if listed.all() else listed,
            self._growth.parents,
        )
        self._on_change(self._artefacts, now, about)
        self._changes = changes


def is_id(text: str, trained: Vocab) -> bool:
    """Whether a text may be the id of a new item: where the ids are whole numbers, one as it is written."""
    if trained.numeric:
        return _NUMBER.fullmatch(text) is not None and abs(int(text)) < 2**63
    is_plain = text.isprintable() and text == text.strip() and text not in MISSING
    return 0 < len(text) <= LONGEST_ID and is_plain


class _Growth:
    """The models with the new items that came so far, in order of arrival."""

    def __init__(self, artefacts: Sequence[Artefact]) -> None:
        first = artefacts[0]
        self._content = content_map_of(first)
        self._trained = {artefact.name: artefact.model for artefact in artefacts}
        self._popularity, self._n_trained = first.popularity, len(first.items)
        self._names = first.item_table
        self._order: list[str] = []
        self._about: dict[str, Mapping[str, Any]] = {}
        self._changed: dict[int, Mapping[str, Any]] = {}
        self._mixing: FloatArray | None = None
        self.models: dict[str, Recommender[Any]] = {}

    def prepare(self) -> None:
        """Make the factor of the known items, if they have features."""
        with suppress(MatineeError):
            self._content.prepare()

    @property
    def parents(self) -> tuple[IntArray, FloatArray] | None:
        """Rows of trained items, and their part in each new one."""
        return None if self._mixing is None else (self._content.prepare().rows, self._mixing)

    def grow(self, new: Mapping[str, Mapping[str, Any]], changed: Mapping[int, Mapping[str, Any]]) -> list[str]:
        """Add and change items; the ids of new ones in the order of their rows. changed: trained items, by row.

        Items that were once added stay in their rows. Of trained items, those without events are predicted again.
        """
        added = [item_id for item_id in new if item_id not in self._about]
        again = [item_id for item_id in self._order if self._about[item_id] != new.get(item_id, self._about[item_id])]
        known = {
            row: about
            for row, about in changed.items()
            if self._popularity[row] == 0 and self._changed.get(row) != about
        }
        self._order += added
        self._about |= new
        self._changed |= known
        self._extend(added)
        positions = {self._order.index(item_id): self._about[item_id] for item_id in again}
        self._replace(positions, known)
        self._unranked()
        return list(self._order)

    def _extend(self, added: Sequence[str]) -> None:
        """Predict items that came."""
        mixing = self._mixing_of([self._about[item_id] for item_id in added]) if added else None
        if mixing is None:
            return
        before = self._mixing if self._mixing is not None else np.zeros((len(mixing), 0), dtype=np.float32)
        self._mixing = np.concatenate([before, mixing], axis=1)
        for name, model in self._trained.items():
            if model.item_arrays:
                self.models[name] = self._content.extend(self.models.get(name, model), mixing)

    def _replace(self, positions: Mapping[int, Mapping[str, Any]], known: Mapping[int, Mapping[str, Any]]) -> None:
        """Predict items again whose features changed: new ones, from 0, and trained ones without events, by row."""
        rows = {row: about for row, about in known.items()} | {
            self._n_trained + n: about for n, about in positions.items()
        }
        rows = dict(sorted(rows.items()))
        mixing = self._mixing_of(list(rows.values())) if rows else None
        if mixing is None:
            return
        if positions and self._mixing is not None:
            self._mixing = self._mixing.copy()
            self._mixing[:, sorted(positions)] = mixing[:, len(known) :]
        for name, model in self._trained.items():
            if model.item_arrays:
                grown = self.models.get(name, model)
                self.models[name] = self._content.replace(grown, np.array(list(rows), dtype=np.int32), mixing)

    def _mixing_of(self, abouts: Sequence[Mapping[str, Any]]) -> FloatArray | None:
        """The prediction of items; None if nothing can be predicted, since no known item has features."""
        try:
            return self._content.mixing(ItemTable.described(abouts, self._names))
        except MatineeError:
            return None

    def _unranked(self) -> None:
        """Models that cannot predict items list none of the new ones."""
        n_items = self._n_trained + len(self._order)
        for name, model in self._trained.items():
            if not model.item_arrays or (self._mixing is None and self._order):
                self.models[name] = with_unranked(model, n_items)


def content_map_of(artefact: Artefact) -> LiveContentMap:
    """The map that predicts new items as those of the artefact were, with the settings of its fit."""
    model, events = artefact.model, artefact.known.events
    histories = Histories.from_events(events, np.unique(events.user_rows))
    settings = artefact.manifest.get("content", {}).get("config", {})
    config = configure(ContentConfig, settings, "content of the artefact")
    return LiveContentMap(artefact.item_table, counted_events(model, histories, len(artefact.items)), config)


def _catalogue(first: Artefact, about: Mapping[int, Mapping[str, Any]], n_items: int) -> Catalogue:
    """Titles, years and genres as they are now. about: of changed and new items, by row."""
    more = n_items - len(first.items)
    catalogue = first.catalogue
    titles, years = [*catalogue.titles, *[""] * more], [*catalogue.years, *[0] * more]
    genres, tags = [*catalogue.genres, *[()] * more], [*catalogue.tags, *[()] * more] if catalogue.tags else []
    for row, one in about.items():
        titles[row], years[row] = one["title"], one.get("year") or 0
        genres[row] = tuple(one.get("genres", ()))
        if tags:
            tags[row] = tuple(one.get("lists", {}).get("tags", ()))
    counts = None if catalogue.counts is None else np.pad(catalogue.counts, (0, more))
    return Catalogue(tuple(titles), tuple(years), tuple(genres), tuple(tags), counts)
