"""What makes a page good to look at, to print and to share: lettering, covers, halves of stars, other tabs."""

import shutil
from itertools import pairwise
from secrets import token_hex

import pytest
from playwright.sync_api import Browser, expect

from browser_fixtures import ARGUMENTS, opened

pytestmark = pytest.mark.browser
ALIEN, MATRIX = "1214", "2571"
BLANK = """one => {
    const range = document.createRange(), text = one.firstChild, at = text.data.indexOf(" ");
    range.setStart(text, at);
    range.setEnd(text, at + 1);
    return range.getBoundingClientRect().width / parseFloat(getComputedStyle(one).fontSize);
}"""
"""How wide the first blank of a text is, in its own size."""
REACHES = """all => all.every(one => {
    const cover = one.getBoundingClientRect(), paper = one.querySelector("rect").getBoundingClientRect();
    return paper.right >= cover.right + 1 && paper.left <= cover.left - 1;
})"""
MOTIFS = """grid => [...grid.querySelectorAll("svg.cover")].map(one => one.querySelector("svg").innerHTML
    .replace(/[0-9.#"-]+/g, ""))"""


def test_korean_is_drawn_in_our_own_font_with_blanks_between_words(browser: Browser, address: str) -> None:
    context = browser.new_context(locale="ko-KR")
    page, wrong = opened(context, address)
    page.wait_for_function("document.fonts.status === 'loaded'")
    loaded = page.evaluate("[...document.fonts].filter(one => one.status === 'loaded').map(one => one.family)")
    assert any("Matinee Hangul" in family for family in loaded)
    title = page.locator("h2.title", has_text=" ").first
    assert title.evaluate(BLANK) > 0.18
    assert wrong == []
    context.close()


def test_covers_fill_their_edges_and_no_motif_stands_twice_side_by_side(browser: Browser, address: str) -> None:
    context = browser.new_context(viewport={"width": 1283, "height": 900})
    page, wrong = opened(context, address)
    assert page.locator("main svg.cover").evaluate_all(REACHES)
    for grid in page.locator("main .grid").all():
        motifs = grid.evaluate(MOTIFS)
        assert all(one != other for one, other in pairwise(motifs))
    assert wrong == []
    context.close()


def test_four_and_a_half_stars_are_nine_halves(browser: Browser, address: str) -> None:
    context = browser.new_context()
    page, wrong = opened(context, address, f"/movie/{ALIEN}")
    page.locator('.yours button[value="4.5"]').click()
    expect(page.locator(".yours h2")).to_contain_text("4.5")
    page.goto(f"{address}/my")
    stars = page.locator(f'[data-item="{ALIEN}"] .stars')
    expect(stars.locator(".on")).to_have_count(9)
    expect(stars.locator('[aria-pressed="true"]')).to_have_attribute("value", "4.5")
    page.goto(f"{address}/why/1200?model=ease")
    expect(page.locator("#parts")).to_contain_text("4.5")
    assert wrong == []
    context.close()


def test_what_is_printed_is_read_not_clicked(browser: Browser, address: str) -> None:
    context = browser.new_context(viewport={"width": 900, "height": 900})
    page, wrong = opened(context, address, f"/movie/{ALIEN}")
    page.emulate_media(media="print")
    for hidden in ("header.top", "footer", ".marks", ".mood-of button"):
        expect(page.locator(hidden).first).to_be_hidden()
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    expect(page.locator("#similar svg.cover").first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 900
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert wrong == []
    context.close()


def test_what_other_programs_read_of_a_page(browser: Browser, address: str) -> None:
    context = browser.new_context()
    page, wrong = opened(context, address, f"/movie/{ALIEN}")
    tags = page.locator("meta[property], meta[name]").evaluate_all(
        "all => Object.fromEntries(all.map(one => [one.getAttribute('property') || one.name, one.content]))"
    )
    assert tags["og:title"] == "Alien (1979) · Matinee"
    assert "Horror" in tags["description"] == tags["og:description"]
    for path in (tags["og:image"], f"{address}/robots.txt", f"{address}/manifest.webmanifest"):
        answer = page.request.get(path)
        assert (answer.status, len(answer.body()) > 20) == (200, True), path
        assert page.request.head(path).status == 200
    page.locator('.yours button[value="5"]').click()
    expect(page.locator(".yours .remove")).to_be_visible()
    page.goto(f"{address}/my")
    nine = page.request.get(address + str(page.locator('a[href="/my/nine.png"]').get_attribute("href")))
    assert nine.headers["content-type"] == "image/png"
    assert wrong == []
    context.close()


def test_another_tab_says_who_one_is_after_its_next_step(browser: Browser, address: str) -> None:
    context = browser.new_context()
    page, wrong = opened(context, address, "/sign-up?next=/account")
    page.get_by_label("Name").fill(f"Ada {token_hex(4)}")
    page.get_by_label("Password").fill("correct horse battery")
    page.locator("form.account button").click()
    expect(page.locator("header .member")).to_be_visible()
    other = context.new_page()
    other.goto(f"{address}/movie/{ALIEN}")
    expect(other.locator("header .member")).to_be_visible()
    page.get_by_role("main").get_by_role("button", name="Log out", exact=True).first.click()
    expect(page.get_by_role("link", name="Log in")).to_be_visible()
    other.locator("#similar a.poster").first.click()
    expect(other.get_by_role("link", name="Log in")).to_be_visible()
    other.go_back()
    expect(other.locator("header .member")).to_have_count(0)
    assert wrong == []
    context.close()


def test_going_back_shows_what_was_rated_since(browser: Browser, address: str) -> None:
    """Browsers keep the page that is left as it was; playwright turns that off, and people do not."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    kept = browser.browser_type.launch(
        executable_path=path, args=ARGUMENTS, ignore_default_args=["--disable-back-forward-cache"]
    )
    page, wrong = opened(kept.new_context(), address)
    expect(page.locator("#my-link b")).to_have_count(0)
    page.locator("#start a.poster").first.click()
    page.locator('.yours button[value="4"]').click()
    expect(page.locator("#my-link b")).to_have_text("1")
    page.go_back(wait_until="commit")
    expect(page.locator("#start")).to_be_visible()
    expect(page.locator("#my-link b")).to_have_text("1")
    assert wrong == []
    kept.close()


def test_a_place_on_the_same_page_is_reached_without_loading_it_again(browser: Browser, address: str) -> None:
    context = browser.new_context()
    page, wrong = opened(context, address, "/api/docs")
    loaded: list[str] = []
    page.on("load", lambda page: loaded.append(page.url))
    page.locator('main a[href^="#"]').first.click()
    page.go_back()
    page.wait_for_timeout(300)
    assert loaded == []
    assert wrong == []
    context.close()
