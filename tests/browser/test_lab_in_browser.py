"""The lab in a real browser: its switch, a fit in sight, the map, sample people, compare, and accessibility."""

import re

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
    for path in ("/models", "/models/bpr", "/models/sasrec", "/compare?models=ease,item-knn", "/lab/map?find=alien"):
        page.set_viewport_size({"width": 1280, "height": 800})
        page.goto(address + path)
        assert serious_violations(page) == [], path
        assert overflowing_widths(page) == [], path
    assert wrong == []
    context.close()


@pytest.mark.parametrize("javascript", [True, False], ids=["script", "no script"])
def test_a_model_is_fitted_with_other_settings_in_sight_and_kept(
    browser: Browser, address: str, javascript: bool
) -> None:
    context = browser.new_context(java_script_enabled=javascript, viewport={"width": 390, "height": 800})
    page, wrong = opened(context, address, "/movie/1214")
    page.locator('.yours button[value="5"]').click()
    expect(page.locator(".yours .remove")).to_be_visible()
    page.goto(f"{address}/models/item-knn")
    page.get_by_label("neighbours").fill("20")
    page.get_by_role("button", name="Fit", exact=True).click()
    expect(page.locator(".stage")).to_be_visible()
    expect(page.get_by_label("Progress")).to_be_visible()
    if javascript:
        assert serious_violations(page) == []
    expect(page.get_by_role("heading", name="How good it is")).to_be_visible()  # the page changes by itself
    expect(page.get_by_role("heading", level=1)).to_have_text("ItemKNN · neighbours 20")
    expect(page.locator("#compare .heading")).to_contain_text("12 of 12")
    if javascript:
        assert serious_violations(page) == []
        assert overflowing_widths(page) == []
    page.get_by_role("button", name="Keep it").click()
    page.goto(f"{address}/models/ease")
    page.get_by_role("link", name="ItemKNN · neighbours 20").click()
    page.get_by_role("button", name="Throw away").click()
    expect(page).to_have_url(f"{address}/models/item-knn#refit")
    expect(page.get_by_role("link", name="ItemKNN · neighbours 20")).to_have_count(0)
    assert wrong == []
    context.close()


def test_the_map_is_used_by_keyboard_mouse_and_without_script(browser: Browser, address: str) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page, wrong = opened(context, address, "/movie/1214")
    page.locator('.yours button[value="5"]').click()
    expect(page.locator(".yours .remove")).to_be_visible()
    page.goto(f"{address}/lab/map")
    expect(page.locator(".map a.own")).to_have_count(1)
    expect(page.locator(".map .names")).to_contain_text("Alien")
    everything = page.locator(".map").get_attribute("viewBox")
    page.locator(".map").focus()
    for key in ("ArrowRight", "ArrowDown", "ArrowLeft", "+", "+"):
        page.keyboard.press(key)
    title = (page.locator(".map-now").text_content() or "").partition(" · ")[0].removesuffix(" ★")
    expect(page.locator(".map-tip")).to_have_text(title)
    expect(page.locator(".map")).not_to_have_attribute("viewBox", everything or "")
    page.keyboard.press("0")
    expect(page.locator(".map")).to_have_attribute("viewBox", everything or "")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_contain_text(title.rpartition(" (")[0] or title)
    page.go_back()
    box = page.locator(".map a.own circle").bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] / 2 + 3, box["y"] + box["height"] / 2)
    expect(page.locator(".map-tip")).to_have_text("Alien (1979)")
    page.mouse.down()
    page.mouse.move(box["x"] + 150, box["y"] + 80, steps=4)
    page.mouse.up()
    expect(page).to_have_url(f"{address}/lab/map")  # a drag opens nothing
    expect(page.locator(".map")).not_to_have_attribute("viewBox", everything or "")
    assert wrong == []
    plain = browser.new_context(java_script_enabled=False, viewport={"width": 390, "height": 800})
    other, _ = opened(plain, address, "/lab/map?find=alien")
    other.locator(".map .found").first.click()
    expect(other).to_have_url(re.compile("/movie/"))
    plain.close()
    context.close()


def test_one_click_looks_as_somebody_else_and_one_leads_back(browser: Browser, address: str) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 800})
    page, wrong = opened(context, address, "/models")
    page.locator("#people button").first.click()
    expect(page.get_by_role("region", name="As somebody else")).to_contain_text("You are looking as")
    expect(page.locator("#for-you .card").first).to_be_visible()
    expect(page.locator(".marks:visible")).to_have_count(0)
    assert serious_violations(page) == []
    assert overflowing_widths(page) == []
    page.get_by_role("button", name="Back to mine").click()
    expect(page).to_have_url(f"{address}/models#people")
    expect(page.locator("body.looking")).to_have_count(0)
    expect(page.locator("#my-link b")).to_have_count(0)
    assert wrong == []
    context.close()


def test_compare_names_what_lists_share_have_alone_and_miss(browser: Browser, address: str) -> None:
    context = browser.new_context()
    page, wrong = opened(context, address, "/movie/1214")
    page.locator('.yours button[value="5"]').click()
    expect(page.locator(".yours .remove")).to_be_visible()
    page.goto(f"{address}/compare?models=ease,item-knn,popularity")
    found = page.locator(".column").evaluate_all(
        "all => all.map(one => [...one.querySelectorAll('.place')].map(place => place.dataset.item))"
    )
    lists = [set(items) for items in found]
    shared = page.locator(".in-all a")
    in_all = set.intersection(*lists)
    expect(shared).to_have_count(len(in_all) if len(in_all) < 12 else 0)
    for column, own in zip(page.locator(".column").all(), lists, strict=True):
        others = [each for each in lists if each is not own]
        alone = own - set.union(*others)
        missed = set.intersection(*others) - own
        said = column.locator(".telling p").all_text_contents()
        assert [text.startswith("Only here") for text in said] == [True] * bool(alone) + [False] * bool(missed)
        links = column.locator(".telling a").count()
        assert links == len(alone) + len(missed)
    assert wrong == []
    context.close()
