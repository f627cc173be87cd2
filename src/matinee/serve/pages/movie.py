"""One movie: what it is, what the visitor thinks of it, and what is like it."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from matinee.recommender import POPULAR
from matinee.renamed import EVENT_KINDS
from matinee.serve.pages.also_liked import LikedToo
from matinee.serve.pages.base import Frame, PageError, own_path
from matinee.serve.site import Place
from matinee.store.protocols import Kind

SIMILAR, LIKED_TOO = 12, 6
MAX_LIST_ID = 100
MARKS = {"1", "2", "3", "4", "5", "watched", "removed", "dismissed", "restored"}


class MoviePages:
    """A movie's page, and the form that every card carries."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._site = frame.site
        self._liked = LikedToo(frame.site)

    def add_to(self, router: APIRouter) -> None:
        """Add its routes."""
        router.get("/movie/{item_id:path}")(self.movie)
        router.post("/mark")(self.mark)

    def movie(self, request: Request, item_id: str, model: str = "", list: str = "") -> Response:
        """One movie, and those that are similar by a model. list: the one it was opened from, which is noted."""
        engine, cards = self._site.engine, self._frame.cards
        row = self._frame.row_of(item_id)
        seen = self._frame.seen(request)
        watched = seen.watched
        if list and seen.user_id is not None:
            self._site.record_click(seen.user_id, row, list[:MAX_LIST_ID])
        able = engine.similar_models
        name = model or (engine.similar_default if able else "")
        if model in engine.models and model not in able:
            name = engine.similar_default if able else ""  # popularity is a choice for lists, not for likeness
        elif model:
            self._frame.require_served(name, able)
        near = engine.similar(row, SIMILAR, name) if name else []
        list_id = self._frame.showing(request).add("similar", name, near)
        events = int(engine.popularity[row])
        return self._frame.page(
            request,
            "movie.html",
            model=name,
            card=cards.card(row, watched),
            events=events,
            tags=self._site.catalogue.tags[row] if self._site.catalogue.tags else (),
            place=int((engine.popularity > events).sum()) + 1,
            people=max((len(artefact.users) for artefact in engine.artefacts.values()), default=0),
            similar=cards.listed(near, watched, list_id),
            dismissed=row in seen.dismissed,
            liked_too=cards.listed(self._liked.listed(row, LIKED_TOO, seen.out), watched),
            fans=self._liked.people(row),
            n_watched=len(watched),
        )

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
        """Rate (1 to 5), mark as watched, remove, dismiss or restore; then back to the page it was done on."""
        row = self._frame.row_of(item_id)
        mark = EVENT_KINDS.get(mark, mark)  # from a page that was opened before an update
        if mark not in MARKS:
            raise PageError("error.no_rating")
        response = RedirectResponse(own_path(next), status_code=303)
        user_id = self._site.visitors.open(request, response, self._site.now())
        if mark == "removed":
            self._site.log.remove(user_id, self._site.engine.items.id(row))
            return response
        place = self._site.place(user_id, row, list_id)
        if place is None and model in {POPULAR, *self._site.engine.models}:  # a guest's first: no list was noted
            place = Place(list_id, position, model, self._site.engine.version(model))
        kind: Kind = "dismissed" if mark == "dismissed" else "restored" if mark == "restored" else "watched"
        if mark.isdecimal():
            self._site.record(user_id, row, "rating", float(mark), place)
        else:
            self._site.record(user_id, row, kind, place=place)
        return response
