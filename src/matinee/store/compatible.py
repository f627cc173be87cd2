"""Which artefacts make a version together, and which version may take the place of another."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from matinee.errors import MatineeError
from matinee.store.artefact import Artefact
from matinee.vocab import UNKNOWN, Id, IdArray

SAME_ITEMS, SAME_TITLES = 0.5, 0.8
"""Shares of the items that serve which another version has, and of these, how many have the same title."""


TITLE = 100
"""Letters of a title that are compared."""


@dataclass(frozen=True, slots=True)
class CatalogueSample:
    """Items of a catalogue. kind: of its events, `rating` or `click`; is_numeric: whether ids are whole numbers."""

    kind: str
    is_numeric: bool
    ids: IdArray | Sequence[Id]
    titles: Sequence[str]


def require_same_items(artefacts: Sequence[Artefact]) -> None:
    """Raises MatineeError unless all artefacts have the same items in the same rows, and names of their own."""
    if not artefacts:
        raise MatineeError("a site needs at least one artefact; make one with `matinee train ease`")
    first = artefacts[0]
    for position, artefact in enumerate(artefacts):
        if any(other.name == artefact.name for other in artefacts[:position]):
            raise MatineeError(f"two artefacts hold the model {artefact.name!r}; serve one of them ({artefact.path})")
        if not np.array_equal(artefact.items.ids, first.items.ids) or _fingerprint(artefact) != _fingerprint(first):
            raise MatineeError(
                f"{artefact.path} ({artefact.name}) was fitted on other data ({_data(artefact)}) than {first.path} "
                f"({first.name}, {_data(first)}); train them on the same data"
            )


def require_compatible(new: Artefact, served: Artefact, number: int, current: int) -> None:
    """Raises MatineeError unless an artefact is of the catalogue that serves, which may have grown or shrunk a little.

    number, current: of their versions, for the message.
    """
    kind, items = served.manifest.get("kind", "rating"), served.items
    problem = difference(new, CatalogueSample(kind, items.numeric, items.ids, served.catalogue.titles))
    if problem:
        raise MatineeError(
            f"version {number} is of another catalogue than version {current}, which serves: {problem}; "
            "keep it in a registry of its own"
        )


def difference(new: Artefact, served: CatalogueSample) -> str:
    """In what an artefact differs from a catalogue, empty if in nothing that matters."""
    kind = new.manifest.get("kind", "rating")
    if kind != served.kind:
        return f"its events are of the kind {kind}, not {served.kind}"
    if new.items.numeric != served.is_numeric:
        return "one has numbers for ids, the other texts"
    rows = new.items.rows(served.ids)
    shared = np.flatnonzero(rows != UNKNOWN)
    if len(shared) < SAME_ITEMS * len(rows):
        return f"it has {len(shared):,} of the {len(rows):,} items"
    titles, others = new.catalogue.titles, served.titles
    n_same = sum(titles[rows[row]][:TITLE] == others[row][:TITLE] for row in shared.tolist())
    if n_same < SAME_TITLES * len(shared):
        return f"{len(shared) - n_same:,} of {len(shared):,} items that have the same id have another title"
    return ""


def _data(artefact: Artefact) -> str:
    return f"{artefact.manifest.get('data', {}).get('name', '?')}, fingerprint {_fingerprint(artefact)}"


def _fingerprint(artefact: Artefact) -> str:
    return str(artefact.manifest.get("data", {}).get("fingerprint", "?"))
