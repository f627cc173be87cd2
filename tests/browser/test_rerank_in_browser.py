"""Reranking, explanations and "not interested" in a real browser, with and without JavaScript."""

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from browser_fixtures import listed, opened, rate

pytestmark = pytest.mark.browser
ALIEN, TOY_STORY = "1214", "1"
BOTH = pytest.mark.parametrize("javascript", [True, False])


def liked_alien(page: Page, address: str) -> None:
    page.goto(f"{address}/movie/{ALIEN}")
    page.get_by_role("button", name="Rate Alien 5 of 5").click()
    expect(page.get_by_role("heading", name="You gave it 5 of 5")).to_be_visible()
    page.goto(address)


def slide(page: Page, name: str, value: str) -> None:
    """Move a slider with the keyboard: to its left end, then step by step."""
    slider = page.locator(f'#rerank input[name="{name}"]')
    slider.focus()
    page.keyboard.press("Home")
    steps = round((float(value) - float(slider.get_attribute("min") or 0)) / 0.25)
    for _ in range(steps):
        page.keyboard.press("ArrowRight")


@BOTH
def test_a_list_is_reranked_and_reset(browser: Browser, address: str, javascript: bool) -> None:
    context = browser.new_context(java_script_enabled=javascript)
    page, wrong = opened(context, address)
    liked_alien(page, address)
    page.goto(f"{address}/models/ease")
    plain = listed(page, "list")
    page.locator("#rerank summary").click()
    page.get_by_label("Horror").check()
    if not javascript:
        page.get_by_role("button", name="Apply").click()
    expect(page.locator("#rerank summary b")).to_have_text("Adjusted")
    assert "genre=Horror" in page.url
    horror = listed(page, "list")
    assert horror != plain
    page.goto(f"{address}/movie/{horror[0]}")
    expect(page.locator(".kicker")).to_contain_text("Horror")
    page.go_back()
    page.get_by_role("link", name="Reset").click()
    expect(page.locator("#rerank summary b")).to_have_count(0)
    assert listed(page, "list") == plain
    assert wrong == []
    context.close()


def test_sliders_by_keyboard_keep_the_focus_and_change_the_list_at_once(browser: Browser, address: str) -> None:
    context = browser.new_context()
    page, wrong = opened(context, address)
    liked_alien(page, address)
    plain = listed(page, "for-you")
    page.locator("#rerank summary").click()
    page.locator('#rerank input[name="novelty"]').focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator("#rerank summary b")).to_have_text("Adjusted")
    expect(page.locator('#rerank input[name="novelty"]')).to_be_focused()
    expect(page.locator('#rerank input[name="novelty"]')).to_have_value("0.5")  # a quarter is the default
    page.keyboard.press("End")
    expect(page.locator('#rerank input[name="novelty"]')).to_have_value("1")
    page.wait_for_url("**novelty=1*")
    assert set(listed(page, "for-you")) != set(plain)
    expect(page.locator("#rerank")).to_have_attribute("open", "")
    page.locator('#rerank input[name="diversity"]').focus()
    page.keyboard.press("End")
    page.wait_for_url("**diversity=1*")
    page.locator("#for-you .choices a", has_text="ItemKNN").click()  # another model, reranked as before
    page.wait_for_url("**model=item-knn**novelty=1*")
    expect(page.locator("#rerank summary b")).to_have_text("Adjusted")
    assert wrong == []
    context.close()


@BOTH
def test_sliders_and_years_without_a_mouse(browser: Browser, address: str, javascript: bool) -> None:
    context = browser.new_context(java_script_enabled=javascript)
    page, _ = opened(context, address)
    liked_alien(page, address)
    if not javascript:
        page.goto(f"{address}/models/ease")
        page.locator("#rerank summary").click()
        slide(page, "diversity", "0.5")
        page.get_by_label("from", exact=True).fill("1990")
        page.get_by_label("to", exact=True).fill("1985")
        page.get_by_role("button", name="Apply").click()
        expect(page.locator("main")).to_contain_text("is later than the last")
        page.go_back()
    page.goto(f"{address}/?from=1950&to=1955&genre=Documentary&genre=Horror")
    expect(page.locator("#for-you")).to_be_visible()
    expect(page.locator("#rerank")).to_have_attribute("open", "")
    context.close()


