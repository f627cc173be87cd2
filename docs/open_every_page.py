"""Open every page of the built documentation from the disk: `make docs`, then `python docs/open_every_page.py`.

Each page in Chromium (playwright, of the extra `dev`), on a desk in light colours and on a phone in dark ones. Prints
one JSON object: how many pages, and of each what is wrong: errors of the console, requests to another host, missing
files, broken pictures, and text that is wider than the window. Exit code 1 if anything is. `--pictures DIR` keeps a
picture of each.
"""

import argparse
import json
import shutil
import sys
from pathlib import Path
from typing import Any

from playwright.sync_api import Page, Request, sync_playwright

SITE = Path(__file__).parents[1] / "build" / "site"
WINDOWS: dict[str, dict[str, Any]] = {
    "desk": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"},
    "phone": {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"},
}
LOOK = """() => ({
    broken: [...document.images].filter(each => each.complete && !each.naturalWidth).map(each => each.src),
    wider: document.documentElement.scrollWidth - document.documentElement.clientWidth,
})"""


def open_page(page: Page, path: Path) -> list[str]:
    """What is wrong with a page in this window."""
    found: list[str] = []

    def refused(request: Request) -> None:
        found.append(f"not loaded: {request.url}")

    def asked(request: Request) -> None:
        if not request.url.startswith(("file:", "data:", "blob:")):
            found.append(f"asks another host: {request.url}")

    page.on("console", lambda message: found.append(f"console: {message.text}") if message.type == "error" else None)
    page.on("pageerror", lambda error: found.append(f"script: {error}"))
    page.on("requestfailed", refused)
    page.on("request", asked)
    page.goto(path.as_uri(), wait_until="load")
    seen = page.evaluate(LOOK)
    found += [f"broken picture: {each}" for each in seen["broken"]]
    if seen["wider"] > 0:
        found.append(f"{seen['wider']} pixels wider than the window")
    return found


def main() -> None:
    """See above."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pictures", type=Path, help="a folder for a picture of each page")
    pictures: Path | None = parser.parse_args().pictures
    paths = sorted(path for path in SITE.rglob("*.html") if path.name != "404.html")  # which a server answers with
    if not paths:
        sys.exit(f"no pages in {SITE}; run `make docs` first")
    wrong: dict[str, list[str]] = {}
    with sync_playwright() as playwright:
        chromium = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        for window, options in WINDOWS.items():
            context = browser.new_context(**options)
            for path in paths:
                name, page = path.relative_to(SITE).as_posix(), context.new_page()
                if found := open_page(page, path):
                    wrong[f"{name} ({window})"] = found
                if pictures is not None:
                    pictures.mkdir(parents=True, exist_ok=True)
                    page.screenshot(path=pictures / f"{name.removesuffix('.html').replace('/', '-')}-{window}.png")
                page.close()
        browser.close()
    outcome = {"pages": len(paths), "windows": list(WINDOWS), "wrong": wrong}
    sys.stdout.write(json.dumps(outcome, indent=1, ensure_ascii=False) + "\n")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
