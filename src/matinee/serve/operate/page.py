"""`/operate`: how the site does, on one page, for its operator."""

import base64
import binascii

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse, RedirectResponse
from starlette.exceptions import HTTPException

from matinee.serve.api.dependencies import find_key, key_of_text, require_key
from matinee.serve.dependencies import CurrentSite
from matinee.serve.operate.drawing import draw
from matinee.serve.operate.overview import Overviews
from matinee.serve.pages.context import Page
from matinee.serve.site import Site
from matinee.store.api_keys import ApiKey

CHALLENGE = 'Basic realm="Matinee", charset="UTF-8"'

router = APIRouter()


@router.get("/operate")
async def beginning() -> Response:
    """To the page: browsers send what they are asked for below `/operate/` to all of it, and to nothing else."""
    return RedirectResponse("/operate/", 303)


@router.get("/operate/")
def operate(request: Request, site: CurrentSite, page: Page) -> Response:
    """The operator's page, for an API key of scope admin: as the password that the browser asks for, or as a bearer."""
    try:
        require_key(_key(request, site), "admin")
    except HTTPException as error:
        headers = dict(error.headers or {}) | ({"WWW-Authenticate": CHALLENGE} if error.status_code == 401 else {})
        return PlainTextResponse(f"{error.detail}\n", error.status_code, headers)
    gatherer: Overviews = request.app.state.overviews
    found = gatherer.gather(request.app.state.site, request.app.state.version)
    return page.respond("operate.html", n_watched=0, **draw(found, page.texts, page.resources.model_cards))


def _key(request: Request, site: Site) -> ApiKey | None:
    """The key of a request. Raises HTTPException as `find_key`."""
    scheme, _, sent = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return find_key(request, site)
    try:
        _, _, password = base64.b64decode(sent, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        password = ""
    return key_of_text(request, site, password)
