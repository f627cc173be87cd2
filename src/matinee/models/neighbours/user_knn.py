"""UserKNN: the similarity of the users who have an item (Herlocker et al. 1999), for implicit data."""

from typing import ClassVar, Literal, Self

import numpy as np
from scipy.sparse import csr_array

from matinee.arrays import FloatArray, IntArray, rows_of
from matinee.histories import Histories, TrainingData
from matinee.models.base import Recommender
from matinee.models.derived import derived
from matinee.models.needs import matrix_needs
from matinee.models.neighbours.similarity import (
    CENTRED,
    FEW,
    Documents,
    KNNConfig,
    Similarity,
    inverse_document_frequency,
    keep_nearest,
    mean_length,
    nearest,
    similarities,
    similarities_of,
    similarities_of_few,
    squared_norms,
    weight_terms,
)
from matinee.nn.row_sums import has_torch
from matinee.nn.sparse_rows import entries_at, product_in_columns, product_of_few, scale_rows, split_head
from matinee.training.run import Run

COMMON, COMMON_BY_TORCH = 20, 100
"""Items that more than one in so many users have are multiplied without gaps: by scipy, and in a process with torch."""


class UserKNNConfig(KNNConfig):
    """Settings of UserKNN. Training users are the documents, items the terms."""

    similarity: Similarity = "jaccard"
    """`cosine`, `jaccard` (without weighting), `dot` (for bm25), `pearson` (cosine of users less their mean over all
    items) or `adjusted-cosine` (less each item's mean over all users)."""
    neighbours_of: Literal["user", "others"] = "user"
    """`user`: the training users most similar to the user; `others`: those to whom the user is as similar as the last
    of their own most similar training users, which popular users are to fewer."""


