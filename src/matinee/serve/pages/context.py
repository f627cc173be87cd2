"""The context of a request for a page: visitor, language, impressions and the response."""

import re
from functools import cached_property
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.responses import Response

from matinee.serve.accounts.sessions import secret_cookie
from matinee.serve.dependencies import CurrentSite
from matinee.serve.http.csrf import page_token
from matinee.serve.http.middleware import PERSONAL_PATHS
from matinee.serve.http.page_response import PageResponse
from matinee.serve.http.root_path import site_path, with_root
from matinee.serve.impressions import ImpressionRecorder, new_list_id
from matinee.serve.own_fits.fits import OwnFit
from matinee.serve.pages.cards import Cards
from matinee.serve.pages.i18n import Texts, texts_for
from matinee.serve.pages.resources import PageResources
from matinee.serve.sample_people import SamplePerson
from matinee.serve.site import Site
from matinee.serve.visitor_state import VisitorState

LAB_COOKIE = "matinee_lab"
"""Whether the lab is open in this browser: models are named, and can be chosen, on every list."""

OWN_FITS_COOKIE = "matinee_own_fits"
"""The secret to which the fits of this browser belong; it ends with the browser."""
_OWN_FITS_TOKEN = re.compile(r"[A-Za-z0-9_-]{32}")
"""The form of token_urlsafe(24); any other value of the cookie is ignored."""

PERSON_COOKIE = "matinee_person"
"""The sample person as whom the visitor looks, by its key; it ends with the browser."""


class PageContext:
    """What all pages need of a request. The log is read once, on the first use of `visitor`."""

    def __init__(self, request: Request, site: Site, resources: PageResources) -> None:
        self.request, self.site, self.resources = request, site, resources
        self.texts: Texts = texts_for(request)

    @cached_property
    def cards(self) -> Cards:
        """Builds the cards of movies for the visitor."""
        return self.plain_cards.of_visitor(self.visitor.saved.tolist())

    @property
    def plain_cards(self) -> Cards:
        """Builds cards that say nothing of the visitor, whose log is not read for them."""
        return self.resources.cards[self.texts.language]

    @cached_property
    def visitor(self) -> VisitorState:
        """What the visitor did, or the sample person as whom they look."""
        person = self.person
        return self.site.state_of(self.site.visitors.user_id(self.request)) if person is None else person.state

    @cached_property
    def person(self) -> SamplePerson | None:
        """The sample person as whom the visitor looks; nobody on pages of their own data."""
        key = self.request.cookies.get(PERSON_COOKIE, "")
        is_own = site_path(self.request.scope).startswith(PERSONAL_PATHS)
        return self.resources.sample_people.find(key) if key and not is_own else None

    @cached_property
    def impressions(self) -> ImpressionRecorder:
        """Records the lists of this page; `respond` writes them. Those for a sample person are nobody's."""
        user_id = None if self.person else self.site.visitors.user_id(self.request)
        return self.site.impression_recorder(user_id)

    @property
    def kept_fits(self) -> list[OwnFit]:
        """The fits of this browser that the visitor kept."""
        fits, owner = self.site.own_fits, self.fits_owner
        return [fit for fit in fits.of(owner) if fit.is_kept] if fits is not None and owner else []

    @property
    def fit_at_home(self) -> OwnFit | None:
        """The kept fit that makes the list of the home page; None where a served model does or is asked for."""
        fits = self.site.own_fits
        is_asked = "model" in self.request.query_params
        return None if fits is None or is_asked else fits.at_home_of(self.fits_owner)

    @property
    def fits_owner(self) -> str:
        """The secret to which the fits of this browser belong, empty without one."""
        found = self.request.cookies.get(secret_cookie(self.request, OWN_FITS_COOKIE), "")
        return found if _OWN_FITS_TOKEN.fullmatch(found) else ""

    def respond(self, template: str, status: int = 200, **values: Any) -> Response:  # noqa: ANN401
        """A whole page. Without a value `n_watched` for its header, the log is read."""
        request = self.request
        path = site_path(request.scope) + (f"?{request.url.query}" if request.url.query else "")
        identity = self.site.visitors.identity(request)
        shared: dict[str, Any] = {
            "here": path if request.method == "GET" else "/",
            "site_url": str(request.base_url),
            "list_id": new_list_id(),
            "model": "",
            "q": "",
            "csrf": page_token(request),
            "notice": "error.no_database" if getattr(request.state, "without_database", False) else "",
            "lab": request.cookies.get(LAB_COOKIE) == "open",
            "kept_fits": self.kept_fits,
            "looking_as": taste_of(self.texts, self.person) if self.person else "",
            "member": identity.name if identity else None,
        }
        if "n_watched" not in values:
            shared["n_watched"] = len(self.visitor.watched)
        html = self.render(template, **shared | values)
        self.impressions.write()
        response = PageResponse(html, status, {"Vary": "Cookie, Accept-Language"})
        self.site.visitors.keep_cookie(request, response)
        return response

    def render(self, template: str, **values: Any) -> str:  # noqa: ANN401
        """A template in the visitor's language, with these values alone; its links work below a root path."""
        html = self.resources.renderer.render(template, self.texts, values)
        return with_root(html, self.request.scope.get("root_path", ""))


def taste_of(texts: Texts, person: SamplePerson) -> str:
    """A sample person by taste: `Horror and Thriller`."""
    first, *rest = map(texts.genre, person.genres)
    return texts("people.both", first=first, second=rest[0]) if rest else first


def page_context(request: Request) -> PageContext:
    """The context of a request, for error handlers, which have no dependencies."""
    resources: PageResources = getattr(request.state, "resources", request.app.state.resources)
    return PageContext(request, resources.site, resources)


async def get_page(request: Request, site: CurrentSite) -> PageContext:
    """The context of the page."""
    return PageContext(request, site, request.state.resources)


Page = Annotated[PageContext, Depends(get_page)]


def get_visitor(page: Page) -> VisitorState:
    """What the visitor did."""
    return page.visitor


Visitor = Annotated[VisitorState, Depends(get_visitor)]


def own_path(path: str) -> str:
    """A path of this site; `/` in place of an address elsewhere."""
    safe = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()
    return path if safe else "/"
