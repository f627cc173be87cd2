"""Reranking as a form: the values in a page's address, and the genres and years to choose from."""

from dataclasses import dataclass
from functools import cached_property
from urllib.parse import urlencode

from fastapi import Request

from matinee.catalogue import Catalogue
from matinee.config import Rerank
from matinee.serve.pages.errors import PageError
from matinee.serve.pages.i18n import texts_for

NUMBERS = {"novelty": (-1.0, 1.0), "diversity": (0.0, 1.0)}
YEARS = {"from": "from_year", "to": "to_year"}
YEAR_TEXTS = {"from": "rerank.first_year", "to": "rerank.last_year"}
NAMES = ("genre", *YEARS, *NUMBERS)


@dataclass(frozen=True)
class RerankForm:
    """The form with its values. asked: the values in the address; genres, first_year, last_year: of the catalogue.

    novelty: that of an address which names none.
    """

    asked: Rerank
    genres: tuple[str, ...]
    first_year: int
    last_year: int
    novelty: float = 0.0

    @property
    def on(self) -> bool:
        """Whether the values change the list that the page has without them."""
        return self.asked.filters or bool(self.asked.diversity) or self.asked.novelty != self.novelty

    @cached_property
    def query(self) -> str:
        """The values for another address, beginning with &; empty if they change nothing."""
        asked = self.asked
        pairs: list[tuple[str, object]] = [("genre", genre) for genre in asked.genres]
        pairs += [(name, getattr(asked, field)) for name, field in YEARS.items() if getattr(asked, field) is not None]
        if asked.novelty != self.novelty:
            pairs.append(("novelty", f"{asked.novelty:g}"))
        if asked.diversity:
            pairs.append(("diversity", f"{asked.diversity:g}"))
        return f"&{urlencode(pairs)}" if pairs else ""


def read_rerank_form(request: Request, catalogue: Catalogue, novelty: float = 0.0) -> RerankForm:
    """The form as a request's address fills it in. novelty: where the address names none.

    Raises PageError for an unknown genre or impossible numbers.
    """
    texts, given = texts_for(request), request.query_params
    names = catalogue.genre_names
    genres = tuple(dict.fromkeys(genre for genre in given.getlist("genre") if genre))
    for genre in genres:
        if genre not in names:
            known = ", ".join(texts.genre(name) for name in names)
            raise PageError("rerank.no_genre", name=genre[:50], genres=known)
    years = {field: _number(given.get(name, ""), texts(YEAR_TEXTS[name]), 0, 9999) for name, field in YEARS.items()}
    first, last = years["from_year"], years["to_year"]
    if first is not None and last is not None and first > last:
        raise PageError("rerank.bad_years", first=f"{first:g}", last=f"{last:g}")
    strengths = {
        name: _number(given.get(name, ""), texts(f"rerank.{name}"), *limits) for name, limits in NUMBERS.items()
    }
    asked = Rerank(
        genres=genres,
        from_year=None if first is None else int(first),
        to_year=None if last is None else int(last),
        novelty=novelty if strengths["novelty"] is None else strengths["novelty"],
        diversity=strengths["diversity"] or 0.0,
    )
    dated = [year for year in catalogue.years if year]
    return RerankForm(asked, names, min(dated, default=0), max(dated, default=0), novelty)


def _number(text: str, name: str, low: float, high: float) -> float | None:
    """A number of a form, None if it is empty. Raises PageError outside low to high."""
    if not text.strip():
        return None
    try:
        number = float(text)
    except ValueError:
        number = float("nan")
    if not low <= number <= high:
        raise PageError("rerank.bad_number", name=name, value=text[:20], low=f"{low:g}", high=f"{high:g}")
    return number
