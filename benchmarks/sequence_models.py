"""GRU4Rec and SASRec: quality over time, batch layouts, a comparison with RecTools, latency. One core, one thread.

Prints one JSON object and draws docs/images/; `python benchmarks/sequence_models.py PART ...` runs some parts only.
Seconds are processor seconds unless stated otherwise.

    curves    configs/c/gru4rec.toml, sasrec.toml and linear-gru.toml: loss and NDCG@10 on valid by epoch, test metrics
    layouts   C-small, six epochs: packed and session-parallel batches, with and without attention, other settings equal
    rectools  SASRec against RecTools' at the same dim, blocks, length and batch, on C-small: seconds to a valid NDCG@10
    session   configs/session-gru.toml with and without attention, paired with the baselines
    session-earlier  configs/session-earlier/gru4rec.toml and the baselines
    session-layouts  layouts again, on these sessions, at half the width: the last event and every next one on valid
    latency   a list of ten of 3,706 movies for a history of 200 events
"""

import json
import os
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from matinee import workflow
from matinee.config import EvaluationConfig
from matinee.data.splits import Split
from matinee.evaluation.evaluate import evaluate, peak_memory_mb, validation
from matinee.evaluation.report import Report
from matinee.experiment import read_experiment
from matinee.folders import cache_folder
from matinee.histories import Histories, TrainingData
from matinee.models import create
from matinee.models.base import Recommender
from matinee.ranking.rank import rank
from matinee.report.plots import draw_curves
from matinee.training.run import Run
from sequences import predicting_every, row, verdicts

PROJECT = Path(__file__).parents[1]
CONFIGS = PROJECT / "configs"
os.environ.setdefault("MATINEE_DATA", str(PROJECT.parent / "shared" / "data"))
CURVES = ("gru4rec", "sasrec", "linear-gru")
LAYOUTS: dict[str, dict[str, Any]] = {
    "packed": {},
    "packed, attention": {"attention": 1},
    "session-parallel, 50 events a step": {"batches": "session-parallel", "lane_steps": 50},
}
"""Batch layouts of gru4rec."""
SHARED = {"dim": 64, "layers": 2, "max_length": 50, "dropout": 0.2}
"""Settings of both implementations of SASRec; RecTools' batch has 32 users, with their last 51 events."""


def trained(name: str, over: Split, settings: dict[str, Any], watch: str, every: int) -> tuple[Recommender, list[Any]]:
    """A model, and (epoch, seconds of training until then, score on valid) for every few epochs."""
    spent, rows, look = 0.0, [], validation(over, watch)
    model = create(name, **settings | {"patience": 1000, "validate_every": every})
    began = time.process_time()

    def timed(current: Recommender) -> float:
        nonlocal began, spent
        spent += time.process_time() - began
        figure = look(current)
        rows.append((round(spent, 1), round(figure, 4)))
        print(name, len(rows) * every, *rows[-1], file=sys.stderr, flush=True)
        began = time.process_time()
        return figure

    model.fit(over.training(), replace(Run.seeded(1), validation=timed))
    return model, [(every * (place + 1), *row) for place, row in enumerate(rows)]


def curves() -> dict[str, Any]:
    """The configs of protocol C with a look at valid after each epoch. The best epoch is kept, as a rule the last."""
    found, drawn = {}, {}
    for name in CURVES:
        experiment = read_experiment(CONFIGS / "c" / f"{name}.toml")
        over = workflow.prepare(experiment)
        settings = experiment.settings | {"patience": 1000}
        started, clock = time.process_time(), time.perf_counter()
        fitted = workflow.fit(experiment.model, over, values=experiment.values, seed=experiment.split.seed, **settings)
        seconds, wall = time.process_time() - started, time.perf_counter() - clock
        model = fitted.model
        report = evaluate(model, over, experiment.evaluation, rng=np.random.default_rng(42))
        drawn[name] = [
            {key: round(row[key], 4) for key in ("epoch", "loss", "valid", "seconds")} for row in model.curves
        ]
        found[name] = {
            **{metric: round(report.metrics[metric].mean, 4) for metric in ("hit-rate@10", "ndcg@10")},
            "settings": experiment.settings,
            "cpu_seconds": round(seconds, 1),
            "seconds": round(wall, 1),
            "peak_memory_mb": round(peak_memory_mb() or 0),
            "curves": drawn[name],
        }
        print(name, found[name], file=sys.stderr, flush=True)
    draw_curves(drawn, PROJECT / "docs" / "images" / "sequence-curves.png", "ndcg@10")
    return found


