"""Do defaults travel? Each model's defaults against the best of a grid, on valid, over logs of many sizes.

    python benchmarks/defaults.py measure MODEL [SET ...]    measure what defaults.json lacks, and store each value
    python benchmarks/defaults.py                            the tables, from defaults.json

NDCG@10 on valid of a random 70/15/15 split, seed 42; no event of test is in memory. The grid is over the settings that
decide most. Each set is left out in turn: the point of the grid with the best mean share on the other sets takes the
place of the default, and what it gives on this set is compared with the best of the set's own grid. The same for the
constants of the rule for sparse logs.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

import matinee as mt
from matinee.data.splits import Split
from matinee.data.synthetic import zipf_log
from matinee.dataset import Dataset
from matinee.errors import MatineeError
from matinee.histories import Histories, TrainingData
from matinee.models import model_class
from matinee.models.factors.ials import SPARSE
from matinee.workflow.tuning import FitOnValid, without_test

STORE = Path(__file__).with_suffix(".json")
SEED = 42


def _few_events(n_users: int, n_events: int) -> Dataset:
    """Users of MovieLens 1M with a random `n_events` of their events each, then a 5-core."""
    data = mt.keep(mt.load("ml-1m"), sample_users=n_users)
    rank = np.random.default_rng(SEED).random(len(data.events))
    order = np.lexsort((rank, data.events.user_rows))
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order)) - np.repeat(data.user_starts[:-1], np.diff(data.user_starts))
    thinned = data.keep(place < n_events)
    return mt.keep(thinned, min_user_events=5, min_item_events=5, filter_order="fixed-point")


SETS: dict[str, Callable[[], Dataset]] = {
    "bundled": lambda: mt.load("bundled"),
    "a": lambda: mt.keep(
        mt.load("movielens-small-2016-01"), min_user_events=30, min_item_events=10, filter_order="fixed-point"
    ),
    "small-2018": lambda: mt.load("movielens-small-2018"),
    "b-300": lambda: mt.keep(mt.load("ml-1m"), sample_users=300),
    "b-1000": lambda: mt.keep(mt.load("ml-1m"), sample_users=1000),
    "few-events": lambda: _few_events(3000, 14),
    "lastfm": lambda: mt.load(Path(os.environ["MATINEE_DATA"]) / "lastfm" / "train.tsv"),
    "sparse": lambda: zipf_log(6000, 8000, 100_000, np.random.default_rng(SEED)),
    "some-events": lambda: _few_events(1500, 40),
    "sparse-2": lambda: zipf_log(9000, 12000, 240_000, np.random.default_rng(1)),
    "b-3000": lambda: mt.keep(mt.load("ml-1m"), sample_users=3000),
}
GRIDS: dict[str, dict[str, list[Any]]] = {
    "popularity": {},
    "ease": {"l2": [300, 10, 20, 40, 80, 150, 600, 1200, 2500]},
    "ials": {"unobserved": [0.3, 0.1, 0.03, 0.01], "l2": [0.01, 0.03, 0.003, 0.001]},
    "bpr": {"batch_size": [128]},
    "item-knn": {"neighbours": [100, 20, 50, 200, 400], "shrinkage": [50.0, 10.0, 200.0]},
    "user-knn": {"neighbours": [100, 50, 200, 400], "shrinkage": [0.0, 10.0, 50.0]},
    "pmi": {"popularity_power": [0.5, 0.25, 0.75], "shrinkage": [2.0, 10.0]},
    "cdae": {"noise": [0.5, 0.3, 0.7]},
    "mult-vae": {"dropout": [0.5, 0.3, 0.7]},
    "lightgcn": {"temperature": [0.17, 0.05, 0.08, 0.1, 0.13, 0.22, 0.3]},
}
"""Settings by name; the first value of each is the default of a config."""
FEWEST_SETS = 3
"""Sets below which leaving one out says nothing."""
CANDIDATES = tuple(product((5, 10, 20), (0.01, 0.018, 0.032, 0.05)))
"""For the rule of iALS on sparse logs: `unobserved` as a multiple of the share of events, and `l2`."""


def split_of(name: str) -> Split:
    return without_test(mt.split(SETS[name](), "random", ratios=(0.70, 0.15, 0.15), seed=SEED))


def measure(model: str, names: list[str]) -> None:
    for name in names:
        split = split_of(name)
        train = split.training()
        sizes = {"users": train.n_users, "items": train.n_items, "events": len(train.histories.items)}
        for point in _points(model, sizes):
            stored = load()  # another process may have stored other models
            found = stored.setdefault(name, {"sizes": sizes, "values": {}})["values"].setdefault(model, [])
            if any(each["settings"] == point for each in found):
                continue
            started = time.process_time()
            value = _value(model, split, point)
            seconds = round(time.process_time() - started, 2)
            print(name, sizes, model, point, value, f"{seconds} s", flush=True)
            if value is not None:
                found.append({"settings": point, "value": round(value, 5), "seconds": seconds})
                STORE.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")


def _points(model: str, sizes: Mapping[str, int]) -> list[dict[str, Any]]:
    """The grid of a model, and what its rule gives for a log of this size; on a sparse log all candidates of one."""
    grid = GRIDS[model]
    points = [dict(zip(grid, values, strict=True)) for values in product(*grid.values())]
    if model == "ials" and share_of(sizes) < SPARSE:
        points += [candidate(sizes, *each) for each in CANDIDATES]
    return [*points, *([own] if (own := rule(model, sizes)) not in points else [])]


def rule(model: str, sizes: Mapping[str, int]) -> dict[str, Any]:
    """The default settings of a model for a log of this size, of the fields of its grid."""
    n_users, n_items, n_events = sizes["users"], sizes["items"], sizes["events"]
    starts = np.linspace(0, n_events, n_users + 1).astype(np.int64)
    zeros = np.zeros(n_events, dtype=np.int32)
    histories = Histories(starts, zeros, zeros.astype(np.float32), zeros, np.arange(n_users, dtype=np.int32))
    plain = {name: values[0] for name, values in GRIDS[model].items()}
    return plain | model_class(model).defaults_for(TrainingData(histories, n_items))


def candidate(sizes: Mapping[str, int], multiple: float, l2: float) -> dict[str, float]:
    return {"unobserved": float(f"{multiple * share_of(sizes):.3g}"), "l2": l2}


def share_of(sizes: Mapping[str, int]) -> float:
    return sizes["events"] / (sizes["users"] * sizes["items"])


def _value(model: str, split: Split, settings: Mapping[str, Any]) -> float | None:
    measured = {"k": (10,), "on": "valid", "samples": 100}
    try:
        return FitOnValid(model_class(model), split, "ndcg@10", SEED, {}, measured)(settings, None)
    except MatineeError as error:
        print(f"  failed: {error}", flush=True)
        return None


def load() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(STORE.read_text(encoding="utf-8")) if STORE.exists() else {}
    return found


def tables() -> None:
    print("model      set          users  items  a user  an item   config    rule    best   of the best: config, rule")
    for model, (name, about) in product(GRIDS, load().items()):
        found = about["values"].get(model, [])
        plain = _stored(found, {field: values[0] for field, values in GRIDS[model].items()})
        ours = _stored(found, rule(model, about["sizes"]))
        if plain is None or ours is None or model == "popularity":
            continue
        best, sizes = max(each["value"] for each in found), about["sizes"]
        print(
            f"{model:10} {name:11} {sizes['users']:6} {sizes['items']:6} {sizes['events'] / sizes['users']:7.1f} "
            f"{sizes['events'] / sizes['items']:7.1f}   {plain:.4f}  {ours:.4f}  {best:.4f}   "
            f"{plain / best:6.3f} {ours / best:6.3f}"
        )
    left_out()


def left_out() -> None:
    """Each model's default and what is chosen on the other sets, as shares of the best of the set's own grid.

    A row for each set, in Markdown: default / chosen on the others; a model has a value where all of its grid is stored
    on three sets or more.
    """
    shares = {model: found for model in GRIDS if len(found := _shares(model)) >= FEWEST_SETS}
    names = [name for name in load() if any(name in found for found in shares.values())]
    print(f"\n| left out | {' | '.join(shares)} |\n|{'---|' * (len(shares) + 1)}")
    for name in names:
        cells = []
        for of_sets in shares.values():
            others = [each for other, each in of_sets.items() if other != name]
            if name not in of_sets:
                cells.append("")
                continue
            chosen = np.argmax(np.mean(others, axis=0))
            cells.append(f"{of_sets[name][0]:.3f} / {of_sets[name][chosen]:.3f}")
        print(f"| {name} | {' | '.join(cells)} |")
    rule_left_out()


def _shares(model: str) -> dict[str, list[float]]:
    """Set -> the value of each point of a grid over the best, where all are stored; the default first, by its rule."""
    found = {}
    for name, about in load().items():
        values, sizes = about["values"].get(model, []), about["sizes"]
        grid = [dict(zip(GRIDS[model], each, strict=True)) for each in product(*GRIDS[model].values())]
        measured = [_stored(values, point) for point in (rule(model, sizes), *grid)]
        best = max((each["value"] for each in values), default=0.0)
        known = [value / best for value in measured if value is not None and best]
        if len(grid) > 1 and len(known) == len(measured):
            found[name] = known
    return found


def rule_left_out() -> None:
    """The rule of iALS for sparse logs, with its constants chosen on the other sets."""
    shares: dict[str, dict[tuple[float, float], float]] = {}
    for name, about in load().items():
        found, sizes = about["values"].get("ials", []), about["sizes"]
        known = {each: _stored(found, candidate(sizes, *each)) for each in CANDIDATES}
        best = max((each["value"] for each in found), default=0)
        if any(value is not None for value in known.values()):
            shares[name] = {each: value / best for each, value in known.items() if value is not None}
    print("\nials, left out   chosen on the others    of the best")
    for name, own in shares.items():
        others = [each for other, each in shares.items() if other != name]
        both = [each for each in own if all(each in other for other in others)]
        chosen = max(both, key=lambda each: float(np.mean([other[each] for other in others])))
        print(f"{name:16} unobserved {chosen[0]:g} x share, l2 {chosen[1]:g}    {own[chosen]:.3f}")


def _stored(found: list[dict[str, Any]], settings: Mapping[str, Any]) -> float | None:
    return next((each["value"] for each in found if each["settings"] == settings), None)


if __name__ == "__main__":
    if sys.argv[1:2] == ["measure"]:
        measure(sys.argv[2], sys.argv[3:] or list(SETS))
    else:
        tables()
