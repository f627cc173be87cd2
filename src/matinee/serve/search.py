"""Finding movies by title as it is typed: whole words, prefixes, small typos.

Every word of the query must match a word of the title. Exact matches score more than prefixes, prefixes more than
typos, and a title that begins with the query more than one that contains it; among equals the most watched is first.
All words of the catalogue are compared at once, in numpy.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from matinee.arrays import BoolArray, FloatArray, IntArray
from matinee.catalogue import Catalogue
from matinee.titles import ARTICLES, WORD, normalise

MAX_WORDS = 8
MAX_LETTERS = 24
"""Longer queries and words are cut; titles differ before that."""
EXACT, PREFIX, TYPO = 1.0, 0.8, 0.45
BEGINS, WHOLE, WATCHED = 0.35, 0.5, 0.3
"""Bonuses of a title: it begins with the query; it has no other words; it is the most watched."""


class TitleSearch:
    """An index of titles; built once, safe to read from any thread.

    popularity: [I], events per item; listed: [I], whether an item is found, None if all are; before: an index of a
    catalogue with mostly the same titles, which are then not read again: most of the time that an index takes.
    """

    def __init__(
        self,
        catalogue: Catalogue,
        popularity: IntArray,
        listed: BoolArray | None = None,
        before: "TitleSearch | None" = None,
    ) -> None:
        self._listed = listed
        known: dict[str, _TitleRead] = before.read if before else {}
        self.read: dict[str, _TitleRead] = {title: known.get(title) or _read(title) for title in catalogue.titles}
        titles_read = [self.read[title] for title in catalogue.titles]
        words = [title.words for title in titles_read]
        owners = np.repeat(np.arange(len(words)), [len(row) for row in words])
        flat = np.array([word for row in words for word in row], dtype=f"U{MAX_LETTERS}")
        self._words, word_rows = np.unique(flat, return_inverse=True)  # [W] ascending
        shape = (len(self._words), len(words))
        titles = csr_array((np.ones(len(flat), dtype=np.float32), (word_rows, owners)), shape=shape)
        titles.sum_duplicates()
        self._titles = titles  # words by titles
        self._letters = _letters(self._words)  # [W, L]
        self._lengths = np.array([len(word) for word in self._words], dtype=np.int64)
        self._first = np.array([title.first for title in titles_read], dtype=f"U{MAX_LETTERS}")
        self._n_words = np.array([title.n_words for title in titles_read])
        self._watched = (np.log1p(popularity) / max(1.0, float(np.log1p(popularity.max(initial=0))))).astype(np.float32)

    def find(self, query: str, k: int) -> list[int]:
        """The rows of at most k titles, best first; empty for a query without words."""
        query_words = _query_words(query)
        if not query_words or len(self._watched) == 0:
            return []
        total = self._match_titles(self._split(query_words), loose=False)
        if not total.any():  # "forest gump": forest is a word, but not of that title; "men n black"
            total = self._match_titles([word for word in query_words if len(word) > 2] or query_words, loose=True)
        found = np.flatnonzero(total)
        starts_with_query = (
            np.char.startswith(self._first[found], query_words[0]) if len(found) else np.zeros(0, dtype=bool)
        )
        has_no_other_words = self._n_words[found] <= len(query_words)
        scores = (
            total[found] / len(query_words)
            + BEGINS * starts_with_query
            + WHOLE * has_no_other_words * starts_with_query
            + WATCHED * self._watched[found]
        )
        order = np.lexsort((found, -scores))[:k]
        return [int(row) for row in found[order]]

    def _split(self, query_words: Sequence[str]) -> list[str]:
        """The words of a query; one that is no prefix is split into two known words if possible: toystory."""
        words: list[str] = []
        for word in query_words:
            cuts = [(word[:end], word[end:]) for end in range(3, len(word) - 2)] if not self._is_prefix(word) else []
            known = [(left, right) for left, right in cuts if self._is_word(left) and self._is_prefix(right)]
            both = [(left, right) for left, right in known if self._match_titles([left, right], loose=False).any()]
            words += both[0] if both else (word,)
        return words

    def _is_prefix(self, text: str) -> bool:
        """Whether a word of the catalogue begins with this text."""
        low, high = np.searchsorted(self._words, [text, text + "\U0010ffff"])
        return bool(low < high)

    def _is_word(self, word: str) -> bool:
        index = int(np.searchsorted(self._words, word))
        return index < len(self._words) and self._words[index] == word

    def _match_titles(self, query_words: Sequence[str], *, loose: bool) -> FloatArray:
        """The sum of the query words' match strengths per title; 0 if a word does not match. [I]."""
        best = np.array([self._match_title_words(word, loose=loose) for word in query_words])  # [words, I]
        total: FloatArray = np.where((best > 0).all(axis=0), best.sum(axis=0), 0)
        return total if self._listed is None else np.where(self._listed, total, 0)

    def _match_title_words(self, word: str, *, loose: bool) -> FloatArray:
        """The strength of each title's best matching word, 0 if none matches. [I]."""
        strength = self._match_words(word, loose=loose)
        rows = np.flatnonzero(strength)
        best = np.zeros(self._titles.shape[1], dtype=np.float32)
        starts = self._titles.indptr
        for level in np.unique(strength[rows]):  # ascending: the best overwrites the rest; five levels at most
            for row in rows[strength[rows] == level]:
                best[self._titles.indices[starts[row] : starts[row + 1]]] = level
        return best

    def _match_words(self, word: str, *, loose: bool) -> FloatArray:
        """The match strength of each catalogue word. Typos count if little else matches, or if `loose`. [W]."""
        strength = np.zeros(len(self._words), dtype=np.float32)
        low, high = np.searchsorted(self._words, [word, word + "\U0010ffff"])
        strength[low:high] = PREFIX
        if low < high and self._words[low] == word:
            strength[low] = EXACT
        if loose or high == low or (strength[low] != EXACT and len(word) >= 5 and high - low < 3):
            edits, prefix_edits = _distances(self._letters, self._lengths, word)
            shortest = 3 if loose else 4
            allowed = 0 if len(word) < shortest or word.isdigit() else 1 if len(word) < 8 else 2
            near = (edits <= allowed) & (strength == 0)
            far = ~near & (prefix_edits <= allowed) & (strength == 0) & (self._lengths > len(word))
            strength[near] = TYPO - 0.05 * (edits[near] - 1)
            strength[far] = TYPO - 0.2
        return strength


