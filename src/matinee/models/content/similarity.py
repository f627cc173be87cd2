"""How much two items resemble each other by their features: the mean of cosines of their lists, texts, ..."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.sparse import csr_array

from matinee.arrays import BoolArray, FloatArray, IntArray
from matinee.item_table import ItemTable
from matinee.models.content.config import ContentConfig
from matinee.models.content.tf_idf import tf_idf, words_of

N_BINS = 10
"""Quantiles into which a number is cut; neighbouring ones share half."""


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """Features of n items in blocks, one for each column of their table.

    blocks: name -> [n, F], rows of length 1 or empty; weights: name -> the block's weight in the similarity.
    """

    blocks: dict[str, csr_array]
    weights: dict[str, float]

    @classmethod
    def of(cls, table: ItemTable, config: ContentConfig) -> "Features":
        """The blocks of a table's lists, texts, numbers and years; a block that is empty everywhere is left out."""
        found = {name: (block, weight) for name, block, weight in _blocks(table, config) if block.nnz and weight > 0}
        return cls(
            {name: block for name, (block, _) in found.items()}, {name: weight for name, (_, weight) in found.items()}
        )

    @property
    def present(self) -> BoolArray:
        """Whether an item has any feature. [n]."""
        filled = [np.diff(block.indptr) > 0 for block in self.blocks.values()]
        return np.any(filled, axis=0) if filled else np.zeros(0, dtype=bool)

    def kernel(self, rows: IntArray, others: IntArray, sharpness: float) -> FloatArray:
        """exp(sharpness (similarity - 1)), or the similarity itself at 0. rows [a], others [b] -> [a, b].

        The similarity is the weighted mean of the blocks' cosines; a block that an item lacks counts as cosine 0.
        """
        total = sum(self.weights.values())
        similarity = np.zeros((len(rows), len(others)), dtype=np.float32)
        for name, block in self.blocks.items():
            similarity += np.float32(self.weights[name] / total) * (block[rows] @ block[others].T).toarray()
        return np.exp(sharpness * (similarity - 1), dtype=np.float32) if sharpness else similarity


def _blocks(table: ItemTable, config: ContentConfig) -> Iterator[tuple[str, csr_array, float]]:
    for name, words in table.lists.items():
        yield name, tf_idf([list(map(str.casefold, each)) for each in words]), 1.0
    for name, texts in table.texts.items():
        yield name, tf_idf([words_of(text) for text in texts], max_share=config.max_share), config.text_weight
    years = np.where(table.years > 0, table.years, np.nan)
    for name, numbers in ({"year": years} | dict(table.numbers)).items():
        yield name, _bins(numbers), 1.0


def _bins(numbers: FloatArray) -> csr_array:
    """A number's quantile and the one above it, so that neighbours share half. [n] -> [n, N_BINS + 1], unit rows."""
    known = np.flatnonzero(np.isfinite(numbers))
    edges = np.unique(np.quantile(numbers[known], np.linspace(0, 1, N_BINS + 1)[1:-1])) if len(known) else np.empty(0)
    bins = np.searchsorted(edges, numbers[known], side="right")
    columns = np.stack([bins, bins + 1], axis=1).ravel()
    values = np.full(len(columns), 0.5**0.5, dtype=np.float32)
    return csr_array((values, (np.repeat(known, 2), columns)), shape=(len(numbers), N_BINS + 1))
