"""A shop of 5,000 products from its own files to its own site: each step checked and timed, and every page read.

    python benchmarks/shop.py [--products 5000] [--customers 800]

Writes products.csv and log.csv (`shop_files.py`), trains EASE with `matinee train`, starts `matinee serve` with a fresh
database and an admin key, and then, over HTTP alone: searches, lists, adds a product, finds it, sees it in the row and
the list of what is new, withdraws it and sees it nowhere, reads every linked page and answer in both languages for
words of movies, and takes two screenshots where Chromium is. A step that fails ends the run with a sentence.

Writes shop.json beside this file: seconds of each step, and of a PUT its wall and processor seconds, of the first, and
the median of five later ones. The first PUT is sent when the server is at rest. Needs Linux (/proc).
"""

import argparse
import csv
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
from playwright.sync_api import Browser, sync_playwright

from shop_files import write

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from database_servers import free_port
from site_crawl import WORDS_OF_MOVIES, crawl

RESULTS, IMAGES = Path(__file__).with_suffix(".json"), Path(__file__).parents[1] / "docs" / "images"
NOUN, NEW_ID, LATER = "product", "N-1", 5
NEW: dict[str, Any] = {
    "title": "Cork kettle Vesuvius",
    "genres": ["Kitchen"],
    "lists": {"brand": ["Brook"], "colours": ["red", "natural"]},
    "texts": {"description": "A kettle of cork for large families, by Brook. Also good for long winters."},
    "numbers": {"price": 39.5},
    "link": "https://shop.example/kettle",
}
LONGEST_LIST = 100
REST, PATIENCE = 0.05, 600
"""A server at rest takes less than this part of a processor; seconds to wait for it."""


class Steps:
    """What was done, and the seconds that it took."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """A step; what fails in it ends the run."""
        started = time.perf_counter()
        yield
        self.seconds[name] = round(time.perf_counter() - started, 4)
        print(f"{name}: {self.seconds[name]:.3f} s", file=sys.stderr, flush=True)


def check(holds: bool, sentence: str) -> None:
    """End the run unless something holds."""
    if not holds:
        raise SystemExit(f"failed: {sentence}")


def matinee(*arguments: object) -> str:
    """The output of a command."""
    command = [sys.executable, "-m", "matinee", *map(str, arguments)]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout


class Server:
    """`matinee serve` in a process of its own, and a client of it."""

    def __init__(self, artefact: Path, database: str, port: int, log: Path) -> None:
        unlimited = ("--address-rate", "0", "--visitor-rate", "0")
        command = [sys.executable, "-m", "matinee", "serve", artefact, "--db", database, "--noun", NOUN]
        with log.open("wb") as file:
            self.process = subprocess.Popen(
                [*map(str, command), "--port", str(port), *unlimited], stdout=file, stderr=subprocess.STDOUT
            )
        self.log, self.address = log, f"http://127.0.0.1:{port}"
        self.client = httpx2.Client(base_url=self.address, follow_redirects=True, timeout=60)

    def wait_until_ready(self) -> None:
        """Wait for /health/ready."""
        for _ in range(PATIENCE * 10):
            check(self.process.poll() is None, f"the server ended: {self.log.read_text('utf-8')[-500:]}")
            try:
                if self.client.get("/health/ready").status_code == 200:
                    return
            except httpx2.TransportError:
                pass
            time.sleep(0.1)
        check(False, "the server is not ready")

    def wait_until_at_rest(self) -> None:
        """Wait until nothing is computed in the background any more, such as embeddings of texts."""
        quiet, until = 0, time.monotonic() + PATIENCE
        while quiet < 3 and time.monotonic() < until:
            before = self.processor_seconds()
            time.sleep(1)
            quiet = quiet + 1 if self.processor_seconds() - before < REST else 0

    def processor_seconds(self) -> float:
        """Of all threads since the start."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text("utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        """End the process, and wait for its end."""
        self.client.close()
        self.process.terminate()
        self.process.wait()


