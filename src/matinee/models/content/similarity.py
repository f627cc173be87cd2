"""How much two items resemble each other by their features: the mean of cosines of their lists, texts, ..."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Self, TypeAlias

import numpy as np
from scipy.sparse import csr_array

from matinee.arrays import BoolArray, FloatArray, IntArray
from matinee.item_table import ItemTable
from matinee.models.content.config import ContentConfig
from matinee.models.content.tf_idf import TfIdf, words_of

N_BINS = 10
"""Quantiles into which a number is cut; neighbouring ones share half."""
Reader: TypeAlias = Callable[[ItemTable], csr_array]
"""From a table of items to one block of their features, in the columns that were found when it was fitted."""


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """Features of n items in blocks, one for each column of their table.

    blocks: name -> [n, F], rows of length 1 or empty; weights: name -> the block's weight in the similarity; readers:
    of the same blocks, for other items.
    """

    blocks: Mapping[str, csr_array]
    weights: Mapping[str, float]
    readers: Mapping[str, Reader]

    @classmethod
    def of(cls, table: ItemTable, config: ContentConfig) -> Self:
        """The blocks of a table's lists, texts, numbers and years; a block that is empty everywhere is left out."""
        blocks, weights, readers = {}, {}, {}
        for name, block, weight, reader in _blocks(table, config):
            if block.nnz and weight > 0:
                blocks[name], weights[name], readers[name] = block, weight, reader
        return cls(blocks, weights, readers)

    def of_others(self, table: ItemTable) -> "Features":
        """The features of other items, by the words and quantiles of these; columns that are not here do not count."""
        return Features({name: read(table) for name, read in self.readers.items()}, self.weights, self.readers)

    def take(self, rows: IntArray) -> "Features":
        """The features of some of the items."""
        return Features({name: block[rows] for name, block in self.blocks.items()}, self.weights, self.readers)

    @property
    def present(self) -> BoolArray:
        """Whether an item has any feature. [n]."""
        filled = [np.diff(block.indptr) > 0 for block in self.blocks.values()]
        return np.any(filled, axis=0) if filled else np.zeros(0, dtype=bool)

    def kernel(self, rows: IntArray, others: IntArray, sharpness: float) -> FloatArray:
        """`kernel_to` between items of these features. rows [a], others [b] -> [a, b]."""
        return self.take(rows).kernel_to(self.take(others), sharpness)

    def kernel_to(self, others: "Features", sharpness: float) -> FloatArray:
        """exp(sharpness (similarity - 1)), or the similarity itself at 0. [a] and [b] items -> [a, b].

        The similarity is the weighted mean of the blocks' cosines; a block that an item lacks counts as cosine 0.
        """
        total = sum(self.weights.values())
        sizes = [len(next(iter(features.blocks.values())).indptr) - 1 for features in (self, others)]
        similarity = np.zeros(sizes, dtype=np.float32)
        for name, block in self.blocks.items():
            similarity += np.float32(self.weights[name] / total) * (block @ others.blocks[name].T).toarray()
        return np.exp(sharpness * (similarity - 1), dtype=np.float32) if sharpness else similarity


def _blocks(table: ItemTable, config: ContentConfig) -> Iterator[tuple[str, csr_array, float, Reader]]:
    for name, words in table.lists.items():
        folded, of_list = TfIdf.fit(_folded(words))
        yield name, of_list, 1.0, _list_reader(name, folded)
    for name, texts in table.texts.items():
        vocabulary, of_text = TfIdf.fit([words_of(text) for text in texts], max_share=config.max_share)
        yield name, of_text, config.text_weight, _text_reader(name, vocabulary)
    for name in dict.fromkeys(["year", *table.numbers]):
        numbers = _numbers(table, name)
        edges = _edges(numbers)
        yield name, _bins(numbers, edges), 1.0, _number_reader(name, edges)


def _list_reader(name: str, words: TfIdf) -> Reader:
    return lambda table: words.rows(_folded(table.lists.get(name, ((),) * len(table))))


def _text_reader(name: str, words: TfIdf) -> Reader:
    return lambda table: words.rows([words_of(text) for text in table.texts.get(name, ("",) * len(table))])


def _number_reader(name: str, edges: FloatArray) -> Reader:
    return lambda table: _bins(_numbers(table, name), edges)


def _folded(words: tuple[tuple[str, ...], ...]) -> list[list[str]]:
    return [list(map(str.casefold, each)) for each in words]


def _numbers(table: ItemTable, name: str) -> FloatArray:
    """A column of numbers, or the years, NaN where unknown. [n]."""
    if name == "year" and "year" not in table.numbers:
        return np.where(table.years > 0, table.years, np.nan)
    return table.numbers.get(name, np.full(len(table), np.nan))


def _edges(numbers: FloatArray) -> FloatArray:
    """The inner bounds of the quantiles of what is known. At most [N_BINS - 1]."""
    known = numbers[np.isfinite(numbers)]
    return np.unique(np.quantile(known, np.linspace(0, 1, N_BINS + 1)[1:-1])) if len(known) else np.empty(0)


def _bins(numbers: FloatArray, edges: FloatArray) -> csr_array:
    """A number's quantile and the one above it, so that neighbours share half. [n] -> [n, N_BINS + 1], unit rows."""
    known = np.flatnonzero(np.isfinite(numbers))
    bins = np.searchsorted(edges, numbers[known], side="right")
    columns = np.stack([bins, bins + 1], axis=1).ravel()
    values = np.full(len(columns), 0.5**0.5, dtype=np.float32)
    return csr_array((values, (np.repeat(known, 2), columns)), shape=(len(numbers), N_BINS + 1))
