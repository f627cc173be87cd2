"""Draw the pictures of the site for README and docs: `python docs/draw_site.py [--address URL] [FOLDER]`.

A site of the bundled data with the models of the demo (or one that runs, such as one of an older version, with
`--before`), in Chromium (playwright, of the extra `dev`): a guest, and a visitor who rated five movies. Writes
site-*.png to images/, or before-*.png.
"""

import argparse
import io
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, BrowserContext, Page

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks"))
import matinee as mt
from matinee.cli.site import DEMO_MODELS
from matinee.store.artefact import Artefact
from matinee.workflow import quality
from walks import bundled_site, chromium

MODELS = ("ease", *(name for name in DEMO_MODELS if name != "ease"))
"""The default first."""
RATED = {"2571": "5", "1214": "4.5", "4973": "4", "5618": "5", "296": "3.5"}
"""The Matrix, Alien, Amélie, Spirited Away, Pulp Fiction."""
DESKTOP, PHONE = {"width": 1360, "height": 900}, {"width": 390, "height": 900}
SETTLE_MS, COLOURS = 400, 192
PICTURES = {
    "home": "/",
    "movie": "/movie/1200",
    "my": "/my",
    "model": "/models/ease",
    "compare": "/compare?models=ease,item-knn,popularity",
}
"""Those of the visitor, in English and light."""
IN_KOREAN = {"korean": "/", "movie-korean": "/movie/1200"}


def measured(name: str) -> Artefact:
    """A model of the demo with its scores."""
    split = mt.split(mt.load("bundled"))
    fitted = mt.fit(name, split, **DEMO_MODELS[name])
    return fitted.with_manifest(quality(mt.evaluate(fitted, split, k=(10,))))


def draw(page: Page, url: str, path: Path) -> None:
    """One picture, once its fonts are there; small, since few colours are on a page."""
    page.goto(url, wait_until="networkidle")
    page.wait_for_timeout(SETTLE_MS)
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    picture.quantize(COLOURS, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(path, optimize=True)


def visitor(browser: Browser, address: str, **options: object) -> BrowserContext:
    """A visitor who rated five movies, and closed the invitation to rate more."""
    context = browser.new_context(**{"locale": "en-US", "viewport": DESKTOP} | options)
    page = context.new_page()
    for item_id, stars in RATED.items():
        page.goto(f"{address}/movie/{item_id}")
        page.locator(f'.yours button[value="{stars}"]').click()
        page.locator('.yours button[value="removed"]').wait_for()
    page.goto(address)
    page.locator('form[action="/picker"] button').click()
    page.close()
    return context


def draw_all(address: str, folder: Path, prefix: str) -> None:
    """All pictures."""

    def path(name: str) -> Path:
        return folder / f"{prefix}-{name}.png"

    with chromium() as browser:
        guest = browser.new_context(locale="en-US", viewport=DESKTOP)
        draw(guest.new_page(), f"{address}/", path("guest"))
        light = visitor(browser, address)
        for name, page in PICTURES.items():
            draw(light.new_page(), address + page, path(name))
        dark = visitor(browser, address, color_scheme="dark")
        draw(dark.new_page(), f"{address}/models", path("dark"))
        korean = visitor(browser, address, locale="ko-KR")
        for name, page in IN_KOREAN.items():
            draw(korean.new_page(), address + page, path(name))
        phone = visitor(browser, address, viewport=PHONE, is_mobile=True, has_touch=True)
        draw(phone.new_page(), f"{address}/", path("phone"))


def main() -> None:
    """Make a site, or take one that runs, and look at it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--address", help="of a site that runs")
    parser.add_argument("folder", nargs="?", type=Path, default=Path(__file__).parent / "images")
    parser.add_argument("--before", action="store_true", help="the site is an older version")
    given = parser.parse_args()
    prefix = "before" if given.before else "site"
    if given.address:
        draw_all(given.address.rstrip("/"), given.folder, prefix)
    else:
        with bundled_site(MODELS, measured) as address:
            draw_all(address, given.folder, prefix)


if __name__ == "__main__":
    main()
