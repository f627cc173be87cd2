"""What this is."""

from fastapi import APIRouter, Request, Response

from matinee.serve.pages.base import Frame


class AboutPages:
    """The site in words, and its API in words."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame

    def add_to(self, router: APIRouter) -> None:
        """Add its routes."""
        router.get("/about")(self.about)
        router.get("/api/docs")(self.api_docs)

    def about(self, request: Request) -> Response:
        """What this is, where the data come from, what is kept of a visitor."""
        data = [artefact.manifest.get("data", {}) for artefact in self._frame.site.engine.artefacts.values()]
        return self._frame.page(request, "about.html", data=data[0])

    def api_docs(self, request: Request) -> Response:
        """The API, from its own OpenAPI description."""
        return self._frame.page(request, "api.html", schema=request.app.openapi())
