"""Every page that the application has is accessible, in both languages, both colours, on a desktop and a phone."""

from collections.abc import Iterator
from secrets import token_hex

import pytest
from fastapi import FastAPI
from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize, expect

from browser_fixtures import opened, serious_violations
from site_fixtures import routes_of

pytestmark = pytest.mark.browser
ALIEN, ALIENS, MATRIX, TOY_STORY = "1214", "1200", "2571", "1"
PASSWORD = "correct horse battery"
PAGES = {
    "/": ("/",),
    "/movie/{item_id:path}": (f"/movie/{ALIEN}", f"/movie/{ALIENS}", "/movie/none"),
    "/item/{item_id:path}": (f"/item/{ALIENS}",),
    "/why/{item_id:path}": (f"/why/{TOY_STORY}", f"/why/{ALIENS}?model=ease&change=true"),
    "/search": ("/search?q=star", "/search?q=zzzz", "/search"),
    "/my": ("/my",),
    "/my/later": ("/my/later",),
    "/my/import": ("/my/import",),
    "/my/delete": ("/my/delete",),
    "/my/deleted": ("/my/deleted",),
    "/models": ("/models",),
    "/models/{name:path}": ("/models/bpr", "/models/sasrec", "/models/none"),
    "/compare": ("/compare?models=ease,item-knn,markov",),
    "/lab/map": ("/lab/map?find=alien",),
    "/lab/fits/{fit_id}": ("a fit",),
    "/about": ("/about",),
    "/sign-up": ("/sign-up",),
    "/log-in": ("/log-in",),
    "/account": ("/account",),
    "/operate/": ("/operate/",),
    "/api/docs": ("/api/docs",),
}
"""Addresses of each page; of some, of what it is in another state too."""
NO_PAGES = {
    "/search/suggest", "/my/link", "/picture/{item_id:path}", "/preview.png", "/preview/{item_id:path}", "/my/nine.png",
    "/my/nine.svg", "/my/data.json", "/my/data.csv", "/manifest.webmanifest", "/robots.txt", "/language", "/operate",
    "/metrics", "/api/openapi.json",
}  # fmt: skip
"""Fragments, pictures, files and ways to a page."""
PROGRAMS = ("/api/v1/", "/health")
LOOKS: tuple[tuple[str, str, ViewportSize], ...] = (
    ("en-US", "light", {"width": 1280, "height": 900}),
    ("ko-KR", "dark", {"width": 390, "height": 844}),
)
Visitors = dict[str, tuple[BrowserContext, str]]


def test_every_route_is_a_page_of_these_or_no_page(site_app: FastAPI) -> None:
    """A new page is added to `PAGES`, and so looked at."""
    found = {route.path for route in routes_of(site_app) if "GET" in (route.methods or ())}
    assert {path for path in found if not path.startswith(PROGRAMS)} == set(PAGES) | NO_PAGES


def sign_up(page: Page, address: str) -> None:
    page.goto(f"{address}/sign-up?next=/account")
    page.locator('form.account input[name="name"]').fill(f"Ada {token_hex(4)}")
    page.locator('form.account input[name="password"]').fill(PASSWORD)
    page.locator("form.account button").click()
    expect(page.locator("header .member")).to_be_visible()


@pytest.fixture(scope="module", params=LOOKS, ids=["English", "Korean"])
def visitors(browser: Browser, address: str, site_app: FastAPI, request: pytest.FixtureRequest) -> Iterator[Visitors]:
    """By route, "" for all others: a context, and the address of the page if it is the visitor's own.

    A guest who rated two movies and made a fit, a member, an operator, and one who deleted everything.
    """
    locale, scheme, viewport = request.param
    key = site_app.state.site.api_keys.create("operator", ["admin"])[1]

    def new_guest(**more: object) -> tuple[BrowserContext, Page]:
        options: dict[str, object] = {"locale": locale, "color_scheme": scheme, "viewport": viewport}
        context = browser.new_context(reduced_motion="reduce", **options | more)  # type: ignore[arg-type]
        page, _ = opened(context, address)
        for item, stars in ((ALIEN, 5), (MATRIX, 4)):
            page.goto(f"{address}/movie/{item}")
            page.locator(f'.yours button[value="{stars}"]').click()
            expect(page.locator(".yours .remove")).to_be_visible()
        return context, page

    guest, page = new_guest()
    page.goto(f"{address}/models/item-knn")
    page.locator("#own-neighbours").fill("20")
    page.locator("#refit button").click()
    expect(page.locator("#quality")).to_be_visible(timeout=60_000)
    fit = page.url.removeprefix(address)
    member, page = new_guest()
    sign_up(page, address)
    gone, page = new_guest()
    page.goto(f"{address}/my/delete")
    page.locator("#delete button").click()
    expect(page).to_have_url(f"{address}/my/deleted")
    operator = browser.new_context(
        locale=locale, color_scheme=scheme, viewport=viewport, http_credentials={"username": "me", "password": key}
    )
    yield {
        "": (guest, ""),
        "/lab/fits/{fit_id}": (guest, fit),
        "/account": (member, ""),
        "/my/deleted": (gone, ""),
        "/operate/": (operator, ""),
    }
    for context in (guest, member, gone, operator):
        context.close()


@pytest.mark.parametrize("route", PAGES)
def test_a_page_has_no_serious_accessibility_violation(visitors: Visitors, address: str, route: str) -> None:
    context, own = visitors.get(route, visitors[""])
    for path in PAGES[route]:
        page, _ = opened(context, address, own or path)
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        found = serious_violations(page)
        page.close()
        assert (found, wide) == ([], 0), path
