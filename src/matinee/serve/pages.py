"""The pages: short views over the engine and the log. Every one works without JavaScript."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from matinee.errors import MatineeError
from matinee.serve.covers import MovieTitle, spoken_title
from matinee.serve.engine import Reason, Recommendation
from matinee.serve.site import MAX_QUERY, Site, new_list_id
from matinee.store.protocols import LiveEvent
from matinee.vocab import Id

HERE = Path(__file__).parent
FOR_YOU, STARTERS, ROW, STRIP, SUGGESTIONS, RESULTS = 24, 12, 12, 6, 7, 60
"""Movies in each list; divisible by the 2, 3, 4 or 6 columns of the grid."""
ENOUGH = 3
"""Movies a visitor rates before the invitation goes."""
LIKED = 3.0
"""From this rating on a reason says liked, below it watched."""
IN_WORDS = {
    "popularity": "what most people watched",
    "item-knn": "movies that the same people watched",
    "user-knn": "what people like you watched",
    "ease": "every movie weighed against all you watched",
    "ials": "movies that lie near your taste, in a space learned from everyone's",
    "bpr": "what would rank above the rest for someone like you",
    "item2vec": "movies watched around the same time as yours",
    "movie-pairs": "movies that people watch as well as yours",
    "pmi": "movies met more often beside yours than chance would have it",
    "lightgcn": "what you reach from your movies over the people who watched them",
    "ngcf": "what you reach from your movies over the people who watched them, layer by layer",
}


@dataclass(frozen=True, slots=True)
class Card:
    """A movie as a page shows it. value: the visitor's rating, 0 for watched without one, None where not watched."""

    item_id: Id
    title: MovieTitle
    full_title: str
    year: int
    genres: tuple[str, ...]
    cover: Markup
    url: str
    value: float | None = None
    at: int = 0
    reasons: tuple["Card", ...] = ()
    liked: bool = False
    position: int = 0
    model: str = ""

    @property
    def stars(self) -> int:
        """The visitor's rating in whole stars, 0 without one."""
        return round(self.value or 0)