class UserKNN(Recommender[csr_array]):
    """score_i = sum of the similarities of those who have i, among the `neighbours` training users most similar to u.

    With `neighbours_of = "others"`, among those training users who would count u among the `neighbours` most similar to
    themselves: the neighbourhood of the scored side, as ItemKNN has it of the scored item. One number is kept for each
    training user, the similarity of the last of theirs.

    A training user is their own nearest neighbour, which adds to items that they have already.
    Source: Herlocker et al. 1999, section 5. Fold-in: the search for neighbours, by the weights of the history
    over its largest. Of weights, jaccard is x·y / (|x|² + |y|² - x·y); who has what u dislikes is no neighbour.

    Differs from the paper: it predicts ratings, from Pearson correlations of ratings and deviations from users' means;
    this ranks items from binary histories, with a sum that is not divided by the similarities. Jaccard by default, 100
    neighbours (the paper: 20 to 60); `shrinkage` takes the place of its significance weighting.
    """

    name = "user-knn"
    Config = UserKNNConfig
    uses_weights = True
    learned: ClassVar[tuple[str, ...]] = ("interactions", "profiles", "squared_norms", "idf", "mean_length")
    config: UserKNNConfig
    interactions: csr_array  # [U, I], binary
    profiles: csr_array  # [I, U], the same transposed and weighted
    squared_norms: FloatArray  # [U], of the profiles
    idf: FloatArray  # [I]
    mean_length: float
    bars: FloatArray  # [U], with neighbours_of = "others": the least similarity that makes someone a neighbour of each
    offsets: FloatArray  # [U], with similarities that centre: see Documents
    item_means: FloatArray  # [I], with similarity = "adjusted-cosine", else empty

    def __init__(self, **settings: object) -> None:
        super().__init__(**settings)
        if self.config.neighbours_of == "others":
            self.learned = (*self.learned, "bars")  # type: ignore[misc]
        if self.config.similarity in CENTRED:
            self.learned = (*self.learned, "offsets", "item_means")  # type: ignore[misc]

    def least_memory(self, train: TrainingData) -> int:
        """See Recommender: the histories, and the profiles that are made of them."""
        return matrix_needs(train, 4)

    def fit(self, train: TrainingData, run: Run) -> Self:
        """See Recommender. Stores the training histories."""
        self.interactions = train.matrix()
        self.idf = inverse_document_frequency(self.interactions)
        self.mean_length = mean_length(self.interactions)
        weighted = self._weight(self.interactions)
        documents = Documents.of(weighted, self.config)
        self.profiles, self.squared_norms = documents.profiles, documents.squared_norms
        if self.config.similarity in CENTRED:
            self.offsets, self.item_means = documents.offsets, documents.means
        if self.config.neighbours_of == "others":
            near = nearest(weighted, documents, self.config, exclude_self=True)
            self.bars = _least_of_full_rows(near, self.config.neighbours)
        return self

    def fold_in(self, histories: Histories) -> csr_array:
        """Similarities of the nearest training users. [B, U]."""
        users = self._weigh(histories)
        if self.config.neighbours_of == "user":
            return nearest(users, self._documents, self.config, own=None if users.shape[0] <= FEW else self._by_user)
        if users.shape[0] <= FEW:
            return csr_array(self._near(users, product_of_few(users, self.profiles)))
        found = similarities(users, self._documents, self.config)
        found.data[(found.data < self.bars[found.indices]) | (found.data < 0)] = 0
        found.eliminate_zeros()
        return found

    def score(self, state: csr_array) -> FloatArray:
        """See Recommender."""
        if state.shape[0] <= FEW:
            return product_of_few(state, self.interactions, by_level=False)
        common, dense, rest = self._common_items
        scores: FloatArray = (state @ rest).toarray()
        scores[:, common] = product_in_columns(state, dense, of_ones=True)
        return scores

    def explain(self, histories: Histories, item_rows: IntArray) -> FloatArray:
        """See Explains: the event's term in the similarities of the neighbours who have the listed item. [N, k].

        A similarity is a sum over shared items, divided by a denominator that is taken as constant.
        """
        users = self._weigh(histories)
        weights = entries_at(users, histories.owners, histories.items)
        contributions = np.empty((len(histories.items), item_rows.shape[1]), dtype=np.float32)
        for user, rows in enumerate(item_rows):
            events = slice(*histories.starts[user : user + 2])
            products = product_of_few(users[user : user + 1], self.profiles)  # [1, U]
            near = csr_array(self._near(users[user : user + 1], products))  # [1, U], V entries
            theirs = self.interactions[near.indices]  # [V, I]
            profiles = self._weight(theirs).toarray()[:, histories.items[events]]  # [V, n]
            per_product = near.data / products[0, near.indices]  # similarity per unit of inner product
            having = theirs.toarray()[:, rows] * per_product[:, None]  # [V, k], of neighbours with the item
            contributions[events] = weights[events, None] * (profiles.T @ having)
        return contributions

    def scores_without_each(self, histories: Histories, events: IntArray, item_rows: IntArray) -> FloatArray | None:
        """See ScoresWithoutEach: the inner products without each event, and the neighbours that they give.

        None with bm25, where the weight of each event depends on the length of the history, and where a similarity is
        more than inner products and lengths.
        """
        config = self.config
        if config.weighting == "bm25" or config.similarity in CENTRED or config.significance:
            return None
        scores = np.empty((len(events), item_rows.shape[1]), dtype=np.float32)
        owners = histories.owners[events]
        for user in np.unique(owners).tolist():
            mine = np.flatnonzero(owners == user)
            history = histories.take(np.array([user]))
            similarity, near = self._similarities_without_each(history, events[mine] - histories.starts[user])
            having = self.profiles[item_rows[user]].toarray()[:, near] > 0  # [k, V]
            scores[mine] = similarity @ having.T.astype(np.float32)
        return scores

    def _similarities_without_each(self, history: Histories, events: IntArray) -> tuple[FloatArray, IntArray]:
        """Similarities to a history (B = 1) without each of E events, 0 for those who are not the nearest then.

        Of V training users, who include all that can be among the nearest without some event: [E, V], rows [V].
        """
        whole, items = self._weigh(history), history.items[events]  # [1, I], [E]
        weights = entries_at(whole, np.zeros(len(events), dtype=np.int64), items)
        products, norm = product_of_few(whole, self.profiles), squared_norms(whole)  # [1, U], [1]
        parts = self.profiles[items].toarray()  # [E, U]
        scales = np.ones(len(events), dtype=np.float32)
        if history.mapped is not None:
            scales = _scales_without_each(np.abs(history.weights), events)
        near = np.arange(products.shape[1])
        if (scales == 1).all():
            near = self._near_without_any(products[0], norm, weights, float(parts.max(initial=0)))
            products, parts = products[:, near], parts[:, near]
        left = (products - parts * weights[:, None]) * scales[:, None]  # [E, V]
        norms = np.maximum(norm - weights**2, 0) * scales**2
        found = similarities_of(left, norms[:, None], self.squared_norms[near], self.config)
        return self._kept(found, near), near

    def _near_without_any(
        self, products: FloatArray, norm: FloatArray, weights: FloatArray, largest: float
    ) -> IntArray:
        """The training users who can be among the nearest to a history without one of its events. Rows, ascending.

        products: [U], of the whole history, whose squared norm is norm [1]; weights: [E], of the events; largest: of
        what they are multiplied with in any profile. Who is further away without the least favourable event than the
        k-th is without the most favourable one is left out.
        """
        most, least = largest * max(float(weights.max()), 0), largest * min(float(weights.min()), 0)
        smaller = np.maximum(norm - (weights**2).max(), 0)
        lower = similarities_of(np.maximum(products - most, 0), norm, self.squared_norms, self.config)
        upper = similarities_of(np.maximum(products - least, 0), smaller, self.squared_norms, self.config)
        if self.config.neighbours_of == "others":
            return np.flatnonzero(upper >= self.bars * np.float32(1 - 1e-6))
        k = min(self.config.neighbours, len(lower))
        bar = np.partition(lower, len(lower) - k)[-k] * np.float32(1 - 1e-6)
        return np.flatnonzero(upper >= bar)

    @derived("profiles")
    def _by_user(self) -> csr_array:
        """The profiles by training user. [U, I]."""
        return self.profiles.T.tocsr()

    @derived("interactions")
    def _common_items(self) -> tuple[IntArray, FloatArray, csr_array]:
        """Items that many have: their rows [C], who has them [U, C], dense; and who has the others, [U, I]."""
        counts = np.bincount(self.interactions.indices, minlength=self.interactions.shape[1])
        common = np.flatnonzero(counts * (COMMON_BY_TORCH if has_torch() else COMMON) > self.interactions.shape[0])
        dense, rest = split_head(self.interactions, common)
        return common, dense, rest

    @property
    def _documents(self) -> Documents:
        """The training users, as what histories are compared with."""
        nothing = np.zeros(0, dtype=np.float32)
        is_centred = self.config.similarity in CENTRED
        centre = (self.offsets, self.item_means) if is_centred else (nothing, nothing)
        return Documents(self.profiles, self.squared_norms, *centre)

    def _near(self, users: csr_array, products: FloatArray) -> FloatArray:
        """Similarities of neighbours, 0 for all others. Few weighted users [R, I], inner products [R, U] -> [R, U]."""
        found = similarities_of_few(users, products, self._documents, self.config)
        return self._kept(found, np.arange(found.shape[1]))

    def _kept(self, found: FloatArray, rows: IntArray) -> FloatArray:
        """The similarities of neighbours, 0 for all others. found: [R, V], of the training users `rows` [V]."""
        if self.config.neighbours_of == "user":
            return keep_nearest(found, self.config)
        return np.where(found >= self.bars[rows], np.maximum(found, 0), np.float32(0))

    def _weigh(self, histories: Histories) -> csr_array:
        """The weights of the histories, relative to each one's largest, as documents. [B, I]."""
        matrix = histories.weighted_matrix(self.interactions.shape[1])
        if histories.mapped is not None:
            matrix = scale_rows(matrix, 1 / self._largest(histories))
        return self._weight(matrix)

    def _largest(self, histories: Histories) -> FloatArray:
        """The largest magnitude of the weights of each history, 1 without any. [B]."""
        matrix = histories.weighted_matrix(self.interactions.shape[1])
        largest = np.zeros(matrix.shape[0], dtype=np.float32)
        np.maximum.at(largest, rows_of(matrix.indptr), np.abs(matrix.data))
        return np.where(largest > 0, largest, 1).astype(np.float32)

    def _weight(self, matrix: csr_array) -> csr_array:
        return weight_terms(matrix, self.config.weighting, self.idf, self.mean_length)


def _least_of_full_rows(matrix: csr_array, k: int) -> FloatArray:
    """The least entry of each row that has k of them, 0 for those that have fewer. [R, C] -> [R]."""
    least = np.zeros(matrix.shape[0], dtype=np.float32)
    full = np.flatnonzero(np.diff(matrix.indptr) >= k)
    least[full] = matrix.data[matrix.indptr[full][:, None] + np.arange(k)].min(axis=1)
    return least


def _scales_without_each(weights: FloatArray, events: IntArray) -> FloatArray:
    """What weights relative to the largest grow by where one event is left out: 1 but for the largest. [N], [E] -> [E].

    weights: magnitudes, none of an item that is there twice.
    """
    second, largest = np.partition(np.pad(weights, (1, 0)), -2)[-2:]
    left = np.where(weights[events] == largest, second, largest)
    scales: FloatArray = (largest / np.where(left > 0, left, 1)).astype(np.float32)
    return scales
