"""Do defaults travel? Each model's defaults against the best of a grid, on valid, over logs of many sizes.

    python benchmarks/defaults.py measure MODEL [SET ...]    measure what defaults.json lacks, and store each value
    python benchmarks/defaults.py                            write docs/defaults.md from defaults.json

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
PAGE = Path(__file__).parents[1] / "docs" / "defaults.md"
SEED = 42
Stored = dict[str, dict[str, Any]]
"""Set -> its sizes, and of each model the points that were measured: settings, value, seconds."""
HEAD = """# Defaults on other logs

Written by `python benchmarks/defaults.py` from `benchmarks/defaults.json`. For every model a small grid over the one
or two settings that decide most is fitted on each of these logs: random 70/15/15, NDCG@10 on valid, one seed; test is
not in memory. Sizes are of the train part. The defaults of linear-next, markov, gru4rec and sasrec are chosen for the
next event in time, which a random split does not ask for, and VBMF's for the error of predicted values. Rows of mlp
and, but for b-300, neumf are by their former fold-in, Newton's steps ([decision
092](decisions/092-ncf-visitors-by-regression.md)).
"""
TABLE = """
## Left out in turn

Each log is left out in turn: the point of the grid with the best mean on the **other** logs takes the place of the
default. Each cell: what the default gives / what the others' choice gives, as a share of the best that was measured
for this model on this log. In bold is what is more than 2% below it.
"""
SPARSE_RULE = """## The rule of iALS for sparse logs

The same for the two constants of its rule (`unobserved` as a multiple of the share of pairs that are events, and `l2`):

| left out | multiple | l2 | of the best |
|---|---|---|---|"""
ABOUT = {
    "bundled": "MovieLens latest-small 9/2016",
    "a": "MovieLens of 1/2016, 30- and 10-core",
    "small-2018": "MovieLens latest-small 9/2018",
    "b-300": "300 users of MovieLens 1M",
    "b-1000": "1,000 users",
    "b-3000": "3,000 users",
    "some-events": "1,500 users, 40 events each, 5-core",
    "few-events": "3,000 users, 14 events each, 5-core",
    "lastfm": "Last.fm, train part of HetRec 2011",
    "sparse": "synthetic",
    "sparse-2": "synthetic",
}


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
    "popularity": {"half_life_days": [None, 30.0, 365.0]},
    "item-knn": {"neighbours": [100, 20, 50, 200, 400], "shrinkage": [50.0, 10.0, 200.0]},
    "user-knn": {"neighbours": [100, 50, 200, 400], "shrinkage": [0.0, 10.0, 50.0]},
    "rp3beta": {"alpha": [0.7, 0.5, 1.0], "beta": [0.5, 0.3, 0.7]},
    "ease": {"l2": [300, 10, 20, 40, 80, 150, 600, 1200, 2500]},
    "sparse-ease": {"l2": [300.0, 100.0, 900.0], "neighbours": [200, 100, 400]},
    "svd-ae": {"dim": [0, 16, 24, 32, 48, 64, 96, 128], "l2": [0.02, 0.05, 0.2]},
    "linear-next": {"l2": [200.0, 50.0, 800.0], "target_decay": [0.3, 0.1, 0.6]},
    "ials": {"unobserved": [0.3, 0.1, 0.03, 0.01], "l2": [0.01, 0.03, 0.003, 0.001]},
    "vbmf": {"implicit_l2": [200.0, 50.0, 800.0]},
    "movie-pairs": {"learning_rate": [0.05, 0.02], "row_power": [0.5, 0.25, 0.75]},
    "pmi": {"popularity_power": [0.25, 0.5, 0.75], "shrinkage": [2.0, 10.0]},
    "item2vec": {"row_power": [0.5, 0.25, 0.75], "negative_power": [0.5, 0.25, 0.75]},
    "bpr": {"l2": [0.014, 0.007, 0.02, 0.03, 0.06]},
    "lightgcn": {"temperature": [0.17, 0.05, 0.08, 0.1, 0.13, 0.22, 0.3]},
    "ngcf": {"temperature": [0.17, 0.1, 0.3]},
    "gmf": {"l2": [0.28, 0.1, 0.8]},
    "mlp": {"l2": [0.7, 0.25, 2.0]},
    "neumf": {"l2": [0.15, 0.05, 0.45]},
    "autorec": {"l2": [100.0, 30.0, 300.0]},
    "cdae": {"noise": [0.5, 0.3, 0.7]},
    "mult-vae": {"dropout": [0.5, 0.3, 0.7]},
    "kprn": {"l2": [0.3, 0.1, 0.9]},
    "blend": {"l2": [0.001, 0.0001, 0.01]},
    "rerank": {"learning_rate": [0.05, 0.02, 0.1]},
    "markov": {"decay": [0.75, 0.5, 0.9], "smoothing": [10.0, 1.0, 50.0]},
    "gru4rec": {"dropout": [0.2, 0.0, 0.4], "user_power": [0.0, 0.3]},
    "sasrec": {"dropout": [0.2, 0.0, 0.4], "user_power": [0.0, 0.3]},
    "linear-gru": {"dropout": [0.2, 0.4], "l2": [200.0, 800.0]},
}
"""Settings by name; the first value of each is the default of a config."""
FEWEST_SETS = 3
"""Sets below which leaving one out says nothing."""
ENOUGH = 0.98
"""The share of a set's best that defaults should reach."""
CANDIDATES = tuple(product((5, 10, 20), (0.01, 0.018, 0.032, 0.05)))
"""For the rule of iALS on sparse logs: `unobserved` as a multiple of the share of events, and `l2`."""


