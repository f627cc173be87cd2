"""Fitting a model again from what the running one has: its counts, or its arrays to start training from."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, issparse

from matinee.arrays import IntArray
from matinee.data.graphs import grown_graph
from matinee.dataset import Dataset, Events
from matinee.histories import Histories, TrainingData
from matinee.knowledge_graph import KnowledgeGraph
from matinee.models.base import Counts, FitsFromCounts, ReadsGraph, Recommender
from matinee.models.item_strips import count_in_strips
from matinee.store.artefact import Artefact
from matinee.training.configs import EpochsConfig
from matinee.training.run import Run
from matinee.workflow.given import class_and_settings

WARM_EPOCHS = 0.25
"""Share of a model's epochs that it trains when it starts from the running version."""
ROUNDING = 1e-9
"""Counts below this are left over from subtraction."""


@dataclass(frozen=True, slots=True, eq=False)
class Running:
    """A model that serves, in the rows of newer data.

    counts: those of its users; None where they are not known. graph: that of the newer items and of what the model
    knew, triples from a file among it; None for a model that reads none.
    """

    model: Recommender[Any]
    histories: Histories
    item_rows: IntArray  # [I of the model], the new row of each item
    user_rows: IntArray  # [U of the artefact]
    counts: Counts | None = None
    graph: KnowledgeGraph | None = None

    @classmethod
    def of(cls, artefact: Artefact, data: Dataset, counts: Counts | None = None) -> "Running":
        """The model of an artefact, for data that have all of its users and items."""
        item_rows, user_rows = data.items.rows(artefact.items.ids), data.users.rows(artefact.users.ids)
        known = artefact.known.events
        moved = Events.ordered(user_rows[known.user_rows], item_rows[known.item_rows], known.values, known.times)
        histories = Histories.from_events(moved, np.unique(moved.user_rows))
        model, graph = artefact.model, None
        if isinstance(model, ReadsGraph):
            graph = grown_graph(data.item_table, model.knowledge, item_rows)
        return cls(model, histories, item_rows, user_rows, counts, graph)


def fit_again(
    running: Running, train: TrainingData, seed: int, *, warm: bool
) -> tuple[Recommender[Any], Counts | None]:
    """A model with the settings and value map of the running one, and its counts if it is fitted from counts.

    By the counts of the users that changed, with the same result as a fit on all; else, if warm, from the running
    arrays in a share of the epochs; else from the start.
    """
    old = running.model
    model = unfitted(old, {})
    train = _ready(model, train, running)
    run = Run.seeded(seed)
    if isinstance(model, FitsFromCounts) and model.can_count(train):
        counts = _counts(model, running, train)
        return model.fit_counts(counts, train, run), counts
    start = _start(running, train) if warm else {}
    if not start or not isinstance(model.config, EpochsConfig):
        return model.fit(train, run), None
    whole = model.config
    model = unfitted(old, {"epochs": max(1, round(WARM_EPOCHS * whole.epochs))})
    model.fit(train, replace(run, start=start))
    model.config = whole  # what a later fit goes by
    return model, None


def unfitted(like: Recommender[Any], settings: Mapping[str, object]) -> Recommender[Any]:
    """A model with the settings of another, some changed, and its value map."""
    kind, own = class_and_settings(like, settings)
    model = kind(**own)
    model.value_map = like.value_map
    return model


def _ready(model: Recommender[Any], train: TrainingData, running: Running) -> TrainingData:
    """Training data as the model learns from them: weighted, with values only, or with the graph."""
    histories = model.weigh(train.histories)
    if model.predicts_values:
        histories = histories.keep(np.isfinite(histories.values))
    return replace(train, histories=histories, graph=running.graph)


def _counts(model: FitsFromCounts[Any], running: Running, train: TrainingData) -> Counts:
    """The counts of all users: from those of the running version and the users that changed, where these are known."""

    def counted(some: TrainingData) -> Counts:
        counts: Counts = count_in_strips(model.strips(some))
        return counts

    n_before = len(running.item_rows)
    if running.counts is None or (model.counts_need_same_items and n_before != train.n_items):
        return counted(train)
    before = running.model.weigh(running.histories)
    gone, came = changed(before, train.histories)
    counts = _in_new_rows(running.counts, running.item_rows, train.n_items)
    less, more = (counted(replace(train, histories=some)) for some in (before.take(gone), train.histories.take(came)))
    counts = counts + (more - less)
    if issparse(counts) and (left := np.abs(counts.data) < ROUNDING).any():
        counts.data[left] = 0
        counts.eliminate_zeros()
    return counts


def changed(before: Histories, now: Histories) -> tuple[IntArray, IntArray]:
    """Which histories of either batch the other does not have, of the same user. [n], [m] indices into the batches."""
    old, new = _digests(before), _digests(now)
    return np.flatnonzero(~np.isin(old, new)), np.flatnonzero(~np.isin(new, old))


def _digests(histories: Histories) -> NDArray[np.uint64]:
    """A hash of each history, of its user, items, values and times in order. [B]."""
    positions = np.arange(len(histories.items)) - histories.starts[:-1][histories.owners]
    mixed = np.zeros(len(histories.items), dtype=np.uint64)
    for column in (positions, histories.items, histories.values.view(np.int32), histories.times):
        mixed = _mix(mixed + column.astype(np.int64).view(np.uint64))
    totals = np.concatenate([np.zeros(1, dtype=np.uint64), np.cumsum(mixed)])[histories.starts]
    return _mix((totals[1:] - totals[:-1]) + histories.user_rows.astype(np.int64).view(np.uint64))


def _mix(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Words with their bits mixed, [N]. Source: the finaliser of SplitMix64, Steele, Lea and Flood 2014."""
    words = words + np.uint64(0x9E3779B97F4A7C15)
    words = (words ^ (words >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    words = (words ^ (words >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return words ^ (words >> np.uint64(31))


def _in_new_rows(counts: Counts, rows: IntArray, n_items: int) -> Counts:
    """Counts of the items in their new rows. [I, I] -> [n_items, n_items]."""
    if len(rows) == n_items and np.array_equal(rows, np.arange(n_items)):
        return counts
    if issparse(counts):
        entries = counts.tocoo()
        return csr_array((entries.data, (rows[entries.row], rows[entries.col])), shape=(n_items, n_items))
    whole = np.tril(counts) + np.tril(counts, -1).T  # the triangle of other rows may lie on the other side
    moved = np.zeros((n_items, n_items), dtype=counts.dtype, order="F")
    moved[np.ix_(rows, rows)] = whole
    return moved


def _start(running: Running, train: TrainingData) -> dict[str, NDArray[Any]]:
    """The running arrays that training can start from, in the new rows, NaN for new users and items."""
    model, start = running.model, {}
    for name, (learned, rows) in model.start_arrays.items():
        values = getattr(model, learned)
        if rows == "items":
            values = _in_rows(values, running.item_rows, train.n_items)
        elif rows == "users":
            at = np.searchsorted(train.histories.user_rows, running.user_rows[model.user_rows])  # type: ignore[attr-defined]
            values = _in_rows(values, at, train.n_users)
        if values.size:
            start[name] = np.array(values)
    return start


def _in_rows(values: NDArray[Any], rows: IntArray, n_rows: int) -> NDArray[Any]:
    found = np.full((n_rows, *values.shape[1:]), np.nan, dtype=np.float32)
    found[rows] = values
    return found
