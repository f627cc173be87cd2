"""Draw the operator's page for docs/operating.md: `python docs/draw_operate.py` writes images/operate.png.

A site of the bundled data with EASE and ItemKNN in a registry, two days of made-up visitors in the arms of a split,
some requests, and a retraining; then the page in Chromium (playwright, of the extra `dev`).
"""

import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from urllib.request import urlopen

import numpy as np
from playwright.sync_api import sync_playwright

import matinee as mt
from matinee.dataset import Dataset
from matinee.experiments.plan import read_split
from matinee.serve.accounts.api_keys import ApiKeys
from matinee.store.api_keys import SqlApiKeys
from matinee.store.database import SqlDatabase
from matinee.store.impressions import SqlImpressions
from matinee.store.protocols import ListImpression, LiveEvent
from matinee.store.sql import SqlEvents
from matinee.store.streams.sql import SqlStream
from matinee.store.versions import Registry
from matinee.workflow.retraining import retrain

PICTURES = Path(__file__).parent / "images"
SPLIT = "ease=0.5,item-knn=0.5"
ROWS = {"for-you": 0.24, "next": 0.15, "because-1": 0.18, "popular-now": 0.10, "popular": 0.07, "new": 0.05}
"""Rows of the site, and how often something is taken from a list of each."""
N_VISITORS = 1500


def fill(database: SqlDatabase, data: Dataset, now: int, n_visitors: int = N_VISITORS) -> None:
    """Two days of visitors, more of them in the evening, who take more from the lists of EASE."""
    rng, plan = np.random.default_rng(16), read_split(SPLIT)
    daily = 1.2 + np.sin((np.arange(48) - 14) * np.pi / 12)
    hours = rng.choice(48, n_visitors, p=daily / daily.sum())
    lists, events = [], []
    for n, hour in enumerate(hours.tolist()):
        user_id, at = f"visitor-{n}", now - 48 * 3600 + hour * 3600 + int(rng.integers(3500))
        arm = plan.arm_of(user_id) or ""
        liked = rng.choice(len(data.items), 3, p=data.catalogue.counts / data.catalogue.counts.sum())
        events += [LiveEvent(user_id, str(data.items.id(int(row))), "rating", 4.0, at) for row in liked]
        for row, share in ROWS.items():
            list_id, is_first = f"{user_id}.{row}", row == "for-you"
            model = arm if is_first else "item-knn" if row == "because-1" else "popularity"
            items = tuple(data.items.id(int(each)) for each in rng.integers(len(data.items), size=12))
            where = (plan.name, arm) if is_first else (None, None)
            lists.append(ListImpression(list_id, user_id, row, model, "v", at, items, *where))
            if rng.random() < share * (1.3 if arm == "ease" else 0.7):
                taken = LiveEvent(user_id, str(items[2]), "click", 1.0, at + 30, None, model, list_id, 3, "v")
                events += [
                    taken,
                    LiveEvent(user_id, str(items[2]), "rating", 4.0, at + 60, None, model, list_id, 3, "v"),
                ]
    SqlImpressions(database).write(lists)
    database.flush()
    SqlEvents(database, data.items).append(sorted(events, key=lambda one: one.at))


def ask(address: str, data: Dataset) -> None:
    """Some requests, so that there are times to show."""
    for n in range(150):
        for path in (
            "",
            "models",
            f"api/v1/recommendations?history={data.items.id(n)}&k=10",
            "search?q=alien",
            "movie/1",
        ):
            with urlopen(address + path) as answer:
                answer.read()


def photograph(address: str, key: str) -> None:
    """The page in light and dark, English and Korean."""
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        for language, scheme in (("en", "light"), ("ko", "dark")):
            context = browser.new_context(
                viewport={"width": 1200, "height": 900},
                locale=language,
                color_scheme=scheme,
                http_credentials={"username": "operator", "password": key},
            )
            page = context.new_page()
            page.goto(f"{address}operate/")
            name = "operate.png" if language == "en" else "operate-ko.png"
            page.screenshot(path=PICTURES / name, full_page=True)
        browser.close()


def main() -> None:
    """Make the site, fill it, look at it."""
    data = mt.load("bundled")
    counts = np.bincount(data.events.item_rows)
    data = data.keep(counts[data.events.item_rows] >= 25)
    with tempfile.TemporaryDirectory() as folder, socket.socket() as probe:
        registry = Registry.create(Path(folder) / "registry")
        registry.add([mt.fit("ease", data), mt.fit("item-knn", data)])
        registry.promote(1)
        database = SqlDatabase(f"sqlite:///{folder}/site.sqlite3")
        fill(database, data, int(time.time()))
        retrain(registry, database)
        for consumer, n_left in (("kafka:events", 0), ("parquet:lake", 240)):
            SqlStream(database, consumer).commit({0: SqlStream(database, consumer).lag({}) - n_left + 1})
        _, key = ApiKeys(SqlApiKeys(database), time.time).create("operator", ["admin"])
        database.close()
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        command = [sys.executable, "-m", "matinee", "serve", "--registry", str(registry.path), "--port", str(port)]
        command += ["--db", f"sqlite:///{folder}/site.sqlite3", "--split", SPLIT, "--visitor-rate", "0"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            try:
                assert server.stdout
                server.stdout.readline()
                ask(f"http://127.0.0.1:{port}/", data)
                photograph(f"http://127.0.0.1:{port}/", key)
            finally:
                server.terminate()


if __name__ == "__main__":
    main()
