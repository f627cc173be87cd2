"""Stars that count: lists with value maps against lists without.

Prints one JSON object; `python benchmarks/liking.py PART ...` runs some parts only. Models are fitted once and kept as
artefacts in the folder MATINEE_FITS (default `.fits` here): a value map changes what a history weighs, not the fit.

    valid-a, valid-b    every model, inputs train: each map of MAPS on valid, NDCG@10 of all, liked, disliked and graded
                        targets and the disliked share; a row that is in the JSON already is not measured again
    choose              the map with the best mean graded NDCG@10 over the models of both protocols
    test-a, test-b      inputs train and valid: unary against the chosen map at test, paired by user, with Holm's
                        correction over the models
    default-a, default-b  the same for `--values default`, with models that train by weights fitted again
"""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from matinee import workflow
from matinee.config import EvaluationConfig, PartName, ValuesConfig, configure
from matinee.data.splits import Split
from matinee.evaluation.bootstrap import percentiles, resample, resampled_means
from matinee.evaluation.liking import measure_liking, scale_of
from matinee.evaluation.metrics import PerUser, accuracy, find_hits
from matinee.evaluation.significance import holm, paired_p
from matinee.evaluation.task import Task
from matinee.experiment import Experiment, read_experiment
from matinee.models.base import Recommender
from matinee.ranking.fallback import Fallback
from matinee.ranking.rank import rank
from matinee.store import artefact
from matinee.values import resolve

ROOT = Path(__file__).parents[1]
FITS = Path(os.environ.get("MATINEE_FITS") or Path(__file__).parent / ".fits")
os.environ.setdefault("MATINEE_DATA", str(ROOT.parent / "shared" / "data"))
PROTOCOLS = ("a", "b")
MODELS = (
    "item-knn", "user-knn", "ease", "edlae", "ials", "bpr", "pmi", "item2vec", "movie-pairs", "lightgcn", "ngcf",
    "gmf", "mlp", "neumf", "cdae", "mult-dae", "mult-vae",
)  # fmt: skip
METRICS = ("ndcg@10", "liked-ndcg@10", "disliked-ndcg@10", "graded-ndcg@10", "disliked@10")
MAPS = {
    "unary": "unary",
    "fifths": "linear:1=0.2,2=0.4,3=0.6,4=0.8,5=1",
    "likes": "steps:4=1",
    "stars": "linear:1=-0.3,2=0,3=0.5,4=1,5=1.2",
    "slight": "linear:1=-0.1,2=0.1,3=0.5,4=0.8,5=1",
    "steep": "linear:1=-0.3,2=-0.1,3=0.2,4=1,5=1.1",
}
"""Weights of 1 to 5 stars; half stars lie between. Of MovieLens small, half a star weighs as one."""
SEED, SAMPLES = 42, 10_000


def prepared(protocol: str) -> Split:
    return workflow.prepare(read_experiment(ROOT / "configs" / protocol / "ease.toml"))


def fitted(protocol: str, name: str, split: Split) -> Recommender[Any]:
    """The model of a config of the protocol, from the folder of fits or fitted now."""
    path = FITS / protocol / name
    if not (path / "manifest.json").is_file():
        experiment = read_experiment(ROOT / "configs" / protocol / f"{name}.toml")
        found = workflow.fit(experiment.model, split, seed=SEED, values="unary", **experiment.settings)
        artefact.save(found, path)
    return artefact.load(path).model


def with_map(model: Recommender[Any], text: str, split: Split) -> Recommender[Any]:
    """The model with another value map, its mean weight over the training log 1."""
    values = split.training().histories.values
    raw = resolve(configure(Experiment, {"values": text}, "benchmark").values, values)
    knots = raw.config.knots
    mean = float(raw.weights(values).mean()) if knots else 1.0
    config = raw.config.model_copy(update={"knots": tuple((value, weight / mean) for value, weight in knots)})
    model.value_map = resolve(config.model_copy(update={"neutral": None}), values)
    return model


class Part:
    """A part of a protocol to measure lists on: as `evaluate` does, without intervals and segments."""

    def __init__(self, split: Split, on: PartName) -> None:
        config = EvaluationConfig(k=(10,), on=on)
        self.task, self.scale = Task.of(split, config), scale_of(split.data, config)
        self.cold = Fallback(split.training().popularity, split.data.catalogue.genre_matrix)

    def measure(self, model: Recommender[Any]) -> dict[str, PerUser]:
        """METRICS of the model's lists."""
        task = self.task
        items = rank(model, task.histories, 10, masked=task.masked, cold=self.cold).items
        hits = find_hits(items, task.targets.starts, task.targets.items, task.n_items)
        values = accuracy(hits, task.n_relevant, [10])
        values |= measure_liking(items, task.judged, self.scale, task.n_items, [10])
        return {name: PerUser(values[name]) for name in METRICS}


def means(found: Mapping[str, PerUser]) -> dict[str, float]:
    return {name: each.mean for name, each in found.items()}


