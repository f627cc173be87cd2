"""TF-IDF: documents as sparse rows of unit length, in scipy alone."""

import re
import unicodedata
from collections.abc import Iterable, Sequence

import numpy as np
from scipy.sparse import csr_array

from matinee.nn.sparse_rows import normalise_rows

MAX_CHARACTERS = 100_000
"""Characters of a text that are read: a feature needs no more, and a cell may be as long as a file."""
_MARKUP = re.compile(r"<[^<>]{0,1000}>")
_WORD = re.compile(r"\w+")


def words_of(text: str) -> list[str]:
    """The words of a text in lower case, without accents and HTML tags."""
    plain = unicodedata.normalize("NFKD", _MARKUP.sub(" ", text[:MAX_CHARACTERS]))
    return _WORD.findall("".join(char for char in plain if not unicodedata.combining(char)).lower())


def tf_idf(documents: Sequence[Iterable[str]], *, min_documents: int = 2, max_share: float = 1.0) -> csr_array:
    """(1 + ln count) ln((1 + n) / (1 + documents of the word)) by document and word, rows of length 1. [n, words].

    Words in fewer than min_documents documents, or in more than max_share of those that have words, are left out.
    """
    columns_of: dict[str, int] = {}
    rows, columns = [], []
    for row, document in enumerate(documents):
        for word in document:
            rows.append(row)
            columns.append(columns_of.setdefault(word, len(columns_of)))
    shape = (len(documents), len(columns_of))
    matrix = csr_array((np.ones(len(rows), dtype=np.float32), (rows, columns)), shape=shape)  # sums repeats
    n_documents = int((np.diff(matrix.indptr) > 0).sum())
    counts = np.bincount(matrix.indices, minlength=shape[1])
    kept = np.flatnonzero((counts >= min_documents) & (counts <= max(max_share * n_documents, min_documents)))
    matrix = csr_array(matrix[:, kept])
    idf = np.log((1 + n_documents) / (1 + counts[kept])).astype(np.float32)
    matrix.data = (1 + np.log(matrix.data)) * idf[matrix.indices]
    return normalise_rows(matrix)
