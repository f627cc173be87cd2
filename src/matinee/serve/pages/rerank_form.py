"""Rerank as a form: what a page's address asks of its list, and what there is to ask for."""

from dataclasses import dataclass
from functools import cached_property
from urllib.parse import urlencode

from fastapi import Request

from matinee.catalogue import Catalogue
from matinee.config import Rerank
from matinee.serve.pages.base import PageError
from matinee.serve.pages.i18n import texts_for

NUMBERS = {"novelty": (-1.0, 1.0), "diversity": (0.0, 1.0)}
YEARS = {"from": "from_year", "to": "to_year"}
YEAR_TEXTS = {"from": "rerank.first_year", "to": "rerank.last_year"}
NAMES = ("genre", *YEARS, *NUMBERS)


@dataclass(frozen=True)
class RerankForm:
    """The form of a catalogue's lists, filled in. asked: what the address says."""

    asked: Rerank
    genres: tuple[str, ...]
    first_year: int
    last_year: int

    @property
    def on(self) -> bool:
        """Whether the list differs from the model's own."""
        return self.asked.filters or self.asked.reorders

    @cached_property
    def query(self) -> str:
        """What an address needs for the same list, beginning with &; empty without rerank."""
        asked = self.asked
        pairs: list[tuple[str, object]] = [("genre", genre) for genre in asked.genres]
        pairs += [(name, getattr(asked, field)) for name, field in YEARS.items() if getattr(asked, field) is not None]
        pairs += [(name, f"{getattr(asked, name):g}") for name in NUMBERS if getattr(asked, name)]
        return f"&{urlencode(pairs)}" if pairs else ""


def rerank_of(request: Request, catalogue: Catalogue) -> RerankForm:
    """What a request's address asks of a list. Raises PageError for what cannot be asked for."""
    texts, given = texts_for(request), request.query_params
    names = catalogue.genre_names
    genres = tuple(dict.fromkeys(genre for genre in given.getlist("genre") if genre))
    for genre in genres:
        if genre not in names:
            there = ", ".join(texts.genre(name) for name in names)
            raise PageError("rerank.no_genre", name=genre[:50], genres=there)
    years = {field: _number(given.get(name, ""), texts(YEAR_TEXTS[name]), 0, 9999) for name, field in YEARS.items()}
    first, last = years["from_year"], years["to_year"]
    if first is not None and last is not None and first > last:
        raise PageError("rerank.bad_years", first=f"{first:g}", last=f"{last:g}")
    strengths = {
        name: _number(given.get(name, ""), texts(f"rerank.{name}"), *limits) or 0.0 for name, limits in NUMBERS.items()
    }
    asked = Rerank(
        genres=genres,
        from_year=None if first is None else int(first),
        to_year=None if last is None else int(last),
        novelty=strengths["novelty"],
        diversity=strengths["diversity"],
    )
    known = [year for year in catalogue.years if year]
    return RerankForm(asked, names, min(known, default=0), max(known, default=0))


def _number(text: str, name: str, low: float, high: float) -> float | None:
    """A number of a form, None where it was left empty. Raises PageError outside low to high."""
    if not text.strip():
        return None
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not low <= number <= high:
        raise PageError("rerank.bad_number", name=name, value=text[:20], low=f"{low:g}", high=f"{high:g}")
    return number
