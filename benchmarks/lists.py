"""Lists of ten for everyone: MovieLens 1M against implicit, and a million users of 60,000 items to a file.

    python benchmarks/lists.py --peer VENV/bin/python     against implicit, in an environment of its own
    python benchmarks/lists.py --million                  the file of 10 million rows alone
    python benchmarks/lists.py --models all --keep DIR    rank() for everyone by each model, with its limit, in a
                                                          process that has loaded torch; --bare: that has not

Run it on one core with one thread. Ours and implicit's runs alternate, and the median of each is taken. `stored`: the
same user and item vectors for both; `rank`: rank() from histories, with the fold-in of everybody, of which `fold_in`
is a part; lists of both are compared.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import matinee as mt
from matinee.arrays import FloatArray
from matinee.catalogue import Catalogue
from matinee.config import Config, EvaluationConfig
from matinee.dataset import Dataset, Events
from matinee.evaluation.task import Task
from matinee.histories import Histories, TrainingData
from matinee.lists import everyone
from matinee.lists.file import write
from matinee.models import model_names
from matinee.models.base import Recommender
from matinee.ranking.rank import rank
from matinee.store.artefact import Artefact
from matinee.training.run import Run
from matinee.vocab import Vocab

MODELS: dict[str, dict[str, Any]] = {
    "ials": {"epochs": 4}, "bpr": {"epochs": 4}, "lightgcn": {"epochs": 4}, "ease": {"l2": 500.0}, "item-knn": {},
}  # fmt: skip
"""A few epochs: training does not change the time of lists."""
TIMES, K = 5, 10
QUICK = ("ease", "item-knn", "ials", "bpr", "lightgcn", "mult-vae", "cdae", "sasrec")
LIMIT_OF_QUICK, LIMIT = 0.2, 0.6
"""Seconds for lists of everyone that these models, and all others, should keep."""
TIMES_EACH = 2
OUT = Path(__file__).with_suffix(".json")
N_USERS, N_ITEMS, DIM = 1_000_000, 60_000, 64


class Stored(Recommender[FloatArray]):
    """Given user vectors by row, given item vectors."""

    name = "stored"
    Config = Config
    learned = ("users", "items")
    users: FloatArray  # [U, D]
    items: FloatArray  # [I, D]

    def fit(self, train: TrainingData, run: Run) -> "Stored":
        """Nothing to learn."""
        return self

    def fold_in(self, histories: Histories) -> FloatArray:
        """The vectors of the users' rows."""
        return self.users[histories.user_rows]

    def score(self, state: FloatArray) -> FloatArray:
        """Products."""
        return state @ self.items.T


def stored(users: FloatArray, items: FloatArray) -> Stored:
    model = Stored()
    model.users, model.items = np.ascontiguousarray(users, np.float32), np.ascontiguousarray(items, np.float32)
    return model


