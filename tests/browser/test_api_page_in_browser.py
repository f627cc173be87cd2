"""The API's page tries routes from its own forms, in a real browser, below a root path too."""

from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from browser_fixtures import opened, overflowing_widths, serious_violations, served
from matinee.serve.app import create_app
from matinee.serve.options import SiteOptions
from site_fixtures import CHEAP, NOW

pytestmark = pytest.mark.browser


def send(page: Page, path: str, method: str, **fields: str) -> str:
    """Fill in the form of a route and send it: the line about the answer."""
    form = page.locator(f'form.try[action$="{path}"][data-method="{method}"]')
    for name, value in fields.items():
        form.locator(f'[name="{name}"]').fill(value)
    form.locator("button").click()
    expect(form.locator("output")).not_to_be_empty()
    return form.locator("output").inner_text()


@pytest.mark.parametrize("root", ["", "/films"])
def test_routes_are_tried_from_the_page(
    browser: Browser, artefact_paths: list[Path], tmp_path: Path, root: str
) -> None:
    options = SiteOptions(root_path=root)
    app = create_app(
        artefact_paths, db_url=f"sqlite:///{tmp_path}/s.db", clock=lambda: NOW, hasher=CHEAP, options=options
    )
    _, key = app.state.site.api_keys.create("a person", ("read",))
    with served(app) as address:
        page, wrong = opened(browser.new_context(), address, f"{root}/api/docs")
        assert ": 200" in send(page, "/api/v1/recommendations", "GET", history="1214", k="3")
        assert ": 200" in send(page, "/api/v1/recommendations", "POST")
        assert ": 201" in send(page, "/api/v1/events", "POST")
        assert f"{root}/api/v1/items/1214/similar?k=2: 200" in send(
            page, "/api/v1/items/{item_id}/similar", "GET", item_id="1214", k="2"
        )
        page.on("dialog", lambda dialog: dialog.accept())
        assert ": 200" in send(page, "/api/v1/users/{user_id}", "DELETE", user_id="me")
        page.locator("#api-key").fill(key)
        assert ": 200" in send(page, "/api/v1/recommendations", "GET", history="", user_id="1")
        assert serious_violations(page) == []
        assert overflowing_widths(page) == []
        assert wrong == []
        page.context.close()
    app.state.site.database.close()


def test_without_script_the_page_is_a_description(browser: Browser, artefact_paths: list[Path], tmp_path: Path) -> None:
    app = create_app(artefact_paths[:1], db_url=f"sqlite:///{tmp_path}/s.db", clock=lambda: NOW, hasher=CHEAP)
    with served(app) as address:
        page, wrong = opened(browser.new_context(java_script_enabled=False), address, "/api/docs")
        expect(page.locator("form.try:visible")).to_have_count(0)
        expect(page.locator("article h2").first).to_be_visible()
        assert wrong == []
        page.context.close()
    app.state.site.database.close()
