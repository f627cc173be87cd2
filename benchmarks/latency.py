"""What one list of ten costs, by every model and every way to ask for it: milliseconds of processor time, p50 and p99.

    python benchmarks/latency.py                 # every model; some minutes, most of them for fits
    python benchmarks/latency.py ease user-knn   # some models
    python benchmarks/latency.py table           # the JSON as Markdown

MovieLens 1M (70% of the events, with the people of ml-1m-text as item table), 300 users with a median history of 69
events, one thread. What a list costs hardly depends on how well a model is trained, so models that learn by epochs are
fitted with two. The ways of Python are timed for one user after the other, in turns, then those of the API, after what
a site does when it has started:

    rank         ranking.rank(), the list alone
    engine       Engine.recommend_for without reasons
    reasons      the same with reasons
    api          POST /api/v1/recommendations with the history in its body (of more than 1,000 events the last ones, as
                 the API takes no more), through the application, no socket
    api reasons  the same with reasons
    history      mt.recommend(model, history=ids)
    user         mt.recommend(model, user=id)
    user reasons the same with explain=True

Outcomes are added to latency.json, under `now` or the name that `--label` gives. `--keep DIR` keeps the fitted models
there and takes those that are there.
"""

import argparse
import asyncio
import gc
import json
import os
import tempfile
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from pathlib import Path
from threading import Thread
from time import process_time
from typing import Any

import numpy as np

import matinee as mt
from matinee.models import model_class, model_names
from matinee.ranking.rank import rank
from matinee.recommender import Engine
from matinee.serve.api.dependencies import MAX_HISTORY
from matinee.serve.app import create_app
from matinee.serve.garbage import keep_for_good
from matinee.store import artefact
from matinee.store.artefact import Artefact
from reasons import people

os.environ.setdefault("MATINEE_DATA", str(Path(__file__).parents[2] / "shared" / "data"))
OUT = Path(__file__).with_suffix(".json")
SEED, K, WARM = 42, 10, 5
SETTINGS: dict[str, dict[str, Any]] = {
    "ease": {"l2": 500},
    "kprn": {"max_users": 200, "first_settings": {"l2": 500}, "l2": 1.0},
}
WAYS = ("rank", "engine", "reasons", "api", "api reasons", "history", "user", "user reasons")
LIMITS = {name: 5.0 if "reasons" in name else 3.5 for name in WAYS}
"""Milliseconds that p99 is wanted to stay within."""


def fitted(names: list[str], folder: Path) -> list[Artefact]:
    """The models of these names, fitted where the folder does not have them."""
    missing = [name for name in names if not (folder / name).exists()]
    if missing:
        log = mt.load("ml-1m")
        log = log.with_table(mt.items(people(), item="movieId", lists=["directed_by", "starring", "written_by"]))
        split = mt.split(log, "random", ratios=(0.70, 0.15, 0.15), seed=SEED)
    for name in missing:
        settings = dict(SETTINGS.get(name, {}))
        if "epochs" in model_class(name).Config.model_fields:
            settings["epochs"] = 2
        artefact.save(mt.fit(name, split, seed=SEED, **settings), folder / name)
        print("fitted", name, flush=True)
    return [artefact.load(folder / name) for name in names]