def on_valid(protocol: str, found: dict[str, Any]) -> None:
    rows = found.setdefault("valid", {}).setdefault(protocol, {})
    split = prepared(protocol)
    part = Part(split, "valid")
    for name in MODELS:
        row = rows.setdefault(name, {})
        started = time.time()
        for label in [label for label in MAPS if label not in row]:
            row[label] = means(part.measure(with_map(fitted(protocol, name, split), MAPS[label], split)))
        write(found)
        print(protocol, name, f"{time.time() - started:.0f} s", file=sys.stderr, flush=True)


def choose(found: dict[str, Any]) -> None:
    """Each map's mean relative change against the unary map, over models and protocols, and the best of them."""
    rows = [row for protocol in found["valid"].values() for row in protocol.values()]
    gains = {
        label: {name: float(np.mean([row[label][name] / row["unary"][name] - 1 for row in rows])) for name in METRICS}
        for label in MAPS
    }
    found["maps"] = {label: {"map": text, "mean_gain": gains[label]} for label, text in MAPS.items()}
    found["chosen"] = max(gains, key=lambda label: gains[label]["graded-ndcg@10"])
    write(found)


def on_test(protocol: str, found: dict[str, Any], key: str = "test") -> None:
    split = prepared(protocol)
    part = Part(split, "test")
    rows: dict[str, Any] = {}
    for name in MODELS:
        unary = part.measure(with_map(fitted(protocol, name, split), "unary", split))
        if key == "default":
            mapped = part.measure(by_default(protocol, name, split))
        else:
            mapped = part.measure(with_map(fitted(protocol, name, split), MAPS[found["chosen"]], split))
        rows[name] = {"unary": means(unary), "chosen": means(mapped), "difference": differences(unary, mapped)}
        print(protocol, name, rows[name], file=sys.stderr, flush=True)
    correct(rows)
    found.setdefault(key, {})[protocol] = {"models": rows, "counts": counts(rows)}
    write(found)


def by_default(protocol: str, name: str, split: Split) -> Recommender[Any]:
    """The model as it is trained and served by default: with the default map, in training too where it has a use."""
    model = fitted(protocol, name, split)
    if hasattr(model.config, "weigh_training"):
        experiment = read_experiment(ROOT / "configs" / protocol / f"{name}.toml")
        return workflow.fit(experiment.model, split, seed=SEED, **experiment.settings).model
    model.value_map = resolve(ValuesConfig(), split.training().histories.values)
    return model


def differences(unary: Mapping[str, PerUser], mapped: Mapping[str, PerUser]) -> dict[str, dict[str, float]]:
    """The mapped model minus the unary one, paired by user, with its interval and p-value."""
    measured = [found[name] for found in (unary, mapped) for name in METRICS]
    rng = np.random.default_rng(SEED)
    draws = np.concatenate(
        [resampled_means(c, measured) for c in resample(len(unary[METRICS[0]].values), SAMPLES, rng)]
    )
    gaps = draws[:, len(METRICS) :] - draws[:, : len(METRICS)]  # [R, metrics]
    found = {}
    for name, column, p in zip(METRICS, gaps.T, paired_p(gaps), strict=True):
        gap = percentiles(mapped[name].mean - unary[name].mean, column)
        found[name] = {"mean": gap.mean, "low": gap.low, "high": gap.high, "p": float(p)}
    return found


def correct(rows: dict[str, Any]) -> None:
    """Add Holm's correction over the models to each metric's tests."""
    for name in METRICS:
        tests = [row["difference"][name] for row in rows.values()]
        for test, adjusted in zip(tests, holm(np.array([test["p"] for test in tests])), strict=True):
            test["p_holm"] = float(adjusted)


def counts(rows: Mapping[str, Any]) -> dict[str, int]:
    """Models whose liked NDCG@10 is higher or level (Holm, 0.05), those of lower disliked metrics, and both."""
    liked, ndcg, share = (
        {name: row["difference"][metric] for name, row in rows.items()}
        for metric in ("liked-ndcg@10", "disliked-ndcg@10", "disliked@10")
    )
    no_worse = {name for name, test in liked.items() if test["mean"] >= 0 or test["p_holm"] > 0.05}
    better = {name for name, test in liked.items() if test["mean"] > 0 and test["p_holm"] <= 0.05}
    lower = {
        name
        for name in rows
        if all(tests[name]["mean"] < 0 and tests[name]["p_holm"] <= 0.05 for tests in (ndcg, share))
    }
    return {
        "models": len(rows),
        "liked higher": len(better),
        "liked higher or level": len(no_worse),
        "disliked lower": len(lower),
        "both": len(no_worse & lower),
    }


PARTS: dict[str, Callable[[dict[str, Any]], None]] = {
    "valid-a": partial(on_valid, "a"),
    "valid-b": partial(on_valid, "b"),
    "choose": choose,
    "test-a": partial(on_test, "a"),
    "test-b": partial(on_test, "b"),
    "default-a": partial(on_test, "a", key="default"),
    "default-b": partial(on_test, "b", key="default"),
}
OUTPUT = Path(__file__).with_suffix(".json")


def write(found: dict[str, Any]) -> None:
    OUTPUT.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


def main() -> None:
    found = json.loads(OUTPUT.read_text("utf-8")) if OUTPUT.is_file() else {}
    for name in sys.argv[1:] or PARTS:
        PARTS[name](found)
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
