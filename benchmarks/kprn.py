"""KPRN on one core: quality against its first stage, by what its graph has, and what it costs.

`python benchmarks/kprn.py small b paths` runs some parts only. Outcomes stand in kprn.json as soon as they are
measured, each with a hash of the code and settings that it was measured with. What is there is not measured again;
`--again` measures what other code or settings have measured, so a run that was stopped goes on with the same command.
`--rows 1` measures one row of `small` or `b`, whose fits go on from checkpoints in the folder for temporary files.
Seconds are processor time; a fit that went on counts its preparation twice.

    small  movielens-small-2018 with its tags, random 70/15/15, test: EASE, BPR, three seeds of kprn, and kprn without
           tags, without genres, without other users
    b      the same on protocol B with the people of ml-1m-text: without people, genres, users
    paths  the two forms beside each other on small
    cost   a visitor's list on B, p50 and p99 of 300; paths a second
"""

import argparse
import json
import os
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np

from matinee.config import EvaluationConfig, SplitConfig
from matinee.data.loading import load
from matinee.data.splits import Split, split
from matinee.evaluation.evaluate import evaluate
from matinee.histories import EventSource, TrainingData
from matinee.models import create, model_class
from matinee.models.base import Recommender
from matinee.models.knowledge.examples import candidates_of
from matinee.models.knowledge.kprn import KPRN
from matinee.models.knowledge.walks import liked_matrix
from matinee.ranking.rank import rank
from matinee.training.run import Run
from matinee.workflow import graph_of
from sources import code_hash

os.environ.setdefault("MATINEE_DATA", str(Path(__file__).parents[2] / "shared" / "data"))
OUT = Path(__file__).with_suffix(".json")
SEEDS = (1, 2, 3)
BESIDES = ("matinee.models.linear.ease", "matinee.evaluation.evaluate")
"""What a row rests on besides its model: the first stage, and what measures it."""
PEOPLE = ("directed_by", "starring", "written_by")
B = {"first_settings": {"l2": 500}, "l2": 1.0}
BPR = {"b": {"dim": 128, "epochs": 60, "n_negatives": 64, "l2": 0.01}}
ABLATIONS = {
    "small": {"without tags": ("tag",), "without genres": ("genre",), "without users": ()},
    "b": {"without people": PEOPLE, "without genres": ("genre",), "without users": ()},
}


def prepared(name: str) -> tuple[Split, TrainingData]:
    """A split, and its training data with its graph."""
    data = load({"small": "movielens-small-2018", "b": "ml-1m"}[name])
    people = Path(os.environ["MATINEE_DATA"]) / "ml-1m-text" / "people.csv"
    cut = split(data, SplitConfig())
    return cut, replace(cut.training(), graph=graph_of(data, people if name == "b" else None))


def measured(
    model: Recommender[Any], cut: Split, train: TrainingData, seed: int, checkpoint: Path | None = None
) -> dict[str, Any]:
    """Fit a model, from a checkpoint if there is one, and measure its lists at test."""
    started = process_time() - _spent(checkpoint)

    def note(*_: object) -> None:
        if checkpoint is not None:
            checkpoint.with_suffix(".seconds").write_text(str(process_time() - started), "utf-8")

    run = replace(Run.seeded(seed, note), checkpoint=checkpoint, resume=True, checkpoint_seconds=0)
    fitted = model.fit(train, run)
    seconds = process_time() - started
    report = evaluate(fitted, cut, EvaluationConfig(k=(10,)), rng=np.random.default_rng(1))
    found = {"seed": seed, "fit_seconds": round(seconds, 1)}
    for name in ("ndcg@10", "recall@10"):
        value = report.metrics[name]
        found[name] = [round(each, 4) for each in (value.mean, value.low, value.high)]
    return found | ({"mix": fitted.mix} if isinstance(fitted, KPRN) else {})


