"""Templates, and what every template may use."""

import re
from collections.abc import Callable, Mapping
from copy import copy
from dataclasses import dataclass, field, replace
from functools import cache, lru_cache, partial
from hashlib import sha256
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.environment import TemplateModule
from jinja2.runtime import Context
from markupsafe import Markup, escape

from matinee.serve.pages.cards import CACHED_CARDS, Card
from matinee.serve.pages.i18n import LANGUAGES, TEXTS, Texts, texts_of
from matinee.serve.pages.model_cards import ModelCard
from matinee.serve.pages.model_lists import RankedCard
from matinee.serve.pages.sentences import with_shared
from matinee.serve.site import Site
from matinee.serve.stylesheet import INLINED, STATIC

HERE = Path(__file__).parent
STRIP = 6
"""Movies in a single row of the grid; divisible by its 2, 3 or 6 columns."""
GAP = "\x01\x02"
"""Marks, in the cached buttons of a movie, where the visitor's own rating goes."""
MARKS = {name: f"\x01{name}\x02" for name in ("csrf", "next", "list_id", "position", "because", "score", "strength")}
"""Marks, in a cached card, where what differs between pages and visitors goes."""
CACHED_FRAGMENTS = 8000
"""Cards whose HTML is cached, 4 kB each."""
_MARK = re.compile("\x01([a-z_]+)\x02")
_CODE = re.compile("`([^`]+)`")


@dataclass(frozen=True, slots=True)
class _Drawn:
    """What HTML is kept of: equal where the keys are.

    card: one of those that have this HTML; draw: with the macros of cards.html.
    """

    key: tuple[object, ...]
    language: str = field(compare=False)
    card: Card = field(compare=False)
    draw: Callable[[TemplateModule, Card], str] = field(compare=False)


def _card_of(language: str, card: Card, *, why: bool) -> _Drawn:
    """A card of a grid but for its marks."""

    def draw(macros: TemplateModule, card: Card) -> str:
        marks = MARKS["next"], MARKS["list_id"], MARKS["position"]
        return str(macros.movie_card(card, *marks, why, Markup(MARKS["because"])))  # type: ignore[attr-defined]

    return _Drawn(("card", language, why, *_shown(card)), language, card, draw)


def _place_of(language: str, ranked: RankedCard, lists: int) -> _Drawn:
    """A position of a model's list but for its marks."""

    def draw(macros: TemplateModule, card: Card) -> str:
        marks = {name: Markup(MARKS[name]) for name in ("next", "position", "because", "score", "strength")}
        return str(macros.place(card, ranked.n_lists, lists, **marks))  # type: ignore[attr-defined]

    card = ranked.card
    shown = (card.item_row, card.second_cover, bool(card.list_id)) if lists else _shown(card)
    return _Drawn(("place", language, lists, ranked.n_lists, *shown), language, card, draw)


def _shown(card: Card) -> tuple[object, ...]:
    """What the HTML of a card depends on, but for its marks."""
    return card.item_row, card.value, card.kind, card.model, card.saved, card.second_cover, bool(card.list_id)


def _reasons_of(language: str, card: Card) -> _Drawn:
    """The reasons of a card in a sentence."""

    def draw(macros: TemplateModule, card: Card) -> str:
        return str(macros.because(card))  # type: ignore[attr-defined]

    cited = tuple(reason.item_row for reason in card.reasons)
    return _Drawn((language, card.item_row, card.model, card.liked, card.shared, cited), language, card, draw)