def layouts() -> dict[str, Any]:
    experiment = read_experiment(CONFIGS / "c-small" / "gru4rec.toml")
    over = workflow.prepare(experiment)
    found = {}
    for label, change in LAYOUTS.items():
        settings = experiment.settings | {"epochs": 6} | change
        model, rows = trained("gru4rec", over, settings, "ndcg@10", 2)
        config = EvaluationConfig(k=(10,), on="valid")
        report = evaluate(model, over, config, rng=np.random.default_rng(1))
        found[label] = {
            **{metric: round(report.metrics[metric].mean, 4) for metric in ("hit-rate@10", "ndcg@10")},
            "cpu_seconds_per_epoch": round(rows[-1][1] / rows[-1][0], 1),
            "valid ndcg@10": rows,
        }
        print(label, found[label], file=sys.stderr, flush=True)
    return found


def session() -> dict[str, Any]:
    return beside_baselines(("session-gru", "session-gru-plain"), ("last", "every"))


def session_earlier() -> dict[str, Any]:
    return beside_baselines(("session-earlier/gru4rec",), ("last",))


def beside_baselines(configs: tuple[str, ...], ways: tuple[str, ...]) -> dict[str, Any]:
    """Networks and baselines on one split: one fit of each, both kinds of targets, all metrics paired by user."""
    over = workflow.prepare(read_experiment(CONFIGS / f"{configs[0]}.toml"))
    reports: dict[str, dict[str, Report]] = {way: {} for way in ways}
    found: dict[str, Any] = {}
    for name in (*configs, "session/markov-skips", "session/markov", "session/ease", "session/item-knn"):
        experiment = read_experiment(CONFIGS / f"{name}.toml")
        started, epochs = time.process_time(), []

        def tell(
            epoch: int, _: int, figures: dict[str, float], epochs: list[Any] = epochs, start: float = started
        ) -> None:
            epochs.append({"epoch": epoch, "cpu_seconds": round(time.process_time() - start, 1), **figures})
            print(epochs[-1], file=sys.stderr, flush=True)

        fitted, reports["last"][name] = workflow.run(experiment, over, on_epoch=tell)
        found[name] = {"epochs": epochs, "last": row(reports["last"][name], time.process_time() - started)}
        if "every" in ways:
            asked = predicting_every(experiment).evaluation
            reports["every"][name] = evaluate(fitted.model, over, asked, rng=np.random.default_rng(42))
            found[name]["every"] = row(reports["every"][name], time.process_time() - started)
        print(name, found[name], file=sys.stderr, flush=True)
    paired = {way: paired_by_user(of) for way, of in reports.items()}
    for name in configs:  # alone with the two baselines that it is to beat
        chosen = (name, "session/markov", "session/ease")
        paired |= {f"{way}, {name}": paired_by_user({one: of[one] for one in chosen}) for way, of in reports.items()}
    return {"models": found, "paired": paired}


def paired_by_user(reports: dict[str, Report]) -> dict[str, Any]:
    return {metric: verdicts(reports, metric) for metric in ("hit-rate@20", "mrr@20")}


def session_layouts() -> dict[str, Any]:
    experiment = read_experiment(CONFIGS / "session-gru.toml")
    over = workflow.prepare(experiment)
    small = experiment.settings | {"dim": 128, "hidden": 128, "attention": 0, "restart_probability": 0, "user_power": 0}
    found: dict[str, Any] = {}
    for label, change in LAYOUTS.items():
        model, rows = trained("gru4rec", over, small | change, "mrr@20", 1)
        found[label] = {"cpu_seconds_per_epoch": round(rows[-1][1] / rows[-1][0], 1), "mrr@20 by epoch": rows}
        for asked in (experiment, predicting_every(experiment)):
            config = EvaluationConfig(**(asked.evaluation.model_dump() | {"on": "valid", "refit": "train"}))
            report = evaluate(model, over, config, rng=np.random.default_rng(1))
            found[label][config.predict] = row(report, rows[-1][1])
        print(label, found[label], file=sys.stderr, flush=True)
    return found


def rectools() -> dict[str, Any]:
    over = workflow.prepare(read_experiment(CONFIGS / "c-small" / "sasrec.toml"))
    train = over.training().histories
    found: dict[str, Any] = {}
    for label, rate in (("RecTools", 0.002), ("RecTools, its own learning rate", 0.001)):
        found[label] = peer(over, {**SHARED, "learning_rate": rate, "batch_size": 32, "epochs": 60, "every": 4})
    lengths = np.minimum(np.diff(train.starts) - 1, SHARED["max_length"])
    batch = round(32 * float(lengths.mean()))  # as many transitions as RecTools has in a batch of 32 users
    for label, change in (
        ("ours", {"loss": "sampled-softmax", "precision": "bfloat16"}),
        ("ours, softmax, float32", {"loss": "softmax", "precision": "float32"}),
        ("ours, softmax, float32, random first vectors", {"loss": "softmax", "initialiser": "normal"}),
    ):
        settings = SHARED | {"batch_size": batch, "epochs": 16, "learning_rate": 0.003} | change
        _, rows = trained("sasrec", over, settings, "ndcg@10", 1)
        found[label] = {"settings": settings, "epoch, cpu seconds, valid ndcg@10": rows}
    best = max(figure for _, _, figure in found["RecTools"]["epoch, cpu seconds, valid ndcg@10"])
    for peer_row in found.values():
        points = peer_row["epoch, cpu seconds, valid ndcg@10"]
        peer_row["cpu_seconds_per_epoch"] = round(points[-1][1] / points[-1][0], 2)
        peer_row["cpu_seconds_to"] = {
            round(goal, 4): next((seconds for _, seconds, figure in points if figure >= goal), None)
            for goal in (best / 2, 0.75 * best, best)
        }
    return found


