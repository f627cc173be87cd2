"""Series of items by their titles: what continues what, such as Alien, Aliens and Alien 3."""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from matinee.titles import article_first, normalise, split_year, spoken_title, word_key

MAX_MEMBERS = 25
"""Titles that many items continue are no series but a scheme of names, such as `Film 17`."""
MAX_GAP, MAX_GAP_NUMBERED = 12, 35
"""Years between two parts; beyond, it is another film on the same subject, of which fewer are numbered."""
MIN_GENRES = 1 / 3
"""Of the genres of two parts that no number joins, the share that both have: a parody has others."""
MIN_AND = 3
"""Titles from which on `Harry Potter and the ...` is the name of a series; two are `Beauty and the Beast`."""
ROMAN = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X")
_NUMBER = re.compile(
    r"^(?P<base>.+?)[\s,:-]+(?P<part>(?:part|episode|chapter|vol\.?|volume)\s+)?"
    r"(?:(?P<digits>\d{1,2})(?:\s+\d/\d|-?d)?|(?P<roman>[IVX]+))(?:\s*[-:]\s.*)?$",
    re.IGNORECASE,
)
_SUBTITLES = re.compile(r"^(?P<base>.+) - \S"), re.compile(r"^(?P<base>.+?)(?::| -) \S")
_AND = re.compile(r"^(?P<base>\S.+?) and the \S", re.IGNORECASE)
_ARTICLE = re.compile(r"^(the|a|an)\s+(?=\S)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class _Title:
    """A title taken apart. number: of a sequel, 0 without one; is_whole: it has neither a number nor a subtitle."""

    row: int
    name: str
    base: str
    number: int
    year: int
    genres: frozenset[str]

    @property
    def key(self) -> str:
        return word_key(self.base)

    @property
    def article(self) -> str:
        found = _ARTICLE.match(self.name)
        return found[1].lower() if found else ""

    @property
    def is_whole(self) -> bool:
        return not self.number and self.base == self.name


def series_of(titles: Sequence[str], years: Sequence[int], genres: Sequence[Collection[str]]) -> tuple[str, ...]:
    """The name of each item's series, "" of those in none. [n] each; years: 0 if unknown.

    Two titles of one base are of a series if a number says so (`Toy Story 2`, `The Godfather: Part II`); else, with a
    subtitle or a plural alone (`Alien: Resurrection`, `Aliens`), if genres and years are close. Titles that are all the
    same are remakes.
    """
    spoken = [_spoken(title) for title in titles]
    numbered = {word_key(sequel[1]) for name in spoken if name and (sequel := _numbered(name)) and sequel[2]}
    before_and = Counter(
        word_key(found["base"]) for name in set(spoken) if (found := _AND.match(name)) and not _numbered(name)
    )
    sagas = {key for key, n in before_and.items() if n >= MIN_AND}
    of_key: defaultdict[str, list[_Title]] = defaultdict(list)
    for row, (title, name, year, words) in enumerate(zip(titles, spoken, years, genres, strict=True)):
        if name:
            number, base = _apart(name, numbered, sagas)
            one = _Title(row, name, base, number, year or split_year(title)[1], frozenset(words))
            of_key[one.key.removesuffix("s")].append(one)
    names = [""] * len(titles)
    for group in of_key.values():
        members = _members(group) if 1 < len(group) <= MAX_MEMBERS else []
        bases = (_ARTICLE.sub("", member.base) for member in members)
        name = min(bases, key=lambda base: (len(base), base), default="")
        for member in members:
            names[member.row] = name
    return tuple(names)


def _spoken(title: str) -> str:
    plain = unicodedata.normalize("NFC", title).replace("²", " 2").replace("³", " 3")
    return spoken_title(plain).name if plain.strip() else ""


def _numbered(name: str) -> tuple[int, str, bool] | None:
    """A sequel's number, the title before it, and whether it is surely one: of `Apollo 13` and `Henry V` it is not."""
    found = _NUMBER.match(name)
    if not found:
        return None
    roman = (found["roman"] or "").upper()
    number = ROMAN.index(roman) + 1 if roman in ROMAN else int(found["digits"] or 0)
    is_sure = number in (2, 3) or bool(found["part"]) or len(roman) > 1
    return (number, article_first(found["base"]), is_sure) if number else None


def _apart(name: str, numbered: Collection[str], sagas: Collection[str]) -> tuple[int, str]:
    """The number of a title and its base. numbered, sagas: keys of bases that have a sure sequel, or many subtitles."""
    saga = _AND.match(name)
    if saga and word_key(saga["base"]) in sagas:
        return 0, saga["base"]
    found = _numbered(name)
    if found and word_key(found[1]) in numbered:
        return found[:2]
    after_dash, after_either = (pattern.match(name) for pattern in _SUBTITLES)
    if after_dash and word_key(after_dash["base"]) in numbered:
        return 0, after_dash["base"]  # `Mission: Impossible - Ghost Protocol`
    return 0, after_either["base"] if after_either else name


def _members(group: Sequence[_Title]) -> list[_Title]:
    """Those that continue another of the group, or are continued."""
    joined: set[int] = set()
    for one in group:
        for other in group:
            if one.year <= other.year and one.row != other.row and _continues(other, one, group):
                joined |= {one.row, other.row}
    members = [one for one in group if one.row in joined]
    wholes = {one.key for one in members if one.is_whole}
    if len(wholes) > 1 and all(one.is_whole for one in members):
        return []  # a word and its plural, such as Boy and Boys, and nothing else that continues either
    return members


def _continues(later: _Title, earlier: _Title, group: Iterable[_Title]) -> bool:
    if normalise(later.name) == normalise(earlier.name):
        return False
    if later.number and later.key == earlier.key and (earlier.number or earlier.is_whole):
        remade = (one.year for one in group if one.key == later.key and one.is_whole and one.year <= later.year)
        is_latest = not earlier.is_whole or earlier.year == max(remade)
        return later.number != earlier.number and is_latest and later.year - earlier.year <= MAX_GAP_NUMBERED
    if later.article != earlier.article or not 0 <= later.year - earlier.year <= MAX_GAP:
        return False
    if later.is_whole and later.key == earlier.key:
        return False  # `The Messenger` of 2009 does not continue `The Messenger: The Story of Joan of Arc` of 1999
    both = len(later.genres & earlier.genres)
    enough = 2 if later.is_whole and earlier.is_whole else 1
    return both >= max(enough, MIN_GENRES * len(later.genres | earlier.genres))
