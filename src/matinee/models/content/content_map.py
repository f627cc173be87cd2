"""Content maps: what a model has learned of known items, carried over to new ones by their features.

A model's score of an item is linear in the item's column or vector: EASE, ItemKNN and PMI have a column of weights from
the history's items, factor and graph models a vector. Kernel ridge regression from features to these columns predicts

    column(new) = sum over known items i of column(i) M_i,   M = (K + ridge I)^-1 k(new),   K_ij = kernel(i, j),

so one matrix M, which depends on the features alone, serves every model. In the spirit of MARec (RecSys 2024), which
aligns an item-item model with a similarity from metadata; the regression on whole columns is ours.
"""

from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import csr_array, vstack

from matinee.arrays import BoolArray, FloatArray, IntArray
from matinee.config import configure
from matinee.errors import MatineeError
from matinee.item_table import ItemTable
from matinee.models.base import Recommender
from matinee.models.content.config import ContentConfig
from matinee.models.content.growth import n_items_of
from matinee.models.content.inputs import BLOCK_ITEMS, fill_inputs, with_inputs
from matinee.models.content.similarity import Features
from matinee.nn.sparse_rows import keep_top_k

ModelT = TypeVar("ModelT", bound=Recommender[Any])
LEAST_POPULARITY = 1e-3
"""Of a predicted item in a model that treats one of popularity 0 as without a vector."""


@dataclass(frozen=True, slots=True, eq=False)
class KnownItems:
    """The items from which others are predicted: those with events and features, the most popular first if too many.

    rows: [a], ascending; features: of these a items; factor: of K + ridge I, for `cho_solve`.
    """

    rows: IntArray
    features: Features
    factor: tuple[FloatArray, bool]

    @classmethod
    def of(cls, table: ItemTable, n_counted: IntArray, config: ContentConfig) -> "KnownItems":
        """The known items of a table. n_counted: [I], the events of each from which a model learned (`counted_events`).

        Raises MatineeError if no such item has features.
        """
        return cls.among(Features.of(table, config), n_counted, config)

    @classmethod
    def among(cls, features: Features, n_counted: IntArray, config: ContentConfig) -> "KnownItems":
        """As `of`, from the features of all items."""
        present = features.present if features.blocks else np.zeros(len(n_counted), dtype=bool)
        rows = np.flatnonzero(present & (n_counted > 0))
        if len(rows) == 0:
            raise MatineeError(
                "no item with events has features, so nothing is known of new items: give a table of items with "
                "genres, texts or numbers, whose ids are those of the log"
            )
        rows = np.sort(rows[np.argsort(-n_counted[rows], kind="stable")[: config.max_known]])
        known = features.take(rows)
        system = known.kernel_to(known, config.sharpness).astype(np.float64)
        np.einsum("ii->i", system)[:] += config.ridge
        return cls(rows, known, cho_factor(system, overwrite_a=True))