class Renderer:
    """Renders the templates of a site."""

    def __init__(self, site: Site, model_cards: Mapping[str, ModelCard]) -> None:
        self._site, self._model_cards = site, model_cards
        self._texts = texts_of(site.wording)
        self._templates = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            auto_reload=False,  # else each use of a template asks the disk whether its file changed
            trim_blocks=True,
            lstrip_blocks=True,
        )
        versions = {name: sha256((STATIC / name).read_bytes()).hexdigest()[:10] for name in _assets()}
        self._cached_buttons = lru_cache(maxsize=2 * CACHED_CARDS)(self._draw_buttons)
        self._cached_card = lru_cache(maxsize=CACHED_FRAGMENTS)(self._draw_card)
        self._cached_because = lru_cache(maxsize=CACHED_FRAGMENTS)(self._draw_because)
        self._macros = cache(self._macros_in)
        self._templates.globals |= {
            "asset": lambda name: f"/static/{name}?v={versions[name]}",
            "styles": {name: Markup(css) for name, css in INLINED.items()},
            "buttons": self._buttons,
            "label": lambda name: model_cards[name].label,
            "languages": [(name, TEXTS[name]("language.name")) for name in LANGUAGES],
            "wording": site.wording,
            "models": site.engine.models,
            "similar_models": site.engine.similar_models,
            "default_model": site.engine.default,
            "n_left_out": len(site.left_out),
        }
        self._templates.globals["number_as_is"] = lambda number: f"{number:,.10g}"
        self._templates.filters["genre"] = _genre
        self._templates.filters["coded"] = _coded

    def of_site(self, site: Site) -> "Renderer":
        """The same for another catalogue."""
        other = copy(self)
        other._site = site
        other._cached_card = lru_cache(maxsize=CACHED_FRAGMENTS)(other._draw_card)
        other._cached_because = lru_cache(maxsize=CACHED_FRAGMENTS)(other._draw_because)
        other._macros = cache(other._macros_in)
        return other

    def render(self, template: str, texts: Texts, values: Mapping[str, Any]) -> str:
        """A template with its values, in a language."""
        return self._templates.get_template(template).render(self._shared(texts, values) | dict(values))

    def _shared(self, texts: Texts, values: Mapping[str, Any]) -> dict[str, Any]:
        """What every template may use beside its values and the globals."""
        return {
            "n_items": self._site.n_items,
            "has_genres": bool(self._site.catalogue.genre_names),
            "t": texts,
            "h": texts.html,
            "lang": texts.language,
            "date": texts.date,
            "number": texts.number,
            "in_words": lambda name: texts.fill(self._model_cards[name].words_in(texts.language).words),
            "with_shared": partial(with_shared, texts),
            "cover": lambda card: self._cover(card, texts),
            "drawn_card": partial(self._card, texts.language, values.get("csrf", "")),
            "drawn_place": partial(self._place, texts, values.get("csrf", "")),
        }

    def _macros_in(self, language: str) -> TemplateModule:
        """The macros of cards in a language, with marks for what differs between pages and visitors."""
        values = self._shared(self._texts[language], MARKS) | MARKS
        return self._templates.get_template("cards.html").make_module(values)

    def _cover(self, card: Card, texts: Texts) -> Markup:
        """The item's picture, else its cover or card; hidden from screen readers, for the page names the item."""
        if card.picture:
            return Markup(self._templates.get_template("picture.html").render(card=card))
        return cover_of(self._site, card, texts)

    def _card(self, language: str, csrf: str, card: Card, next: str, list_id: str, why: bool) -> Markup:
        """A card of a grid. Its HTML is cached by what it is of and says, for all pages, lists and visitors.

        why: whether it says why.
        """
        values = {
            "csrf": csrf,
            "next": str(escape(next)),
            "list_id": card.list_id or list_id,
            "position": str(card.position),
            "because": self._cached_because(_reasons_of(language, card)) if why else "",
        }
        return self._with_values(_card_of(language, card, why=why), values)

    def _place(self, texts: Texts, csrf: str, ranked: RankedCard, next: str, lists: int = 0) -> Markup:
        """A position of a model's list, cached as a card. lists: how many are side by side, 0 for a single one."""
        card = ranked.card
        values = {
            "csrf": csrf,
            "next": str(escape(next)),
            "list_id": card.list_id,
            "position": str(card.position),
            "because": "" if lists else self._cached_because(_reasons_of(texts.language, card)),
            "score": texts.number(card.score, 3),
            "strength": texts.number(100 * ranked.strength, 1),
        }
        return self._with_values(_place_of(texts.language, ranked, lists), values)

    def _with_values(self, drawn: _Drawn, values: Mapping[str, str]) -> Markup:
        """The HTML of a card with values for its marks."""
        html = list(self._cached_card(drawn))
        html[1::2] = [values[name] for name in html[1::2]]
        return Markup("".join(html))

    def _draw_card(self, drawn: _Drawn) -> list[str]:
        """The HTML of a card, and at each second place the name of what goes there."""
        card = drawn.card
        if card.list_id:
            url = card.url.replace(card.list_id, MARKS["list_id"])
            card = replace(card, list_id=MARKS["list_id"], url=url)
        return _MARK.split(drawn.draw(self._macros(drawn.language), card))

    def _draw_because(self, drawn: _Drawn) -> str:
        """The reasons of a card in a sentence, as HTML."""
        return drawn.draw(self._macros(drawn.language), drawn.card)

    @pass_context
    def _buttons(self, context: Context, card: Card, words: bool = False) -> Markup:
        """The buttons of a card's form: most of a page's bytes, cached but for the visitor's stars."""
        parts = self._cached_buttons(
            context["lang"], card.title.name.replace(GAP, ""), card.value is None, bool(card.list_id), words, card.saved
        )
        if not self._site.wording.has_ratings:
            return Markup(parts[0])
        html = [parts[0]]
        for half in range(1, 11):
            html += ("true" if 2 * card.stars == half else "false", parts[2 * half - 1])
            html += ('class="on" ' if 2 * card.stars >= half else "", parts[2 * half])
        return Markup("".join(html))

    def _draw_buttons(
        self, language: str, title: str, unseen: bool, listed: bool, words: bool, saved: bool
    ) -> tuple[str, ...]:
        """21 parts: between them go, for each half star, whether it is pressed and its class; without stars, 1 part."""
        values = {"title": title, "unseen": unseen, "listed": listed, "words": words, "saved": saved, "gap": GAP}
        html = self._templates.get_template("marks.html").render(values | {"t": self._texts[language]})
        return tuple(html.split(GAP))


def cover_of(site: Site, card: Card, texts: Texts) -> Markup:
    """The drawn cover of an item, in the language of the texts."""
    name = card.title.name if card.original else ""
    return site.covers.draw(card.item_row, tuple(map(texts.genre, card.genres)), name, second=card.second_cover)


@pass_context
def _genre(context: Context, name: str) -> str:
    texts: Texts = context["t"]
    return texts.genre(name)


def _coded(text: str) -> Markup:
    """A text of the API's description, in which code stands between backticks, as HTML."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))


def _assets() -> list[str]:
    return [file.name for file in STATIC.iterdir() if file.is_file()]
