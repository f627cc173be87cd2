"""What a new item costs a live site: the factor once, then milliseconds of each item and model.

    OMP_NUM_THREADS=1 python benchmarks/live_items.py [--known 5000]

Products with texts, lists and a price, as many known as a content map uses at most. The arrays of EASE, ItemKNN and
iALS are random: what they hold makes no difference to the time. Writes live_items.json beside this file.
"""

import argparse
import json
import resource
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse import random as random_sparse

from matinee.histories import Histories
from matinee.item_table import ItemTable
from matinee.models import create
from matinee.models.base import Recommender
from matinee.models.content.live import LiveContentMap
from matinee.vocab import Vocab

N_NEW, N_WORDS, TEXT_LENGTH, NEIGHBOURS, DIM = 100, 8000, 80, 100, 64
RESULTS = Path(__file__).with_suffix(".json")


def products(n: int, rng: np.random.Generator) -> ItemTable:
    """N products whose words are as frequent as those of a language."""
    words = np.array([f"word{number}" for number in range(N_WORDS)])
    weights = 1 / np.arange(1, N_WORDS + 1)
    drawn = rng.choice(words, (n, TEXT_LENGTH), p=weights / weights.sum())
    texts = tuple(map(" ".join, drawn))
    categories = tuple(map(tuple, rng.choice(words[:60], (n, 2)).tolist()))
    prices = rng.gamma(2, 20, n)
    titles = tuple(map(str, range(n)))
    years = np.zeros(n, dtype=np.int32)
    return ItemTable(Vocab(np.arange(n)), titles, years, {"genres": categories}, {"text": texts}, {"price": prices})


def models(n: int, rng: np.random.Generator) -> dict[str, Recommender[Any]]:
    """Models as if fitted on n items."""
    found: dict[str, Any] = {name: create(name) for name in ("ease", "item-knn", "ials")}
    found["ease"].weights = rng.normal(size=(n, n)).astype(np.float32)
    density = NEIGHBOURS / n
    found["item-knn"].similarities = csr_array(random_sparse(n, n, density, dtype=np.float32, rng=rng))
    found["ials"].items = rng.normal(size=(n, DIM)).astype(np.float32)
    return found


def peak_mb() -> float:
    """The most memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measure(n_known: int) -> dict[str, Any]:
    """Seconds and memory of the factor; milliseconds of an item, of each model, and of a list before and after."""
    rng = np.random.default_rng(0)
    table = products(n_known + N_NEW, rng)
    live = LiveContentMap(table.of_items(Vocab(np.arange(n_known))), np.ones(n_known, dtype=np.int64))
    served = models(n_known, rng)
    before_mb, started = peak_mb(), process_time()
    live.prepare()
    factor = {"processor_seconds": process_time() - started, "peak_mb": peak_mb() - before_mb}
    history = Histories.of([rng.choice(n_known, 100, replace=False).tolist()])
    lists = {name: [_milliseconds(lambda m=model: m.score(m.state_of(history)))] for name, model in served.items()}
    times: dict[str, list[float]] = {name: [] for name in ("mixing", *served)}
    for item in range(n_known, n_known + N_NEW):
        new = table.of_items(Vocab(np.array([item])))
        times["mixing"].append(_milliseconds(lambda new=new: live.mixing(new)))
        mixing = live.mixing(new)
        for name in served:
            started = perf_counter()
            served[name] = live.extend(served[name], mixing)
            times[name].append(1000 * (perf_counter() - started))
    for name, model in served.items():
        lists[name].append(_milliseconds(lambda m=model: m.score(m.state_of(history))))
    return {"known": n_known, "new": N_NEW, "factor": factor, "item_ms": _summary(times), "scores_ms": lists}


def _milliseconds(work: Any) -> float:
    started = perf_counter()
    work()
    return 1000 * (perf_counter() - started)


def _summary(times: Mapping[str, list[float]]) -> dict[str, dict[str, float]]:
    return {name: {"median": float(np.median(of)), "largest": max(of)} for name, of in times.items()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--known", type=int, default=5000)
    found = measure(parser.parse_args().known)
    RESULTS.write_text(json.dumps(found, indent=2) + "\n", "utf-8")
    print(json.dumps(found, indent=2))
