"""Finding movies by title as it is typed: whole words, prefixes, small typos, initials.

Every word of the query must match a word of the title, or be its initials (`lotr`, `t2`). Exact matches score more than
prefixes, prefixes more than typos; how often a title was watched counts as much as how well it matches, so that the
famous come before the alphabet. All words of the catalogue are compared at once, in numpy. Where nothing matches,
`nearest` has the titles that share most with the query.
"""

from collections import defaultdict
from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from matinee.arrays import BoolArray, FloatArray, IntArray
from matinee.catalogue import Catalogue
from matinee.serve.title_words import MAX_LETTERS, TitleRead, query_words, read_title
from matinee.titles import WORD, normalise

EXACT, PREFIX, INITIALS, TYPO = 1.0, 0.8, 0.7, 0.45
BEGINS, WHOLE, WATCHED = 0.35, 0.35, 1.0
"""Bonuses of a title: it begins with the query; it has no other words; it is the most watched."""
LEAST_SHARED = 0.3
"""Cosine of two titles' pairs of letters from which they are near."""


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
        known: dict[str, TitleRead] = before.read if before else {}
        self.read: dict[str, TitleRead] = {title: known.get(title) or read_title(title) for title in catalogue.titles}
        self._titles_read = titles_read = [self.read[title] for title in catalogue.titles]
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
        self._initials = _rows_by_initials(titles_read)
        self._watched = (np.log1p(popularity) / max(1.0, float(np.log1p(popularity.max(initial=0))))).astype(np.float32)

    def find(self, query: str, k: int) -> list[int]:
        """The rows of at most k titles, best first; empty for a query without words."""
        words = query_words(query)
        if not words or len(self._watched) == 0:
            return []
        total = self._match_titles(self._split(words), loose=False)
        if not total.any():  # "forest gump": forest is a word, but not of that title; "men n black"
            total = self._match_titles([word for word in words if len(word) > 2] or words, loose=True)
        found = np.flatnonzero(total)
        starts_with_query = np.char.startswith(self._first[found], words[0]) if len(found) else np.zeros(0, dtype=bool)
        strength = total[found] / len(words)
        is_whole = (self._n_words[found] <= len(words)) & (strength == EXACT) & starts_with_query
        scores = strength + BEGINS * starts_with_query + WHOLE * is_whole + WATCHED * self._watched[found]
        order = np.lexsort((found, -scores))[:k]
        return [int(row) for row in found[order]]

    def nearest(self, query: str, k: int) -> list[int]:
        """The rows of at most k titles that share most with a query that finds none: a word, else pairs of letters."""
        words = [word for word in query_words(query) if len(word) > 2]
        strengths = [self._match_title_words(word, loose=True) for word in words]
        total = sum(strengths, np.zeros(len(self._watched), dtype=np.float32))
        if self._listed is not None:
            total = np.where(self._listed, total, 0)
        found = np.flatnonzero(total)
        if len(found):
            scores = total[found] / len(words) + WATCHED / 2 * self._watched[found]
        else:
            shared = self._share_pairs(query)
            found = np.flatnonzero(shared >= LEAST_SHARED)
            scores = shared[found] + WATCHED / 4 * self._watched[found]
        return [int(row) for row in found[np.lexsort((found, -scores))[:k]]]

    def _share_pairs(self, query: str) -> FloatArray:
        """The cosine of the pairs of letters of a query and of each title. [I]."""
        columns, titles = self._pairs
        pairs = [columns[pair] for pair in _pairs_of(query) if pair in columns]
        if not pairs:
            return np.zeros(len(self._watched), dtype=np.float32)
        shared = titles[:, pairs].sum(axis=1)  # of 0 and 1
        lengths = np.maximum(1, np.diff(titles.indptr))
        found: FloatArray = shared / np.sqrt(lengths * len(_pairs_of(query)))
        return found if self._listed is None else np.where(self._listed, found, 0)

    @cached_property
    def _pairs(self) -> tuple[dict[str, int], csr_array]:
        """The column of each pair of letters, and which pairs each title has: [I, pairs] of 0 and 1."""
        of_titles = [_pairs_of(" ".join(title.words)) for title in self._titles_read]
        columns = {pair: column for column, pair in enumerate(sorted(set().union(*of_titles)))}
        rows = np.repeat(np.arange(len(of_titles)), [len(pairs) for pairs in of_titles])
        flat = np.array([columns[pair] for pairs in of_titles for pair in pairs], dtype=np.int64)
        shape = (len(of_titles), len(columns))
        return columns, csr_array((np.ones(len(flat), dtype=np.float32), (rows, flat)), shape=shape)

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
        named = self._initials.get(word)
        if named is not None:
            best[named] = np.maximum(best[named], INITIALS)
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


def _rows_by_initials(titles: Sequence[TitleRead]) -> dict[str, IntArray]:
    rows: defaultdict[str, list[int]] = defaultdict(list)
    for row, title in enumerate(titles):
        for initials in title.initials:
            rows[initials].append(row)
    return {initials: np.array(found, dtype=np.int32) for initials, found in rows.items()}


def _pairs_of(text: str) -> set[str]:
    """Each two letters that follow each other in a text, words apart."""
    return {word[at : at + 2] for word in WORD.findall(normalise(text)) for at in range(len(word) - 1)}


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
