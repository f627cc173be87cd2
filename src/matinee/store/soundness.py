"""Whether what an artefact's files hold is what a model can work with: types, shapes, rows and finite numbers."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from scipy.sparse import csr_array

from matinee.dataset import Events
from matinee.histories import Histories
from matinee.models.base import HasItemVectors, HasSimilarity, Recommender
from matinee.models.content.growth import axes_of
from matinee.tensors import Arrays
from matinee.vocab import Vocab

BLOCK = 2**22
"""Values checked at once, so that a large array needs little memory."""
LONGEST = 200
"""Events of a history in a rehearsal."""


class UnsoundError(ValueError):
    """What a file of an artefact holds cannot be used; the message says why."""


def is_finite(array: NDArray[Any]) -> bool:
    """Whether an array has neither NaN nor infinity; integers are finite.

    A sum is the fastest pass over an array, and is finite unless a value is not, or it overflows: only then are the
    values looked at one by one.
    """
    if array.dtype.kind != "f":
        return True
    flat = array.reshape(-1)
    blocks = (flat[start : start + BLOCK] for start in range(0, len(flat), BLOCK))
    with np.errstate(over="ignore", invalid="ignore"):
        return all(np.isfinite(block.sum()) or np.isfinite(block).all() for block in blocks)


def require_finite(arrays: Arrays) -> None:
    """Raises UnsoundError, naming the array, unless all values are finite."""
    for name, array in arrays.items():
        if not is_finite(array):
            raise UnsoundError(f"{name} holds NaN or infinite values")


def sparse_array(arrays: Arrays, name: str, shape: tuple[int, int]) -> csr_array:
    """A saved sparse array. Raises UnsoundError unless its parts fit each other and the shape."""
    data, indices, starts = (arrays[f"{name}.{part}"] for part in ("data", "indices", "indptr"))
    n_rows, n_columns = shape
    if any(part.ndim != 1 for part in (data, indices, starts)) or {indices.dtype.kind, starts.dtype.kind} != {"i"}:
        raise UnsoundError(f"{name} has parts of wrong types")
    if len(starts) != n_rows + 1 or len(data) != len(indices):
        raise UnsoundError(f"{name} has parts of wrong lengths")
    if starts[0] != 0 or starts[-1] != len(indices) or (np.diff(starts) < 0).any():
        raise UnsoundError(f"{name} has rows that do not follow each other")
    if len(indices) and (indices.min() < 0 or indices.max() >= n_columns):
        raise UnsoundError(f"{name} has columns outside its {n_columns}")
    return csr_array((data, indices, starts), shape=shape)


def events_of(arrays: Arrays, n_users: int, n_items: int) -> Events:
    """The saved training events. Raises UnsoundError unless they are ordered events of these users and items."""
    columns = {"user_rows": "iu", "items": "iu", "weights": "f", "times": "i"}
    for name, kinds in columns.items():
        if name not in arrays:
            raise UnsoundError(f"{name} is missing")
        if arrays[name].dtype.kind not in kinds or arrays[name].ndim != 1:
            raise UnsoundError(f"{name} is {arrays[name].dtype} of {arrays[name].ndim} dimensions")
        if len(arrays[name]) != len(arrays["user_rows"]):
            raise UnsoundError("its columns have different lengths")
    users, items = arrays["user_rows"], arrays["items"]
    if len(users):
        if users[0] < 0 or users[-1] >= n_users or (np.diff(users) < 0).any():
            raise UnsoundError(f"user_rows are not ascending rows of the {n_users} users")
        if items.min() < 0 or items.max() >= n_items:
            raise UnsoundError(f"items has rows outside the {n_items} items")
    if np.isinf(arrays["weights"]).any():  # NaN is an event without a value
        raise UnsoundError("weights holds infinite values")
    return Events(users, items, arrays["weights"], arrays["times"])


def vocab_of(table: pl.DataFrame) -> Vocab:
    """The ids of a saved table. Raises UnsoundError unless they are ascending whole numbers or texts."""
    if "id" not in table.columns:
        raise UnsoundError("it has no column id")
    ids = table["id"]
    if ids.null_count() or not (ids.dtype.is_integer() or ids.dtype == pl.String or not len(ids)):
        raise UnsoundError(f"its ids are {ids.dtype}, or some are missing")
    vocab = Vocab(ids.to_numpy() if ids.dtype.is_integer() else _texts(ids))
    if len(vocab) > 1 and not (vocab.ids[1:] > vocab.ids[:-1]).all():
        raise UnsoundError("its ids are not in ascending order, or one stands twice")
    return vocab


def require_items(table: pl.DataFrame) -> None:
    """Raises UnsoundError unless a table has the columns of the items, complete and of the right types."""
    wanted = {"title": pl.String, "year": pl.Int64, "genres": pl.String, "events": pl.Int64}
    for name, dtype in wanted.items():
        if name not in table.columns:
            raise UnsoundError(f"it has no column {name}")
        column = table[name]
        is_of_type = column.dtype.is_integer() if dtype == pl.Int64 else column.dtype == dtype
        if len(column) and (not is_of_type or column.null_count()):
            raise UnsoundError(f"column {name} is {column.dtype}, or some of it is missing")
    if len(table) and int(table["events"].min()) < 0:  # type: ignore[arg-type]
        raise UnsoundError("column events has negative numbers")
    if "tags" in table.columns and (table["tags"].null_count() or table["tags"].explode().dtype != pl.String):
        raise UnsoundError("column tags does not hold texts")


def require_learned(model: Recommender[Any], arrays: Arrays, manifest: Mapping[str, Any]) -> None:
    """Raises UnsoundError unless the saved arrays are those that the model learns, and finite."""
    sparse, values = manifest["sparse"], manifest["values"]
    dense = [name for name in model.learned if name not in sparse and name not in values]
    parts = [f"{name}.{part}" for name in sparse for part in ("data", "indices", "indptr")]
    if missing := sorted({*dense, *parts} - arrays.keys()):
        raise UnsoundError(f"{missing[0]} of {model.name} is missing")
    if extra := sorted({*arrays, *sparse, *values} - {*model.learned, *parts}):
        raise UnsoundError(f"{extra[0]} is nothing that {model.name} learns")
    require_finite(arrays)


def rehearse(model: Recommender[Any], events: Events, n_users: int, n_items: int) -> None:
    """Raises UnsoundError unless the model scores all items for a few histories, with finite scores.

    Shapes are specific to a model; that they fit each other shows when they are used. The histories: none, the first
    and the last item, and those of the first and the last user.
    """
    if n_items == 0:
        return
    rows = np.unique([0, n_users - 1]) if n_users else np.zeros(0, dtype=np.int64)
    with np.errstate(all="ignore"):
        try:
            _require_items(model, n_items)
            for histories in (Histories.of([[], [0, n_items - 1]], [[], [1, 1]]), _known(events, rows)):
                if len(histories):
                    _require_scores(model.score(model.state_of(histories)), (len(histories), n_items))
            if isinstance(model, HasSimilarity):
                _require_scores(model.similarity(np.array([0, n_items - 1])), (2, n_items))
            elif isinstance(model, HasItemVectors) and len(model.item_vectors()) != n_items:
                raise UnsoundError(f"{model.name} has no vector for each item")
        except UnsoundError:
            raise
        except Exception as error:  # whatever wrong arrays lead to, it is the artefact that is wrong
            raise UnsoundError(f"{model.name} cannot score with them ({type(error).__name__})") from None


def _known(events: Events, rows: NDArray[Any]) -> Histories:
    """The last events of some users."""
    found = [np.searchsorted(events.user_rows, [row, row + 1]) for row in rows]
    kept = [np.arange(max(first, last - LONGEST), last) for first, last in found]
    indices = np.concatenate([*kept, np.zeros(0, dtype=np.int64)]).astype(np.int64)
    return Histories(
        np.cumsum([0, *map(len, kept)]),
        events.item_rows[indices],
        events.values[indices],
        events.times[indices],
        rows.astype(np.int32),
    )


def _require_items(model: Recommender[Any], n_items: int) -> None:
    """Raises UnsoundError unless the arrays of items are as long as there are items, or a multiple of that."""
    for name, axes in axes_of(model).items():
        shape = getattr(model, name).shape
        for axis in axes:
            if shape[axis] % n_items:
                raise UnsoundError(f"{name} has length {shape[axis]} for {n_items} items")


def _require_scores(scores: NDArray[Any], shape: tuple[int, int]) -> None:
    if scores.shape != shape:
        raise UnsoundError(f"scores have shape {scores.shape} instead of {shape}")
    if not is_finite(scores):
        raise UnsoundError("scores are NaN or infinite")


def _texts(column: pl.Series) -> NDArray[Any]:
    return np.array(column.to_list(), dtype=np.dtypes.StringDType())