class Shop:
    """What a program of the shop, with its key, and its visitors do."""

    def __init__(self, server: Server, key: str) -> None:
        self.server, self.client = server, server.client
        self.headers = {"Authorization": f"Bearer {key}"}

    def json(self, path: str, **query: object) -> Any:
        """The answer to a GET."""
        answer = self.client.get(path, params={name: str(value) for name, value in query.items()})
        check(answer.status_code == 200, f"{answer.url}: {answer.status_code} {answer.text[:200]}")
        return answer.json()

    def put(self, item_id: str, about: Mapping[str, Any]) -> dict[str, float]:
        """Add a product; the wall and processor seconds of it."""
        started, before = time.perf_counter(), self.server.processor_seconds()
        answer = self.client.put(f"/api/v1/items/{item_id}", json=about, headers=self.headers)
        wall = time.perf_counter() - started
        check(answer.status_code == 201, f"PUT: {answer.status_code} {answer.text[:200]}")
        check(answer.json()["recommendable"], "the new product is not predicted")
        return {"wall": wall, "processor": self.server.processor_seconds() - before}

    def found(self, query: str) -> list[str]:
        """The ids that a search by the API finds, by title or meaning."""
        return [one["item_id"] for one in self.json("/api/v1/items", query=query)]

    def listed(self, **query: object) -> list[str]:
        """The ids of a list."""
        return [one["item_id"] for one in self.json("/api/v1/recommendations", **query)["items"]]

    def whereabouts(self, history: str) -> Iterator[tuple[str, bool]]:
        """Where the new product could be: a name of the place, and whether it is there."""
        title = str(NEW["title"])
        yield "search", NEW_ID in self.found(title)
        yield "suggestions", title in self.client.get("/search/suggest", params={"q": "vesuv"}).text
        yield "page of the search", title in self.client.get("/search", params={"q": "vesuvius"}).text
        yield "home page", title in self.client.get("/").text
        yield "new, without a history", NEW_ID in self.listed(new="true")
        yield "new, for a history", NEW_ID in self.listed(new="true", history=history)
        yield "only this product", NEW_ID in self.listed(among=NEW_ID, history=history)
        yield "the best of all", NEW_ID in self.listed(k=LONGEST_LIST, history=history)
        similar = self.json(f"/api/v1/items/{history.split(',')[0]}/similar", k=LONGEST_LIST)["items"]
        yield "similar to a bought one", NEW_ID in [one["item_id"] for one in similar]


def kitchen(folder: Path, n: int = 8) -> str:
    """The most bought products of the category and the brand of the new one: the history of somebody whom it fits."""
    with (folder / "products.csv").open(encoding="utf-8") as file:
        fitting = (NEW["genres"][0], NEW["lists"]["brand"][0])
        own = {row["product_id"] for row in csv.DictReader(file) if (row["category"], row["brand"]) == fitting}
    with (folder / "log.csv").open(encoding="utf-8") as file:
        counts = Counter(row["product_id"] for row in csv.DictReader(file) if row["product_id"] in own)
    return ",".join(product for product, _ in counts.most_common(n))


def add(shop: Shop, history: str) -> dict[str, Any]:
    """Add products until one of them has been found and listed; the seconds of each PUT, and where it is."""
    shop.server.wait_until_at_rest()
    first = shop.put(NEW_ID, NEW)
    found = dict(shop.whereabouts(history))
    wanted = ("search", "suggestions", "page of the search", "home page", "new, without a history")
    for place in (*wanted, "new, for a history", "only this product", "the best of all"):
        check(found[place], f"the new product is not in: {place}")
    later = []
    for number, genre in zip(range(LATER), ("Garden", "Office", "Sport", "Nursery", "Garden"), strict=True):
        shop.server.wait_until_at_rest()
        about = NEW | {
            "title": f"Later product {number}",
            "genres": [genre],
            "texts": {"description": f"Made for travel, edition {number}."},
        }
        later.append(shop.put(f"L-{number}", about))
    medians = {name: statistics.median(each[name] for each in later) for name in first}
    order = shop.listed(new="true", history=history)
    check(order[0] == NEW_ID, f"what fits the history is not the first of the new ones: {order}")
    return {"first": first, "later_median": medians, "listed_in": found}