def split_of(name: str) -> Split:
    return without_test(mt.split(SETS[name](), "random", ratios=(0.70, 0.15, 0.15), seed=SEED))


def measure(model: str, names: list[str]) -> None:
    for name in names:
        split = split_of(name)
        train = split.training()
        sizes = {"users": train.n_users, "items": train.n_items, "events": len(train.histories.items)}
        points = grid_of(model, sizes)
        if model == "ials" and share_of(sizes) < SPARSE:
            points += [candidate(sizes, *each) for each in CANDIDATES]
        for point in [*points, *([own] if (own := rule(model, sizes)) not in points else [])]:
            if any(each["settings"] == point for each in load().get(name, {}).get("values", {}).get(model, [])):
                continue
            started = time.process_time()
            value = _value(model, split, point)
            seconds = round(time.process_time() - started, 2)
            print(name, model, point, value, f"{seconds} s", flush=True)
            if value is not None:
                _store(name, sizes, model, {"settings": point, "value": round(value, 5), "seconds": seconds})


def _store(name: str, sizes: Mapping[str, int], model: str, found: dict[str, Any]) -> None:
    stored = load()  # another process may have stored other models
    stored.setdefault(name, {"sizes": sizes, "values": {}})["values"].setdefault(model, []).append(found)
    whole = STORE.with_suffix(".part")
    whole.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")
    whole.replace(STORE)


def grid_of(model: str, sizes: Mapping[str, int]) -> list[dict[str, Any]]:
    """The points of a model's grid; what its rule gives for a log of this size stands beside what is in the grid."""
    grid = GRIDS[model]
    fixed = {field: value for field, value in rule(model, sizes).items() if field not in grid}
    return [fixed | dict(zip(grid, values, strict=True)) for values in product(*grid.values())]


def rule(model: str, sizes: Mapping[str, int]) -> dict[str, Any]:
    """The default settings of a model for a log of this size: the fields of its grid, and those of its rule."""
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


def load() -> Stored:
    found: Stored = json.loads(STORE.read_text(encoding="utf-8")) if STORE.exists() else {}
    return found


