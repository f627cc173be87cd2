"""The pages: short views over the engine and the log. Every one works without JavaScript.

A subject is a class with `Frame` in and `add_to(router)`; its line in SUBJECTS puts its pages on the site.
"""

from typing import Protocol

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from matinee.serve.pages.about import AboutPages
from matinee.serve.pages.account import AccountPages
from matinee.serve.pages.base import Frame
from matinee.serve.pages.home import HomePages
from matinee.serve.pages.language import LanguagePages
from matinee.serve.pages.mine import MinePages
from matinee.serve.pages.models import ModelPages
from matinee.serve.pages.movie import MoviePages
from matinee.serve.pages.search import SearchPages
from matinee.serve.pages.transfer import TransferPages
from matinee.serve.pages.why import WhyPages
from matinee.serve.site import Site


class Subject(Protocol):
    """The pages of one subject."""

    def __init__(self, frame: Frame) -> None: ...

    def add_to(self, router: APIRouter) -> None:
        """Add its routes."""
        ...


SUBJECTS: tuple[type[Subject], ...] = (
    HomePages,
    SearchPages,
    MoviePages,
    ModelPages,
    WhyPages,
    MinePages,
    AccountPages,
    TransferPages,
    AboutPages,
    LanguagePages,
)


class Pages:
    """The site's pages as routes, over one frame."""

    def __init__(self, site: Site) -> None:
        self.frame = Frame(site)

    def router(self) -> APIRouter:
        """All pages."""
        router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)
        for subject in SUBJECTS:
            subject(self.frame).add_to(router)
        return router
