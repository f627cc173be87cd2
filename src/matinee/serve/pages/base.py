"""What every page stands in: templates, texts in the visitor's language, the header, and pages for mistakes."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from markupsafe import Markup

from matinee.errors import MatineeError
from matinee.models import create, model_class
from matinee.recommender import POPULAR
from matinee.serve.http.csrf import page_token
from matinee.serve.pages.cards import KEPT, Card, Cards
from matinee.serve.pages.i18n import DEFAULT, LANGUAGES, TEXTS, Texts, texts_for
from matinee.serve.pages.model_cards import ModelCard, model_card
from matinee.serve.site import MAX_QUERY, Seen, Showing, Site, new_list_id
from matinee.store.protocols import LiveEvent

HERE = Path(__file__).parent
STATIC = HERE.parent / "static"
STRIP = 6
"""Movies that a page for a mistake offers instead; divisible by the 2, 3 or 6 columns of the grid."""
GAP = "\x01\x02"
"""Where the kept buttons of a movie tell of the visitor's own stars."""
HEADED = {400, 403, 404, 409, 413, 422, 429}
"""Statuses whose page has a heading of its own."""


class PageError(MatineeError):
    """A mistake that a page tells in the visitor's language. key: its text; wanted: what suggestions are sought by."""

    def __init__(self, key: str, status: int = 422, *, wanted: str = "", **values: object) -> None:
        super().__init__(TEXTS[DEFAULT](key, **values))
        self.key, self.status, self.wanted, self.values = key, status, wanted, values


