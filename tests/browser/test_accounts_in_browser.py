"""Accounts, import and download in a real browser, with and without script; accessibility."""

import json
from collections.abc import Iterator
from pathlib import Path
from secrets import token_hex

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from browser_fixtures import opened, overflowing_widths, serious_violations

pytestmark = pytest.mark.browser
ALIEN, MATRIX = "1214", "2571"
PASSWORD = "correct horse battery"
RATINGS = "Date,Name,Year,Letterboxd URI,Rating\n2024-03-01,The Matrix,1999,x,4.5\n2024-03-02,No Such Movie,2001,x,4\n"


@pytest.fixture(params=[True, False], ids=["script", "no script"])
def visit(browser: Browser, address: str, request: pytest.FixtureRequest) -> Iterator[tuple[Page, BrowserContext, str]]:
    """A visitor who watched Alien; no error, no request to another site."""
    context = browser.new_context(java_script_enabled=request.param)
    page, wrong = opened(context, address, f"/movie/{ALIEN}")
    page.locator('.yours button[value="5"]').click()
    expect(page.locator(".yours .remove")).to_be_visible()
    yield page, context, address
    assert [text for text in wrong if "422" not in text and "403" not in text] == []
    context.close()


def enter(page: Page, door: str, name: str, password: str = PASSWORD) -> None:
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.locator("form.account button").click()


def sign_up(page: Page, address: str) -> str:
    name = f"Ada {token_hex(4)}"
    page.goto(f"{address}/sign-up?next=/my")
    enter(page, "sign-up", name)
    expect(page.locator("header .member")).to_have_text(name)
    return name


def mine(page: Page, address: str) -> list[str]:
    page.goto(f"{address}/my")
    found: list[str] = page.locator("#mine [data-item]").evaluate_all("all => all.map(one => one.dataset.item)")
    return found


def test_a_guest_signs_up_and_has_the_same_movies_on_another_device(
    visit: tuple[Page, BrowserContext, str], browser: Browser
) -> None:
    page, _, address = visit
    page.goto(address)
    page.get_by_role("link", name="Log in").click()
    page.get_by_role("main").get_by_role("link", name="Sign up").click()
    name = sign_up(page, address)
    assert mine(page, address) == [ALIEN]
    elsewhere = browser.new_context()
    other, wrong = opened(elsewhere, address, f"/movie/{MATRIX}")
    other.locator('.yours button[value="4"]').click()
    expect(other.locator(".yours .remove")).to_be_visible()
    other.get_by_role("link", name="Log in").click()
    enter(other, "log-in", name, "not my password")
    expect(other.get_by_role("alert")).to_have_text("The name or the password is wrong.")
    expect(other.get_by_label("Password")).to_have_value("")
    enter(other, "log-in", name)
    expect(other).to_have_url(f"{address}/movie/{MATRIX}")
    assert sorted(mine(other, address)) == sorted([ALIEN, MATRIX])
    assert sorted(mine(page, address)) == sorted([ALIEN, MATRIX])
    page.goto(f"{address}/account")
    expect(page.locator(".sessions li")).to_have_count(2)
    page.get_by_role("button", name="Log out everywhere else").click()
    expect(page.locator(".sessions li")).to_have_count(1)
    other.reload()
    expect(other.get_by_role("link", name="Log in")).to_be_visible()
    assert [text for text in wrong if "422" not in text] == []
    elsewhere.close()


def test_after_logging_out_the_back_button_shows_nothing(visit: tuple[Page, BrowserContext, str]) -> None:
    page, context, address = visit
    name = sign_up(page, address)
    for path in ("/", "/my", "/account"):
        page.goto(address + path)
    page.get_by_role("main").get_by_role("button", name="Log out", exact=True).first.click()
    expect(page.get_by_role("link", name="Log in")).to_be_visible()
    for _ in range(3):
        page.go_back()
        expect(page.get_by_text(name)).to_have_count(0)
        expect(page.locator(f'#mine [data-item="{ALIEN}"]')).to_have_count(0)
    assert all(cookie["httpOnly"] and cookie["sameSite"] == "Lax" for cookie in context.cookies(address))


