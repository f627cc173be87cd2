"""How heavy pages are, and when the first of them is painted, on a slow line. Prints one JSON object.

    python benchmarks/page_weight.py [--address http://127.0.0.1:8000] > benchmarks/page_weight.json

Chromium with an empty cache, through its own throttle (CDP): 400 ms to each answer, 400 kbit/s both ways, a new browser
context for each page. bytes: what the line carried, compressed, headers included; first_paint: "first-contentful-paint"
of the page's own clock, in seconds, the median of TRIES. A phone's window; the visitor has rated three films.

Limits to compare with: a page under 200 kB, first paint under 1 s. The file of results has an older version under
`before`, added by hand.
"""

import statistics
from typing import Any

from playwright.sync_api import Browser, BrowserContext

from walks import chromium, print_measured

LATENCY_MS, BYTES_A_SECOND = 400, 400_000 // 8
TRIES = 3
PATHS = ("/", "/movie/1214", "/search?q=star", "/my", "/my/later", "/models/ease")
RATED = ("2571", "1214", "260")
PHONE = {"width": 390, "height": 844}
NETWORK = {
    "offline": False, "latency": LATENCY_MS, "downloadThroughput": BYTES_A_SECOND, "uploadThroughput": BYTES_A_SECOND,
}  # fmt: skip


def visit(context: BrowserContext, url: str) -> dict[str, float]:
    """The bytes and the first paint of one page on the slow line, with an empty cache."""
    page = context.new_page()
    session = context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Network.setCacheDisabled", {"cacheDisabled": True})
    session.send("Network.emulateNetworkConditions", NETWORK)
    sizes: list[float] = []
    session.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    page.goto(url, wait_until="networkidle", timeout=60_000)
    paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null")
    loaded = page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd")
    page.close()
    return {"bytes": sum(sizes), "requests": len(sizes), "first_paint": paint / 1000, "loaded": loaded / 1000}


def measure(browser: Browser, address: str, path: str, *, rated: bool, locale: str = "en-US") -> dict[str, Any]:
    """The medians of a page's visits."""
    context = browser.new_context(viewport=PHONE, has_touch=True, is_mobile=True, locale=locale)
    if rated:
        page = context.new_page()
        for item in RATED:
            page.goto(f"{address}/movie/{item}")
            page.locator('.yours button[value="5"]').first.click()
            page.wait_for_load_state("networkidle")
        page.close()
    visits = [visit(context, address + path) for _ in range(TRIES)]
    context.close()
    return {name: round(statistics.median(one[name] for one in visits), 2) for name in visits[0]}


def measure_all(address: str) -> dict[str, Any]:
    """All pages, the home page as a new guest sees it too."""
    with chromium() as browser:
        found = {"/ (a guest)": measure(browser, address, "/", rated=False)}
        for path in PATHS:
            found[path] = measure(browser, address, path, rated=True)
        for path in PATHS[:2]:
            found[f"{path} (Korean)"] = measure(browser, address, path, rated=True, locale="ko-KR")
        return found


if __name__ == "__main__":
    print_measured(__doc__, measure_all)
