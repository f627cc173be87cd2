"""What the reasons of a list cost: processor milliseconds of a list of ten by the engine, without and with its reasons.

    python benchmarks/reasons.py                # every model; some minutes
    python benchmarks/reasons.py ease ials      # some models
    python benchmarks/reasons.py table          # the JSON as Markdown

MovieLens 1M (protocol B's training part, 70% of the events, with the people as item table), 300 users. What a list
costs does not depend on how well a model is trained, so models that learn by epochs are fitted with one. Medians and
99th percentiles; each list is timed once without and once with reasons, in turns. Outcomes are added to reasons.json.
"""

import json
import os
import sys
from pathlib import Path
from time import process_time

import numpy as np
import polars as pl

import matinee as mt
from matinee.histories import EventSource
from matinee.models import model_class, model_names
from matinee.recommender import Engine

os.environ.setdefault("MATINEE_DATA", str(Path(__file__).parents[2] / "shared" / "data"))
OUT = Path(__file__).with_suffix(".json")
SEED, N_USERS, K = 42, 300, 10
SETTINGS = {"ease": {"l2": 500}, "kprn": {"epochs": 1, "max_users": 200, "first_settings": {"l2": 500}, "l2": 1.0}}
KINDS = {"without": False, "with": True}


def people() -> pl.DataFrame:
    """One row a movie, a list column a relation."""
    triples = pl.read_csv(Path(os.environ["MATINEE_DATA"]) / "ml-1m-text" / "people.csv")
    table = triples.group_by("head", "relation").agg(pl.col("tail")).pivot("relation", index="head", values="tail")
    return table.rename({"head": "movieId"}).sort("movieId")


def measure(name: str, split: object) -> dict[str, object]:
    """Fit one model and time its lists."""
    settings = dict(SETTINGS.get(name, {}))
    if "epochs" in model_class(name).Config.model_fields:
        settings["epochs"] = 1
    model = mt.fit(name, split, seed=SEED, **settings)
    return lists_of(Engine([model], EventSource(split.inputs("valid"), split.data.users)), split)


def lists_of(engine: Engine, split: object) -> dict[str, object]:
    """The quantiles of N_USERS lists, and how many items of them have a reason."""
    users = split.data.users.ids[:: max(1, len(split.data.users) // N_USERS)][:N_USERS]
    seconds: dict[str, list[float]] = {kind: [] for kind in KINDS}
    items = reasons = 0
    for place, user in enumerate(users.tolist()):
        history = engine.history(user)
        for kind, explain in KINDS.items():
            started = process_time()
            listed = engine.recommend_for(history, K, explain=explain)
            if place >= 5:  # the first ones fill caches
                seconds[kind].append(1000 * (process_time() - started))
        items, reasons = items + len(listed), reasons + sum(bool(item.reasons) for item in listed)
    found: dict[str, object] = {"items": items, "with_reason": reasons}
    for kind, each in seconds.items():
        found[kind] = [round(float(np.quantile(each, q)), 2) for q in (0.5, 0.99)]
    return found


def table() -> str:
    """The outcomes as Markdown."""
    rows = ["| | without reasons | with reasons |", "|---|---|---|"]
    for name, one in json.loads(OUT.read_text("utf-8")).items():
        cells = [f"{one[kind][0]:.1f}, {one[kind][1]:.1f}" for kind in KINDS]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(rows)


def main(names: list[str]) -> None:
    """Measure the models and write after each one."""
    log = mt.load("ml-1m")
    log = log.with_table(mt.items(people(), item="movieId", lists=["directed_by", "starring", "written_by"]))
    split = mt.split(log, "random", ratios=(0.70, 0.15, 0.15), seed=SEED)
    for name in names or model_names():
        found = json.loads(OUT.read_text("utf-8")) if OUT.exists() else {}
        found[name] = measure(name, split)
        OUT.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
        print(name, found[name], flush=True)


if __name__ == "__main__":
    if sys.argv[1:] == ["table"]:
        print(table())
    else:
        main(sys.argv[1:])