def test_a_form_opened_before_logging_out_asks_to_be_sent_again(visit: tuple[Page, BrowserContext, str]) -> None:
    page, context, address = visit
    sign_up(page, address)
    stale = context.new_page()
    stale.goto(f"{address}/account")
    page.goto(f"{address}/account")
    page.get_by_role("button", name="Log out", exact=True).first.click()
    expect(page.get_by_role("link", name="Log in")).to_be_visible()
    stale.get_by_role("button", name="Log out", exact=True).first.click()
    expect(stale.get_by_text("This form is from an earlier visit")).to_be_visible()


def test_a_rating_opened_before_logging_out_asks_to_be_sent_again(
    visit: tuple[Page, BrowserContext, str],
) -> None:
    page, context, address = visit
    sign_up(page, address)
    stale = context.new_page()
    stale.goto(f"{address}/movie/{MATRIX}")
    page.goto(f"{address}/account")
    page.get_by_role("button", name="Log out", exact=True).first.click()
    expect(page.get_by_role("link", name="Log in")).to_be_visible()
    stale.locator('.yours button[value="4"]').click()
    expect(stale.get_by_text("This form is from an earlier visit")).to_be_visible()
    stale.reload()
    stale.goto(f"{address}/movie/{MATRIX}")
    stale.locator('.yours button[value="4"]').click()  # as a guest now
    expect(stale.locator(".yours .remove")).to_be_visible()


def test_import_report_download_and_delete(visit: tuple[Page, BrowserContext, str], tmp_path: Path) -> None:
    page, _, address = visit
    sign_up(page, address)
    page.goto(f"{address}/my")
    page.get_by_role("link", name="Import from another site").click()
    page.get_by_label("Files").set_input_files({"name": "r.csv", "mimeType": "text/csv", "buffer": RATINGS.encode()})
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_text("1 new event")).to_be_visible()
    expect(page.get_by_role("row", name="No Such Movie (2001)")).to_contain_text("no such movie here")
    assert sorted(mine(page, address)) == sorted([ALIEN, MATRIX])
    with page.expect_download() as started:
        page.get_by_role("link", name="Download everything as JSON").click()
    started.value.save_as(tmp_path / "mine.json")
    saved = json.loads((tmp_path / "mine.json").read_text("utf-8"))
    assert {event["item_id"] for event in saved["events"]} == {ALIEN, MATRIX}
    page.goto(f"{address}/my")
    page.get_by_role("link", name="Delete account").click()
    page.locator("#delete").get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Delete everything about me").click()
    expect(page.get_by_role("link", name="Log in")).to_be_visible()
    assert mine(page, address) == []


def test_a_double_click_on_signing_up_makes_one_member(browser: Browser, address: str) -> None:
    context = browser.new_context()
    page, _ = opened(context, address, "/sign-up?next=/account")
    name = f"Ada {token_hex(4)}"
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(PASSWORD)
    page.locator("form.account button").dblclick()
    expect(page.get_by_role("heading", level=1)).to_have_text(name)
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_account_pages_are_accessible_and_fit_every_width(browser: Browser, address: str, scheme: str) -> None:
    context = browser.new_context(color_scheme=scheme)  # type: ignore[arg-type]
    page, wrong = opened(context, address)
    pages = ["/sign-up", "/log-in", "/my/import", "/my"]
    for path in [*pages, "member", "/account", "/my"]:
        if path == "member":
            sign_up(page, address)
            continue
        page.goto(address + path)
        assert serious_violations(page) == [], path
        assert overflowing_widths(page) == [], path
    assert wrong == []
    context.close()


def test_in_korean(browser: Browser, address: str) -> None:
    context = browser.new_context(locale="ko-KR")
    page, wrong = opened(context, address, "/sign-up?next=/account")
    page.get_by_label("이름").fill(f"영희 {token_hex(4)}")
    page.get_by_label("비밀번호").fill("푸른 하늘 아래 강가")
    page.get_by_role("button", name="가입하기").click()
    expect(page.get_by_text("로그인한 기기")).to_be_visible()
    assert wrong == []
    context.close()