def seconds_of(work: Callable[[], Any]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def movielens(data: Dataset, peer: str | None) -> dict[str, Any]:
    split = mt.split(data)
    histories = Task.of(split, EvaluationConfig()).histories
    assert isinstance(histories, Histories)
    models = {name: mt.fit(name, split, **settings).model for name, settings in MODELS.items()}
    ials = models["ials"]
    lookup = stored(ials.fold_in(histories), ials.item_vectors())  # type: ignore[attr-defined]
    by_row = Histories(
        histories.starts, histories.items, histories.weights, histories.times, np.arange(len(histories), dtype=np.int32)
    )
    works: dict[str, Callable[[], Any]] = {"stored": lambda: rank(lookup, by_row, K)}
    for name, model in models.items():
        works[f"{name} rank"] = lambda model=model: rank(model, histories, K)
        works[f"{name} fold_in"] = lambda model=model: model.fold_in(histories)
    taken: dict[str, list[float]] = {name: [] for name in works}
    with tempfile.TemporaryDirectory() as folder:
        given, answer = Path(folder) / "given.npz", Path(folder) / "answer.npz"
        similar = models["item-knn"].similarities  # type: ignore[attr-defined]
        np.savez(
            given, starts=histories.starts, items=histories.items, n_items=len(data.items), users=lookup.users,
            vectors=lookup.items, data=similar.data, indices=similar.indices, indptr=similar.indptr,
        )  # fmt: skip
        theirs: dict[str, list[float]] = {"factors": [], "neighbours": []}
        for _ in range(TIMES):
            for name, work in works.items():
                taken[name].append(seconds_of(work))
            if peer:
                script = Path(__file__).parent / "peers" / "implicit_lists.py"
                subprocess.run([peer, str(script), str(given), str(answer)], check=True)
                found = np.load(answer)
                for name in theirs:
                    theirs[name] += found[f"{name}_seconds"].tolist()
        result: dict[str, Any] = {"users": len(histories), "items": len(data.items), "dim": lookup.users.shape[1]}
        result["seconds"] = {name: statistics.median(seconds) for name, seconds in taken.items()}
        if peer:
            result["implicit"] = {name: statistics.median(seconds) for name, seconds in theirs.items()}
            pairs = {"factors": rank(lookup, by_row, K), "neighbours": rank(models["item-knn"], histories, K)}
            result["same_lists"] = {
                name: float(np.mean(np.sort(ours.items, axis=1) == np.sort(found[f"{name}_lists"], axis=1)))
                for name, ours in pairs.items()
            }
    return result


def by_each(names: list[str], folder: Path, *, bare: bool) -> None:
    """Seconds of processor time of lists for all users of MovieLens 1M, printed and stored model by model."""
    from latency import fitted

    if not bare:
        import torch  # noqa: F401 - whose kernel then makes products, as after a training or for lists of many users

    for name in names:
        (model,) = fitted([name], folder)
        histories = model.known.histories(model.users.ids.tolist())
        seconds = []
        for _ in range(TIMES_EACH):
            started = time.process_time()
            rank(model.model, histories, K)
            seconds.append(time.process_time() - started)
        stored = json.loads(OUT.read_text("utf-8"))
        limit = LIMIT_OF_QUICK if name in QUICK else LIMIT
        stored.setdefault("by_each_bare" if bare else "by_each", {})[name] = {
            "seconds": round(min(seconds), 3),
            "limit": limit,
        }
        OUT.write_text(json.dumps(stored, indent=2) + "\n", "utf-8")
        print(name, round(min(seconds), 3), "of", limit, flush=True)


def million() -> dict[str, Any]:
    """Lists of a million users with a history of ten items each, from synthetic vectors, to a Parquet file."""
    rng = np.random.default_rng(0)
    n_events = 10 * N_USERS
    users = np.repeat(np.arange(N_USERS, dtype=np.int32), 10)
    items = rng.integers(0, N_ITEMS, n_events, dtype=np.int32)
    ones = np.ones(n_events, dtype=np.float32)
    events = Events(users, items, ones, np.zeros(n_events, dtype=np.int64))
    names = ("",) * N_ITEMS
    catalogue = Catalogue(names, (0,) * N_ITEMS, ((),) * N_ITEMS)
    data = Dataset("synthetic", Vocab(np.arange(N_USERS)), Vocab(np.arange(N_ITEMS)), events, catalogue)
    vectors = [rng.standard_normal((n, DIM), dtype=np.float32) for n in (N_USERS, N_ITEMS)]
    train = TrainingData(Histories.from_events(events, np.arange(N_USERS, dtype=np.int32)), N_ITEMS)
    artefact = Artefact.of(stored(*vectors), data, train)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "lists.parquet"
        started = time.process_time()
        seconds = seconds_of(lambda: write(everyone.for_users(artefact, "all", K), out))
        processor_seconds = time.process_time() - started
        rows, size = pl.scan_parquet(out).select(pl.len()).collect().item(), out.stat().st_size
    return {
        "users": N_USERS, "items": N_ITEMS, "dim": DIM, "rows": rows, "file_mb": size / 1e6, "seconds": seconds,
        "processor_seconds": processor_seconds,
        "data_and_vectors_mb": before / 1e3,
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", help="the Python of an environment with implicit")
    parser.add_argument("--million", action="store_true", help="only the million users")
    parser.add_argument("--models", nargs="+", help="lists for everyone by these models, or by `all`")
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir()) / "lists", help="of fitted models")
    parser.add_argument("--bare", action="store_true", help="without torch")
    options = parser.parse_args()
    if options.models:
        names = list(model_names()) if options.models == ["all"] else options.models
        by_each(names, options.keep, bare=options.bare)
        return
    result: dict[str, Any] = {}
    if not options.million:
        root = os.environ.get("MATINEE_DATA") or Path(__file__).parents[2] / "shared" / "data"
        result["movielens"] = movielens(mt.load(Path(root) / "ml-1m"), options.peer)
    if options.million or not options.peer:
        result["million"] = million()
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