@BOTH
def test_the_why_page_shows_what_each_movie_adds(browser: Browser, address: str, javascript: bool) -> None:
    context = browser.new_context(java_script_enabled=javascript)
    page, wrong = opened(context, address)
    liked_alien(page, address)
    rate(page, "for-you", TOY_STORY if TOY_STORY in listed(page, "for-you") else listed(page, "for-you")[0], 4)
    expect(page.locator("#my-link")).to_contain_text("2")
    page.goto(address)
    page.locator("#for-you .why").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Why ")
    expect(page.locator(".why .sentence")).to_contain_text("Because you liked")
    expect(page.locator("#parts tbody tr")).to_have_count(2)
    expect(page.locator("#parts")).to_contain_text("Alien")
    expect(page.locator("main")).to_contain_text("Exact: with EASE")
    page.locator(".why .choices a", has_text="Popularity").click()
    expect(page.locator("main")).to_contain_text("No movie of yours adds anything")
    assert wrong == []
    context.close()


@BOTH
def test_not_interested_hides_and_can_be_undone(browser: Browser, address: str, javascript: bool) -> None:
    context = browser.new_context(java_script_enabled=javascript)
    page, wrong = opened(context, address)
    liked_alien(page, address)
    first = listed(page, "for-you")
    card = page.locator(f'#for-you [data-item="{first[0]}"]')
    card.hover()
    card.locator(".hide").click()
    if javascript:  # it stays in its place, with Undo, until the next page
        expect(card.locator(".undo")).to_be_visible()
        assert listed(page, "for-you") == first
        expect(page.locator("#my-link")).to_contain_text("1")
        page.goto(address)
    expect(page.locator(f'#for-you [data-item="{first[0]}"]')).to_have_count(0)
    assert listed(page, "for-you")[:4] == first[1:5]
    page.goto(f"{address}/movie/{first[0]}")
    expect(page.locator(".hiding")).to_contain_text("You are not interested")
    page.locator(".hiding button").click()
    expect(page.locator(".hiding button")).to_have_text("Not interested")
    page.goto(address)
    assert listed(page, "for-you") == first
    expect(page.locator("#my-link")).to_contain_text("1")  # dismissing is not a rating
    assert wrong == []
    context.close()


def test_in_korean(browser: Browser, address: str) -> None:
    context = browser.new_context(locale="ko-KR")
    page, wrong = opened(context, address)
    page.goto(f"{address}/movie/{ALIEN}")
    page.locator('.yours button[value="5"]').click()
    expect(page.locator("#my-link")).to_contain_text("1")
    page.goto(address)
    page.locator("#rerank summary").click()
    expect(page.locator("#rerank")).to_contain_text("목록 조정")
    page.locator("#for-you .why").first.click()
    expect(page.locator("main")).to_contain_text("정확한 값")
    assert wrong == []
    context.close()


def test_the_rerank_panel_and_the_contributions_are_accessible(browser: Browser, address: str) -> None:
    context = browser.new_context()
    page, _ = opened(context, address)
    liked_alien(page, address)
    first = listed(page, "for-you")[0]
    page.goto(f"{address}/movie/{first}")
    page.locator(".hiding button").click()
    expect(page.locator(".hiding")).to_contain_text("You are not interested")
    for path in ("/?novelty=0.5&genre=Horror", "/models/ease?diversity=0.5", f"/why/{first}", "/my"):
        page.goto(address + path)
        found = Axe().run(page).response["violations"]
        assert [(one["id"], path) for one in found if one["impact"] in ("serious", "critical")] == []
    context.close()
