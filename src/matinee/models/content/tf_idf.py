"""TF-IDF: documents as sparse rows of unit length, in scipy alone."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.sparse import csr_array

from matinee.arrays import FloatArray
from matinee.nn.sparse_rows import normalise_rows

MAX_CHARACTERS = 100_000
"""Characters of a text that are read: a feature needs no more, and a cell may be as long as a file."""
MARKUP = re.compile(r"<[^<>]{0,1000}>")
_WORD = re.compile(r"\w+")


def words_of(text: str) -> list[str]:
    """The words of a text in lower case, without accents and HTML tags."""
    plain = unicodedata.normalize("NFKD", MARKUP.sub(" ", text[:MAX_CHARACTERS]))
    return _WORD.findall("".join(char for char in plain if not unicodedata.combining(char)).lower())


@dataclass(frozen=True, slots=True, eq=False)
class TfIdf:
    """The words of a collection of documents, each with its column and weight.

    columns: by word; idf: [words], ln((1 + n) / (1 + documents of the word)).
    """

    columns: Mapping[str, int]
    idf: FloatArray

    @classmethod
    def fit(
        cls, documents: Sequence[Iterable[str]], *, min_documents: int = 2, max_share: float = 1.0
    ) -> tuple[Self, csr_array]:
        """The words of n documents, and the documents as `rows` gives them. [n, words].

        Words in fewer than min_documents documents, or in more than max_share of those that have words, are left out.
        """
        columns: dict[str, int] = {}
        matrix = _counts(documents, columns, lambda word: columns.setdefault(word, len(columns)))
        n_documents = int((np.diff(matrix.indptr) > 0).sum())
        counts = np.bincount(matrix.indices, minlength=len(columns))
        kept = np.flatnonzero((counts >= min_documents) & (counts <= max(max_share * n_documents, min_documents)))
        words = list(columns)
        idf = np.log((1 + n_documents) / (1 + counts[kept])).astype(np.float32)
        found = cls({words[column]: index for index, column in enumerate(kept.tolist())}, idf)
        return found, found._weigh(csr_array(matrix[:, kept]))

    def rows(self, documents: Sequence[Iterable[str]]) -> csr_array:
        """(1 + ln count) idf by document and word, rows of length 1; other words do not count. [n, words]."""
        return self._weigh(_counts(documents, self.columns, self.columns.get))

    def _weigh(self, matrix: csr_array) -> csr_array:
        matrix.data = (1 + np.log(matrix.data)) * self.idf[matrix.indices]
        return normalise_rows(matrix)


def tf_idf(documents: Sequence[Iterable[str]], *, min_documents: int = 2, max_share: float = 1.0) -> csr_array:
    """Documents by their own words: the rows of `TfIdf.fit`. [n, words]."""
    return TfIdf.fit(documents, min_documents=min_documents, max_share=max_share)[1]


def _counts(
    documents: Sequence[Iterable[str]], columns: Mapping[str, int], column_of: Callable[[str], int | None]
) -> csr_array:
    """How often each word stands in each document; words without a column are left out. [n, words]."""
    rows, indices = [], []
    for row, document in enumerate(documents):
        for word in document:
            column = column_of(word)
            if column is not None:
                rows.append(row)
                indices.append(column)
    ones = np.ones(len(rows), dtype=np.float32)
    return csr_array((ones, (rows, indices)), shape=(len(documents), len(columns)))  # sums repeats
