"""Movie titles: the year, articles, alternative names, and keys that match titles however people write them."""

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

ARTICLES = frozenset({"the", "a", "an"})
"""Articles that a lookup ignores."""
WORD = re.compile(r"[^\W_]+")
KEPT = 16_384
"""Titles whose spoken form is kept."""
_YEAR = re.compile(r"\s*\((\d{4})(?:[–-]\d{0,4})?\)\s*$")
_ARTICLE_LAST = re.compile(r"^(.*), (The|A|An|La|Le|Les|Il|El|Die|Der|Das|Los|Las|L'|Un|Une|I|Lo)$", re.IGNORECASE)
_OTHER_NAME = re.compile(r"\s*\(([^()]*)\)\s*$")
_INNER_APOSTROPHE = re.compile(r"(?<=\w)['’‘`´](?=\w)")


@dataclass(frozen=True, slots=True)
class MovieTitle:
    """A title as spoken, such as `The Matrix`; other: the original or second name in brackets, if any."""

    name: str
    other: str = ""


def split_year(title: str) -> tuple[str, int]:
    """`Alien (1979)` -> Alien, 1979; of a range of years the first. The year is 0 if the title has none."""
    match = _YEAR.search(title)
    name = title[: match.start()].strip() if match else title.strip()
    return name or title, int(match.group(1)) if match else 0


def spoken_title(title: str) -> MovieTitle:
    """`City of God (Cidade de Deus) (2002)` -> City of God, other name Cidade de Deus; articles go to the front."""
    name, other = split_year(title)[0], ""
    while (found := _OTHER_NAME.search(name)) and found.start() > 0:
        other, name = found.group(1).removeprefix("a.k.a. "), name[: found.start()].strip()
    return MovieTitle(article_first(name), article_first(other))


@lru_cache(maxsize=KEPT)
def titled(title: str) -> str:
    """`Matrix, The (1999)` -> The Matrix (1999): as in a sentence."""
    name, year = spoken_title(title).name, split_year(title)[1]
    return f"{name} ({year})" if year else name


def article_first(name: str) -> str:
    """`Matrix, The` -> The Matrix."""
    match = _ARTICLE_LAST.match(name)
    if not match:
        return name
    article = match.group(2)
    return f"{article}{'' if article.endswith(chr(39)) else ' '}{match.group(1)}"


def normalise(text: str) -> str:
    """Lower case, without accents and without apostrophes inside words."""
    plain = unicodedata.normalize("NFKD", _INNER_APOSTROPHE.sub("", text.casefold()))
    return "".join(letter for letter in plain if not unicodedata.combining(letter))


def title_key(text: str) -> str:
    """A key that ignores case, accents, punctuation, articles and `and`: `Fast & Furious, The` -> fastfurious."""
    words = WORD.findall(normalise(text))
    return "".join([word for word in words if word not in ARTICLES | {"and"}] or words)


def word_key(text: str) -> str:
    """A key that ignores case, accents, punctuation and a leading article: `The Wolf Man` -> wolf man."""
    words = WORD.findall(normalise(text))
    return " ".join(words[1:] if len(words) > 1 and words[0] in ARTICLES else words)
