"""A data set as the events of a site: kinds and stars in place of the values of its log."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import polars as pl

from matinee.arrays import FloatArray, IntArray
from matinee.config import ValuesConfig
from matinee.dataset import Dataset
from matinee.errors import MatineeError
from matinee.store.artefact import Artefact
from matinee.values import resolve
from matinee.vocab import UNKNOWN, Vocab

Unknown = Literal["keep", "skip", "refuse"]
"""What becomes of events with items that the artefact does not have."""
SHOWN = 3
"""Unknown ids that a message names."""


@dataclass(frozen=True, slots=True)
class SiteLog:
    """A log as `store.log_loading.load_log` takes it.

    unknown_items, unknown_events: of items that the artefact does not have, kept or not; left_out: events that are not
    in `events`; notes: sentences on what was taken how.
    """

    events: pl.DataFrame
    unknown_items: int
    unknown_events: int
    left_out: int
    notes: tuple[str, ...]


def site_log(data: Dataset, artefact: Artefact | None = None, unknown: Unknown = "keep") -> SiteLog:
    """The events of a data set as a site keeps them.

    artefact: one that the site serves, whose items are the known ones, and whose scale turns values into stars; without
    one, the scale is found in the log. Raises MatineeError for a log of another catalogue or of other kinds than the
    artefact's, and for unknown items if they are to be refused.
    """
    is_known = np.ones(len(data.items), dtype=bool)
    if artefact is not None:
        _require_same_kind(data, artefact)
        is_known = artefact.items.rows(data.items.ids) != UNKNOWN
        _require_known(data, is_known, artefact, unknown)
    columns, is_of_known = data.events, is_known[data.events.item_rows]
    kinds, notes = _kinds(data)
    frame = pl.DataFrame(
        {
            "user_id": _texts(data.users, columns.user_rows),
            "item_id": _texts(data.items, columns.item_rows),
            "kind": pl.Series(kinds),
            "value": pl.Series(_stars(data, artefact).astype(np.float64)),
            "at": pl.Series(columns.times),
        }
    )
    if not data.timed:
        notes.append("the log has no times: its events stand before everything that has one, in their own order")
    frame = frame.with_columns(is_known=pl.Series(is_of_known)).sort(
        "at", maintain_order=True
    )  # as it came, for readers
    n_unknown = int((~is_of_known).sum())
    kept = frame.filter("is_known") if unknown == "skip" else frame
    return SiteLog(kept.drop("is_known"), int((~is_known).sum()), n_unknown, len(frame) - len(kept), tuple(notes))


def _texts(vocab: Vocab, rows: IntArray) -> pl.Series:
    return pl.Series(list(map(str, vocab.ids.tolist())), dtype=pl.String).gather(rows)


def _stars(data: Dataset, artefact: Artefact | None) -> FloatArray:
    """Values as the site keeps them: stars of ratings, 1 of everything else. [N]."""
    if data.kind != "rating":
        return np.ones(len(data.events), dtype=np.float32)
    if artefact is not None:
        return artefact.model.value_map.stars_of(data.events.values)
    return resolve(ValuesConfig(), data.events.values).stars_of(data.events.values)


def _kinds(data: Dataset) -> tuple[list[str], list[str]]:
    """The kind of each event, and notes. Of a log that names kinds, an event's weight tells its kind."""
    n = len(data.events)
    if data.kind == "rating":
        return ["rating"] * n, []
    if len(data.event_kinds) <= 1:
        return [next(iter(data.event_kinds), "click")] * n, []
    by_value: dict[float, list[str]] = {}
    for name, kind in data.event_kinds.items():  # the most frequent first
        by_value.setdefault(float(np.float32(kind.value or 1.0)), []).append(name)
    values, indices = np.unique(data.events.values, return_inverse=True)
    names = np.array([by_value[float(value)][0] for value in values], dtype=object)
    of_equal_weight = [" and ".join(found) for found in by_value.values() if len(found) > 1]
    notes = [f"{found} weigh the same and are kept as the first of them" for found in of_equal_weight]
    return names[indices].tolist(), notes


def _require_same_kind(data: Dataset, artefact: Artefact) -> None:
    kind = artefact.manifest.get("kind", "rating")
    if data.kind != kind:
        raise MatineeError(f"{data.name} is a log of {data.kind}s, and {artefact.path} was fitted on {kind}s")


def _require_known(data: Dataset, is_known: np.ndarray, artefact: Artefact, unknown: Unknown) -> None:
    if not is_known.any():
        raise MatineeError(
            f"{artefact.path} has none of the {len(data.items):,} items of {data.name}: it is the log of another "
            "catalogue, or its ids are written differently"
        )
    if unknown == "refuse" and not is_known.all():
        missing = data.items.ids[~is_known]
        some = ", ".join(map(str, missing[:SHOWN].tolist())) + (", ..." if len(missing) > SHOWN else "")
        raise MatineeError(
            f"{artefact.path} does not have {len(missing):,} of the {len(data.items):,} items of {data.name} ({some}); "
            "nothing is written: take --unknown keep or skip, or train on a log that has them"
        )
