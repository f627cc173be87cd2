"""The texts of the site, one folder per language: `languages/en/*.toml`, `languages/ko/*.toml`.

The full name of a text is its tables and key: `home.title`. A text is a string, or a table with the plural forms `one`
and `other`, of which the value `n` selects one. `{name}` stands for a value; integers get thousands separators.
"""

import tomllib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape
from starlette.requests import Request

from matinee.serve.pages.particles import with_particles

FOLDER = Path(__file__).parent / "languages"
LANGUAGES = tuple(sorted(folder.name for folder in FOLDER.iterdir() if folder.is_dir()))
DEFAULT = "en"
COOKIE = "matinee_language"
FORMS = {"one", "other"}


class Texts:
    """The texts of one language."""

    def __init__(self, language: str) -> None:
        self.language = language
        self.entries = read(language)

    def __call__(self, key: str, **values: object) -> str:
        """A text with its values. Raises KeyError for a missing key or value, a defect of the site."""
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

    def _with_particles(self, text: str) -> str:
        return with_particles(text) if self.language == "ko" else text

    def _format(self, value: object) -> object:
        return self.number(value) if isinstance(value, int) and not isinstance(value, bool) else value


def read(language: str) -> dict[str, str | dict[str, str]]:
    """All texts of a language by their full name. Raises ValueError if two files have the same name."""
    entries: dict[str, str | dict[str, str]] = {}
    for path in sorted((FOLDER / language).glob("*.toml")):
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


TEXTS = {language: Texts(language) for language in LANGUAGES}


def texts_for(request: Request) -> Texts:
    """The texts in the language of the cookie, else the language that the browser asks for, else English."""
    chosen = request.cookies.get(COOKIE, "")
    return TEXTS[chosen if chosen in TEXTS else preferred(request.headers.get("accept-language", ""))]


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
        if name in TEXTS and quality > highest:
            best, highest = name, quality
    return best
