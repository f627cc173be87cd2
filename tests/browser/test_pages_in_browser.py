"""Home, model, comparison, movie and search pages in a real browser, with and without script; accessibility."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from browser_fixtures import listed, opened, rate
from matinee.models import create, model_class
from matinee.serve.pages.model_cards import model_card

pytestmark = pytest.mark.browser
ALIEN, ALIENS, MATRIX, TOY_STORY = "1214", "1200", "2571", "1"
SCRIPT = pytest.mark.parametrize("javascript", [True, False], ids=["script", "no script"])


def rate_three(page: Page, address: str) -> None:
    for item_id, stars in ((ALIEN, 5), (TOY_STORY, 2), (MATRIX, 5)):
        page.goto(f"{address}/movie/{item_id}")
        page.locator(f'.yours button[value="{stars}"]').click()
        expect(page.locator(".yours .remove")).to_be_visible()


@pytest.fixture(params=[True, False], ids=["script", "no script"])
def visit(browser: Browser, address: str, request: pytest.FixtureRequest) -> Iterator[tuple[Page, str]]:
    """A visitor who rated three movies, with and without script; no error, no request to another site."""
    context = browser.new_context(java_script_enabled=request.param)
    page, wrong = opened(context, address)
    rate_three(page, address)
    yield page, address
    assert wrong == []
    context.close()


def test_every_shelf_of_a_guest_is_full_and_names_its_model(browser: Browser, address: str) -> None:
    context = browser.new_context()
    page, wrong = opened(context, address)
    for name in ("popular-now", "popular", "start"):
        assert len(listed(page, name)) == 12
    genres = page.locator('section[id^="genre-"]')
    expect(genres).to_have_count(5)
    for place in range(5):
        expect(genres.nth(place).locator("[data-item]")).to_have_count(6)
        expect(genres.nth(place).locator(".heading a")).to_have_attribute("href", "/models/popularity")
    assert wrong == []
    context.close()


def test_every_shelf_of_a_known_visitor_is_full_and_names_its_model(visit: tuple[Page, str]) -> None:
    page, address = visit
    page.goto(address)
    rows = {
        "for-you": ("/models/ease", 24),
        "next": ("/models/markov", 6),
        "because-": ("/models/item-knn", 6),
        "popular-now": ("/models/popularity", 6),
        "popular": ("/models/popularity", 6),
    }
    for name, (link, size) in rows.items():
        row = page.locator(f'section[id^="{name}"]').first
        expect(row.locator("[data-item]")).to_have_count(size)
        expect(row.locator(f'.heading a[href="{link}"]').first).to_be_visible()
        assert not {ALIEN, MATRIX, TOY_STORY} & set(listed(page, str(row.get_attribute("id"))))
    expect(page.locator('section[id^="because-"]')).to_have_count(2)
    expect(page.get_by_role("heading", name="Because you watched The Matrix")).to_be_visible()
    assert listed(page, "recent") == [MATRIX, TOY_STORY, ALIEN]
    page.locator('#next .heading a[href="/models/markov"]').click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Markov")


@SCRIPT
def test_a_visitor_can_ask_for_other_movies_to_rate(browser: Browser, address: str, javascript: bool) -> None:
    context = browser.new_context(java_script_enabled=javascript)
    page, wrong = opened(context, address)
    first = listed(page, "start")
    page.get_by_role("link", name="others").click()
    expect(page.locator(f'#start [data-item="{first[0]}"]')).to_have_count(0)
    second = listed(page, "start")
    assert len(second) == 12
    assert not set(first) & set(second)
    rate(page, "start", second[0], 4)
    expect(page.locator("#my-link")).to_contain_text("1")
    if javascript:  # the card stays where it was
        assert listed(page, "start") == second
    assert wrong == []
    context.close()


def test_three_movies_can_be_rated_by_keyboard(browser: Browser, address: str) -> None:
    context = browser.new_context(viewport={"width": 1300, "height": 900})
    page, wrong = opened(context, address)
    page.locator("#start [data-item] a").first.focus()
    page.keyboard.press("5")
    expect(page.locator("#my-link")).to_contain_text("1")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("w")
    expect(page.locator("#my-link")).to_contain_text("2")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("3")
    expect(page.get_by_role("heading", level=1)).to_contain_text("That’s enough")
    assert len(listed(page, "recent")) == 3
    assert wrong == []
    context.close()


def test_a_model_page_shows_formula_picture_list_evaluation_and_paper(visit: tuple[Page, str]) -> None:
    page, address = visit
    page.goto(f"{address}/models/bpr")
    expect(page.get_by_role("heading", level=1)).to_have_text("BPR")
    expect(page.locator("math")).to_have_count(len(model_card(model_class("bpr")).formulas_for(create("bpr").config)))
    expect(page.locator("svg.art")).to_have_count(1)
    expect(page.locator("svg.curve polyline").first).to_be_visible()
    expect(page.locator("#quality .figure a")).to_have_text(["BPR", "Popularity", "ItemKNN", "EASE"])
    expect(page.locator("#when")).to_contain_text("Rendle")
    ranked = page.locator("#list .place")
    expect(ranked).to_have_count(20)
    expect(ranked.first.locator(".rank")).to_have_text("1")
    scores = [float(text) for text in ranked.locator(".score").evaluate_all("all => all.map(o => o.lastChild.data)")]
    assert scores == sorted(scores, reverse=True)
    assert not {ALIEN, MATRIX, TOY_STORY} & set(listed(page, "list"))

    page.get_by_role("link", name="Show what I watched").click()
    expect(page.get_by_role("link", name="Hide what I watched")).to_be_visible()
    page.goto(f"{address}/models/ease?seen=true")
    own = page.locator(f'#list [data-item="{MATRIX}"]')
    if own.count():
        expect(own.locator(".own")).to_have_text("Your rating: 5 of 5")
    page.goto(f"{address}/models/item-knn")
    expect(page.locator("#list .because").first).to_contain_text("Because you")
    page.get_by_role("navigation", name="Choose a model").get_by_role("link", name="EASE").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("EASE")
    rate(page, "list", listed(page, "list")[0], 4)
    expect(page.locator("#my-link")).to_contain_text("4")
    assert page.url.startswith(f"{address}/models/ease")


def test_a_list_with_watched_movies_shows_the_visitors_ratings(visit: tuple[Page, str]) -> None:
    page, address = visit
    shown = {}
    for name in ("popularity", "item-knn"):
        page.goto(f"{address}/models/{name}?seen=true")
        for own in page.locator("#list .place:has(.own)").all():
            shown[own.get_attribute("data-item")] = own.locator(".own").inner_text()
    assert shown.get(TOY_STORY, "Your rating: 2 of 5") == "Your rating: 2 of 5"
    assert shown[MATRIX] == "Your rating: 5 of 5"


def test_models_are_listed_best_first(browser: Browser, address: str) -> None:
    context = browser.new_context()
    page, wrong = opened(context, address, "/models")
    scores = page.locator(".model .figure b").all_inner_texts()
    assert len(scores) == 5
    assert scores == sorted(scores, reverse=True)
    expect(page.locator(".model svg.art")).to_have_count(5)
    page.locator(".model a").first.click()
    expect(page.locator("#list .place")).to_have_count(20)  # a guest sees popular movies, and the page says so
    expect(page.locator("#list .heading")).to_contain_text("No model knows you yet")
    assert wrong == []
    context.close()


def test_compared_models_show_what_they_share(visit: tuple[Page, str]) -> None:
    page, address = visit
    page.goto(f"{address}/compare?models=ease")
    for name in ("ItemKNN", "Markov", "BPR", "Popularity", "EASE"):
        box = page.get_by_label(name, exact=True)
        wanted = name in {"ItemKNN", "EASE", "Markov"}
        if box.is_checked() != wanted:
            page.locator(".pick label", has_text=name).click()
    page.get_by_role("button", name="Compare").click()
    page.wait_for_url("**models=item-knn**")
    columns = {name: listed(page, f"by-{name}") for name in ("ease", "item-knn", "markov")}
    assert all(len(items) == 12 for items in columns.values())
    share = len(set(columns["ease"]) & set(columns["item-knn"]))
    said = page.locator(".overlaps").inner_text()
    assert f"{share} of 12" in said
    for name, items in columns.items():
        others = [set(other) for key, other in columns.items() if key != name]
        shared = [item for item in items if any(item in other for other in others)]
        found = page.locator(f"#by-{name} .shared").evaluate_all("all => all.map(one => one.dataset.item)")
        assert found == shared


def test_a_comparison_has_at_most_four_models_and_fills_up_to_three(browser: Browser, address: str) -> None:
    context = browser.new_context()
    page, wrong = opened(context, address, "/compare?models=ease,item-knn,bpr,markov,popularity")
    expect(page.locator(".column")).to_have_count(4)
    page.goto(f"{address}/compare?models=markov")
    expect(page.locator(".column")).to_have_count(3)
    expect(page.locator(".column h2").first).to_have_text("Markov")
    assert wrong == []
    context.close()


def test_a_movie_page_shows_facts_similar_and_also_liked_movies(visit: tuple[Page, str]) -> None:
    page, address = visit
    page.goto(f"{address}/movie/1200")
    expect(page.get_by_role("heading", level=1)).to_have_text("Aliens")
    expect(page.locator(".kicker")).to_have_text("Action · Adventure · Horror · Sci-Fi")
    assert len(listed(page, "similar")) == 12
    assert len(listed(page, "liked-too")) == 6
    assert not {ALIEN, MATRIX, TOY_STORY} & set(listed(page, "liked-too"))
    first = listed(page, "similar")
    page.locator("#similar .choices a", has_text="EASE").click()
    expect(page.locator("#similar .choices [aria-current]")).to_have_text("EASE")
    assert listed(page, "similar") != first
    page.get_by_role("button", name="Mark Aliens as watched").first.click()
    expect(page.get_by_role("heading", name="You watched it")).to_be_visible()
    page.goto(f"{address}/movie/1036")
    page.locator('.hiding button[value="dismissed"]').click()
    expect(page.locator('.hiding button[value="restored"]')).to_be_visible()
    page.locator('.hiding button[value="restored"]').click()
    expect(page.locator('.hiding button[value="dismissed"]')).to_be_visible()


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("matr", "The Matrix"),
        ("the matrix", "The Matrix"),
        ("matrix the", "The Matrix"),
        ("matrx", "The Matrix"),
        ("toy 1995", "Toy Story"),
        ("silence lambs", "The Silence of the Lambs"),
        ("godfather, the", "The Godfather"),
    ],
)
def test_suggestions_while_typing(browser: Browser, address: str, typed: str, found: str) -> None:
    context = browser.new_context()
    page, wrong = opened(context, address)
    box = page.get_by_role("combobox")
    box.press_sequentially(typed)
    option = page.get_by_role("option", name=found).first
    expect(option).to_be_visible()
    expect(box).to_have_attribute("aria-expanded", "true")
    expect(page.get_by_role("option").first).to_contain_text(found)
    expect(page.locator("#status")).to_contain_text("movie")  # for screen readers
    box.press("ArrowDown")
    expect(option).to_have_attribute("aria-selected", "true")
    expect(box).to_have_attribute("aria-activedescendant", str(option.get_attribute("id")))
    box.press("ArrowUp")
    box.press("ArrowDown")
    box.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text(found)
    box.fill("alien")
    expect(page.get_by_role("option").first).to_be_visible()
    box.press("Escape")
    expect(page.get_by_role("option").first).to_be_hidden()
    expect(box).to_have_attribute("aria-expanded", "false")
    assert wrong == []
    context.close()


def test_a_missing_page_suggests_existing_ones(browser: Browser, address: str) -> None:
    context = browser.new_context()
    page, _ = opened(context, address)
    answer = page.goto(f"{address}/models/eaze")
    assert answer is not None
    assert answer.status == 404
    page.locator('main .choices a[href="/models/ease"]').click()
    expect(page.get_by_role("heading", level=1)).to_have_text("EASE")
    answer = page.goto(f"{address}/movie/the matrx")
    assert answer is not None
    assert answer.status == 404
    assert MATRIX in listed(page, "error")
    context.close()


@SCRIPT
def test_korean_by_browser_preference_and_by_link(browser: Browser, address: str, javascript: bool) -> None:
    context = browser.new_context(java_script_enabled=javascript, locale="ko-KR")
    page, wrong = opened(context, address)
    expect(page.locator("html")).to_have_attribute("lang", "ko")
    rate(page, "start", listed(page, "start")[0], 5)
    expect(page.locator("#for-you")).to_contain_text("추천")
    page.get_by_role("link", name="English").click()
    expect(page.locator("html")).to_have_attribute("lang", "en")
    expect(page.get_by_role("heading", name="For you", exact=True)).to_be_visible()
    page.goto(f"{address}/models/ease")
    page.get_by_role("link", name="한국어").click()
    assert page.url == f"{address}/models/ease"
    expect(page.locator("#list")).to_contain_text("나에게 추천하는 영화")
    assert wrong == []
    context.close()


def test_why_says_it_draws_it_and_finds_what_would_change_it(visit: tuple[Page, str]) -> None:
    page, address = visit
    page.goto(f"{address}/why/{ALIENS}?model=ease")
    words = page.locator(".facts .sentence").first.inner_text()
    assert words.startswith("Because you liked Alien (1979)")
    expect(page.locator("svg.path")).to_be_visible()
    expect(page.get_by_role("img", name=words)).to_have_count(1)
    expect(page.locator("svg.path .item text").first).to_have_text("Aliens (1986)")
    page.locator("#change a").click()
    expect(page.locator("#change li").first).to_be_visible()
    assert "change=true" in page.url


@pytest.mark.parametrize("width", [320, 390, 768, 1360])
@pytest.mark.parametrize("locale", ["en-US", "ko-KR"])
def test_no_page_overflows_at_any_width(browser: Browser, address: str, width: int, locale: str) -> None:
    context = browser.new_context(viewport={"width": width, "height": 800}, locale=locale)
    page, wrong = opened(context, address)
    rate(page, "start", listed(page, "start")[0], 5)
    expect(page.locator("#for-you")).to_be_visible()
    why = f"/why/{ALIENS}?model=ease&change=true"
    for path in ("/", "/models", "/models/bpr", "/compare?models=ease,item-knn,markov,bpr", "/search?q=star", why):
        page.goto(address + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
    assert wrong == []
    context.close()
