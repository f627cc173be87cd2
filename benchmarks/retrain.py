"""How much faster a model learns new events from the running version than from the start, and whether it is as good.

    python benchmarks/retrain.py counts [MODEL...]   # MovieLens 1M, the newest 1,000 events are new
    python benchmarks/retrain.py warm [MODEL...]     # the bundled data, 5% of the events are new

counts: a fit on all events against an update by the users that changed, processor seconds, each the best of three.
warm: training from the start against training from the running arrays in a quarter of the epochs; both are compared on
the newest 10% of the events, by user. Results, each model's as soon as it is there: retrain.json.
"""

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import matinee as mt
from matinee.config import EvaluationConfig, SplitConfig
from matinee.data.labels import TEST, TRAIN
from matinee.data.splits import Split
from matinee.dataset import Dataset
from matinee.evaluation.comparison import compare
from matinee.evaluation.evaluate import evaluate
from matinee.histories import Histories, TrainingData
from matinee.models import create
from matinee.models.base import Recommender
from matinee.models.item_strips import count_in_strips
from matinee.training.run import Run
from matinee.workflow.continuing import Running, fit_again
from matinee.workflow.data import whole

RESULTS = Path(__file__).with_suffix(".json")
NEW_EVENTS = 1000
COUNTED = ("ease", "item-knn", "pmi", "markov")
WARM = ("ials", "bpr", "lightgcn", "cdae", "mult-vae", "sasrec")
SEEDS = (1, 2)


def oldest(data: Dataset, n: int) -> Dataset:
    """The oldest n events, with all users and items."""
    order = np.argsort(data.events.times, kind="stable")
    kept = np.zeros(len(order), dtype=bool)
    kept[order[:n]] = True
    return replace(data, events=data.events.take(kept))


def seconds_of(work: Callable[[], Any]) -> tuple[float, Any]:
    """Processor seconds, the best of three, and the last result."""
    found = []
    for _ in range(3):
        started = time.process_time()
        result = work()
        found.append(time.process_time() - started)
    return min(found), result


def weighed(model: Recommender[Any], train: TrainingData) -> TrainingData:
    """Training data with the weights of a model's value map."""
    return replace(train, histories=model.weigh(train.histories))


def fit(like: Recommender[Any], train: TrainingData) -> Recommender[Any]:
    """A model of the same name and value map, fitted from the start."""
    model = create(like.name)
    model.value_map = like.value_map
    return model.fit(weighed(model, train), Run.seeded(1))


def counts(names: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """Times of a full fit and of an update, by model, and the largest difference of a score."""
    data = mt.load("ml-1m")
    before, train = oldest(data, len(data.events) - NEW_EVENTS), whole(data).training()
    probe = Histories.of([[3, 10, 200], [50], [7, 8, 9, 1000]])
    for name in names:
        earlier = mt.fit(name, before)
        known = weighed(earlier.model, replace(train, histories=Running.of(earlier, data).histories))
        statistic = count_in_strips(earlier.model.strips(known))
        full, again = seconds_of(lambda earlier=earlier: fit(earlier.model, train))
        update, (updated, _) = seconds_of(
            lambda earlier=earlier, statistic=statistic: fit_again(
                Running.of(earlier, data, statistic), train, 1, warm=False
            )
        )
        old, new = (each.score(each.state_of(probe)) for each in (again, updated))
        difference = float(abs(old - new).max())
        yield name, {"full": full, "update": update, "ratio": full / update, "difference": difference}


def warm(names: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """Seconds and NDCG@10 of training from the start and from the running arrays, by model and seed."""
    data = mt.load("bundled")
    n = len(data.events)
    before, known = oldest(data, int(0.85 * n)), oldest(data, int(0.9 * n))
    order = np.argsort(data.events.times, kind="stable")
    labels = np.full(n, TRAIN, dtype=np.int8)
    labels[order[int(0.9 * n) :]] = TEST
    split = Split(data, SplitConfig(split="time"), labels)
    train = whole(known).training()
    for name in names:
        rows = []
        for seed in SEEDS:
            running = Running.of(mt.fit(name, before, seed=seed), data)
            reports, seconds = [], []
            for is_warm in (False, True):
                started = time.process_time()
                model, _ = fit_again(running, train, seed, warm=is_warm)
                seconds.append(time.process_time() - started)
                reports.append(evaluate(model, split, EvaluationConfig(k=(10,)), rng=np.random.default_rng(seed)))
            full, started_warm = (report.metrics["ndcg@10"].mean for report in reports)
            compared = compare(reports, "ndcg@10", rng=np.random.default_rng(seed))
            rows.append(
                {
                    "seed": seed, "seconds": seconds, "ndcg@10": [full, started_warm],
                    "p": compared.rows[1].p, "users": reports[0].users,
                }
            )  # fmt: skip
        yield name, rows


def main() -> None:
    part, names = sys.argv[1], sys.argv[2:]
    measure, all_names = {"counts": (counts, COUNTED), "warm": (warm, WARM)}[part]
    for name, found in measure(names or all_names):
        print(name, found, flush=True)
        results = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
        results.setdefault(part, {})[name] = found
        RESULTS.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