class Api:
    """The application of one model, called without a server, on a loop that runs on as a server's does.

    (A loop that ends with each request ends its threads too, and a new one takes longer than many lists.)
    """

    def __init__(self, folder: Path, database: Path) -> None:
        self.app = create_app([folder], db_url=f"sqlite:///{database}")
        self.loop, self.ended = asyncio.new_event_loop(), asyncio.Event()
        self.thread = Thread(target=self.loop.run_until_complete, args=(self.ended.wait(),))
        self.thread.start()

    def post(self, history: list[int], *, explain: bool) -> int:
        """The status of a list for a history."""
        asked = self._post({"history": history, "k": K, "explain": explain})
        return asyncio.run_coroutine_threadsafe(asked, self.loop).result()

    async def _post(self, body: dict[str, object]) -> int:
        sent, status = json.dumps(body).encode(), 0
        headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
        headers.append((b"content-length", str(len(sent)).encode()))
        scope = {
            "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
            "path": "/api/v1/recommendations", "raw_path": b"/api/v1/recommendations", "query_string": b"",
            "root_path": "", "headers": headers, "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80), "state": {},
        }  # fmt: skip

        async def receive() -> dict[str, object]:
            return {"type": "http.request", "body": sent, "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            nonlocal status
            status = message.get("status", status)

        await self.app(scope, receive, send)
        if status != HTTPStatus.OK:
            raise RuntimeError(f"the API answered {status}")
        return status

    def close(self) -> None:
        """Close the database and the loop."""
        self.loop.call_soon_threadsafe(self.ended.set)
        self.thread.join()
        self.app.state.site.database.close()
        self.loop.close()


def measure(model: Artefact, folder: Path, n_users: int) -> dict[str, list[float]]:
    """The median and the 99th percentile of each way, in milliseconds of processor time."""
    users = model.users.ids[:: max(1, len(model.users) // n_users)][: n_users + WARM].tolist()
    engine = Engine([model], model.known)
    milliseconds: dict[str, list[float]] = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as temporary:
        api = Api(folder, Path(temporary) / "site.db")
        for served in (False, True):
            if served:
                keep_for_good()  # as a site does when it starts
            for place, user in enumerate(users):
                ways = ways_of(engine, model, api, user)
                for way, call in ((way, call) for way, call in ways.items() if way.startswith("api") == served):
                    begun = process_time()
                    call()
                    if place >= WARM:  # the first ones fill caches
                        milliseconds[way].append(1000 * (process_time() - begun))
        gc.unfreeze()
        api.close()
    return {way: [round(float(np.quantile(found, q)), 2) for q in (0.5, 0.99)] for way, found in milliseconds.items()}


def ways_of(engine: Engine, model: Artefact, api: Api, user: int) -> dict[str, Callable[[], object]]:
    """A call for each way, for one user."""
    history = engine.history(user)
    ids = model.items.ids[history.items].tolist()
    return {
        "rank": partial(rank, model.model, history, K),
        "engine": partial(engine.recommend_for, history, K, explain=False),
        "reasons": partial(engine.recommend_for, history, K, explain=True),
        "api": partial(api.post, ids[-MAX_HISTORY:], explain=False),
        "api reasons": partial(api.post, ids[-MAX_HISTORY:], explain=True),
        "history": partial(mt.recommend, model, history=ids, k=K),
        "user": partial(mt.recommend, model, user=user, k=K),
        "user reasons": partial(mt.recommend, model, user=user, k=K, explain=True),
    }


def table() -> str:
    """The outcomes as Markdown, a table a label: median, p99; those above their limit in bold."""
    parts = []
    for label, models in json.loads(OUT.read_text("utf-8")).items():
        rows = [f"| {label} | {' | '.join(WAYS)} |", "|---" * (len(WAYS) + 1) + "|"]
        for name, found in models.items():
            cells = []
            for way in WAYS:
                median, p99 = found[way]
                cells.append(f"{median:.1f}, " + (f"**{p99:.1f}**" if p99 > LIMITS[way] else f"{p99:.1f}"))
            rows.append(f"| {name} | {' | '.join(cells)} |")
        parts.append("\n".join(rows))
    return "\n\n".join(parts)


def main() -> None:
    """Measure the models that the command line names, and write after each one."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("models", nargs="*", help="all without any; `table` for the stored table")
    options.add_argument("--keep", type=Path, help="a folder for the fitted models")
    options.add_argument("--label", default="now", help="what the outcomes are stored under")
    options.add_argument("--users", type=int, default=300, help="how many users are timed")
    chosen = options.parse_args()
    if chosen.models == ["table"]:
        print(table())
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = chosen.keep or Path(temporary)
        for model in fitted(chosen.models or list(model_names()), folder):
            stored = json.loads(OUT.read_text("utf-8")) if OUT.exists() else {}
            found = measure(model, folder / model.name, chosen.users)
            stored.setdefault(chosen.label, {})[model.name] = found
            OUT.write_text(json.dumps(stored, indent=1) + "\n", "utf-8")
            print(model.name, found, flush=True)


if __name__ == "__main__":
    main()