@dataclass(frozen=True, slots=True, eq=False)
class ContentMap:
    """known [a], predicted [b]: item rows; mixing: M above, of known items times their part. [a, b].

    is_new: [b], whether a predicted item has no events; predictions of the others are added to what they have.
    without_features: number of new items that have none; scale: factor of the scores of new items.
    """

    known: IntArray
    predicted: IntArray
    mixing: FloatArray
    is_new: BoolArray
    without_features: int = 0
    scale: float = 1.0

    @classmethod
    def of(
        cls,
        table: ItemTable,
        popularity: IntArray,
        config: ContentConfig | None = None,
        n_counted: IntArray | None = None,
    ) -> "ContentMap":
        """The map from items with events to items without.

        table: of the I items; popularity: [I], training events; n_counted: [I], those that count, all if None: an item
        whose events all count nothing, such as dislikes, neither is predicted nor predicts others.
        New items without any feature stay as the model has them. Raises MatineeError if no known item has features.
        """
        config = config or ContentConfig()
        n_counted = popularity if n_counted is None else n_counted
        features = Features.of(table, config)
        known = KnownItems.among(features, n_counted, config)
        present, is_new = features.present, popularity == 0
        predicted = np.flatnonzero(present & is_new)
        kernel = known.features.kernel_to(features.take(predicted), config.sharpness).astype(np.float64)
        mixing = cho_solve(known.factor, kernel)
        if config.blend:
            part = config.blend / (config.blend + n_counted[known.rows])
            mixing = np.concatenate([mixing, _leave_one_out(known.factor) * part], axis=1)
            predicted = np.concatenate([predicted, known.rows])
        without = int((is_new & ~present).sum())
        return cls(known.rows, predicted, mixing.astype(np.float32), is_new[predicted], without, config.scale)

    def extend(self, model: ModelT, kept: int = ContentConfig().kept) -> ModelT:
        """A copy of a fitted model that scores the new items as predicted; all other arrays are shared.

        kept: entries kept of each new column of a sparse array. Raises MatineeError for a model without item columns
        or vectors.
        """
        if not model.item_arrays:
            raise MatineeError(
                f"{model.name} has no item columns or vectors that features could predict; use ease, item-knn or ials"
            )
        extended = copy(model)
        for name, axis in model.item_arrays:
            array, scale = getattr(model, name), 1.0 if name in model.unscaled_arrays else self.scale
            if isinstance(array, csr_array):
                setattr(extended, name, self._extend_sparse(array, kept, scale))
            elif array.size:
                setattr(extended, name, self._extend_dense(array, axis, scale))
        new, mixing = self.predicted[self.is_new], self.mixing[:, self.is_new]
        n_items = n_items_of(model)
        for name, axis in model.item_inputs:
            array = getattr(extended, name)
            if isinstance(array, csr_array):
                setattr(extended, name, with_inputs(array, new, self.known, mixing, kept))
            elif array.size:
                if array is getattr(model, name):
                    array = np.array(array)
                    setattr(extended, name, array)
                fill_inputs(np.moveaxis(array, axis, 0), new, self.known, mixing, n_items)
        for name in popularity_arrays(model):  # 0 would mark an item as one without a vector
            popularity = np.array(getattr(model, name))
            popularity[new] = np.maximum(getattr(extended, name)[new], LEAST_POPULARITY)
            setattr(extended, name, popularity)
        return extended

    def describe(self, config: ContentConfig) -> dict[str, Any]:
        """Settings, sizes and a sentence on items without features, ready for JSON."""
        notes = []
        if self.without_features:
            notes.append(
                f"{self.without_features:,} items without events have no features: they rank as the model has them"
            )
        n_new = int(self.is_new.sum())
        sizes = {"known_items": len(self.known), "new_items": n_new, "without_features": self.without_features}
        return {"config": config.model_dump(mode="json"), **sizes, "notes": notes}

    def _extend_dense(self, array: FloatArray, axis: int, scale: float) -> FloatArray:
        extended = np.array(array)
        by_item = np.moveaxis(extended, axis, 0)  # a view
        predictions = np.tensordot(self._scaled(scale), by_item[self.known], axes=(0, 0))
        by_item[self.predicted[self.is_new]] = 0  # a model may have left its first values there
        by_item[self.predicted] += predictions
        return extended

    def _extend_sparse(self, array: csr_array, kept: int, scale: float) -> csr_array:
        """A sparse matrix whose predicted columns are cut to their largest positive entries. [I, I] -> [I, I]."""
        by_item, mixing = array.T.tocsr(), self._scaled(scale)  # row i: column i
        known = by_item[self.known].T
        unchanged = np.setdiff1d(np.arange(by_item.shape[0]), self.predicted)
        parts = [by_item[unchanged]]
        for start in range(0, len(self.predicted), BLOCK_ITEMS):
            part = slice(start, start + BLOCK_ITEMS)
            predictions = np.asarray(known @ mixing[:, part]).T  # [b, I]
            parts.append(keep_top_k(csr_array(by_item[self.predicted[part]] + csr_array(predictions)), kept))
        order = np.argsort(np.concatenate([unchanged, self.predicted]))
        return csr_array(vstack(parts, format="csr")[order]).T.tocsr()

    def _scaled(self, scale: float) -> FloatArray:
        """`mixing` with the new items times a scale. [a, b]."""
        return self.mixing if scale == 1 else self.mixing * np.where(self.is_new, scale, 1).astype(np.float32)


def popularity_arrays(model: Recommender[Any]) -> list[str]:
    """The item arrays of a model, or of its parts, that hold the items' popularity, 0 for one without a vector."""
    return [name for name, _ in model.item_arrays if name.rpartition(".")[2] == "popularity"]


def _leave_one_out(factor: tuple[FloatArray, bool]) -> FloatArray:
    """Weights with which kernel ridge regression predicts each known item from the others. [a, a], 0 on the diagonal.

    The closed form of leaving each item out in turn: -P / diag(P) by column, P the inverse of the system.
    """
    inverse = cho_solve(factor, np.eye(len(factor[0])))
    weights: FloatArray = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return weights


def predict_new_items(
    model: ModelT,
    table: ItemTable,
    popularity: IntArray,
    content: ContentConfig | Mapping[str, object] | None = None,
    n_counted: IntArray | None = None,
) -> tuple[ModelT, dict[str, Any]]:
    """A fitted model with its new items predicted from a table of all items, and what was done, for the manifest.

    popularity, n_counted: as for `ContentMap.of`.
    """
    config = content if isinstance(content, ContentConfig) else configure(ContentConfig, dict(content or {}), "content")
    content_map = ContentMap.of(table, popularity, config, n_counted)
    return content_map.extend(model, config.kept), content_map.describe(config)