def withdraw(shop: Shop, history: str) -> None:
    """Take the product out, and look for it everywhere."""
    answer = shop.client.delete(f"/api/v1/items/{NEW_ID}", headers=shop.headers)
    check(answer.status_code == 204, f"DELETE: {answer.status_code}")
    for place, is_there in shop.whereabouts(history):
        check(not is_there, f"the withdrawn product is still in: {place}")
    check(shop.client.get(f"/item/{NEW_ID}").status_code == 410, "the page of the withdrawn product does not say so")


def read_all(shop: Shop, item_id: str) -> dict[str, int]:
    """How many pages and answers were read, in both languages. Ends the run at a word of movies."""
    counts = {}
    for language in ("ko", "en"):
        shop.client.get("/language", params={"to": language, "next": "/"})
        pages = dict(crawl(shop.client, item_id))
        for address, text in pages.items():
            word = WORDS_OF_MOVIES.search(text)
            check(word is None, f"{address} has the word {word and word[0]!r}")
        counts[language] = len(pages)
    return counts


def screenshots(server: Server) -> list[str]:
    """The home page in English, and the page of the new product in Korean on a phone, where Chromium is."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        return []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        home = _shot(browser, server, "/", "shop-home.png", {"width": 1280, "height": 1800}, "en-GB")
        item = _shot(browser, server, f"/item/{NEW_ID}", "shop-item-korean.png", {"width": 390, "height": 844}, "ko-KR")
        browser.close()
    return [home, item]


def _shot(browser: Browser, server: Server, path: str, name: str, size: Any, locale: str) -> str:
    page = browser.new_context(viewport=size, locale=locale, reduced_motion="reduce").new_page()
    page.goto(server.address + path)
    page.screenshot(path=IMAGES / name)
    return name


def run(folder: Path, n_products: int, n_customers: int) -> dict[str, Any]:
    """The whole way; folder: an empty one."""
    steps, database = Steps(), f"sqlite:///{folder}/shop.sqlite3"
    with steps.step("write the files"):
        write(folder, n_products, n_customers)
    with steps.step("train"):
        files = ("--data", folder / "log.csv", "--items", folder / "products.csv")
        matinee("train", "ease", *files, "--out", folder / "ease", "--quiet")
    with steps.step("make a key"):
        key = json.loads(matinee("keys", "create", "stock", "--scopes", "admin", "--db", database, "--json"))["key"]
    history = kitchen(folder)
    server = Server(folder / "ease", database, free_port(), folder / "serve.log")
    try:
        return use(Shop(server, key), steps, history) | {"products": n_products, "customers": n_customers}
    finally:
        server.stop()


def use(shop: Shop, steps: Steps, history: str) -> dict[str, Any]:
    """Everything that is done on the running site."""
    found: dict[str, Any] = {}
    with steps.step("start until ready"):
        shop.server.wait_until_ready()
    with steps.step("search"):
        check("copper kettle" in shop.client.get("/search?q=coper+ketle").text.lower(), "the search finds no kettle")
    with steps.step("list"):
        check(len(shop.listed(history=history)) == 10, "no list for a history")
    actions: list[tuple[str, Callable[[], object]]] = [
        ("add, find, see listed", lambda: add(shop, history)),
        ("read all pages", lambda: read_all(shop, NEW_ID)),
        ("screenshots", lambda: screenshots(shop.server)),
        ("withdraw, see nowhere", lambda: withdraw(shop, history)),
    ]
    for name, act in actions:
        with steps.step(name):
            found[name] = act()
    return {
        "seconds": steps.seconds,
        "put_seconds": {name: found["add, find, see listed"][name] for name in ("first", "later_median")},
        "listed_in": found["add, find, see listed"]["listed_in"],
        "pages_read": found["read all pages"],
        "words_of_movies": 0,
        "screenshots": found["screenshots"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--products", type=int, default=5000)
    parser.add_argument("--customers", type=int, default=800)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = run(Path(folder), given.products, given.customers)
    RESULTS.write_text(json.dumps(result, indent=2) + "\n", "utf-8")
    print(json.dumps(result))


if __name__ == "__main__":
    main()
