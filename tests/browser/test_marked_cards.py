"""A marked card stays where it is: filled before the answer, with Undo, as it was if the site refuses."""

import pytest
from playwright.sync_api import Browser, Page, Route, expect

from browser_fixtures import listed, opened, rate, serious_violations

pytestmark = pytest.mark.browser


def stars_of(page: Page, item_id: str) -> float:
    """The stars that a card shows."""
    pressed = page.locator(f'#start [data-item="{item_id}"] .stars [aria-pressed="true"]')
    return float(pressed.get_attribute("value") or 0) if pressed.count() else 0


def test_a_rated_card_stays_and_a_second_click_rates_no_other_film(browser: Browser, address: str) -> None:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    page, wrong = opened(context, address)
    start = listed(page, "start")
    box = page.locator(f'#start [data-item="{start[1]}"] button[value="4"]').bounding_box()
    assert box is not None
    for stars in (1, 2):  # the second click comes when the lists below have changed
        page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        expect(page.locator("#my-link")).to_contain_text("1")
        expect(page.locator("#for-you .card")).to_have_count(24)
        assert stars_of(page, start[1]) == 4, stars
    assert listed(page, "start") == start
    page.goto(f"{address}/my")
    assert listed(page, "mine") == [start[1]]
    assert wrong == []
    context.close()


def test_stars_fill_before_the_answer_and_go_back_with_a_word_if_refused(browser: Browser, address: str) -> None:
    context = browser.new_context()
    page, _ = opened(context, address)
    first, second = listed(page, "start")[:2]
    waiting: list[Route] = []
    page.route("**/mark", lambda route: waiting.append(route))
    rate(page, "start", first, 5)
    assert stars_of(page, first) == 5
    expect(page.locator("#my-link")).not_to_contain_text("1")
    waiting[0].continue_()
    expect(page.locator("#my-link")).to_contain_text("1")
    rate(page, "start", second, 3)
    assert stars_of(page, second) == 3
    waiting[1].fulfill(status=503, body="")
    expect(page.locator("#status")).to_contain_text("could not be saved")
    assert stars_of(page, second) == 0
    expect(page.locator(f'#start [data-item="{second}"] .undo')).to_have_count(0)
    context.close()


def test_undo_by_keyboard_gives_back_what_was_there(browser: Browser, address: str) -> None:
    context = browser.new_context()
    page, wrong = opened(context, address)
    first = listed(page, "start")[0]
    rate(page, "start", first, 2)
    expect(page.locator("#my-link")).to_contain_text("1")
    page.goto(address)
    second = listed(page, "start")[0]
    card = page.locator(f'#recent [data-item="{first}"]')
    card.locator('button[value="4.5"]').focus()
    page.keyboard.press("Enter")
    expect(card.locator(".done")).to_contain_text("4.5")
    assert serious_violations(page) == []
    card.locator(".undo").focus()
    page.keyboard.press("Enter")
    expect(card.locator(".undo")).to_have_count(0)
    expect(card.locator('.stars [aria-pressed="true"]')).to_have_attribute("value", "2")
    page.locator(f'#start [data-item="{second}"] button.seen').click()
    page.locator(f'#start [data-item="{second}"] .undo').click()
    expect(page.locator("#my-link")).to_contain_text("1")
    page.goto(f"{address}/my")
    assert listed(page, "mine") == [first]
    expect(page.locator('.line .stars [aria-pressed="true"]')).to_have_attribute("value", "2")
    assert wrong == []
    context.close()


def test_by_touch_targets_are_44_pixels_and_a_second_tap_gives_half_a_star(browser: Browser, address: str) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    page, wrong = opened(context, address)
    first = listed(page, "start")[0]
    card = page.locator(f'#start [data-item="{first}"]')
    boxes = card.locator("button").evaluate_all("all => all.map(b => [b.value, b.offsetWidth, b.offsetHeight])")
    wide = {value: width for value, width, _ in boxes}
    assert all(height >= 44 for _, _, height in boxes), boxes
    assert all(wide[f"{n - 0.5:g}"] + wide[str(n)] >= 44 for n in range(1, 6)), boxes
    card.locator('button[value="3.5"]').tap()
    expect(card.locator(".done")).to_contain_text("4 of 5")
    card.locator('button[value="4"]').tap()
    expect(card.locator(".done")).to_contain_text("3.5 of 5")
    expect(page.locator("#my-link")).to_contain_text("1")
    height = page.evaluate("document.documentElement.scrollHeight")
    assert height < 6500, "rows go sideways"
    assert wrong == []
    context.close()
