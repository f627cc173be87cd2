"""Which of a site's artefacts can be served together, and the answer of a site that cannot start."""

import logging
from collections.abc import Sequence
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, JSONResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.staticfiles import StaticFiles

from matinee.errors import MatineeError
from matinee.recommender import require_same_items
from matinee.serve.http.middleware import SecurityMiddleware
from matinee.serve.pages.i18n import texts_for
from matinee.serve.pages.rendering import HERE, STATIC
from matinee.store.artefact import Artefact, load

_log = logging.getLogger("matinee")


def load_compatible(paths: Sequence[Path]) -> tuple[list[Artefact], list[str]]:
    """The artefacts that load and fit the first that does, and the folder names of the others.

    The log says why each of the others is left out.
    """
    found: list[Artefact] = []
    left_out: list[str] = []
    for path in paths:
        try:
            artefact = load(path)
            require_same_items([*found, artefact])
            found.append(artefact)
        except MatineeError as error:
            _log.warning("left out: %s", error)
            left_out.append(path.name)
    return found, left_out


def unavailable_app(reason: str) -> FastAPI:
    """A site that cannot start: every page is a 503 that says so. The log has the reason, the page does not."""
    _log.error("the site cannot start: %s; `matinee doctor` checks artefacts and database", reason)
    templates = Environment(loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined)
    app = FastAPI(title="Matinee", openapi_url=None)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")

    @app.get("/health/live")
    def live() -> dict[str, str]:
        return {"status": "alive"}

    @app.get("/{path:path}")
    @app.post("/{path:path}")
    def unavailable(request: Request, path: str) -> Response:
        texts = texts_for(request)
        if path.startswith(("api/", "health/")):
            return JSONResponse({"status": "not ready", "detail": texts("closed.why")}, 503)
        html = templates.get_template("unavailable.html").render(t=texts, h=texts.html, lang=texts.language)
        return HTMLResponse(html, 503, {"Retry-After": "60"})

    app.add_middleware(SecurityMiddleware)
    return app