def peer(over: Split, settings: dict[str, Any]) -> dict[str, Any]:
    """RecTools in a separate environment, evaluated with our NDCG."""
    folder = cache_folder() / "benchmark-rectools"
    python = folder / "bin" / "python"
    if not (folder / ".ready").exists():
        venv.create(folder, with_pip=True, clear=True)
        command = [python, "-m", "pip", "install", "-q", "rectools[torch]==0.19.0", "torch==2.13.0"]
        subprocess.run(command, check=True, stdout=sys.stderr)
        (folder / ".ready").touch()
    train, wanted = over.training().histories, over.targets("valid")
    target = np.full(int(train.user_rows.max()) + 1, -1)
    target[wanted.user_rows] = wanted.item_rows
    with tempfile.TemporaryDirectory() as place:
        data, out = Path(place) / "data.npz", Path(place) / "out.npz"
        np.savez(data, starts=train.starts, items=train.items)
        script = PROJECT / "benchmarks" / "peers" / "rectools_sasrec.py"
        subprocess.run([python, script, data, out, json.dumps(settings)], check=True, stdout=sys.stderr)
        with np.load(out) as read:
            lists, seconds, epochs = read["lists"], read["seconds"], read["epochs"]
    hits = lists == target[train.user_rows][:, None]  # [checkpoints, U, 10]
    figures = (hits / np.log2(np.arange(2, 12))).sum(axis=2).mean(axis=1)
    rows = [
        (int(epoch), round(float(spent), 1), round(float(figure), 4))
        for epoch, spent, figure in zip(epochs, seconds, figures, strict=True)
    ]
    return {"settings": settings, "epoch, cpu seconds, valid ndcg@10": rows}


def latency() -> dict[str, Any]:
    rng, n_items = np.random.default_rng(1), 3706
    train = TrainingData(Histories.of([rng.integers(n_items, size=30).tolist() for _ in range(60)]), n_items)
    people = [Histories.of([rng.permutation(n_items)[:200].tolist()]) for _ in range(300)]
    long = [Histories.of([rng.integers(n_items, size=20_000).tolist()]) for _ in range(100)]
    found: dict[str, Any] = {}
    for label, name, settings in (
        ("sasrec", "sasrec", {"max_length": 200}),
        ("gru4rec, hidden 128", "gru4rec", {"max_length": 200}),
        ("gru4rec, hidden 256", "gru4rec", {"max_length": 200, "hidden": 256}),
        ("gru4rec, hidden 256, the default of 100 events", "gru4rec", {"hidden": 256}),
        ("gru4rec, as configs/session-gru.toml", "gru4rec", {"hidden": 256, "dim": 256, "attention": 1}),
    ):
        model = create(name, epochs=1, **settings).fit(train, Run.seeded(1))
        found[label] = {
            "list": milliseconds(lambda history, model=model: rank(model, history, 10), people),
            "list after 20,000 events": milliseconds(lambda history, model=model: rank(model, history, 10), long),
        }
    return found


def milliseconds(answer: Callable[[Histories], Any], asked: list[Histories]) -> dict[str, float]:
    """Median and 99th percentile of processor and wall time."""
    walls, processor = [], []
    for history in asked:
        started, clock = time.process_time(), time.perf_counter()
        answer(history)
        processor.append(time.process_time() - started)
        walls.append(time.perf_counter() - clock)
    return {
        f"{label} {name}": round(1000 * float(np.quantile(values, share)), 2)
        for label, values in (("cpu", processor), ("wall", walls))
        for name, share in (("median", 0.5), ("p99", 0.99))
    }


PARTS = {
    "curves": curves,
    "layouts": layouts,
    "session": session,
    "session-earlier": session_earlier,
    "session-layouts": session_layouts,
    "rectools": rectools,
    "latency": latency,
}


def main() -> None:
    torch.set_num_threads(1)
    json.dump({name: PARTS[name]() for name in sys.argv[1:] or PARTS}, sys.stdout, indent=2)


if __name__ == "__main__":
    main()
