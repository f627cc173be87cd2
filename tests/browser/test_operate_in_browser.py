"""The operator's page in Chromium: an API key typed as the password, no rule of accessibility broken, no scrolling."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from browser_fixtures import opened, overflowing_widths, serious_violations, served
from matinee.experiments.plan import read_split
from matinee.serve.app import create_app
from matinee.serve.options import SiteOptions
from matinee.store.impressions import SqlImpressions
from matinee.store.protocols import ListImpression, LiveEvent
from site_fixtures import CHEAP, NOW

SPLIT = "ease=0.5,item-knn=0.5"


@pytest.fixture(scope="module")
def operated(artefact_paths: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """A site with a split and some lists: its address, and an admin key."""
    folder, plan = tmp_path_factory.mktemp("operate"), read_split(SPLIT)
    options = SiteOptions(experiment=plan)
    app = create_app(
        artefact_paths, db_url=f"sqlite:///{folder}/site.db", clock=lambda: NOW, hasher=CHEAP, options=options
    )
    site = app.state.site
    for n in range(20):
        arm, at = str(plan.arm_of(f"v{n}")), NOW - 90_000 - n
        shown = ListImpression(f"l{n}", f"v{n}", "for-you", arm, "v", at, ("1",), plan.name, arm)
        SqlImpressions(site.database).write([shown])
        if n % 3:
            site.append([LiveEvent(f"v{n}", "1", "click", 1.0, at + 9, None, arm, f"l{n}", 1)])
    site.database.flush()
    _, key = site.api_keys.create("operator", ["admin"])
    with served(app) as address:
        yield address, key


@pytest.mark.parametrize(("language", "scheme"), [("en", "light"), ("ko", "dark")])
def test_the_page_is_clean_in_both_languages_and_colours(
    browser: Browser, operated: tuple[str, str], language: str, scheme: str
) -> None:
    address, key = operated
    context = browser.new_context(
        locale=language, color_scheme=scheme, http_credentials={"username": "me", "password": key}
    )
    page, wrong = opened(context, address, "/operate")
    assert page.url == f"{address}/operate/"
    assert page.locator("html").get_attribute("lang") == language
    assert page.locator("figure svg").count() == 2 + 2  # two logs by the hour, two differences
    assert serious_violations(page) == []
    assert overflowing_widths(page) == []
    assert page.goto(f"{address}/operate/").status == 200  # type: ignore[union-attr]
    assert wrong == [] or all("401" in each for each in wrong)  # the first request is without the key
    page.goto(f"{address}/")  # it does not send the key to other pages
    assert page.locator("#start").count() == 1
    context.close()
