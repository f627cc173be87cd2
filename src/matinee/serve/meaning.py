"""Finding items by what a query means, in any language, beside the search for titles.

An item's score is the cosine of the query and its passage in the encoder's space, plus the part of the query's words
that its passage has, weighted by rarity, plus its popularity. A query in Korean counts with the English of its words.
The weights are chosen on ten queries and measured on others: docs/search.md.
"""

from collections.abc import Collection, Sequence
from copy import copy
from functools import lru_cache

import numpy as np
from scipy.sparse import csr_array, vstack

from matinee.arrays import FloatArray, IntArray
from matinee.item_table import ItemTable
from matinee.models.content.encoder import Encoder
from matinee.models.content.passages import Embeddings, OnProgress, centred, embed, mean_of, passages_of
from matinee.models.content.tf_idf import words_of
from matinee.models.vectors import unit
from matinee.serve.korean import gloss

WORDS, POPULARITY = 0.4, 0.1
BEST_COSINE, LEAST_COSINE, LEAST_WORDS = 0.2, 0.14, 0.5
"""An item is found if it has that part of the query's words, or the least cosine where the best item has more: what
nothing comes close to then finds little. Gibberish reaches 0.16 to 0.28, a good query 0.21 to 0.34."""
UNKNOWN_WORD = 8.0
"""Weight of a word that no passage has: as of one in 3,000."""
CACHED_QUERIES = 1024
COMMON_QUERIES = (
    "a film about love", "something for children", "a story of war and friendship", "music and dance",
    "a tool for the kitchen", "what is popular now", "a journey to a foreign country", "funny and light",
    "사랑에 관한 영화", "아이들을 위한 것", "전쟁과 우정 이야기", "음악과 춤", "주방에서 쓰는 도구",
    "요즘 인기 있는 것", "낯선 나라로 떠나는 여행", "가볍고 재미있는",
)  # fmt: skip
"""Their mean is what all queries share; it is taken off each, as the mean of the passages off each passage."""
IGNORED = frozenset(
    {"a", "about", "an", "and", "are", "as", "at", "by", "film", "for", "from", "her", "his", "in", "is", "it"}
    | {"movie", "of", "on", "or", "that", "the", "to", "who", "with"}
)
_ENDINGS = ("ies", "ers", "ing", "es", "ed", "er", "s")


