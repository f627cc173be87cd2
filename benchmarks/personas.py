"""Four people walk the site: a film lover, a student, an engineer and a researcher. Prints a line for each walk.

    python benchmarks/personas.py [--address http://127.0.0.1:8000] [--only film-lover] [--pictures FOLDER]

Each walk is made in English and Korean, with a desktop's window and a phone's, with script and without: 32 walks. Every
page of a walk must answer, be no wider than its window, and bring no error to the console; what a person came for must
be there. --pictures keeps a picture of each page.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from walks import MODELS, bundled_site, chromium, measured

WINDOWS = {
    "desktop": {"viewport": {"width": 1280, "height": 900}},
    "phone": {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True},
}
LANGUAGES = {"en": "en-US", "ko": "ko-KR"}
PATIENCE_MS = 30_000
MATRIX, ALIEN, STAR_WARS = "2571", "1214", "260"


@dataclass
class Walker:
    """A person at a page. folder: where pictures go, None for nowhere; wrong: what should not have happened."""

    page: Page
    address: str
    name: str
    folder: Path | None
    wrong: list[str]

    def go(self, path: str, look: str = "") -> None:
        """Open a page, and look at it."""
        answer = self.page.goto(self.address + path)
        if answer is None or not answer.ok:
            self.wrong.append(f"{path}: {answer and answer.status}")
        self.look(look)

    def look(self, name: str) -> None:
        """No page is wider than its window; a picture of it, if it has a name."""
        page = self.page
        page.wait_for_load_state("networkidle")
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        if wide > 0:
            self.wrong.append(f"{page.url}: {wide} px too wide")
        if self.folder and name:
            page.screenshot(path=self.folder / f"{self.name}-{name}.png")

    def press(self, selector: str) -> None:
        """Press the first control of a kind, and wait for what it brings."""
        self.page.locator(selector).first.click()
        self.page.wait_for_load_state("networkidle")

    def has(self, selector: str, text: str = "") -> None:
        """What must be on the page."""
        found = self.page.locator(selector).first
        expect(found).to_be_attached()
        if text:
            expect(found).to_contain_text(text)

    def rate(self, item: str, stars: str) -> None:
        """Rate a film on its page."""
        self.page.goto(f"{self.address}/movie/{item}")
        self.press(f'.yours button[value="{stars}"]')
        self.has('.yours button[value="removed"]')


def film_lover(one: Walker) -> None:
    """Wants a film for tonight: rates three, says what not, keeps one for later, asks why, searches, shares."""
    one.go("/", "1-first-sight")
    one.has("#start")
    assert not one.page.locator('main a[href^="/models/"]').count(), "a model is named to a film lover"
    for item, stars in ((MATRIX, "5"), (ALIEN, "4.5"), (STAR_WARS, "4")):
        one.rate(item, stars)
    one.go("/", "2-tonight")
    assert one.page.locator("#tonight .first").count() == 3
    one.has("#tonight .because")
    one.press("#tonight summary")
    one.page.locator('#tonight input[name="never"][value="Horror"]').check(force=True)
    one.press("#tonight .actions button")
    one.look("3-never-horror")
    kinds = one.page.locator("#tonight .kind").all_text_contents()
    assert not any("Horror" in kind or "공포" in kind for kind in kinds), kinds
    one.press("#for-you .later")
    one.go("/my/later", "4-later")
    assert one.page.locator("#for-later [data-item]").count() == 1
    one.go("/", "")
    one.press("#for-you .why")
    one.look("5-why")
    one.has(".sentence")
    one.go("/search?q=star", "6-search")
    one.has("#results .card .hidden", "스타워즈" if one.name.split("-")[2] == "ko" else "Star Wars")
    one.go("/movie/1200", "7-film")
    one.has(".ratings")
    assert one.page.request.get(f"{one.address}/my/nine.png").ok


def student(one: Walker) -> None:
    """Wants to understand how it works: opens the lab, reads a model, changes a setting, looks as somebody else."""
    one.rate(MATRIX, "5")
    one.go("/models", "1-lab")
    one.press(".lab-switch button")
    one.go("/models/ease", "2-model")
    for part in ("math", ".review p", ".settings", 'a[href^="http"]', "#refit form"):
        one.has(part)
    one.go("/lab/map?find=alien", "3-map")
    one.has(".map .found")
    one.go("/models", "")
    one.press("#people button")
    one.look("4-as-somebody-else")
    one.has("#for-you .card")
    one.press('form[action="/lab/person"] button')
    one.go("/compare?models=ease,item-knn", "5-compare")
    assert one.page.locator(".column").count() == 2
    one.go("/models/sasrec", "6-untrained")
    one.has(".commands, .settings")


def engineer(one: Walker) -> None:
    """Wants to build on it: reads the API, asks for a list, signs up, imports, exports and deletes."""
    one.go("/api/docs", "1-api")
    one.has("main", "/api/v1/recommendations")
    answer = one.page.request.get(f"{one.address}/api/v1/recommendations?history={MATRIX},{ALIEN}&k=5")
    assert answer.ok
    assert len(answer.json()["items"]) == 5
    assert one.page.request.get(f"{one.address}/api/openapi.json").ok
    for path in ("/health/ready", "/robots.txt", "/manifest.webmanifest"):
        assert one.page.request.get(one.address + path).ok, path
    one.rate(MATRIX, "5")
    one.go("/my/import", "2-import")
    rows = b"movieId,rating\n1214,4.5\n260,4\n"
    one.page.locator('input[type="file"]').set_input_files(
        {"name": "ratings.csv", "mimeType": "text/csv", "buffer": rows}
    )
    one.press('form[enctype="multipart/form-data"] button')
    one.look("3-imported")
    one.has("main", "2")
    assert one.page.request.get(f"{one.address}/my/data.json").ok
    one.go("/my", "4-mine")
    assert one.page.locator("#mine [data-item]").count() == 3
    one.press('a[href="/my/delete"], form[action="/my/delete"] button, #forget button')
    one.look("5-asks")


def researcher(one: Walker) -> None:
    """Wants to know whether it is true: intervals, split, data, seed, exact contributions, what would change it."""
    for item, stars in ((MATRIX, "5"), (ALIEN, "5"), (STAR_WARS, "4")):
        one.rate(item, stars)
    one.go("/models", "1-scores")
    assert one.page.locator(".model .figure small").count() >= 3, "scores without intervals"
    one.go("/models/ease", "2-ease")
    one.has(".fit", "42")
    one.has(".fit", "bundled")
    one.has("main", "70 / 15 / 15")
    one.go("/why/1200?model=ease", "3-why")
    assert one.page.locator("#parts tbody tr").count() >= 3
    one.go("/why/1200?model=ease&change=true", "4-change")
    one.has("#change p")
    one.go("/compare?models=ease,item-knn,popularity", "5-compare")
    assert one.page.locator(".overlaps li").count() == 3
    one.has(".column .figure, .column", "NDCG@10")
    one.go("/about", "6-about")
    one.has(".cite", "Harper")


PEOPLE: dict[str, Callable[[Walker], None]] = {
    "film-lover": film_lover,
    "student": student,
    "engineer": engineer,
    "researcher": researcher,
}


@contextmanager
def walker(browser: Browser, address: str, name: str, folder: Path | None, **options: object) -> Iterator[Walker]:
    """A new guest with a window of their own."""
    context = browser.new_context(**options)
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    yield Walker(page, address, name, folder, wrong)
    context.close()


def walk_all(address: str, folder: Path | None, only: str) -> int:
    """Every walk; how many found something wrong."""
    failed = 0
    with chromium() as browser:
        for person, language, window, script in product(PEOPLE, LANGUAGES, WINDOWS, (True, False)):
            if only and person != only:
                continue
            name = f"{person}-{language}-{window}" + ("" if script else "-without-script")
            options = WINDOWS[window] | {"locale": LANGUAGES[language], "java_script_enabled": script}
            with walker(browser, address, name, folder, **options) as one:
                try:
                    PEOPLE[person](one)
                except Exception as problem:
                    one.wrong.append(f"{one.page.url}: {type(problem).__name__}: {str(problem)[:300]}")
                failed += bool(one.wrong)
                print(name, *(one.wrong or ["as it should be"]), sep=": ", flush=True)
    return failed


def main() -> None:
    """Walk a site that runs, or a new one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--address", help="of a site that runs")
    parser.add_argument("--only", choices=tuple(PEOPLE), default="")
    parser.add_argument("--pictures", type=Path, metavar="FOLDER")
    given = parser.parse_args()
    if given.pictures:
        given.pictures.mkdir(parents=True, exist_ok=True)
    if given.address:
        sys.exit(walk_all(given.address.rstrip("/"), given.pictures, given.only) > 0)
    with bundled_site((*MODELS, "ials"), measured, lab_fits=True) as address:  # ials has the vectors of the map
        sys.exit(walk_all(address, given.pictures, given.only) > 0)


if __name__ == "__main__":
    main()
