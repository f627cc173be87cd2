"""What a title search reads of a title: its words, those of its Korean name, and its initials."""

import re
from typing import NamedTuple

from matinee.serve.korean_titles import korean_title
from matinee.titles import ARTICLES, WORD, normalise, split_year, spoken_title

MAX_WORDS = 8
MAX_LETTERS = 24
"""Longer queries and words are cut; titles differ before that."""
SHORTEST, LONGEST = 2, 6
"""Letters of initials."""
_PART = re.compile(r"\s[-–]\s|[:;/,]")
"""What separates the parts of a title: `Star Wars: Episode V - The Empire Strikes Back`."""


class TitleRead(NamedTuple):
    """A title as it is searched.

    words: with those of its Korean name; first: the first that is no article, as one word; n_words: without articles,
    year and brackets; initials: of the title and of its parts, such as `lotr` and `t2`.
    """

    words: list[str]
    first: str
    n_words: int
    initials: tuple[str, ...]


def read_title(title: str) -> TitleRead:
    """What a search reads of a title."""
    spoken = spoken_title(title).name
    words = title_words(title)
    return TitleRead(words + title_words(korean_title(title)), _first(spoken), _count_words(title), _initials(spoken))


def title_words(text: str) -> list[str]:
    """The words of a title in lower case, without accents; `Spider-Man` gives spider, man and spiderman."""
    words: list[str] = []
    for chunk in normalise(text).split():
        parts = WORD.findall(chunk)
        words += parts
        if len(parts) > 1 and not chunk.startswith("("):
            words.append("".join(parts))
    return [word[:MAX_LETTERS] for word in words]


def query_words(query: str) -> list[str]:
    """The words of a query, without articles unless it has no others."""
    words = [word[:MAX_LETTERS] for word in WORD.findall(normalise(query))][:MAX_WORDS]
    return [word for word in words if word not in ARTICLES] or words


def _first(title: str) -> str:
    """The first word that is no article; of `Spider-Man` spiderman, of `E.T.` et."""
    chunks = ["".join(WORD.findall(chunk)) for chunk in normalise(title).split()]
    words = [chunk for chunk in chunks if chunk]
    return next((word for word in words if word not in ARTICLES), words[0] if words else "")[:MAX_LETTERS]


def _count_words(title: str) -> int:
    """How many words a title has, without articles, the year and names in brackets."""
    words = WORD.findall(normalise(split_year(title)[0].partition("(")[0]))
    return len([word for word in words if word not in ARTICLES])


def _initials(title: str) -> tuple[str, ...]:
    """The initials of a title and of its parts, with and without a leading article; numbers stay whole."""
    found: dict[str, None] = {}
    for part in (*_PART.split(title), title):
        words = WORD.findall(normalise(part))
        for few in (words, words[1:] if words and words[0] in ARTICLES else words):
            initials = "".join(word if word.isdigit() else word[0] for word in few)
            if len(few) > 1 and SHORTEST <= len(initials) <= LONGEST:
                found[initials] = None
    return tuple(found)
