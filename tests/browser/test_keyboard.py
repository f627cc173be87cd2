"""A keyboard reaches everything in few steps, and whatever is on a cover can be read."""

import pytest
from playwright.sync_api import Browser, expect

from browser_fixtures import listed, opened, rate

STOPS = """[...document.querySelectorAll('a[href], button, input, select, textarea, summary')]
    .filter(one => one.tabIndex >= 0 && one.type !== 'hidden' && one.checkVisibility()).length"""
SMALLEST = """Math.min(...[...document.querySelectorAll('svg.cover text')].map(one => {
    if (!one.checkVisibility()) return 99;
    let cover = one.ownerSVGElement;
    while (cover.ownerSVGElement) cover = cover.ownerSVGElement;
    return cover.getBoundingClientRect().width / 240 * parseFloat(getComputedStyle(one).fontSize);
}))"""


def test_a_home_page_of_ratings_has_few_stops_and_arrows_reach_the_rest(browser: Browser, address: str) -> None:
    context = browser.new_context(viewport={"width": 1300, "height": 900})
    page, wrong = opened(context, address, lab=False)
    for item_id in listed(page, "start")[:3]:
        rate(page, "start", item_id, 5)
    expect(page.locator("#my-link")).to_contain_text("3")
    page.goto(address)
    assert page.evaluate(STOPS) < 80  # 581 where each star was one
    cards = page.locator("#for-you [data-item]")
    cards.first.locator("a.poster").focus()
    page.keyboard.press("ArrowRight")
    expect(cards.nth(1).locator("a.poster")).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(cards.nth(7).locator("a.poster")).to_be_focused()
    page.keyboard.press("Tab")
    expect(cards.nth(7).locator('button[value="0.5"]')).to_be_focused()
    page.keyboard.press("ArrowRight")
    expect(cards.nth(7).locator('button[value="1"]')).to_be_focused()
    page.keyboard.press("l")
    expect(cards.nth(7).locator("button.later")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")  # past the first row, to the section above
    assert page.evaluate("document.activeElement.closest('section').id") == "tonight"
    page.keyboard.press("4")
    expect(page.locator("#my-link")).to_contain_text("4")
    assert wrong == []
    context.close()


def test_without_script_every_star_is_a_stop(browser: Browser, address: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page, _ = opened(context, address)
    page.locator("#start a.poster").first.focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("#my-link")).to_contain_text("1")
    context.close()


@pytest.mark.parametrize("path", ["/", "/movie/1214", "/search?q=star"])
def test_what_a_cover_says_is_eleven_pixels_high_at_any_width(browser: Browser, address: str, path: str) -> None:
    context = browser.new_context()
    page, _ = opened(context, address, path)
    for width in (390, 620, 800, 1000, 1250, 1600):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate(SMALLEST) >= 11
    context.close()


@pytest.mark.parametrize("width", [390, 1000, 1250, 1280, 1600])
def test_the_buttons_of_a_card_stand_in_one_row(browser: Browser, address: str, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 900})
    page, _ = opened(context, address)
    rate(page, "start", listed(page, "start")[0], 5)
    expect(page.locator("#my-link")).to_contain_text("1")
    page.goto(address)
    for row in ("#tonight", "#for-you"):
        heights = page.locator(f"{row} .marks").evaluate_all("all => all.map(one => one.offsetHeight)")
        assert max(heights) < 40
    context.close()
