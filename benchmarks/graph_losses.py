"""LightGCN's losses and negatives on protocol A, one core.

Prints one JSON object, and draws docs/images/. Run it as `make bench` does;
`python benchmarks/graph_losses.py PART ...` runs some parts only.

    infonce   the recipe of the original experiment with uniform and with in-batch negatives, three seeds: means at
              k = 5, 10, 20, a paired test, the curves
    variants  the effect of masking, logQ, temperature, more negatives and larger batches, three seeds
    ablation  configs/graph-ablation.toml: every loss, kind of negative and similarity
"""

import json
import os
import sys
import time
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from matinee import workflow
from matinee.config import EvaluationConfig
from matinee.data.splits import Split
from matinee.evaluation.comparison import compare
from matinee.evaluation.evaluate import evaluate, validation
from matinee.evaluation.report import Report
from matinee.experiment import Experiment, read_experiment
from matinee.models import create
from matinee.models.base import Recommender
from matinee.report.plots import draw_comparison, draw_curves
from matinee.training.run import Run

PROJECT = Path(__file__).parents[1]
IMAGES = PROJECT / "docs" / "images"
os.environ.setdefault("MATINEE_DATA", str(PROJECT.parent / "shared" / "data"))
SEEDS = (1, 2, 3)
ENDS = ("mean", "low", "high")
Curves = Sequence[Mapping[str, float]]
QUICK = {"learning_rate": 0.004, "epochs": 25, "patience": 0}
"""All variants are compared after a quarter of the epochs at four times the step size."""
UNIFORM = {"negatives": "uniform", "n_negatives": 6}
VARIANTS: dict[str, dict[str, Any]] = {
    "uniform": UNIFORM,
    "uniform, 64 negatives": UNIFORM | {"n_negatives": 64},
    "uniform, temperature 0.5": UNIFORM | {"temperature": 0.5},
    "in-batch": {},
    "in-batch, false negatives not masked": {"mask_seen": False},
    "in-batch, logQ": {"log_q": True},
    "in-batch, temperature 0.5": {"temperature": 0.5},
    "in-batch, 2,048 pairs a step": {"batch_size": 2048},
}


def trained(settings: dict[str, Any], over: Split, seed: int) -> tuple[Recommender, float]:
    model = create("lightgcn", **settings)
    started = time.process_time()
    model.fit(over.training(), replace(Run.seeded(seed), validation=validation(over, model.config.monitor)))
    return model, time.process_time() - started


def measured(model: Recommender, over: Split, on: str = "test", ks: tuple[int, ...] = (5, 10, 20)) -> Report:
    return evaluate(model, over, EvaluationConfig(k=ks, on=on), rng=np.random.default_rng(1))


def row(report: Report) -> dict[str, float]:
    names = [f"{base}@{k}" for base in ("precision", "recall", "ndcg") for k in (5, 10, 20)]
    return {name: report.metrics[name].mean for name in (*names, "coverage@10", "novelty@10") if name in report.metrics}


KINDS = ("uniform", "in-batch")
Runs = dict[str, list[tuple[Report, Curves, float]]]
"""By kind of negative, for each seed: the report, the curves and the seconds."""


def infonce() -> dict[str, Any]:
    configs = {kind: read_experiment(PROJECT / "configs" / f"lightgcn-infonce-{kind}.toml") for kind in KINDS}
    over = workflow.prepare(configs["uniform"])
    runs: Runs = {}
    for kind, seed in product(KINDS, SEEDS):
        model, seconds = trained(configs[kind].settings, over, seed)
        runs.setdefault(kind, []).append((measured(model, over), model.curves, seconds))
    return compared(runs)


def variants() -> dict[str, Any]:
    experiment = read_experiment(PROJECT / "configs" / "lightgcn-infonce-in-batch.toml")
    over = workflow.prepare(experiment)
    found: dict[str, Any] = {}
    for label, change in VARIANTS.items():
        rows = []
        for seed in SEEDS:
            model, seconds = trained(experiment.settings | QUICK | change, over, seed)
            rows.append(row(measured(model, over)) | {"fit_seconds": seconds})
        found[label] = {key: float(np.mean([one[key] for one in rows])) for key in rows[0]} | {"seeds": rows}
        print(json.dumps({label: found[label]}), file=sys.stderr, flush=True)
    return found


