"""The lab: the models behind the lists, for anyone who wants to see them. It is open or closed in one browser."""

from typing import Annotated, Literal

from fastapi import APIRouter, Form, Request
from fastapi.responses import RedirectResponse, Response

from matinee.serve.accounts.sessions import cookie_path
from matinee.serve.pages.context import LAB_COOKIE, own_path

COOKIE_SECONDS = 365 * 86_400

router = APIRouter()


@router.post("/lab")
def switch(
    request: Request,
    state: Annotated[Literal["open", "closed"], Form()],
    next_path: Annotated[str, Form(alias="next")] = "/models",
) -> Response:
    """Open the lab, so that each list names its model and can be made by another one, or close it."""
    response = RedirectResponse(own_path(next_path), status_code=303)
    path, secure = cookie_path(request), request.url.scheme == "https"
    response.set_cookie(
        LAB_COOKIE, state, max_age=COOKIE_SECONDS, path=path, httponly=True, samesite="lax", secure=secure
    )
    return response
