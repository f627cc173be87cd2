"""The rows of the home page, the picker, and search, as a film lover finds them in a real browser."""

import pytest
from fastapi import FastAPI
from playwright.sync_api import Browser, Page, expect

from browser_fixtures import listed, opened, rate

pytestmark = pytest.mark.browser
ALIEN, MATRIX, STAR_WARS = "1214", "2571", "260"
PHONE = {"width": 390, "height": 844}
WATCHLIST = "Date,Name,Year,Letterboxd URI\n2024-03-01,The Matrix,1999,https://x\n2024-03-01,Alien,1979,https://y\n"


def everything(page: Page) -> list[str]:
    """The items of every row of the page."""
    found: list[str] = page.locator("main [data-item]").evaluate_all("all => all.map(one => one.dataset.item)")
    return found


def know(page: Page, address: str) -> None:
    """Rate two films, and go to the home page."""
    for item in (ALIEN, MATRIX):
        page.goto(f"{address}/movie/{item}")
        page.locator('.yours button[value="5"]').click()
        expect(page.locator(".yours .remove")).to_be_visible()
    page.goto(address)


@pytest.mark.parametrize("known", [False, True], ids=["guest", "known"])
def test_no_film_is_on_the_page_twice_and_a_phone_has_rows_that_go_sideways(
    browser: Browser, address: str, known: bool
) -> None:
    context = browser.new_context(viewport=PHONE, has_touch=True, is_mobile=True)
    page, wrong = opened(context, address, lab=False)
    if known:
        know(page, address)
    items = everything(page)
    assert len(items) == len(set(items)) > 50
    rows = page.locator("main .grid").evaluate_all(
        "all => all.map(one => [getComputedStyle(one).overflowX, one.scrollWidth > one.clientWidth])"
    )
    assert rows == [["auto", True]] * len(rows)
    assert page.evaluate("document.documentElement.scrollHeight") < 8000  # 11,837 where they went down
    assert wrong == []
    context.close()


def test_what_is_never_wanted_is_in_no_row_until_one_click_resets_it(
    browser: Browser, address: str, site_app: FastAPI
) -> None:
    site = site_app.state.site

    def with_thrills(items: list[str]) -> int:
        return sum("Thriller" in site.catalogue.genres[site.engine.items.row(item)] for item in items)

    context = browser.new_context()
    page, wrong = opened(context, address, lab=False)
    know(page, address)
    recommended = set(everything(page)) - set(listed(page, "start")) - set(listed(page, "recent"))
    assert with_thrills(list(recommended)) > 3
    page.locator("#tonight summary").click()
    page.locator('#tonight input[name="never"][value="Thriller"]').check()
    page.locator("#tonight .actions button").click()
    expect(page.locator("#tonight .chosen")).to_contain_text("Thriller")
    recommended = set(everything(page)) - set(listed(page, "start")) - set(listed(page, "recent"))
    assert (len(recommended) > 40, with_thrills(list(recommended))) == (True, 0)
    page.goto(f"{address}/movie/{ALIEN}")
    assert with_thrills(listed(page, "similar")) == 0
    page.goto(address)
    page.get_by_role("button", name="Reset").first.click()
    expect(page.locator("#tonight .chosen")).to_have_count(0)
    assert with_thrills(everything(page)) > 3
    assert wrong == []
    context.close()


def test_the_picker_stays_until_one_closes_it(browser: Browser, address: str) -> None:
    context = browser.new_context()
    page, wrong = opened(context, address, lab=False)
    for item in listed(page, "start")[:4]:
        rate(page, "start", item, 4)
        expect(page.locator(f'#start [data-item="{item}"] .done')).to_be_visible()
    page.reload()
    expect(page.locator("#start")).to_be_visible()
    page.locator('#start form[action="/picker"] button').click()
    expect(page.locator("#start")).to_have_count(0)
    page.reload()
    expect(page.locator("#start")).to_have_count(0)
    page.locator('form[action="/picker"] button').first.click()
    expect(page.locator("#start")).to_be_visible()
    assert wrong == []
    context.close()


def test_a_quarter_of_novelty_is_the_default_and_more_like_this_moves_the_list(browser: Browser, address: str) -> None:
    context = browser.new_context()
    page, wrong = opened(context, address, lab=False)
    know(page, address)
    assert page.locator('#rerank input[name="novelty"]').input_value() == "0.25"
    before = listed(page, "for-you")
    with page.expect_response("**/mark"):
        page.locator(f'#for-you [data-item="{before[0]}"] button[value="more"]').click()
    expect(page.locator("#status")).to_contain_text("more")
    page.reload()
    after = listed(page, "for-you")
    assert before[0] not in after
    assert set(after) != set(before)
    assert wrong == []
    context.close()


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("star", STAR_WARS),
        ("alien", ALIEN),
        ("매트릭스", MATRIX),
        ("terminator 2", "589"),
        ("t2", "589"),
    ],
)
def test_search_has_the_famous_before_the_alphabet(browser: Browser, address: str, query: str, first: str) -> None:
    context = browser.new_context()
    page, wrong = opened(context, address, f"/search?q={query}")
    assert listed(page, "results")[0] == first
    assert wrong == []
    context.close()


def test_where_nothing_is_found_stands_what_is_nearest(browser: Browser, address: str) -> None:
    context = browser.new_context()
    page, wrong = opened(context, address, "/search?q=alienz from mars attack")
    expect(page.locator("#results h1")).to_contain_text("Nothing")
    assert listed(page, "results")
    assert wrong == []
    context.close()


def test_a_watch_list_of_another_site_is_kept_for_later(browser: Browser, address: str) -> None:
    context = browser.new_context()
    page, wrong = opened(context, address, "/my/import", lab=False)
    page.locator('input[type="file"]').set_input_files(
        {"name": "watchlist.csv", "mimeType": "text/csv", "buffer": WATCHLIST.encode()}
    )
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    page.goto(f"{address}/my/later")
    assert set(listed(page, "for-later")) == {ALIEN, MATRIX}
    page.goto(address)
    assert not {ALIEN, MATRIX} & set(listed(page, "tonight") + listed(page, "popular"))
    assert wrong == []
    context.close()