def page(stored: Stored) -> str:
    """docs/defaults.md: the sets, and each model's default and what is chosen on the other sets."""
    shares = {model: found for model in GRIDS if len(found := _shares(model, stored)) >= FEWEST_SETS}
    names = [name for name in SETS if any(name in found for found in shares.values())]
    lines = [HEAD, "| log | users | items | events a user | events an item |", "|---|---|---|---|---|"]
    lines += [_set_line(name, stored[name]["sizes"]) for name in names]
    lines += [TABLE, f"| model | {' | '.join(names)} |", f"|{'---|' * (len(names) + 1)}"]
    lines += [f"| {model} | {' | '.join(_cell(found, name) for name in names)} |" for model, found in shares.items()]
    lines += ["", "## More than 2% below", "", *_exceptions(shares), "", SPARSE_RULE, *_rule_left_out(stored)]
    missing = [model for model in GRIDS if model not in shares]
    return "\n".join(lines + ([f"\nNot measured: {', '.join(missing)}."] if missing else [])) + "\n"


def _set_line(name: str, sizes: Mapping[str, int]) -> str:
    users, items, events = sizes["users"], sizes["items"], sizes["events"]
    return f"| {name}: {ABOUT[name]} | {users:,} | {items:,} | {events / users:.1f} | {events / items:.1f} |"


def _cell(shares: dict[str, list[float]], name: str) -> str:
    """The default and what the other sets would choose, as shares of the best; what is more than 2% below is bold."""
    if name not in shares:
        return ""
    ends = (shares[name][0], shares[name][_chosen_without(shares, name)])
    return " / ".join(f"**{share:.3f}**" if share < ENOUGH else f"{share:.3f}" for share in ends)


def _chosen_without(shares: dict[str, list[float]], name: str) -> int:
    """The point with the highest mean share over the other sets; the default is the first."""
    return int(np.argmax(np.mean([found for other, found in shares.items() if other != name], axis=0)))


def _exceptions(shares: Mapping[str, dict[str, list[float]]]) -> list[str]:
    """For each model the sets on which what the other sets choose is more than 2% below the best, and by how much."""
    lines, whole = [], []
    for model, found in shares.items():
        chosen = {name: found[name][_chosen_without(found, name)] for name in found}
        below = [f"{name} ({1 - share:.1%})" for name, share in chosen.items() if share < ENOUGH]
        if below:
            lines.append(f"- {model}: {', '.join(below)}")
        else:
            whole.append(model)
    return [*lines, "", f"Within 2% on each: {', '.join(whole) or 'none'}."]


def _shares(model: str, stored: Stored) -> dict[str, list[float]]:
    """Set -> the value of each point of a grid over the best, where all are stored; the default first, by its rule."""
    found = {}
    for name, about in stored.items():
        values, sizes = about["values"].get(model, []), about["sizes"]
        measured = [_stored(values, point) for point in (rule(model, sizes), *grid_of(model, sizes))]
        best = max((each["value"] for each in values), default=0.0)
        known = [value / best for value in measured if value is not None and best]
        if len(known) == len(measured):
            found[name] = known
    return found


def _rule_left_out(stored: Stored) -> list[str]:
    """The rule of iALS for sparse logs, with its constants chosen on the other sets."""
    shares: dict[str, dict[tuple[float, float], float]] = {}
    for name, about in stored.items():
        found, sizes = about["values"].get("ials", []), about["sizes"]
        known = {each: _stored(found, candidate(sizes, *each)) for each in CANDIDATES}
        best = max((each["value"] for each in found), default=0)
        if any(value is not None for value in known.values()):
            shares[name] = {each: value / best for each, value in known.items() if value is not None}
    lines = []
    for name, own in shares.items():
        others = [each for other, each in shares.items() if other != name]
        both = [each for each in own if all(each in other for other in others)]
        chosen = max(both, key=lambda each: float(np.mean([other[each] for other in others])))
        lines.append(f"| {name} | {chosen[0]:g} | {chosen[1]:g} | {own[chosen]:.3f} |")
    return lines


def _stored(found: list[dict[str, Any]], settings: Mapping[str, Any]) -> float | None:
    return next((each["value"] for each in found if each["settings"] == settings), None)


if __name__ == "__main__":
    if sys.argv[1:2] == ["measure"]:
        measure(sys.argv[2], sys.argv[3:] or list(SETS))
    else:
        PAGE.write_text(page(load()), encoding="utf-8")
