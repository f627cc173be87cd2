"""Looking at the site as one of five sample people, until one leaves again."""

from typing import Annotated

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from matinee.serve.accounts.sessions import cookie_path
from matinee.serve.pages.context import PERSON_COOKIE, Page, own_path
from matinee.serve.pages.errors import PageError

router = APIRouter()


@router.post("/lab/person")
def look_as(
    request: Request,
    page: Page,
    person: Annotated[str, Form(max_length=10)] = "",
    next_path: Annotated[str, Form(alias="next", max_length=500)] = "/",
) -> Response:
    """Look as a sample person from here on, or as oneself again (empty). Writes no event."""
    if person and page.resources.sample_people.find(person) is None:
        raise PageError("people.unknown", 404)
    response = RedirectResponse(own_path(next_path), status_code=303)
    path, secure = cookie_path(request), request.url.scheme == "https"
    if person:
        response.set_cookie(PERSON_COOKIE, person, path=path, httponly=True, samesite="lax", secure=secure)
    else:
        response.delete_cookie(PERSON_COOKIE, path=path, httponly=True, samesite="lax", secure=secure)
    return response
