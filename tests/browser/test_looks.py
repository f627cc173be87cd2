"""How ten pages look, against small pictures in `looks/`.

`MATINEE_NEW_LOOKS=1` draws them again: look at each before it is kept.

A picture is grey and 160 pixels wide, without covers: neither a list that changes by a film nor the way a machine draws
letters moves it by much, while a row that breaks, a style that is missing or a box that grows does.
"""

import io
import os
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page

LOOKS = Path(__file__).parent / "looks"
SIZE = (160, 112)
FARTHEST = 5.0
"""Mean difference in grey, of 255, that passes."""
PLAIN = (
    ".cover { visibility: hidden } .poster { background: #888 } *, ::before, ::after { transition: none !important }"
)
PHONE = {"width": 390, "height": 844}
DESKTOP = {"width": 1280, "height": 900}
PAGES = {
    "guest": ("/", "en", DESKTOP, False),
    "home": ("/", "en", DESKTOP, True),
    "home-phone-korean": ("/", "ko", PHONE, True),
    "movie": ("/movie/1214", "en", DESKTOP, True),
    "movie-phone": ("/movie/1214", "en", PHONE, False),
    "search": ("/search?q=star", "en", DESKTOP, False),
    "my": ("/my", "en", DESKTOP, True),
    "models": ("/models", "ko", DESKTOP, False),
    "compare": ("/compare?models=ease,item-knn", "en", DESKTOP, True),
    "about": ("/about", "ko", DESKTOP, False),
}
Draw = Callable[[str, str], NDArray[np.float64]]


@pytest.fixture(scope="module")
def contexts(browser: Browser, address: str) -> Iterator[dict[tuple[str, bool], BrowserContext]]:
    """A context for each language, of a guest and of a visitor who rated a film."""
    made = {}
    for language, rated in {(language, rated) for _, language, _, rated in PAGES.values()}:
        context = browser.new_context(locale=language, bypass_csp=True, reduced_motion="reduce")
        if rated:
            page = context.new_page()
            page.goto(f"{address}/movie/2571")
            page.locator('.yours button[value="5"]').click()
            page.locator('.yours button[value="removed"]').wait_for()
            page.close()
        made[language, rated] = context
    yield made
    for context in made.values():
        context.close()


@pytest.fixture(scope="module")
def draw(contexts: dict[tuple[str, bool], BrowserContext], address: str) -> Draw:
    """A function that draws a page with a style added to it, grey and small."""

    def drawn(name: str, style: str = PLAIN) -> NDArray[np.float64]:
        path, language, window, rated = PAGES[name]
        page: Page = contexts[language, rated].new_page()
        page.set_viewport_size(window)
        page.goto(address + path)
        page.add_style_tag(content=style)
        page.evaluate("document.fonts.ready")
        picture = Image.open(io.BytesIO(page.screenshot())).convert("L").resize(SIZE, Image.Resampling.BOX)
        page.close()
        return np.asarray(picture, dtype=np.float64)

    return drawn


def distance(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    return float(np.abs(one - other).mean())


def kept(name: str) -> NDArray[np.float64]:
    return np.asarray(Image.open(LOOKS / f"{name}.png"), dtype=np.float64)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_looks_as_it_did(name: str, draw: Draw) -> None:
    found = draw(name, PLAIN)
    if os.environ.get("MATINEE_NEW_LOOKS"):
        LOOKS.mkdir(exist_ok=True)
        Image.fromarray(found.astype(np.uint8)).save(LOOKS / f"{name}.png")
    assert distance(found, kept(name)) < FARTHEST, f"{name} looks different; see the head of this file"


def test_pages_that_look_different_are_told_apart() -> None:
    pictures = [kept(name) for name in PAGES]
    assert min(distance(one, other) for one, other in combinations(pictures, 2)) > FARTHEST


@pytest.mark.parametrize("fault", [".grid { display: block }", ".marks { display: none } h1 { font-size: 9rem }"])
def test_a_broken_style_is_noticed(fault: str, draw: Draw) -> None:
    assert distance(draw("home", PLAIN + fault), kept("home")) > FARTHEST
