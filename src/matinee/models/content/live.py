"""Live content maps: a new item is predicted for served models in milliseconds, without training.

The factor of the regression, which takes seconds, is made once. Then a new item costs a row of the kernel, one solve,
and a row or column of each array in which a model's scores are linear.
"""

from dataclasses import replace
from threading import Lock
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import numpy as np
from scipy.linalg import cho_solve
from scipy.sparse import csr_array

from matinee.arrays import BoolArray, FloatArray, IntArray
from matinee.errors import MatineeError
from matinee.item_table import ItemTable
from matinee.models.base import Recommender
from matinee.models.content.config import ContentConfig
from matinee.models.content.content_map import LEAST_POPULARITY, KnownItems, popularity_arrays
from matinee.models.content.growth import Room, n_items_of, with_columns
from matinee.models.content.inputs import fill_inputs, with_inputs
from matinee.nn.sparse_rows import keep_top_k

ModelT = TypeVar("ModelT", bound=Recommender[Any])


class LiveContentMap:
    """Predicts items that come after training, for every model fitted on the same items.

    Made in no time: the first call of `mixing` (or `prepare`) computes the factor, of at most `config.max_known` items;
    later calls use it. Threads may share one.

    table: of the I items of the models (`artefact.item_table`); n_counted: [I], events from which they learned
    (`counted_events`, or `artefact.popularity` where all count); config: that of `mt.fit(items=, content=)`.

        content = LiveContentMap(artefact.item_table, artefact.popularity)
        mixing = content.mixing(new)                    # a table of n new items -> [a, n]
        model = content.extend(artefact.model, mixing)  # scores I + n items, the new ones last
        model = content.replace(model, rows, mixing)    # other features of n items without events
    """

    def __init__(self, table: ItemTable, n_counted: IntArray, config: ContentConfig | None = None) -> None:
        self._table, self._n_counted, self._config = table, n_counted, config or ContentConfig()
        self._preparing, self._growing = Lock(), Lock()
        self._prepared: KnownItems | None = None
        self._rooms: WeakKeyDictionary[Recommender[Any], Room[Any]] = WeakKeyDictionary()

    def prepare(self) -> KnownItems:
        """The known items and the factor of their kernel. Raises MatineeError if no known item has features."""
        with self._preparing:
            if self._prepared is None:
                known = KnownItems.of(self._table, self._n_counted, self._config)
                factor = known.factor[0].astype(np.float32, order="F"), known.factor[1]  # half as large, exact to 1e-5
                self._prepared = replace(known, factor=factor)
            return self._prepared

    def has_features(self, new: ItemTable) -> BoolArray:
        """Whether each of n new items has any feature that known items have too; others cannot be predicted. [n]."""
        return self.prepare().features.of_others(new).present

    def mixing(self, new: ItemTable) -> FloatArray:
        """How much of each of the a known items a new one has: M of `ContentMap`. [a, n]; zero without features.

        Words that no known item has do not count. Raises MatineeError as `prepare`.
        """
        known = self.prepare()
        features = known.features.of_others(new)
        kernel = known.features.kernel_to(features, self._config.sharpness)
        mixing: FloatArray = cho_solve(known.factor, kernel, check_finite=False)
        mixing[:, ~features.present] = 0
        return mixing

    def extend(self, model: ModelT, mixing: FloatArray) -> ModelT:
        """A copy of a model with n more items, predicted, in the last rows. mixing: [a, n].

        The model given stays as it is, and its arrays are copied only where there is no room left for more items.
        Raises MatineeError for a model without item columns or vectors.
        """
        require_item_arrays(model)
        n_items = n_items_of(model)
        return self._grown(model, mixing.shape[1], np.arange(n_items, n_items + mixing.shape[1]), mixing)

    def replace(self, model: ModelT, rows: IntArray, mixing: FloatArray) -> ModelT:
        """A copy of a model with n of its items, in ascending rows and without events, predicted again. mixing: [a, n].

        Models that this map extended before see the new predictions too, where their arrays are dense.
        Raises MatineeError as `extend`.
        """
        require_item_arrays(model)
        return self._grown(model, 0, rows, mixing)

    def _grown(self, model: ModelT, n: int, rows: IntArray, mixing: FloatArray) -> ModelT:
        """A copy of a model with n more items, of which some rows are predicted."""
        with self._growing:
            room = self._rooms.get(model)
            if room is None or not room.is_of(model):  # another model has grown into the room that there was
                room = Room(model)
            grown: ModelT = room.grow(model, n)
            self._fill(grown, rows, mixing)
            self._rooms[grown] = room
            return grown

    def _fill(self, model: Recommender[Any], rows: IntArray, mixing: FloatArray) -> None:
        """Set the predictions of some items in the arrays of a model."""
        known, kept, n_items = self.prepare().rows, self._config.kept, n_items_of(model)
        full = np.zeros((n_items, len(rows)), dtype=np.float32)
        full[known] = mixing
        for name, axis in model.item_arrays:
            array = getattr(model, name)
            scaled = full if name in model.unscaled_arrays else full * np.float32(self._config.scale)
            if isinstance(array, csr_array):
                setattr(model, name, _with_predictions(array, rows, scaled, kept))
            elif array.size:
                by_item = np.moveaxis(array, axis, 0)  # a view
                by_item[rows] = np.tensordot(scaled, by_item, axes=(0, 0)) if array.ndim > 2 else scaled.T @ by_item
        for name, axis in model.item_inputs:
            array = getattr(model, name)
            if isinstance(array, csr_array):
                setattr(model, name, with_inputs(array, rows, known, mixing, kept))
            elif array.size:
                fill_inputs(np.moveaxis(array, axis, 0), rows, known, mixing, n_items)
        for name in popularity_arrays(model):  # 0 would mark an item as one without a vector
            popularity = getattr(model, name)
            popularity[rows] = np.maximum(popularity[rows], LEAST_POPULARITY)


def require_item_arrays(model: Recommender[Any]) -> None:
    """Raises MatineeError for a model in whose arrays no item could be predicted."""
    if not model.item_arrays:
        raise MatineeError(
            f"{model.name} has no item columns or vectors that features could predict; use ease, item-knn or ials"
        )


def _with_predictions(matrix: csr_array, rows: IntArray, full: FloatArray, kept: int) -> csr_array:
    """A sparse matrix with other columns for some items, cut to their largest positive entries. full: [I, n]."""
    if np.isin(matrix.indices, rows).any():
        matrix = matrix.copy()
        matrix.data[np.isin(matrix.indices, rows)] = 0
        matrix.eliminate_zeros()
    predictions = csr_array(np.asarray(matrix @ full).T)
    return with_columns(matrix, rows, keep_top_k(predictions, kept))
