"""The first steps: a log, what to keep of it, its split, and what is known of its items."""

from pathlib import Path
from typing import Any

import numpy as np

from matinee.config import (
    ColumnsConfig,
    FilterConfig,
    ItemsConfig,
    SplitConfig,
    configure,
)
from matinee.data.audit import Audit
from matinee.data.audit import audit as audit_log
from matinee.data.filters import apply_filters
from matinee.data.graphs import build_graph
from matinee.data.item_tables import add_items, items_of, with_items_file
from matinee.data.loading import events_from_frame
from matinee.data.loading import load as load_data
from matinee.data.splits import TRAIN, Split
from matinee.data.splits import split as cut
from matinee.data.splits import split_files as cut_files
from matinee.data.triples import TripleColumnsConfig, Triples, load_triples, triples_from_frame
from matinee.dataset import Dataset
from matinee.errors import MatineeError
from matinee.item_table import ItemTable
from matinee.knowledge_graph import KnowledgeGraph
from matinee.workflow.given import require_dataset, require_ratios


def load(data: str | Path = "bundled", *, items: ItemTable | str | Path | None = None, **columns: str) -> Dataset:
    """A data set: `bundled`, a name, or the path of a folder, zip or table.

    items: what is known of the items, as a table (`items`) or the path of a file of them; items that only the table has
    are added. columns: user, item, value and at, if the table names its columns differently; encoding, if its text is
    not UTF-8, such as cp1252.
    Raises DataError, one line that says what is wrong, where, and how to fix it.
    """
    if isinstance(data, str) and "://" in data:
        raise MatineeError(
            f"load reads no address; download {data} first, or write `matinee data fetch NAME` in a shell"
        )
    if not isinstance(data, str | Path):
        write = "a folder with the parts of a log" if isinstance(data, list | tuple) else "mt.events(frame) for a frame"
        raise MatineeError(f"load takes a name or a path, not a {type(data).__name__}; write {write}")
    return _with_items(load_data(data, configure(ColumnsConfig, columns, "columns")), items)


def events(
    frame: Any,  # noqa: ANN401 - any data frame
    *,
    name: str = "events",
    items: ItemTable | str | Path | None = None,
    **columns: str,
) -> Dataset:
    """A data set from a polars, pandas or Arrow frame, or a dict of columns; items and columns as in `load`."""
    return _with_items(events_from_frame(frame, configure(ColumnsConfig, columns, "columns"), name=name), items)


def _with_items(data: Dataset, items: ItemTable | str | Path | None) -> Dataset:
    if items is None or isinstance(items, ItemTable):
        return data if items is None else add_items(data, items)
    if not isinstance(items, str | Path):
        raise MatineeError("items= is a table or the path of a file; make a table of a frame with mt.items(frame)")
    return with_items_file(data, ItemsConfig(file=str(items)))


def keep(data: Dataset, *, seed: int = 42, **filters: object) -> Dataset:
    """The events that pass the filters: min_user_events, min_item_events, filter_order, min_value, since, until..."""
    data = require_dataset(data, "mt.keep({}, ...)")
    return apply_filters(data, configure(FilterConfig, filters, "filters"), rng=np.random.default_rng(seed))


def split(data: Dataset | str | Path, method: str = "random", **settings: object) -> Split:
    """Split a data set into train, valid and test: random, time, new-users, new-items, k-fold, session, ...

    settings: the fields of SplitConfig, such as ratios=(0.70, 0.15, 0.15) and seed=42. Method "files" takes the path of
    a folder or zip with tables of train, test and optionally valid instead of a data set, and as settings also the
    columns of `load` and the filters of `keep`.
    Raises MatineeError for a setting that the method does not use.
    """
    require_ratios(method, settings.get("ratios"))
    if isinstance(data, Dataset):
        return cut(data, configure(SplitConfig, {"split": method} | settings, "split"))
    if method != "files":
        require_dataset(data, f"mt.split({{}}, {method!r})")
    columns = {name: settings.pop(name) for name in ColumnsConfig.model_fields if name in settings}
    filters = {name: settings.pop(name) for name in FilterConfig.model_fields if name in settings}
    return cut_files(
        configure(SplitConfig, {"split": method, "path": str(data)} | settings, "split"),
        configure(ColumnsConfig, columns, "columns"),
        configure(FilterConfig, filters, "filters"),
    )


def audit(of: Dataset | Split) -> Audit:
    """Sizes, concentration and drift of a log; of a split also its parts, cold users and items, and leaks."""
    if isinstance(of, Split):
        return audit_log(of.data, of)
    return audit_log(require_dataset(of, "mt.audit({})"))


def whole(data: Dataset) -> Split:
    """A split with all of a data set in train."""
    return Split(data, SplitConfig(ratios=(1.0, 0.0, 0.0)), np.full(len(data.events), TRAIN, dtype=np.int8))


def items(frame: Any, **columns: object) -> ItemTable:  # noqa: ANN401 - any data frame
    """A table of items from a polars, pandas or Arrow frame, or a dict of columns: one row an item.

    columns: item, title, year, genres, text, lists, numbers, link, picture and credit (whose the texts, people and
    pictures are), names of columns; text, lists and numbers may be several. All but lists and numbers are recognised by
    name.
    Raises DataError for an unknown column, or an id that is missing or stands twice.
    """
    if isinstance(frame, str | Path):
        raise MatineeError(f"items takes a frame; write mt.load(log, items={str(frame)!r}) for a file")
    return items_of(frame, **columns)


def graph(source: Any, **columns: object) -> Triples:  # noqa: ANN401 - a path or any data frame
    """Triples of a knowledge graph: the path of a file, or a polars, pandas or Arrow frame or dict of columns.

    columns: head, relation, tail and name (of the tail), names of columns of a frame; recognised by name if left out.
    Raises DataError for a missing column or cell.
    """
    if isinstance(source, str | Path):
        return load_triples(source)
    return triples_from_frame(source, configure(TripleColumnsConfig, columns, "graph"))


def graph_of(data: Dataset, triples: Triples | str | Path | None = None) -> KnowledgeGraph:
    """The knowledge graph of a data set: the lists of its items (genres, tags, people), decades, and given triples."""
    if isinstance(triples, str | Path):
        triples = load_triples(triples)
    return build_graph(data.items, data.item_table, triples)