def compared(runs: Runs) -> dict[str, Any]:
    """Means over seeds, paired tests between the kinds, and the figures."""
    found: dict[str, Any] = {}
    for kind, each in runs.items():
        rows = [
            row(report) | {"fit_seconds": seconds, "epochs": len(curves), "curves": list(curves)}
            for report, curves, seconds in each
        ]
        found[kind] = {key: float(np.mean([one[key] for one in rows])) for key in rows[0] if key != "curves"}
        found[kind]["seeds"] = rows
    draw_curves({kind: runs[kind][0][1] for kind in KINDS}, IMAGES / "lightgcn-infonce-curves.png", "recall@10")
    merged = [averaged(f"InfoNCE, {kind}", [report for report, _, _ in runs[kind]]) for kind in KINDS]
    for metric in ("recall@10", "ndcg@10"):
        comparison = compare(merged, metric, rng=np.random.default_rng(1))
        found[f"paired test, {metric}"] = comparison.to_json()["models"]
        if metric == "ndcg@10":
            draw_comparison(comparison, IMAGES / "lightgcn-infonce.png", ["recall@10", "ndcg@10", "coverage@10"])
    return found


def averaged(name: str, reports: list[Report]) -> Report:
    """One report whose per-user values and means are averaged over seeds."""
    first = reports[0]
    per_user = {
        metric: replace(column, values=np.mean([report.per_user[metric].values for report in reports], axis=0))
        for metric, column in first.per_user.items()
    }
    metrics = {
        metric: replace(
            interval,
            **{end: float(np.mean([getattr(report.metrics[metric], end) for report in reports])) for end in ENDS},
        )
        for metric, interval in first.metrics.items()
    }
    return replace(first, model=name, per_user=per_user, metrics=metrics)


def ablation() -> list[dict[str, Any]]:
    text = tomllib.loads((PROJECT / "configs" / "graph-ablation.toml").read_text())
    grid = text.pop("grid")
    experiment = Experiment.model_validate(text)
    over = workflow.prepare(experiment)
    found = []
    for loss, negatives, similarity in product(grid["loss"], grid["negatives"], grid["similarity"]):
        if loss == "softmax" and negatives != grid["negatives"][0]:
            continue
        settings = experiment.settings | {
            "loss": loss, "negatives": negatives, "similarity": similarity,
            "temperature": grid["temperature"][similarity],
        }  # fmt: skip
        if loss == "softmax":
            settings["batch_size"] = 16  # users, 33 steps an epoch
        tried = []
        for rate in grid["learning_rates"]:
            model, seconds = trained(settings | {"learning_rate": rate}, over, 1)
            on_valid = measured(model, over, "valid", (10,)).metrics["ndcg@10"].mean
            tried.append((on_valid, rate, seconds, measured(model, over, "test", (10,))))
        on_valid, rate, seconds, report = max(tried, key=lambda each: each[0])
        found.append(
            {"loss": loss, "negatives": "all" if loss == "softmax" else negatives, "similarity": similarity}
            | {"learning_rate": rate, "valid ndcg@10": on_valid, "fit_seconds": seconds}
            | {name: report.metrics[name].mean for name in ("recall@10", "ndcg@10", "coverage@10")}
        )
        print(json.dumps(found[-1]), file=sys.stderr, flush=True)
    draw_ablation(found)
    return found


def draw_ablation(found: list[dict[str, Any]]) -> None:
    """A row for each loss and kind of negative, a dot for each similarity."""
    names = list(dict.fromkeys((each["loss"], each["negatives"]) for each in found))
    figure = Figure(figsize=(7.2, 0.8 + 0.3 * len(names)), layout="constrained", facecolor="white")
    panel = figure.subplots()
    for similarity, colour in (("cosine", "#1b7837"), ("dot", "#c28a00")):
        rows = [each for each in found if each["similarity"] == similarity]
        heights = [names.index((each["loss"], each["negatives"])) for each in rows]
        panel.plot([each["ndcg@10"] for each in rows], heights, "o", color=colour, label=similarity, markersize=6)
    panel.set_yticks(range(len(names)), [f"{loss} · {negatives}" for loss, negatives in names], fontsize=9)
    panel.invert_yaxis()
    panel.set_title(
        "LightGCN on protocol A: NDCG@10 at test by loss, negatives and similarity", fontsize=10, loc="left"
    )
    panel.grid(color="#e3e6ea")
    panel.set_axisbelow(True)
    panel.legend(fontsize=9, frameon=False)
    for side in ("top", "right", "left"):
        panel.spines[side].set_visible(False)
    panel.tick_params(length=0)
    figure.savefig(IMAGES / "graph-ablation.png", dpi=150)


PARTS = {"infonce": infonce, "variants": variants, "ablation": ablation}


def main() -> None:
    torch.set_num_threads(1)
    json.dump({name: PARTS[name]() for name in sys.argv[1:] or PARTS}, sys.stdout)


if __name__ == "__main__":
    main()
