"""One real server and one real browser for all browser tests, and the actions that tests share."""

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from json import dumps
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from axe_playwright_python.sync_playwright import Axe
from fastapi import FastAPI
from playwright.sync_api import Browser, BrowserContext, Page, Request, sync_playwright

from matinee import workflow
from matinee.dataset import Dataset
from matinee.serve.app import create_app
from matinee.serve.options import SiteOptions
from matinee.serve.own_fits.fits import OwnFitOptions
from matinee.serve.pages.context import LAB_COOKIE
from matinee.store.artefact import save
from needs import require
from site_fixtures import CHEAP, NOW, copying_fit

ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip
RULES = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
MEASURED: dict[str, dict[str, Any]] = {
    "popularity": {},
    "item-knn": {},
    "ease": {},
    "bpr": {"epochs": 3, "dim": 8},
    "markov": {},
}
"""The baselines, a model with a training curve, and a next-movie model."""


@pytest.fixture(scope="session")
def measured_paths(known_movies: Dataset, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Artefacts with their evaluation, as the demo makes them, trained for few epochs."""
    folder = tmp_path_factory.mktemp("measured")
    parts = workflow.split(known_movies)
    for name, settings in MEASURED.items():
        fitted = workflow.fit(name, parts, **settings)
        report = workflow.evaluate(fitted, parts, k=(10,), samples=100)
        save(fitted.with_manifest(workflow.quality(report)), folder / name)
        if fitted.model.curves:
            (folder / name / "curves.json").write_text(dumps(list(fitted.model.curves)), "utf-8")
    return [folder / name for name in MEASURED]


@pytest.fixture(scope="session")
def site_app(measured_paths: list[Path], tmp_path_factory: pytest.TempPathFactory) -> FastAPI:
    """The site of most browser tests."""
    db = tmp_path_factory.mktemp("browser") / "site.db"
    options = SiteOptions(own_fits=OwnFitOptions(command=copying_fit(0.4)))
    return create_app(measured_paths, db_url=f"sqlite:///{db}", clock=lambda: NOW, hasher=CHEAP, options=options)


@pytest.fixture(scope="session")
def address(site_app: FastAPI) -> Iterator[str]:
    """A real server on a free port."""
    with served(site_app) as address:
        yield address


@contextmanager
def served(app: FastAPI) -> Iterator[str]:
    """An app on a real server with a free port: its address."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    until = time.monotonic() + 20
    while not server.started and time.monotonic() < until:
        time.sleep(0.02)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium without a window; each test opens a context of its own.

    It ends with its file: while playwright runs, no other test of the process can run an event loop.
    """
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    require(path is not None, "Chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


def opened(context: BrowserContext, address: str, path: str = "", *, lab: bool = True) -> tuple[Page, list[str]]:
    """A page, and a list that collects its errors and its requests to other sites. lab: whether lists name models."""
    if lab:
        context.add_cookies(
            [{"name": LAB_COOKIE, "value": "open", "url": address, "httpOnly": True, "sameSite": "Lax"}]
        )
    page = context.new_page()
    page.set_default_timeout(15_000)
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("requestfailed", lambda request: left(request) or wrong.append(f"failed: {request.url}"))
    page.on("request", lambda request: None if request.url.startswith(address) else wrong.append(f"out: {request.url}"))
    page.goto(address + path)
    return page, wrong


def left(request: Request) -> bool:
    """Whether a request was cancelled because the next page was requested."""
    return request.failure == "net::ERR_ABORTED"


def listed(page: Page, section: str) -> list[str]:
    """The item ids of a section, in order."""
    found: list[str] = page.locator(f"#{section} [data-item]").evaluate_all("all => all.map(one => one.dataset.item)")
    return found


def rate(page: Page, section: str, item_id: str, stars: int) -> None:
    """Click on a star."""
    page.locator(f'#{section} [data-item="{item_id}"] button[value="{stars}"]').click()


def serious_violations(page: Page) -> list[tuple[str, str]]:
    """Rules of accessibility that a page breaks seriously, each with the beginning of the first element."""
    found = Axe().run(page, options=RULES).response["violations"]
    return [(one["id"], one["nodes"][0]["html"][:200]) for one in found if one["impact"] in ("serious", "critical")]


def overflowing_widths(page: Page) -> list[int]:
    """Widths of a phone, a tablet and a desktop at which a page is wider than its window."""
    wide = []
    for width in (320, 768, 1360):
        page.set_viewport_size({"width": width, "height": 800})
        if page.evaluate("document.documentElement.scrollWidth") > width:
            wide.append(width)
    return wide
