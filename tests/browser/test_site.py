"""A first visit in a real browser: search, rate three movies, see the list change and its reasons."""

import pytest
from playwright.sync_api import Browser, expect

from browser_fixtures import listed, opened, rate

pytestmark = pytest.mark.browser
ALIEN, MATRIX = "1214", "2571"


@pytest.mark.parametrize("javascript", [True, False])
def test_a_first_visit_from_search_to_reasons(browser: Browser, address: str, javascript: bool) -> None:
    context = browser.new_context(java_script_enabled=javascript)
    page, wrong = opened(context, address)
    expect(page.get_by_role("heading", level=1)).to_contain_text("Tell us three")
    expect(page.locator("#for-you")).to_have_count(0)

    page.get_by_label("Search movies by title").fill("the matrx")
    if javascript:
        page.get_by_role("option").first.wait_for()
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    if not javascript:
        page.locator("#results a.poster").first.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("The Matrix")
    page.get_by_role("button", name="Rate The Matrix 5 of 5").click()
    expect(page.get_by_role("heading", name="You gave it 5 of 5")).to_be_visible()

    page.get_by_role("link", name="Matinee", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("2 more")
    expect(page.locator("#for-you .because").first).to_contain_text("Because you liked The Matrix")
    one = listed(page, "for-you")
    start = listed(page, "start")
    rate(page, "start", start[0], 5)
    expect(page.get_by_role("heading", level=1)).to_contain_text("1 more")
    two = listed(page, "for-you")
    assert two != one
    assert start[0] not in two
    rate(page, "for-you", two[0], 4)
    expect(page.locator("#my-link")).to_contain_text("3")
    page.goto(address)
    expect(page.get_by_role("heading", level=1)).to_contain_text("That’s enough")
    page.get_by_role("button", name="Close this").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("For you")
    three = listed(page, "for-you")
    assert three != two
    assert two[0] not in three
    assert listed(page, "recent") == [two[0], start[0], MATRIX]

    page.locator("#for-you .choices a", has_text="ItemKNN").click()
    expect(page.locator("#for-you .choices [aria-current]")).to_have_text("ItemKNN")
    assert page.url.endswith("?model=item-knn")
    assert listed(page, "for-you") != three

    page.locator("#my-link").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("My movies")
    page.get_by_role("button", name="Remove The Matrix from my movies").click()
    expect(page.locator("#my-link")).to_contain_text("2")
    page.goto(f"{address}/my")
    assert listed(page, "mine") == [two[0], start[0]]
    page.get_by_role("button", name="Delete everything about me").click()
    expect(page.locator("main")).to_contain_text("2 movies that I watched or rated")
    page.get_by_role("button", name="Delete everything about me").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Everything is deleted")
    expect(page.locator("main")).to_contain_text("2 ratings")
    page.get_by_role("button", name="Take it back").click()
    assert listed(page, "mine") == [two[0], start[0]]
    assert wrong == []
    context.close()


def test_the_keyboard_is_enough_and_focus_stays(browser: Browser, address: str) -> None:
    context = browser.new_context()
    page, wrong = opened(context, address)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the movies")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    button = page.locator("#start [data-item] button").first
    expect(button).to_be_focused()
    page.keyboard.press("ArrowRight")  # the stars are one stop
    page.keyboard.press("Enter")
    expect(page.locator("#my-link")).to_contain_text("1")
    expect(page.locator('#start [data-item] button[value="1"]').first).to_be_focused()
    expect(page.locator("#status")).to_contain_text("rated 1 of 5")
    assert wrong == []
    context.close()


def test_the_back_button_returns_to_the_previous_model(browser: Browser, address: str) -> None:
    context = browser.new_context()
    page, wrong = opened(context, address)
    rate(page, "start", listed(page, "start")[1], 5)
    ease = page.locator("#for-you .choices [aria-current]")
    expect(ease).to_have_text("EASE")
    page.locator("#for-you .choices a", has_text="Popularity").click()
    expect(page.locator("#for-you .choices [aria-current]")).to_have_text("Popularity")
    page.go_back()
    expect(page.locator("#for-you .choices [aria-current]")).to_have_text("EASE")
    assert wrong == []
    context.close()


def test_two_tabs_and_a_double_click_keep_one_event_each(browser: Browser, address: str) -> None:
    context = browser.new_context()
    one, _ = opened(context, address)
    other, _ = opened(context, address)
    first, second = listed(one, "start")[:2]
    one.locator(f'#start [data-item="{first}"] button[value="4"]').dblclick()
    expect(one.locator("#my-link")).to_contain_text("1")
    rate(other, "start", second, 3)
    expect(other.locator("#my-link")).to_contain_text("2")
    one.reload()
    assert listed(one, "recent") == [second, first]
    context.close()


def test_a_query_is_never_run_as_code(browser: Browser, address: str) -> None:
    context = browser.new_context()
    page, wrong = opened(context, address)
    page.on("dialog", lambda dialog: wrong.append("dialog"))
    page.goto(f"{address}/search?q=%3Cimg src=x onerror=alert(1)%3E")
    page.get_by_label("Search movies by title").fill("<img src=x onerror=alert(1)>")
    page.locator("#suggestions").get_by_text("No title matches.").wait_for()
    assert wrong == []
    context.close()


@pytest.mark.parametrize("width", [320, 390, 768, 1360])
def test_no_page_overflows_at_any_width(browser: Browser, address: str, width: int) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800})
    page, wrong = opened(context, address)
    rate(page, "start", listed(page, "start")[0], 5)
    expect(page.locator("#for-you")).to_be_visible()
    for path in ("/", f"/movie/{ALIEN}", "/my", "/about", "/api/docs"):
        page.goto(address + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert wrong == []
    context.close()


def test_the_same_three_films_at_one_star_and_at_five_give_different_lists(browser: Browser, address: str) -> None:
    """Under every model of the site that uses values; the list is that of the page after the last click."""
    context = browser.new_context()
    page, wrong = opened(context, address)
    trio = listed(page, "start")[:3]
    lists: dict[str, dict[str, list[str]]] = {}
    for stars in ("1", "5"):
        for item in trio:
            page.goto(f"{address}/movie/{item}")
            page.locator(f'.yours button[value="{stars}"]').click()
            expect(page.locator(".yours h2")).to_contain_text(f"You gave it {stars} of 5")
        lists[stars] = {}
        for model in ("ease", "item-knn", "bpr", "markov"):
            page.goto(f"{address}/?model={model}")
            lists[stars][model] = listed(page, "for-you")
    for model, low in lists["1"].items():
        assert len(low) == len(lists["5"][model]) == 24
        assert len(set(low) & set(lists["5"][model])) <= 12, model
    assert not wrong
    context.close()


def test_half_a_star_is_a_target_of_its_own_for_mouse_and_keyboard(browser: Browser, address: str) -> None:
    context = browser.new_context()
    page, wrong = opened(context, address)
    item = listed(page, "start")[0]
    page.goto(f"{address}/movie/{item}")
    box = page.locator('.yours button[value="3.5"]').bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(page.locator(".yours h2")).to_contain_text("You gave it 3.5 of 5")
    expect(page.locator('.yours button[value="3.5"]')).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".yours h2")).to_contain_text("You gave it 4.5 of 5")
    assert not wrong
    context.close()