class MeaningSearch:
    """An index of passages; never changed, so safe to read from any thread.

    passages: [I], "" for an item of which nothing is known; popularity: [I]; embeddings: of the passages.
    """

    def __init__(self, passages: Sequence[str], popularity: IntArray, encoder: Encoder, embeddings: Embeddings) -> None:
        self.embeddings = embeddings
        self._encoder = encoder
        self._mean = mean_of(embeddings.vectors)
        self._vectors = centred(embeddings.vectors, self._mean)  # [I, D]
        self._common = np.mean([encoder.query(query) for query in COMMON_QUERIES], axis=0)
        self._embedded_query = lru_cache(CACHED_QUERIES)(self._embed_query)
        self._column_of: dict[str, int] = {}
        self._index(self._words_of(passages), popularity)

    def with_items(self, rows: IntArray, table: ItemTable, popularity: IntArray) -> "MeaningSearch":
        """An index in which n items are added or changed; only their passages are embedded, about 0.1 s each.

        rows: [n]; table: of the n items; popularity: of all items, [I], of which those after the last row are empty.
        Vectors are centred by the mean of the first index, so that nothing of the other items is computed again.
        """
        passages = passages_of(table)
        embedded = embed(passages, self._encoder, self.embeddings)
        more = len(popularity) - len(self.embeddings)
        keys, vectors = np.pad(self.embeddings.keys, (0, more)), np.pad(self.embeddings.vectors, ((0, more), (0, 0)))
        keys[rows], vectors[rows] = embedded.keys, embedded.vectors
        changed = copy(self)
        changed.embeddings = Embeddings(self.embeddings.encoder, keys, vectors)
        changed._vectors = np.pad(self._vectors, ((0, more), (0, 0)))
        changed._vectors[rows] = centred(embedded.vectors, self._mean)
        changed._column_of = dict(self._column_of)
        added = changed._words_of(passages)
        by_item = csr_array(vstack([_wider(self._by_item, added.shape[1]), added]))
        place = np.full(len(popularity), by_item.shape[0])  # an empty row
        place[: len(self.embeddings)] = np.arange(len(self.embeddings))
        place[rows] = len(self.embeddings) + np.arange(len(rows))
        changed._index(
            csr_array(vstack([by_item, csr_array((1, by_item.shape[1]), dtype=np.float32)]))[place], popularity
        )
        return changed

    def _index(self, by_item: csr_array, popularity: IntArray) -> None:
        """Take over which passages have which words, [I, W], and the popularity, [I]."""
        self._by_item, self._words = by_item, by_item.T.tocsr()
        self._popularity = np.log1p(popularity) / max(1.0, float(np.log1p(popularity.max(initial=0))))
        n_passages = max(1, int((self.embeddings.keys != 0).sum()))
        self._rarity = np.log(n_passages / np.maximum(np.diff(self._words.indptr), 1))  # [W]

    @classmethod
    def of(
        cls,
        table: ItemTable,
        popularity: IntArray,
        encoder: Encoder,
        known: Embeddings | None = None,
        on_progress: OnProgress | None = None,
    ) -> "MeaningSearch":
        """The index of a table of items; passages that are not among the known ones are embedded, about 0.1 s each.

        known: such as the embeddings of an earlier index, when an item was added or changed.
        """
        passages = passages_of(table)
        return cls(passages, popularity, encoder, embed(passages, encoder, known, on_progress))

    def find(self, query: str, k: int, without: Collection[int] = ()) -> list[int]:
        """The rows of at most k items, best first; empty where nothing comes close to the query.

        without: rows to leave out, also of items that came since the index was made.
        """
        if not words_of(query) or len(self._vectors) == 0:
            return []
        cosines: FloatArray = self._vectors @ self._embedded_query(query)  # [I]
        shared = self._shared_words(query)
        scores = cosines + WORDS * shared + POPULARITY * self._popularity
        least = LEAST_COSINE if cosines.max() >= BEST_COSINE else np.inf
        found = (cosines >= least) | (shared >= LEAST_WORDS)
        found[[row for row in without if row < len(found)]] = False  # a later item may not be in the index yet
        rows = np.flatnonzero(found)
        order = np.lexsort((rows, -scores[rows]))[:k]
        return [int(row) for row in rows[order]]

    def _embed_query(self, query: str) -> FloatArray:
        """The direction of a query: half its own and half that of its gloss, if it has one. [D]."""
        texts = filter(None, (query, gloss(query)))
        own = unit(np.stack([self._encoder.query(text) - self._common for text in texts]))
        vector: FloatArray = unit(own.sum(axis=0)[None])[0]
        return vector

    def _shared_words(self, query: str) -> FloatArray:
        """The part of the query's words that a passage has, by their rarity, 0 to 1. [I]."""
        wanted = self._wanted_words(query)
        columns = [self._column_of[word] for word in wanted if word in self._column_of]
        total = float(self._rarity[columns].sum()) + UNKNOWN_WORD * (len(wanted) - len(columns))
        shared: FloatArray = self._rarity[columns] @ self._words[columns] / max(total, 1.0)
        return shared

    def _wanted_words(self, query: str) -> list[str]:
        """The stems of a query, and of its gloss those that passages have: then other words in Korean do not count."""
        own, glossed = _stems(query), [stem for stem in _stems(gloss(query)) if stem in self._column_of]
        if glossed:
            own = [stem for stem in own if stem in self._column_of or stem.isascii()]
        return list(dict.fromkeys([*own, *glossed]))

    def _words_of(self, passages: Sequence[str]) -> csr_array:
        """Which words n passages have, [n, W]; new words get further columns in `_column_of`."""
        words: list[int] = []
        items: list[int] = []
        for row, passage in enumerate(passages):
            stems = _stems(passage)
            words += [self._column_of.setdefault(stem, len(self._column_of)) for stem in stems]
            items += [row] * len(stems)
        values = np.ones(len(words), dtype=np.float32)
        return csr_array((values, (items, words)), shape=(len(passages), len(self._column_of)))


def _wider(matrix: csr_array, n_columns: int) -> csr_array:
    """A matrix with empty columns at its end. [n, W] -> [n, n_columns]."""
    return csr_array((matrix.data, matrix.indices, matrix.indptr), shape=(matrix.shape[0], n_columns))


def has_texts(table: ItemTable) -> bool:
    """Whether items have texts to search: titles and genres alone say too little of what happens in a film."""
    return any(any(column) for column in table.texts.values())


def _stems(text: str) -> list[str]:
    """The words of a text without common ones and endings, each once, in order."""
    return list(dict.fromkeys(_stem(word) for word in words_of(text) if word not in IGNORED))


def _stem(word: str) -> str:
    ending = next((end for end in _ENDINGS if word.endswith(end) and len(word) - len(end) >= 4), "")
    return word.removesuffix(ending)
