"""The search page with what was found by title and by meaning, in a real browser and both languages."""

import re

import pytest
from fastapi import FastAPI
from playwright.sync_api import Browser, expect

from browser_fixtures import opened, overflowing_widths, serious_violations, served
from meaning_fixtures import wait_until_ready

pytestmark = pytest.mark.browser
KOREAN = "우주에서 괴물과 싸우는 공포 영화"
ALIEN, ALIENS = {"en": "Alien", "ko": "에이리언"}, {"en": "Aliens", "ko": "에이리언 2"}
HEADINGS = {"en": ("By title", "By meaning"), "ko": ("제목으로 찾은 결과", "의미로 찾은 결과")}


@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize("javascript", [True, False], ids=["script", "no script"])
def test_the_two_kinds_of_results_are_told_apart(
    browser: Browser, described_app: FastAPI, language: str, javascript: bool
) -> None:
    with served(described_app) as address:
        wait_until_ready(described_app)
        context = browser.new_context(java_script_enabled=javascript, locale=language)
        page, wrong = opened(context, address, "/search?q=monster")
        headings = page.locator("#results h2")
        expect(headings).to_have_text(list(HEADINGS[language]))
        expect(page.locator("#by-title [data-item]")).to_have_count(2)
        expect(page.locator("#by-meaning")).to_contain_text(ALIEN[language])
        page.locator('input[name="q"]').fill(KOREAN)
        page.keyboard.press("Enter")
        expect(page).to_have_url(re.compile("q=%EC"))
        expect(headings).to_have_text([HEADINGS[language][1]])
        expect(page.locator("#by-meaning")).to_contain_text(ALIENS[language])
        if javascript:
            assert serious_violations(page) == []
            assert overflowing_widths(page) == []
        assert wrong == []
        context.close()