class _TitleRead(NamedTuple):
    """A title's words, the first that is no article, and how many there are without articles, year and brackets."""

    words: list[str]
    first: str
    n_words: int


def _read(title: str) -> _TitleRead:
    words = title_words(title)
    return _TitleRead(words, _first(words), _count_words(title))


def title_words(text: str) -> list[str]:
    """The words of a title in lower case, without accents; `Spider-Man` gives spider, man and spiderman."""
    words: list[str] = []
    for chunk in normalise(text).split():
        parts = WORD.findall(chunk)
        words += parts
        if len(parts) > 1 and not chunk.startswith("("):
            words.append("".join(parts))
    return [word[:MAX_LETTERS] for word in words]


def _query_words(query: str) -> list[str]:
    words = [word[:MAX_LETTERS] for word in WORD.findall(normalise(query))][:MAX_WORDS]
    return [word for word in words if word not in ARTICLES] or words


def _first(words: Sequence[str]) -> str:
    return next((word for word in words if word not in ARTICLES), words[0] if words else "")


def _count_words(title: str) -> int:
    """How many words a title has, without articles, the year and names in brackets."""
    words = WORD.findall(normalise(title.partition("(")[0]))
    return len([word for word in words if word not in ARTICLES])


def _letters(words: NDArray[np.str_]) -> IntArray:
    width = words.dtype.itemsize // 4
    return words.view(np.uint32).reshape(len(words), width).astype(np.int32)


def _distances(letters: IntArray, lengths: IntArray, word: str) -> tuple[IntArray, IntArray]:
    """Edits from a word to all words, and to their closest prefix. letters: [W, L]. Returns [W], [W].

    Restricted Damerau-Levenshtein distance (insert, delete, substitute, transpose), one row of the table at a time for
    all words.
    """
    n_words = len(letters)
    width = min(letters.shape[1], len(word) + 3)  # more letters would need more edits than are allowed
    before: NDArray[np.int8] | None = None
    row = np.broadcast_to(np.arange(width + 1, dtype=np.int8)[:, None], (width + 1, n_words)).copy()
    columns = np.ascontiguousarray(letters[:, :width].T)  # [L, W]: contiguous columns
    for i, letter in enumerate(word, start=1):
        same = columns == ord(letter)
        new = np.empty_like(row)
        new[0] = i
        changed = np.minimum(row[:-1] + ~same, row[1:] + 1)
        for j in range(1, width + 1):
            np.minimum(changed[j - 1], new[j - 1] + 1, out=new[j])
            if before is not None and j > 1:
                swapped = same[j - 2] & (columns[j - 1] == ord(word[i - 2]))
                np.minimum(new[j], np.where(swapped, before[j - 2] + 1, new[j]), out=new[j])
        before, row = row, new
    ends = np.minimum(lengths, width)
    whole = row[ends, np.arange(n_words)].astype(np.int64) + np.maximum(lengths - width, 0)
    reachable = np.where(np.arange(width + 1)[:, None] <= ends, row, np.int8(100))
    return whole, reachable.min(axis=0).astype(np.int64)
