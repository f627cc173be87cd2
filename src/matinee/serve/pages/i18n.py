"""The texts of the site, one folder per language: `languages/en/*.toml`, `languages/ko/*.toml`.

The full name of a text is its tables and key: `home.title`. A text is a string, or a table with the plural forms `one`
and `other`, of which the value `n` selects one. `{name}` stands for a value; integers get thousands separators.
`[item]`, `[did]` and the like stand for what the site calls its items and what people do with them (`words/`). Texts in
the folder `others` replace those that fit movies only, texts in `unrated` those of stars, on a site without ratings.
"""

import re
import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape
from starlette.requests import Request

from matinee.serve.pages.particles import with_particles
from matinee.serve.wording import MOVIES, Wording

FOLDER = Path(__file__).parent / "languages"
WORDS = Path(__file__).parent / "words"
LANGUAGES = tuple(sorted(folder.name for folder in FOLDER.iterdir() if folder.is_dir()))
DEFAULT = "en"
COOKIE = "matinee_language"
FORMS = {"one", "other"}
_TOKEN = re.compile(r"\[([A-Za-z_ ]+)\]")


class Texts:
    """The texts of one language, in the words of a site."""

    def __init__(self, language: str, wording: Wording) -> None:
        self.language = language
        self.words = read_words(language, wording)
        self._without_values: dict[str, str] = {}
        self._filled: dict[str, str] = {}
        self.entries = {key: self._fill_forms(entry) for key, entry in read(language, wording).items()}

    def fill(self, text: str) -> str:
        """A text of the site with its words for `[item]` and the like; other brackets stay as they are."""
        if text not in self._filled:
            own = _TOKEN.sub(lambda found: self.words.get(found[1], found[0]), text)
            self._filled[text] = self._with_particles(own)
        return self._filled[text]

    def __call__(self, key: str, **values: object) -> str:
        """A text with its values. Raises KeyError for a missing key or value, a defect of the site."""
        if not values:
            if key not in self._without_values:
                self._without_values[key] = self._with_particles(self._form(key, values).format())
            return self._without_values[key]
        return self._with_particles(
            self._form(key, values).format(**{name: self._format(value) for name, value in values.items()})
        )

    def html(self, key: str, **values: object) -> Markup:
        """The same for a text with tags; values are escaped unless they are Markup."""
        escaped = {name: escape(self._format(value)) for name, value in values.items()}
        return Markup(self._with_particles(self._form(key, values).format(**escaped)))

    def has(self, key: str) -> bool:
        """Whether the text exists."""
        return key in self.entries

    def genre(self, name: str) -> str:
        """A genre in this language; as in the data if it has no translation."""
        return self(f"genre.{name}") if self.has(f"genre.{name}") else name

    def date(self, at: int) -> str:
        """The UTC date of a time in UTC seconds."""
        day = datetime.fromtimestamp(at, UTC)
        month = self(f"date.month_{day.month}")
        return self("date.day", day=str(day.day), month=month, year=str(day.year))

    def number(self, value: float, digits: int = 0) -> str:
        """A number with thousands separators, the same in English and Korean."""
        return f"{value:,.{digits}f}"

    def _form(self, key: str, values: dict[str, Any]) -> str:
        entry = self.entries[key]
        if isinstance(entry, str):
            return entry
        return entry["one"] if values["n"] == 1 else entry["other"]

    def _fill_forms(self, entry: str | dict[str, str]) -> str | dict[str, str]:
        return self.fill(entry) if isinstance(entry, str) else {form: self.fill(text) for form, text in entry.items()}

    def _with_particles(self, text: str) -> str:
        return with_particles(text) if self.language == "ko" else text

    def _format(self, value: object) -> object:
        return self.number(value) if isinstance(value, int) and not isinstance(value, bool) else value


def read(language: str, wording: Wording) -> dict[str, str | dict[str, str]]:
    """All texts of a language by their full name. Raises ValueError if two files of a folder have the same name."""
    entries = _read_folder(FOLDER / language)
    if not wording.noun.is_movie:
        entries |= _read_folder(FOLDER / language / "others")
    if not wording.has_ratings:
        entries |= _read_folder(FOLDER / language / "unrated")
    return entries


def read_words(language: str, wording: Wording) -> dict[str, str]:
    """What stands for `[item]` and the like: from the language's table, English nouns as they are given."""
    table = tomllib.loads((WORDS / f"{language}.toml").read_text("utf-8"))
    noun, is_movie = wording.noun, wording.noun.is_movie
    if "noun" in table:
        words = dict(table["noun"].get(noun.singular.lower(), table["noun"]["other"]))
        words["item"] = noun.korean or words["item"]
    else:
        article = "an" if noun.singular[:1].lower() in "aeio" else "a"
        words = {"item": noun.singular, "items": noun.plural, "a item": f"{article} {noun.singular}"}
    words |= table["genre"]["of_movies" if is_movie else "of_others"] | table["verb"][wording.verb]
    return words | {name[:1].upper() + name[1:]: word[:1].upper() + word[1:] for name, word in words.items()}


def _read_folder(folder: Path) -> dict[str, str | dict[str, str]]:
    entries: dict[str, str | dict[str, str]] = {}
    for path in sorted(folder.glob("*.toml")):
        found = _flat(tomllib.loads(path.read_text("utf-8")), "")
        if twice := entries.keys() & found.keys():
            raise ValueError(f"{path}: {sorted(twice)[0]!r} is in another file too")
        entries |= found
    return entries


def _flat(table: dict[str, Any], prefix: str) -> dict[str, str | dict[str, str]]:
    found: dict[str, str | dict[str, str]] = {}
    for key, value in table.items():
        if isinstance(value, dict) and set(value) != FORMS:
            found |= _flat(value, f"{prefix}{key}.")
        else:
            found[f"{prefix}{key}"] = value
    return found


@cache
def texts_of(wording: Wording) -> Mapping[str, Texts]:
    """The texts of a site by language."""
    return {language: Texts(language, wording) for language in LANGUAGES}


TEXTS = texts_of(MOVIES)
"""Those of a site of movies."""


def texts_for(request: Request) -> Texts:
    """The site's texts in the language of the cookie, else that which the browser asks for, else English."""
    chosen = request.cookies.get(COOKIE, "")
    texts: Mapping[str, Texts] = getattr(request.app.state, "texts", TEXTS)
    return texts[chosen if chosen in texts else preferred(request.headers.get("accept-language", ""))]


def preferred(header: str) -> str:
    """The site's language with the highest weight in an Accept-Language header."""
    best, highest = DEFAULT, 0.0
    for part in header[:500].split(","):
        tag, _, weight = part.partition(";")
        name = tag.strip().partition("-")[0].lower()
        try:
            quality = float(weight.strip().removeprefix("q=") or 1)
        except ValueError:
            continue
        if name in LANGUAGES and quality > highest:
            best, highest = name, quality
    return best
