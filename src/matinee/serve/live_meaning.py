"""The search by meaning of a running site: its index is built in the background, and again when items change."""

import logging
from collections.abc import Collection
from threading import Event, Lock, Thread

import numpy as np

from matinee.arrays import BoolArray, IntArray
from matinee.errors import MatineeError
from matinee.item_table import ItemTable
from matinee.models.content.encoder import INSTALL, Encoder, encoder, is_installed
from matinee.models.content.passages import Embeddings, OnProgress
from matinee.serve.meaning import MeaningSearch, has_texts
from matinee.store.artefact import Artefact
from matinee.store.embeddings import read_embeddings, write_embeddings

_log = logging.getLogger("matinee")
REPORTS = 4
"""How often the log says how far the embedding is."""
SOME = 100
"""So many passages take long enough to be reported and kept."""


class LiveMeaning:
    """Finds nothing until it has an index: without the extra `text` or without texts of items it never has one.

    use: the encoder, that of the extra by default.
    """

    def __init__(self, use: Encoder | None = None) -> None:
        self._encoder = use
        self._index: MeaningSearch | None = None
        self._withdrawn: frozenset[int] = frozenset()
        self._wanted: tuple[tuple[IntArray, ItemTable], IntArray] | None = None
        self._stopped, self._building = Event(), Lock()

    @property
    def ready(self) -> bool:
        """Whether items are found by meaning."""
        return self._index is not None

    def find(self, query: str, k: int, without: Collection[int] = ()) -> list[int]:
        """The rows of at most k items, best first, without some that are found already."""
        return self._index.find(query, k, {*without, *self._withdrawn}) if self._index is not None and k > 0 else []

    def start(self, artefact: Artefact) -> Thread | None:
        """Build the index of an artefact's items in a thread of its own; None if there is nothing to build."""
        if not has_texts(artefact.item_table):
            return None
        if self._encoder is None and not is_installed():
            _log.info("items are found by title only; by meaning too with: %s", INSTALL)
            return None
        thread = Thread(target=self._build, args=(artefact,), name="search by meaning", daemon=True)
        thread.start()
        return thread

    def update(
        self, changed: tuple[IntArray, ItemTable], popularity: IntArray, listed: BoolArray | None = None
    ) -> Thread | None:
        """Take over added, changed and withdrawn items: what is new is embedded in a thread, about 0.1 s an item.

        changed: rows and table of all items that came or changed since training. Rows and popularity are those of the
        site from now on; listed: [I], whether an item is found, None if all are.
        Withdrawn items are not found from now on; new ones once the thread is through, or the first index is there.
        """
        self._withdrawn = frozenset() if listed is None else frozenset(np.flatnonzero(~listed).tolist())
        self._wanted = changed, popularity
        if self._index is None:
            return None
        thread = Thread(target=self._renew, name="items by meaning", daemon=True)
        thread.start()
        return thread

    def of_version(
        self,
        artefact: Artefact,
        changed: tuple[IntArray, ItemTable],
        popularity: IntArray,
        listed: BoolArray | None,
    ) -> "LiveMeaning":
        """The search of a site with another version's rows: texts that are embedded already are not embedded again.

        changed, popularity and listed: as of `update`.
        """
        found = LiveMeaning(self._encoder)
        found._stopped = self._stopped
        found._withdrawn = frozenset() if listed is None else frozenset(np.flatnonzero(~listed).tolist())
        table = artefact.item_table
        if has_texts(table) and self._index is not None:
            use = self._encoder or encoder()
            first = MeaningSearch.of(table, artefact.popularity, use, self._index.embeddings)
            found._index = first.with_items(*changed, popularity)
        elif has_texts(table):
            found._wanted = changed, popularity
            found.start(artefact)
        return found

    def _renew(self) -> None:
        """Put an index of the items that were last given in the place of the one there is."""
        with self._building:
            if self._index is None or self._wanted is None:
                return  # another thread was as far
            (changed, popularity), self._wanted = self._wanted, None
            self._index = self._index.with_items(*changed, popularity)

    def stop(self) -> None:
        """End the building of the index at the next batch."""
        self._stopped.set()

    def _build(self, artefact: Artefact) -> None:
        known = read_embeddings(artefact.path)
        try:
            with self._building:
                use = self._encoder or encoder()
                table, popularity = artefact.item_table, artefact.popularity
                self._index = MeaningSearch.of(table, popularity, use, known, self._reporter())
            self._keep(artefact, known, self._index.embeddings)
            self._renew()  # with what changed while it was built
        except _StoppedError:
            pass
        except MatineeError as error:
            _log.warning("items are found by title only: %s", error)

    def _keep(self, artefact: Artefact, known: Embeddings | None, found: Embeddings) -> None:
        """Save the vectors beside the artefact, if any of them is new and its folder can be written."""
        same = known is not None and known.encoder == found.encoder and set(found.keys) <= set(known.keys)
        if artefact.path is None or same:
            return
        try:
            write_embeddings(artefact.path, found)
        except MatineeError as error:
            _log.warning("the embeddings are computed again at the next start: %s", error)

    def _reporter(self) -> OnProgress:
        reported = 0

        def report(done: int, total: int) -> None:
            nonlocal reported
            if self._stopped.is_set():
                raise _StoppedError
            if total >= SOME and done * REPORTS // total > reported:
                reported = done * REPORTS // total
                _log.warning("search by meaning: %s of %s texts are embedded", f"{done:,}", f"{total:,}")

        return report


class _StoppedError(Exception):
    """The site ends."""
