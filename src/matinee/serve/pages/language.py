"""Choosing the language."""

from fastapi import APIRouter, Request
from fastapi.responses import RedirectResponse, Response

from matinee.serve.pages.base import Frame, PageError, own_path
from matinee.serve.pages.i18n import COOKIE, TEXTS

COOKIE_SECONDS = 365 * 86_400


class LanguagePages:
    """The switch in the header. A choice of language is no event, and opens no session."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    def add_to(self, router: APIRouter) -> None:
        """Add its routes."""
        router.get("/language")(self.language)

    def language(self, request: Request, to: str = "", next: str = "/") -> Response:
        """Read this site in another language from now on; then back to the page it was chosen on."""
        if to not in TEXTS:
            raise PageError("error.no_language", languages=", ".join(TEXTS))
        response = RedirectResponse(own_path(next), status_code=303)
        secure = request.url.scheme == "https"
        response.set_cookie(COOKIE, to, max_age=COOKIE_SECONDS, httponly=True, samesite="lax", secure=secure)
        return response
