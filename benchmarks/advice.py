"""What advice rests on: models with their default settings on logs of many kinds, by random events and by the next one.

    python benchmarks/advice.py measure MODEL,... [LOG ...]   measure what advice.json lacks, and store each value
    python benchmarks/advice.py check                         each log advised by the others: what the first model loses
    python benchmarks/advice.py results                       take over what results.json has of these logs
    python benchmarks/advice.py                               write the table that the package has, from advice.json

NDCG@10 at test, one seed; models are fitted on train. Seconds are of the processor, one thread.
"""

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import lsq_linear

import matinee as mt
from defaults import SETS
from matinee.data.traits import traits_of
from matinee.dataset import Dataset
from matinee.errors import MatineeError
from matinee.models import model_class
from matinee.workflow.advising import advise

STORE = Path(__file__).with_suffix(".json")
RESULTS = STORE.with_name("results.json")
TABLE = Path(__file__).parents[1] / "src" / "matinee" / "workflow" / "advice_table.json"
SEED = 42
SPLITS = {"random": {"ratios": (0.70, 0.15, 0.15), "seed": SEED}, "leave-last": {}}
FROM_RESULTS = {"b": ("b", "random"), "c": ("ml-1m-5-core", "leave-last"), "a": ("a", "random")}
"""Protocols of results.json: the log they belong to here, and the split."""
LOGS: dict[str, tuple[str, Callable[[], Dataset]]] = {
    "bundled": ("MovieLens latest-small of September 2016", SETS["bundled"]),
    "a": ("MovieLens latest-small of January 2016, 30- and 10-core", SETS["a"]),
    "b-300": ("300 users of MovieLens 1M", SETS["b-300"]),
    "b-1000": ("1,000 users of MovieLens 1M", SETS["b-1000"]),
    "b": ("MovieLens 1M", lambda: mt.load("ml-1m")),
    "ml-1m-5-core": (
        "MovieLens 1M, 5-core",
        lambda: mt.keep(mt.load("ml-1m"), min_user_events=5, min_item_events=5, filter_order="fixed-point"),
    ),
    "some-events": ("1,500 users of MovieLens 1M with 40 events each, 5-core", SETS["some-events"]),
    "few-events": ("3,000 users of MovieLens 1M with 14 events each, 5-core", SETS["few-events"]),
    "lastfm": ("artists of Last.fm, HetRec 2011, train part, no times", SETS["lastfm"]),
    "sparse": ("synthetic, sparse, no order", SETS["sparse"]),
}


def measure(models: list[str], names: list[str]) -> None:
    for name in names:
        about, load_log = LOGS[name]
        data = load_log()
        stored = load().get(name, {})
        traits = stored.get("traits") or traits_of(data).to_json()
        for method, settings in SPLITS.items():
            if method == "leave-last" and not traits["timed"]:
                continue
            split = mt.split(data, method, **settings)
            for model in models:
                if model_class(model).ordered and method == "random":
                    continue
                kept = load()  # another process may have stored other values
                log = kept.setdefault(name, {"about": about, "traits": traits, "values": {}})
                found = log["values"].setdefault(method, {})
                if model in found:
                    continue
                value = _value(model, split)
                print(name, method, model, value, flush=True)
                kept = load()
                log = kept.setdefault(name, {"about": about, "traits": traits, "values": {}})
                log["values"].setdefault(method, {})[model] = value
                STORE.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


def _value(model: str, split: Any) -> dict[str, Any]:
    started = time.process_time()
    try:
        fitted = mt.fit(model, split, seed=SEED)
    except MatineeError as error:
        return {"failed": str(error)}
    seconds = round(time.process_time() - started, 2)
    score = mt.evaluate(fitted, split, k=10, samples=200).metrics["ndcg@10"]
    return {"ndcg": round(score.mean, 5), "low": round(score.low, 5), "high": round(score.high, 5), "seconds": seconds}


def load() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(STORE.read_text(encoding="utf-8")) if STORE.exists() else {}
    return found


def take_results() -> None:
    """Store the best experiment of each model on the protocols of results.json beside the default settings."""
    stored, results = load(), json.loads(RESULTS.read_text(encoding="utf-8"))["configs"]
    for protocol, (name, method) in FROM_RESULTS.items():
        known: dict[str, float] = {}
        for row in results.get(protocol, {}).values():
            if model_class(row["model"]).makes_lists:
                ndcg = round(row["metrics"]["ndcg@10"][0], 5)
                known[row["model"]] = max(ndcg, known.get(row["model"], 0.0))
        if name not in stored:
            about, load_log = LOGS[name]
            stored[name] = {"about": about, "traits": traits_of(load_log()).to_json(), "values": {}}
        stored[name]["values"].setdefault(method, {})
        stored[name].setdefault("experiments", {})[method] = dict(sorted(known.items()))
    STORE.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")


def table() -> dict[str, Any]:
    """What the package has: the better NDCG@10 of defaults and experiment by log, split and model; how seconds grow."""
    logs = {}
    for name, log in load().items():
        values: dict[str, dict[str, float]] = {}
        for method, found in log["values"].items():
            known = {model: each["ndcg"] for model, each in found.items() if "ndcg" in each}
            tuned = log.get("experiments", {}).get(method, {})
            values[method] = {model: max(known.get(model, 0), tuned.get(model, 0)) for model in {**known, **tuned}}
        logs[name] = {"about": log["about"], "traits": log["traits"], "values": values}
    return {"logs": logs, "seconds": _laws()}


def write() -> None:
    TABLE.write_text(json.dumps(table(), indent=1) + "\n", encoding="utf-8")
    print(f"{len(load())} logs in {TABLE.name}")


def _laws() -> dict[str, dict[str, float]]:
    """For each model, seconds as constant x events^a x items^b with a and b from 0 to 3, by least squares of logs."""
    points: dict[str, list[tuple[float, float, float]]] = {}
    for log in load().values():
        for found in log["values"].values():
            for model, each in found.items():
                if "seconds" in each:
                    sizes = (log["traits"]["events"], log["traits"]["items"], max(each["seconds"], 0.01))
                    points.setdefault(model, []).append(sizes)
    laws = {}
    for model, rows in sorted(points.items()):
        logs = np.log(np.array(rows))
        design = np.column_stack([np.ones(len(logs)), logs[:, :2]])
        solved = lsq_linear(design, logs[:, 2], bounds=([-np.inf, 0, 0], [np.inf, 3, 3])).x
        laws[model] = dict(zip(("constant", "events", "items"), solved.round(3).tolist(), strict=True))
    return laws


def check() -> None:
    """What the first model loses against the best, where the log itself is left out of the table; popularity beside."""
    print("log            split        first          of the best   third at most   popularity   the best")
    for name, log in json.loads(TABLE.read_text(encoding="utf-8"))["logs"].items():
        for method, values in log["values"].items():
            split = mt.split(LOGS[name][1](), method, **SPLITS[method])
            advice = advise(split, without=name)
            known = [model for model in advice.models if model in values]
            best = max(values, key=lambda model: values[model])
            shares = [values[model] / values[best] for model in known]
            print(
                f"{name:14} {method:12} {known[0]:14} {shares[0]:.3f}         {max(shares[:3]):.3f}           "
                f"{values['popularity'] / values[best]:.3f}        {best}",
                flush=True,
            )


if __name__ == "__main__":
    command = sys.argv[1] if sys.argv[1:] else "write"
    if command == "measure":
        measure(sys.argv[2].split(","), sys.argv[3:] or list(LOGS))
    elif command == "check":
        check()
    elif command == "results":
        take_results()
    else:
        write()