def quality(name: str, most: int, again: bool) -> dict[str, Any]:
    """The rows of a data set, measured and stored one by one, but for those that are stored: at most `most`.

    With `again`, those stored by other code or settings are measured too.
    """
    (cut, train), settings = prepared(name), B if name == "b" else {}
    rows: list[tuple[str, str, int, dict[str, Any], tuple[str, ...]]] = [
        ("ease", "ease", 1, settings.get("first_settings", {}), ()),
        ("bpr", "bpr", 1, BPR.get(name, {}), ()),
        *(("kprn", "kprn", seed, settings, ()) for seed in SEEDS),
    ]
    for label, relations in ABLATIONS[name].items():
        own = settings | ({"user_paths": False} if label == "without users" else {})
        rows.append((label, "kprn", 1, own, relations))
    for label, model, seed, own, relations in rows:
        code = code_hash([model_class(model).__module__, *BESIDES], [own, relations])
        stored = _stored().get(name, {}).get(label, [])
        if most == 0 or any(row["seed"] == seed and (not again or row.get("code") == code) for row in stored):
            continue
        less = replace(train, graph=train.graph.without(*relations)) if train.graph and relations else train
        checkpoint = Path(tempfile.gettempdir()) / f"matinee-{code}-{name}-{seed}.checkpoint"
        row = measured(create(model, **own), cut, less, seed, checkpoint) | {"code": code}
        _store(
            name, label, sorted([row, *(old for old in stored if old["seed"] != seed)], key=lambda each: each["seed"])
        )
        most -= 1
    return _stored().get(name, {})


def _spent(checkpoint: Path | None) -> float:
    """Processor seconds of the runs that wrote a checkpoint."""
    spent = checkpoint.with_suffix(".seconds") if checkpoint else None
    return float(spent.read_text("utf-8")) if spent and spent.exists() else 0.0


def _stored() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(OUT.read_text("utf-8")) if OUT.exists() else {}
    return found


def _store(part: str, label: str, value: object) -> None:
    """Add an outcome to kprn.json and say it."""
    found = _stored()
    found.setdefault(part, {})[label] = value
    OUT.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
    print(part, label, json.dumps(value), file=sys.stderr, flush=True)


def forms() -> dict[str, Any]:
    """Both forms on the small data."""
    cut, train = prepared("small")
    return {
        form: [measured(create("kprn", form=form), cut, train, seed) for seed in SEEDS[:2]]
        for form in ("patterns", "paths")
    }


def cost() -> dict[str, Any]:
    """A visitor's list, and the rate at which paths are found, on protocol B."""
    cut, train = prepared("b")
    found: dict[str, Any] = {}
    for form in ("patterns", "paths"):
        model = create("kprn", form=form, epochs=1, max_users=200, **B).fit(train, Run.seeded(1))
        source, users = EventSource(cut.data.events, cut.data.users), cut.data.users.ids[::20]
        seconds = []
        for user in users[:300].tolist():
            history = source.histories([user])
            started = perf_counter()
            rank(model, history, 10)
            seconds.append(perf_counter() - started)
        found[form] = {f"p{q}_ms": round(1000 * float(np.quantile(seconds, q / 100)), 2) for q in (50, 99)}
        if form == "paths":
            found["paths"] |= _rate(model, train)
    return found


def _rate(model: KPRN, train: TrainingData) -> dict[str, float]:
    """Paths found a second of processor time, before any is left out, from histories to their 100 candidates."""
    some = train.histories.take(np.arange(0, len(train.histories), 60))
    first = model._first()
    candidates = candidates_of(first.score(first.fold_in(some)), some, 100)
    started = process_time()
    paths = model._paths(model._graph(), liked_matrix(some, train.n_items), candidates, max_paths=0)
    return {"paths": len(paths), "paths_per_second": round(len(paths) / (process_time() - started))}


def main() -> None:
    """Run the parts that the command line names."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("parts", nargs="*", default=["small", "b", "paths", "cost"])
    options.add_argument("--rows", type=int, default=-1, help="measure at most so many rows of `small` and of `b`")
    options.add_argument("--again", action="store_true", help="measure again what other code or settings have measured")
    chosen = options.parse_intermixed_args()
    code = code_hash([KPRN.__module__, *BESIDES], B)
    for part in chosen.parts:
        if part in ABLATIONS:
            quality(part, chosen.rows, chosen.again)
        elif part not in _stored() or (chosen.again and _stored()[part].get("code") != code):
            for label, value in ({"paths": forms, "cost": cost}[part]() | {"code": code}).items():
                _store(part, label, value)
    print(json.dumps({part: _stored().get(part) for part in chosen.parts}))


if __name__ == "__main__":
    main()