class Frame:
    """The site, its templates and its cards: what the pages of every subject share."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.cards = Cards(site)
        served = {name: type(artefact.model) for name, artefact in site.engine.artefacts.items()}
        self._model_cards = {
            name: model_card(kind) for name, kind in ({POPULAR: model_class(POPULAR)} | served).items()
        }
        self._templates = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        versions = {name: sha256((STATIC / name).read_bytes()).hexdigest()[:10] for name in _assets()}
        self._templates.globals |= {
            "asset": lambda name: f"/static/{name}?v={versions[name]}",
            "label": self.label,
            "languages": [(name, TEXTS[name]("language.name")) for name in LANGUAGES],
            "models": site.engine.models,
            "similar_models": site.engine.similar_models,
            "default_model": site.engine.default,
            "n_items": len(site.engine.items),
            "n_left_out": len(site.left_out),
        }
        self._templates.filters["genre"] = _genre
        self._buttons = lru_cache(maxsize=2 * KEPT)(self._draw_buttons)
        self._templates.globals["buttons"] = self._buttons_of

    def page(self, request: Request, template: str, status: int = 200, **values: Any) -> Response:  # noqa: ANN401
        """A whole page. It needs `n_watched` where the visitor is known already; else the log is asked."""
        path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        here = path if request.method == "GET" else "/"
        shared: dict[str, Any] = {"here": here, "list_id": new_list_id(), "model": "", "q": ""}
        if "n_watched" not in values:
            shared["n_watched"] = len(self.watched(request))
        html = self.render(request, template, shared | self.visitor_values(request) | values)
        self.showing(request).write()
        response = HTMLResponse(html, status, {"Vary": "Cookie, Accept-Language"})
        self.site.visitors.keep(request, response)
        return response

    def render(self, request: Request, template: str, values: Mapping[str, Any]) -> str:
        """A template in the visitor's language; without the page's own values, for parts of pages."""
        texts = texts_for(request)
        said = {
            "t": texts,
            "h": texts.html,
            "lang": texts.language,
            "date": texts.date,
            "number": texts.number,
            "in_words": lambda name: self.card(name).words_in(texts.language).words,
            "cover": lambda card: self.site.covers.draw(card.item_row, tuple(map(texts.genre, card.genres))),
        }
        return self._templates.get_template(template).render(said | dict(values))

    @pass_context
    def _buttons_of(self, context: Context, card: Card, words: bool = False) -> Markup:
        """The buttons of a card's form: most of a page's bytes, and kept, but for which stars are on."""
        parts = self._buttons(
            context["lang"], card.title.name.replace(GAP, ""), card.value is None, bool(card.list_id), words
        )
        said = [parts[0]]
        for star in range(1, 6):
            said += ("true" if card.stars == star else "false", parts[2 * star - 1])
            said += ('class="on" ' if card.stars >= star else "", parts[2 * star])
        return Markup("".join(said))

    def _draw_buttons(self, language: str, title: str, unseen: bool, listed: bool, words: bool) -> tuple[str, ...]:
        """Eleven parts; between them, star by star, comes whether it is pressed and how it looks."""
        values = {"title": title, "unseen": unseen, "listed": listed, "words": words, "gap": GAP}
        drawn = self._templates.get_template("marks.html").render(values | {"t": TEXTS[language]})
        return tuple(drawn.split(GAP))

    def visitor_values(self, request: Request) -> dict[str, Any]:
        """What every page knows of whoever asks: the token that forms carry, and a member's name."""
        who = self.site.visitors.who(request)
        return {"csrf": page_token(request), "member": who.name if who else None}

    def visitor(self, request: Request) -> str | None:
        """The user id of whoever asks, None before the first thing they do."""
        return self.site.visitors.find(request)

    def seen(self, request: Request) -> Seen:
        """What whoever asks did: history, watched, hidden. The log is asked once a request."""
        found: Seen | None = getattr(request.state, "seen", None)
        if found is None:
            found = request.state.seen = self.site.seen(self.visitor(request))
        return found

    def watched(self, request: Request) -> dict[int, LiveEvent]:
        """What whoever asks watched, by item row, newest first."""
        return self.seen(request).watched

    def showing(self, request: Request) -> Showing:
        """The lists of this page; `add` names one, and `page` writes them before it is sent."""
        found: Showing | None = getattr(request.state, "showing", None)
        if found is None:
            found = request.state.showing = Showing(self.site, self.visitor(request))
        return found

    def card(self, name: str) -> ModelCard:
        """The card of a model that is served, or of popularity, which is always offered."""
        return self._model_cards[name]

    def formulas(self, name: str) -> list[str]:
        """The TeX of what a model computes with the settings it was trained with."""
        artefact = self.site.engine.artefacts.get(name)
        return self.card(name).formulas_for((artefact.model if artefact else create(name)).config)

    def label(self, name: str) -> str:
        """A model's name as it is printed."""
        return self.card(name).label

    def require_served(self, name: str, models: Sequence[str]) -> None:
        """Raises PageError for a model that is not among these."""
        if name not in models:
            raise PageError("error.no_model", 404, name=name[:MAX_QUERY], models=", ".join(models))

    def row_of(self, item_id: str) -> int:
        """The row of a movie. Raises PageError for one that is not there."""
        row = self.site.engine.items.row(item_id)
        if row < 0:
            raise PageError("error.no_movie", 404, wanted=item_id, name=item_id[:MAX_QUERY])
        return row

    def problem(self, request: Request, error: PageError) -> Response:
        """The page for a mistake, in the visitor's language."""
        message = texts_for(request)(error.key, **error.values)
        return self.error(request, error.status, message, error.wanted, offer_models=error.key == "error.no_model")

    def error(
        self, request: Request, status: int, message: str, wanted: str = "", *, offer_models: bool = False
    ) -> Response:
        """A page that says what went wrong, and where to go: what was meant, perhaps, or what others watch."""
        watched = self.watched(request)
        rows = self.site.search.find(wanted[:MAX_QUERY], STRIP) if wanted and not wanted.isdecimal() else []
        rows = rows or [item.item_row for item in self.site.engine.popular(STRIP)]
        heading = texts_for(request)(f"error.heading_{status}" if status in HEADED else "error.heading")
        return self.page(
            request,
            "error.html",
            status,
            heading=heading,
            message=message,
            cards=self.cards.plain(rows, watched),
            offer_models=offer_models,
            n_watched=len(watched),
        )


@pass_context
def _genre(context: Context, name: str) -> str:
    texts: Texts = context["t"]
    return texts.genre(name)


def own_path(path: str) -> str:
    """A path of this site, whatever a form says."""
    safe = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if safe else "/"


def _assets() -> list[str]:
    return [file.name for file in (STATIC).iterdir() if file.is_file()]
