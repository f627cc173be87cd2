"""The lab in a real browser: its switch, a model that is not trained, and accessibility of its pages."""

import pytest
from playwright.sync_api import Browser, expect

from browser_fixtures import opened, overflowing_widths, serious_violations

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("javascript", [True, False], ids=["script", "no script"])
def test_the_lab_opens_and_closes(browser: Browser, address: str, javascript: bool) -> None:
    context = browser.new_context(java_script_enabled=javascript)
    page, wrong = opened(context, address, "/movie/1214", lab=False)
    page.locator('.yours button[value="5"]').click()
    expect(page.locator(".yours .remove")).to_be_visible()
    page.goto(address)
    expect(page.locator("#for-you")).to_be_visible()
    expect(page.locator('main a[href^="/models/"]')).to_have_count(0)
    page.get_by_role("link", name="Lab", exact=True).click()
    page.get_by_role("button", name="Open the lab").click()
    page.goto(address)
    expect(page.locator("#for-you .choices [aria-current]")).to_have_text("EASE")
    page.goto(f"{address}/models")
    page.get_by_role("button", name="Close the lab").click()
    page.goto(address)
    expect(page.locator("#for-you .choices")).to_have_count(0)
    assert wrong == []
    context.close()


@pytest.mark.parametrize("locale", ["en-US", "ko-KR"])
def test_pages_of_the_lab_are_accessible_and_fit_every_width(browser: Browser, address: str, locale: str) -> None:
    context = browser.new_context(locale=locale)
    page, wrong = opened(context, address)
    for path in ("/models", "/models/bpr", "/models/sasrec", "/compare?models=ease,item-knn"):
        page.set_viewport_size({"width": 1280, "height": 800})
        page.goto(address + path)
        assert serious_violations(page) == [], path
        assert overflowing_widths(page) == [], path
    assert wrong == []
    context.close()
