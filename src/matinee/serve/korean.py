"""English for the Korean words of a query, from a list (korean.toml): the encoder carries few of them over."""

import re
import tomllib
import unicodedata
from collections.abc import Iterator
from functools import cache
from pathlib import Path

PARTICLES = frozenset(
    unicodedata.normalize("NFD", particle)
    for particle in (
        *("", "가", "이", "은", "는", "을", "를", "의", "에", "에서", "에게", "와", "과", "랑", "이랑", "로", "으로"),
        *("도", "만", "들", "들이", "들은", "들을", "들의", "들과", "부터", "까지", "나", "이나", "처럼", "인"),
    )
)
_WORD = re.compile("[가-힣0-9]*[가-힣]+")
MAX_CHARACTERS = 500
"""Of a query that are read."""
_FINAL = re.compile("[\u11a8-\u11ff]")
"""A consonant that ends a syllable: what stands before it is no syllable yet."""
LONGEST = 40
"""Letters of a word that are read."""


def gloss(text: str) -> str:
    """The English words of the Korean words in a text, each once, in order; "" if the list has none of them."""
    words = _WORD.findall(unicodedata.normalize("NFC", text[:MAX_CHARACTERS]))
    found = [english for word in words for meaning in _parts(word) for english in meaning.split()]
    return " ".join(dict.fromkeys(found))


def _parts(word: str) -> Iterator[str]:
    """The longest beginning of a word that the list has, then that of what is left, as compounds are one word.

    Letters are compared, not syllables: the stem of 달리는 is found in 달린 too.
    """
    letters = unicodedata.normalize("NFD", word)[:LONGEST]
    end = len(letters)
    while end > 0:
        found = _meanings(letters[:end], letters[end:])
        yield from found
        letters = letters[end:] if found else letters
        end = len(letters) if found else end - 1


def _meanings(beginning: str, rest: str) -> tuple[str, ...]:
    """What a stem or a whole word means that the rest of its word may follow."""
    whole = not _FINAL.match(rest) and (len(unicodedata.normalize("NFC", beginning)) > 1 or rest in PARTICLES)
    return _words().get(f"{beginning}-", ()) + (_words().get(beginning, ()) if whole else ())


@cache
def _words() -> dict[str, tuple[str, ...]]:
    """English by Korean word, in letters; a stem ends in "-"."""
    sections = tomllib.loads(Path(__file__).with_name("korean.toml").read_text("utf-8"))
    found: dict[str, tuple[str, ...]] = {}
    for section in sections.values():
        for english, words in section.items():
            for word in unicodedata.normalize("NFD", words).split():
                found[word] = (*found.get(word, ()), english)
    return found
