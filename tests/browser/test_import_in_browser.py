"""Importing in a real browser: the form, the report, and undoing, with and without script, in both languages."""

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, FilePayload, Page, expect

from browser_fixtures import opened, overflowing_widths, serious_violations

ALIEN, MATRIX = "1214", "2571"
RATINGS = "Title,Year,Rating,Date,Note\nAlien,1979,9,2024-03-01,x\nThe Matrix,1999,4,2024-03-02,y\nAlein,1979,7,,\n"
TRAKT = [
    {"listed_at": "2024-01-01T00:00:00.000Z", "type": "movie", "movie": {"title": "Heat", "year": 1995}},
    {"watched_at": "2024-01-01T00:00:00.000Z", "type": "episode", "episode": {"season": 5, "number": 14},
     "show": {"title": "Breaking Bad", "year": 2008}},
]  # fmt: skip


def file(name: str, text: str) -> FilePayload:
    return {"name": name, "mimeType": "text/plain", "buffer": text.encode()}


FILES = [file("mine.csv", RATINGS), file("trakt.json", json.dumps(TRAKT))]


@pytest.fixture(params=[True, False], ids=["script", "no script"])
def page(browser: Browser, address: str, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A visitor who gave The Matrix five stars, at the import form; no error, no request to another site."""
    context = browser.new_context(java_script_enabled=request.param)
    page, wrong = opened(context, address, f"/movie/{MATRIX}")
    page.locator('.yours button[value="5"]').click()
    expect(page.locator(".yours .remove")).to_be_visible()
    page.goto(f"{address}/my/import")
    yield page
    assert [text for text in wrong if "422" not in text] == []
    context.close()


def bring(page: Page, *files: FilePayload) -> None:
    page.locator("#files").set_input_files(list(files))
    page.locator('form.account button[value="page"]').click()


def mine(page: Page, address: str) -> list[str]:
    page.goto(f"{address}/my")
    found: list[str] = page.locator("#mine [data-item]").evaluate_all("all => all.map(one => one.dataset.item)")
    return sorted(found)


def test_the_report_says_what_became_of_everything_and_the_import_is_undone(page: Page, address: str) -> None:
    bring(page, *FILES)
    expect(page.get_by_role("status").first).to_have_text("3 new events")
    read = page.locator("#what-was-read")
    expect(read).to_contain_text("out of 10, because the highest is 9 (row 2)")
    expect(read).to_contain_text("1 column is not used: Note.")
    expect(page.get_by_role("row", name="Alein (1979)")).to_contain_text("did you mean Alien (1979)?")
    expect(page.get_by_role("row", name="Heat (1995)")).to_have_count(0)  # kept for later, so among the accepted rows
    expect(page.get_by_role("row", name="Breaking Bad S5E14")).to_contain_text("not a movie")
    page.get_by_role("button", name="Undo this import").click()
    expect(page.get_by_text("The import was undone")).to_be_visible()
    assert mine(page, address) == [MATRIX]
    expect(page.locator("#imports")).to_have_count(0)


def test_my_movies_lists_the_imports_of_the_day_and_undoes_one(page: Page, address: str) -> None:
    bring(page, FILES[0])
    page.goto(f"{address}/my/import")
    bring(page, file("more.csv", "Title\nHeat\n"))
    assert len(mine(page, address)) == 3
    imports = page.locator("#imports li")
    expect(imports).to_have_count(2)
    imports.filter(has_text="mine.csv").get_by_role("button").click()
    expect(page.get_by_text("The import was undone")).to_be_visible()
    expect(imports).to_have_count(1)
    assert len(mine(page, address)) == 2
    expect(page.locator(f'#mine [data-item="{MATRIX}"] button[value="5"][aria-pressed="true"]')).to_have_count(1)


def test_a_double_click_on_undo_undoes_once(page: Page, address: str) -> None:
    bring(page, FILES[0])
    page.get_by_role("button", name="Undo this import").dblclick()
    expect(page.locator("#mine")).to_be_visible()
    assert mine(page, address) == [MATRIX]


def test_a_file_that_cannot_be_read_is_refused_with_a_way_on(page: Page) -> None:
    bring(page, file("movies.csv", "movieId,title,genres\n1,Toy Story (1995),Comedy\n"))
    expect(page.get_by_role("alert")).to_contain_text("movies.csv says which movies there are")
    expect(page.locator("#files")).to_be_visible()


def test_in_korean(browser: Browser, address: str) -> None:
    context = browser.new_context(locale="ko-KR")
    page, wrong = opened(context, address, "/my/import")
    bring(page, *FILES)
    expect(page.get_by_text("쓰지 않은 열 1개: Note.")).to_be_visible()
    page.get_by_role("button", name="가져오기 취소").click()
    expect(page.get_by_text("가져오기를 취소했어요")).to_be_visible()
    assert wrong == []
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_pages_are_accessible_and_fit_every_width(browser: Browser, address: str, scheme: str) -> None:
    context = browser.new_context(color_scheme=scheme)  # type: ignore[arg-type]
    page, wrong = opened(context, address, "/my/import")
    for path in ("report", "/my", "/my/import"):
        if path == "report":
            bring(page, *FILES)
            expect(page.locator("#report")).to_be_visible()
        else:
            page.goto(address + path)
        assert serious_violations(page) == [], path
        assert overflowing_widths(page) == [], path
    assert wrong == []
    context.close()
