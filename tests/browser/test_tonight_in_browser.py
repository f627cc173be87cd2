"""An evening in a real browser: a funny film of the eighties without war, one for later, and the page of a film."""

import pytest
from playwright.sync_api import Browser, expect

from browser_fixtures import listed, opened, overflowing_widths, serious_violations

pytestmark = pytest.mark.browser
ALIEN = "1214"


@pytest.mark.parametrize(("javascript", "locale"), [(True, "en-US"), (False, "ko-KR")])
def test_a_funny_film_of_the_eighties_that_is_not_about_war(
    browser: Browser, address: str, javascript: bool, locale: str
) -> None:
    context = browser.new_context(java_script_enabled=javascript, locale=locale)
    page, wrong = opened(context, address)
    page.locator("#tonight summary").click()
    page.locator('#tonight input[name="only"][value="Comedy"]').focus()
    page.keyboard.press("Space")
    page.locator('#tonight input[name="never"][value="War"]').focus()
    page.keyboard.press("Space")
    page.locator('#tonight input[name="first"]').fill("1980")
    page.locator('#tonight input[name="last"]').fill("1989")
    page.keyboard.press("Enter")
    expect(page.locator("#tonight .chosen")).to_contain_text("1980–1989")
    first = listed(page, "tonight")
    assert len(first) == 3
    page.goto(f"{address}/movie/{first[0]}")
    expect(page.locator(".kicker")).to_contain_text("Comedy" if locale == "en-US" else "코미디")
    page.goto(address)
    assert listed(page, "tonight") == first  # remembered
    if javascript:  # axe is a script
        assert serious_violations(page) == []
    page.locator("#tonight .aside button").click()
    expect(page.locator("#tonight .chosen")).to_have_count(0)
    assert wrong == []
    context.close()


@pytest.mark.parametrize("javascript", [True, False])
def test_a_bookmark_keeps_a_film_for_later(browser: Browser, address: str, javascript: bool) -> None:
    context = browser.new_context(java_script_enabled=javascript)
    page, wrong = opened(context, address)
    first = listed(page, "tonight")[0]
    with page.expect_response("**/my/link" if javascript else "**/mark"):
        page.locator(f'#tonight [data-item="{first}"] .later').click()
    if javascript:
        expect(page.locator(f'#tonight [data-item="{first}"] .later')).to_have_attribute("aria-pressed", "true")
        expect(page.locator("#status")).to_contain_text("Kept for later")
    else:
        expect(page.locator("#later [data-item]")).to_have_count(1)
    page.goto(f"{address}/my/later")
    assert listed(page, "for-later") == [first]
    if javascript:
        assert serious_violations(page) == []
    page.get_by_role("button", name="Show it in other lists too").click()
    expect(page.locator("#choice")).to_contain_text("may show what you keep")
    with page.expect_response("**/my/link" if javascript else "**/mark"):
        page.locator("#for-later .later").click()
    if not javascript:
        expect(page.locator("main")).to_contain_text("Nothing yet")
    page.goto(f"{address}/my/later")
    expect(page.locator("main")).to_contain_text("Nothing yet")
    assert wrong == []
    context.close()


def test_a_film_page_has_ratings_reasons_and_no_film_twice(browser: Browser, address: str) -> None:
    context = browser.new_context()
    page, wrong = opened(context, address, f"/movie/{ALIEN}")
    expect(page.locator(".ratings svg rect")).to_have_count(10)
    expect(page.locator(".ratings")).to_contain_text("of 5")
    page.locator('.yours button[value="5"]').click()
    expect(page.locator(".yours .remove")).to_be_visible()
    page.goto(f"{address}/movie/1200")
    expect(page.locator(".for-me")).to_contain_text("Because you liked Alien")
    everything = listed(page, "similar") + listed(page, "liked-too")
    assert len(everything) == len(set(everything)) == 18
    assert serious_violations(page) == []
    assert overflowing_widths(page) == []
    page.get_by_role("button", name="Something like this, but lighter").click()
    expect(page.locator("#tonight .heading")).to_contain_text("something like Aliens, but lighter")
    assert wrong == []
    context.close()
