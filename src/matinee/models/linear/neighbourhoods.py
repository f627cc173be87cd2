"""The strongest neighbours of each item in XᵀX, and the dense blocks of XᵀX over them, without XᵀX as a whole."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from scipy.sparse import csr_array, vstack

from matinee.arrays import FloatArray, IntArray, gather
from matinee.histories import TrainingData
from matinee.models.needs import count_pairs, matrix_needs

HEAD = 8192
"""Items, the most popular, whose sums are kept dense: at most 270 MB."""
BLOCK_ENTRIES = 2**24
"""Sums of pairs that are computed at once, were all to occur."""
BATCH_ENTRIES = 2**20
"""Entries of the dense blocks that are made at once: they stay in the processor's cache."""
INDEX_ENTRIES = 2**22
"""Entries of the index from items to columns, over the items of a batch."""

Added: TypeAlias = Callable[[FloatArray], FloatArray]
"""What is added to the diagonal of XᵀX, from this diagonal. [n] -> [n]."""


@dataclass(frozen=True, slots=True)
class Neighbourhoods:
    """For each item the neighbours from which it is predicted, and XᵀX among them.

    Items are numbered by popularity here, the most popular first, `order` [I] gives their rows. columns: [I, n],
    ascending, I where an item has fewer neighbours; targets: [I, n], XᵀX of neighbour and item; diagonal: [I] of XᵀX;
    head: [H + 1, H + 1], XᵀX among the first H items, then zeros; tail: [I - H, I], its other rows.
    """

    order: IntArray
    columns: IntArray
    targets: FloatArray
    diagonal: FloatArray
    head: FloatArray
    tail: csr_array

    @classmethod
    def of(cls, matrix: csr_array, added: Added, k: int) -> "Neighbourhoods":
        """The at most k neighbours of each item that alone leave the least of the item's squares.

        A neighbour j alone leaves G_ij² / (G_jj + added_j) less of the squares of i than none. Of equal ones, the more
        popular come first. matrix: users by items [U, I].
        """
        matrix = matrix.astype(np.float64)  # sums that round to the same float32 wherever they are made
        diagonal = np.asarray(matrix.multiply(matrix).sum(axis=0), dtype=np.float32)
        order = np.argsort(-diagonal, kind="stable")
        ordered = matrix[:, order]
        by_item = ordered.T.tocsr()
        return cls._of_rows(lambda items: by_item[items] @ ordered, order, diagonal[order], added, k)

    @classmethod
    def of_products(cls, products: csr_array, added: Added, k: int) -> "Neighbourhoods":
        """The same from XᵀX. [I, I]."""
        diagonal = products.diagonal().astype(np.float32)
        order = np.argsort(-diagonal, kind="stable")
        return cls._of_rows(lambda items: products[order[items]][:, order], order, diagonal[order], added, k)

    @classmethod
    def _of_rows(
        cls, rows: Callable[[slice], csr_array], order: IntArray, diagonal: FloatArray, added: Added, k: int
    ) -> "Neighbourhoods":
        """See of. rows: some rows of XᵀX, all in the order of `order`. [b, I]."""
        n_items = len(order)
        n_head = min(n_items, HEAD)
        head = np.zeros((n_head + 1, n_head + 1), dtype=np.float32)
        width = min(k, max(n_items - 1, 1))
        columns, targets = np.full((n_items, width), n_items, dtype=np.int32), np.zeros((n_items, width), np.float32)
        gains = 1 / (diagonal + added(diagonal))
        tails: list[csr_array] = []
        size = max(1, BLOCK_ENTRIES // max(n_items, 1))
        for start in range(0, max(n_items, 1), size):
            block = rows(slice(start, start + size)).tocsr().astype(np.float32)
            block.sort_indices()
            _choose(block, start, gains, columns[start : start + size], targets[start : start + size])
            in_head = min(max(n_head - start, 0), block.shape[0])
            head[start : start + in_head, :-1] = block[:in_head, :n_head].toarray()
            tails.append(block[in_head:])
        return cls(order, columns, targets, diagonal, head, vstack(tails, format="csr", dtype=np.float32))

    @property
    def counts(self) -> IntArray:
        """Number of neighbours of each item. [I]."""
        counts: IntArray = np.count_nonzero(self.columns < len(self.order), axis=1)
        return counts

    def batches(self) -> Iterator[tuple[slice, FloatArray]]:
        """Batches of b items, and XᵀX among the neighbours of each. [b, n, n], zeros past an item's last neighbour.

        n: the most that an item of the batch has.
        """
        n_items = len(self.order)
        counts = self.counts
        most = max(1, INDEX_ENTRIES // (n_items + 1))
        index_of = np.full((min(most, n_items), n_items + 1), -1, dtype=np.int32)
        start = 0
        while start < n_items:
            widest = int(counts[start : start + most].max())
            batch = slice(start, min(start + max(1, min(most, BATCH_ENTRIES // max(1, widest**2))), n_items))
            yield batch, self._blocks(self.columns[batch, : counts[batch].max()], index_of)
            start = batch.stop

    def _blocks(self, columns: IntArray, index_of: IntArray) -> FloatArray:
        """XᵀX among the columns of each row. [b, n] -> [b, n, n]. index_of: [>= b, I + 1], all -1 before and after."""
        n_items, n_head = len(self.order), len(self.head) - 1
        in_head = np.minimum(columns, n_head).astype(np.int64)
        pairs = in_head[:, :, None] * (n_head + 1) + in_head[:, None, :]
        blocks: FloatArray = self.head.ravel().take(pairs)  # [b, n, n]
        owners, positions = np.nonzero((columns >= n_head) & (columns < n_items))
        if not len(owners):
            return blocks
        starts, indices = gather(self.tail.indptr.astype(np.int64), columns[owners, positions] - n_head)
        others = self.tail.indices[indices]
        lengths = np.diff(starts)
        rows = np.arange(len(columns))[:, None]
        index_of[rows, columns] = np.arange(columns.shape[1])  # of an item among the columns of a row
        reached = index_of[np.repeat(owners, lengths), others]
        index_of[rows, columns] = -1
        found = np.flatnonzero(reached >= 0)
        pair = np.repeat(np.arange(len(owners)), lengths)[found]
        owners, positions, reached, values = (
            owners[pair],
            positions[pair],
            reached[found],
            self.tail.data[indices[found]],
        )
        blocks[owners, positions, reached] = values
        blocks[owners, reached, positions] = values
        return blocks

    def weights(self, values: FloatArray) -> csr_array:
        """What the neighbours weigh, by item rows. values: [I, n], of the neighbours -> [I, I] (neighbour, item)."""
        n_items, order = len(self.order), self.order.astype(np.int32)
        items, chosen = np.nonzero((self.columns < n_items) & (values != 0))
        sources = order[self.columns[items, chosen]]
        found = csr_array((values[items, chosen], (sources, order[items])), shape=(n_items, n_items))
        found.sort_indices()
        return found

    def head_weights(self, values: FloatArray, targets: IntArray) -> csr_array:
        """What the first items weigh for some of them, by item rows. values: [h, t], targets: [t] -> [I, I]."""
        n_items, rows, columns = len(self.order), self.order[: len(values)], self.order[targets]
        lengths = np.zeros(n_items + 1, dtype=np.int32)
        lengths[1 + rows] = len(columns)
        entries = values[np.ix_(np.argsort(rows), np.argsort(columns))].ravel()
        indices = np.tile(np.sort(columns).astype(np.int32), len(rows))
        found = csr_array((entries, indices, np.cumsum(lengths, dtype=np.int32)), shape=(n_items, n_items))
        found.eliminate_zeros()
        return found


def memory_of(train: TrainingData, k: int) -> int:
    """Bytes that Neighbourhoods and their weights need: the matrix both ways, head, tail, a block, what is kept."""
    n_items = train.n_items
    n_head, kept = min(n_items, HEAD), n_items * min(k, n_items)
    tail = count_pairs(train, n_head) if n_items > n_head else 0
    return matrix_needs(train, 4) + 4 * n_head**2 + 8 * tail + 4 * BATCH_ENTRIES + 24 * kept


def _choose(block: csr_array, first: int, gains: FloatArray, columns: IntArray, targets: FloatArray) -> None:
    """Fill in the strongest neighbours of the items first, first + 1, ..., and their sums. block: [b, I] of XᵀX."""
    strengths = block.data**2 * gains[block.indices]
    strengths[block.indices == np.repeat(np.arange(block.shape[0]) + first, np.diff(block.indptr))] = 0  # the items
    for row, (start, stop) in enumerate(pairwise(block.indptr.tolist())):
        chosen = start + _largest(strengths[start:stop], columns.shape[1])
        columns[row, : len(chosen)] = block.indices[chosen]
        targets[row, : len(chosen)] = block.data[chosen]


def _largest(values: FloatArray, k: int) -> IntArray:
    """Ascending indices of the at most k largest values above 0; of equal ones, the first. [n] -> [<= k]."""
    least = np.partition(values, len(values) - k)[len(values) - k] if len(values) > k else 0.0
    reached = np.flatnonzero((values >= least) & (values > 0))
    surplus = len(reached) - k
    if surplus > 0:
        equal = reached[values[reached] == least]
        reached = np.setdiff1d(reached, equal[len(equal) - surplus :], assume_unique=True)
    return reached