class Pages:
    """The site's pages as routes."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._templates = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        versions = {name: sha256((HERE / "static" / name).read_bytes()).hexdigest()[:10] for name in _assets()}
        self._templates.globals |= {
            "asset": lambda name: f"/static/{name}?v={versions[name]}",
            "label": self.label,
            "in_words": lambda name: IN_WORDS.get(name, ""),
            "models": site.engine.models,
            "similar_models": site.engine.similar_models,
            "default_model": site.engine.default,
            "n_items": len(site.engine.items),
        }
        self._templates.filters["date"] = _date
        self._starters = site.engine.starters(STARTERS)

    def router(self) -> APIRouter:
        """All pages."""
        router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
        router.get("/")(self.home)
        router.get("/search")(self.results)
        router.get("/search/suggest")(self.suggest)
        router.get("/movie/{item_id:path}")(self.movie)
        router.get("/my")(self.mine)
        router.get("/about")(self.about)
        router.get("/api/docs")(self.api_docs)
        router.post("/mark")(self.mark)
        router.post("/forget")(self.forget)
        return router

    def home(self, request: Request, model: str = "") -> Response:
        """For a guest what is popular and an invitation; with a history the list made for it."""
        user_id = self._site.visitors.find(request)
        watched = self._site.watched(user_id)
        name = model or self._site.engine.default
        self._require_served(name, self._site.engine.models)
        found = self._site.for_you(user_id, FOR_YOU, name) if user_id and watched else []
        listed = {item.item_row for item in found}
        popular = [item for item in self._site.engine.popular(ROW + 200) if item.item_row not in listed | set(watched)]
        return self.page(
            request,
            "home.html",
            model=name,
            for_you=self._cards(found, watched),
            starters=self._plain(self._starters, watched) if len(watched) < ENOUGH else [],
            to_go=max(0, ENOUGH - len(watched)),
            enough=ENOUGH,
            recent=self._plain(list(watched)[:STRIP], watched),
            popular=self._cards(popular[: ROW if watched else 2 * ROW], watched),
            n_watched=len(watched),
        )

    def results(self, request: Request, q: str = "") -> Response:
        """Every movie whose title matches."""
        watched = self._site.watched(self._site.visitors.find(request))
        rows = self._site.search.find(q[:MAX_QUERY], RESULTS)
        instead = self._cards(self._site.engine.popular(STRIP), watched) if not rows else []
        cards = self._plain(rows, watched)
        return self.page(request, "search.html", q=q[:MAX_QUERY], cards=cards, instead=instead, n_watched=len(watched))

    def suggest(self, q: str = "") -> Response:
        """The first few matches as a list of options, for the search box."""
        rows = self._site.search.find(q[:MAX_QUERY], SUGGESTIONS)
        html = self._templates.get_template("suggestions.html").render(cards=self._plain(rows, {}))
        return HTMLResponse(html)

    def movie(self, request: Request, item_id: str, model: str = "") -> Response:
        """One movie, and those that are similar by a model."""
        engine = self._site.engine
        row = engine.items.row(item_id)
        if row < 0:
            return self.missing(request, f"There is no movie {item_id[:MAX_QUERY]!r} in this programme.", item_id)
        watched = self._site.watched(self._site.visitors.find(request))
        able = engine.similar_models
        name = model or (engine.similar_default if able else "")
        if model in engine.models and model not in able:
            name = engine.similar_default if able else ""  # popularity is a choice for lists, not for likeness
        elif model:
            self._require_served(name, able)
        near = engine.similar(row, ROW, name) if name else []
        events = int(engine.popularity[row])
        return self.page(
            request,
            "movie.html",
            model=name,
            card=self._card(row, watched),
            events=events,
            place=int((engine.popularity > events).sum()) + 1,
            people=max((len(artefact.users) for artefact in engine.artefacts.values()), default=0),
            similar=self._cards(near, watched),
            n_watched=len(watched),
        )

    def mine(self, request: Request) -> Response:
        """Everything the visitor watched or rated."""
        watched = self._site.watched(self._site.visitors.find(request))
        return self.page(request, "mine.html", cards=self._plain(list(watched), watched), n_watched=len(watched))

    def about(self, request: Request) -> Response:
        """What this is, where the data come from, what is kept of a visitor."""
        watched = self._site.watched(self._site.visitors.find(request))
        data = [artefact.manifest.get("data", {}) for artefact in self._site.engine.artefacts.values()]
        return self.page(request, "about.html", data=data[0], n_watched=len(watched))

    def api_docs(self, request: Request) -> Response:
        """The API, from its own OpenAPI description."""
        watched = self._site.watched(self._site.visitors.find(request))
        schema = request.app.openapi()
        return self.page(request, "api.html", schema=schema, n_watched=len(watched))

    def mark(
        self,
        request: Request,
        item_id: Annotated[str, Form(max_length=200)],
        mark: Annotated[str, Form(max_length=10)],
        next: Annotated[str, Form(max_length=500)] = "/",
        model: Annotated[str, Form(max_length=100)] = "",
        list_id: Annotated[str, Form(max_length=100)] = "",
        position: Annotated[int, Form(ge=0, le=1000)] = 0,
    ) -> Response:
        """Rate (1 to 5), mark as watched, or remove; then back to the page it was done on."""
        row = self._site.engine.items.row(item_id)
        if row < 0:
            return self.missing(request, f"There is no movie {item_id[:MAX_QUERY]!r} in this programme.", item_id)
        if mark not in {"1", "2", "3", "4", "5", "watched", "removed"}:
            return self.error(request, 422, "That is no rating", "A movie is rated 1 to 5, watched, or removed.")
        response = RedirectResponse(_own_path(next), status_code=303)
        user_id = self._site.visitors.open(request, response, self._site.now())
        known_id = self._site.engine.items.id(row)
        if mark == "removed":
            self._site.log.remove(user_id, known_id)
            return response
        event = LiveEvent(
            user_id,
            known_id,
            "rating" if mark.isdecimal() else "watched",
            float(mark) if mark.isdecimal() else 1.0,
            self._site.now(),
            model=model or None,
            list_id=list_id or None,
            position=position or None,
        )
        self._site.log.append([event])
        return response

    def forget(self, request: Request) -> Response:
        """Delete the visitor and everything they did."""
        response = RedirectResponse("/", status_code=303)
        user_id = self._site.visitors.find(request)
        if user_id is not None:
            self._site.log.remove(user_id)
            self._site.visitors.close(response, user_id)
        return response

    def label(self, name: str) -> str:
        """A model's name as in its paper."""
        artefact = self._site.engine.artefacts.get(name)
        return type(artefact.model).__name__ if artefact else name.capitalize()

    def page(self, request: Request, template: str, status: int = 200, **values: Any) -> Response:  # noqa: ANN401
        """A whole page."""
        path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        shared = {"here": path if request.method == "GET" else "/", "list_id": new_list_id(), "model": "", "q": ""}
        return HTMLResponse(self._templates.get_template(template).render(shared | values), status)

    def missing(self, request: Request, message: str, wanted: str) -> Response:
        """A kind 404: what was meant, perhaps, and what others watch."""
        rows = self._site.search.find(wanted[:MAX_QUERY], STRIP) if not wanted.isdecimal() else []
        return self.error(request, 404, "Not in this programme", message, rows)

    def error(
        self, request: Request, status: int, heading: str, message: str, rows: list[int] | None = None
    ) -> Response:
        """A page that says what went wrong, and where to go from here."""
        watched = self._site.watched(self._site.visitors.find(request))
        rows = rows or [item.item_row for item in self._site.engine.popular(STRIP)]
        values = {"heading": heading, "message": message, "cards": self._plain(rows, watched)}
        return self.page(request, "error.html", status, **values, n_watched=len(watched))

    def _require_served(self, name: str, models: tuple[str, ...]) -> None:
        if name not in models:
            raise MatineeError(f"No model {name[:MAX_QUERY]!r} is served here; there are {', '.join(models)}.")

    def _cards(self, items: list[Recommendation], watched: Mapping[int, LiveEvent]) -> list[Card]:
        return [self._card(item.item_row, watched, item, place) for place, item in enumerate(items, start=1)]

    def _plain(self, rows: list[int], watched: Mapping[int, LiveEvent]) -> list[Card]:
        return [self._card(row, watched, position=place) for place, row in enumerate(rows, start=1)]

    def _card(
        self, row: int, watched: Mapping[int, LiveEvent], item: Recommendation | None = None, position: int = 0
    ) -> Card:
        catalogue, event = self._site.catalogue, watched.get(row)
        item_id = self._site.engine.items.id(row)
        reasons = item.reasons if item else ()
        return Card(
            item_id=item_id,
            title=spoken_title(catalogue.titles[row]),
            full_title=catalogue.titles[row],
            year=catalogue.years[row],
            genres=catalogue.genres[row],
            cover=self._site.covers.draw(row),
            url=f"/movie/{quote(str(item_id), safe='')}",
            value=None if event is None else event.value if event.kind == "rating" else 0.0,
            at=event.at if event else 0,
            reasons=tuple(self._card(reason.item_row, {}) for reason in reasons),
            liked=_liked(reasons),
            position=position,
            model=item.model if item else "",
        )


def _liked(reasons: tuple[Reason, ...]) -> bool:
    return bool(reasons) and all(reason.value >= LIKED for reason in reasons)


def _assets() -> list[str]:
    return [file.name for file in (HERE / "static").iterdir() if file.is_file()]


def _own_path(path: str) -> str:
    """A path of this site, whatever a form says."""
    safe = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if safe else "/"


def _date(at: int) -> str:
    day = datetime.fromtimestamp(at, UTC)
    return f"{day.day} {day:%B %Y}"
