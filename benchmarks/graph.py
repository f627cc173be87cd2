"""The graph models on one core: quality, time to quality, fold-in, against training loops as usually written.

Prints one JSON object; `python benchmarks/graph.py PART ...` runs some parts only. Run it as `make bench` does.
Seconds are processor time of one thread, so that other load on the machine does not count.

    quality  lightgcn and ngcf on protocols A and B, three seeds: recall@10, NDCG@10, seconds of the fit; with the graph
             of train, and with that of train and valid without further training
    fold_in  protocol B: NDCG@10 from the history against the stored row; a visitor's list, p50 and p99 of 500; users
             never trained on, with EASE on the same split
    usual    protocol A, InfoNCE as usually written: a message for each edge, propagated for the positives and again for
             the negatives, negatives in Python, evaluation user by user; seconds an epoch, and speed-up to recall@10
             0.155 (the number of epochs is taken from ours, which computes the same)
    append   10,538 users, 25,139 items, a million edges: append the visitor to the graph and train NGCF for ten epochs,
             with a message for each edge and aggregated first, against one fold-in
    appended protocol A, users never trained on: the lists of such an NGCF, trained for ten epochs with all of them in
             the graph, against fold-in and popularity
"""

import json
import os
import random
import resource
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from matinee import workflow
from matinee.config import EvaluationConfig, SplitConfig
from matinee.data.splits import Split
from matinee.data.splits import split as cut
from matinee.data.synthetic import zipf_log
from matinee.evaluation.evaluate import evaluate, validation
from matinee.experiment import Experiment, read_experiment
from matinee.histories import Histories, TrainingData
from matinee.models import create
from matinee.models.base import Recommender
from matinee.models.graph.ngcf import propagate
from matinee.models.graph.propagation import BipartiteGraph
from matinee.nn.sparse_rows import normalise_adjacency
from matinee.ranking.rank import rank
from matinee.training.run import Run
from matinee.training.torch_trainer import torch_generator

CONFIGS = Path(__file__).parents[1] / "configs"
SEEDS = (1, 2, 3)
MEASURED = ("a/lightgcn", "a/lightgcn-refit", "a/ngcf", "b/lightgcn", "b/ngcf")
os.environ.setdefault("MATINEE_DATA", str(Path(__file__).parents[2] / "shared" / "data"))


def figures(model: Recommender, over: Split, config: EvaluationConfig | None = None) -> dict[str, float]:
    config = config or EvaluationConfig(k=(10,), samples=100)
    report = evaluate(model, over, config, rng=np.random.default_rng(1))
    return {name: report.metrics[name].mean for name in ("recall@10", "ndcg@10")}


def fitted(experiment: Experiment, over: Split, seed: int, **settings: Any) -> tuple[Recommender, float]:
    model = create(experiment.model, **(experiment.settings | settings))
    watched = validation(over, model.config.monitor) if model.config.patience else None
    started = time.process_time()
    model.fit(over.training(experiment.evaluation.refit), replace(Run.seeded(seed), validation=watched))
    return model, time.process_time() - started


def quality() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in MEASURED:
        experiment = read_experiment(CONFIGS / f"{name}.toml")
        over = workflow.prepare(experiment)
        rows = []
        for seed in SEEDS:
            model, seconds = fitted(experiment, over, seed)
            row = figures(model, over, EvaluationConfig(k=(10,), samples=100, rebuild_graph=True)) | {
                "fit_seconds": seconds
            }
            rows.append(row | {f"{key}, graph of train": value for key, value in figures(model, over).items()})
        found[name] = {key: float(np.mean([row[key] for row in rows])) for key in rows[0]} | {"seeds": rows}
        found[name]["peak_memory_mb_so_far"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    return found


def fold_in() -> dict[str, Any]:
    experiment = read_experiment(CONFIGS / "b" / "lightgcn.toml")
    over = workflow.prepare(experiment)
    model, _ = fitted(experiment, over, 1)
    found: dict[str, Any] = {}
    for label, change in (
        ("history", {}),
        ("stored", {"user_state": "stored"}),
        ("history, layer 0 zero", {"solve_steps": 0}),
    ):
        model.config = create("lightgcn", **(experiment.settings | change)).config
        found[label] = figures(model, over)
        found[f"{label}, inputs train"] = figures(model, over, EvaluationConfig(k=(10,), inputs="train", samples=100))
    model.config = create("lightgcn", **experiment.settings).config
    histories = over.training().histories
    rank(model, histories.take(np.array([0])), 10)
    milliseconds = []
    for row in np.random.default_rng(1).choice(len(histories), 500, replace=False):
        one = histories.take(np.array([row]))
        started = time.process_time()
        rank(model, one, 10)
        milliseconds.append(1000 * (time.process_time() - started))
    found["list_ms"] = {f"p{q}": float(np.percentile(milliseconds, q)) for q in (50, 99)}
    strangers = cut(over.data, SplitConfig(split="new-users", ratios=(0.8, 0.1, 0.1)))
    for name, settings in (("lightgcn", experiment.settings), ("ease", {"l2": 500.0})):
        found[f"new users, {name}"] = figures(
            create(name, **settings).fit(strangers.training(), Run.seeded(1)), strangers
        )
    return found


def usual() -> dict[str, Any]:
    experiment = read_experiment(CONFIGS / "lightgcn-infonce-uniform.toml")
    over = workflow.prepare(experiment)
    train = over.training()
    seconds = {kind: usual_epoch(train, kind) for kind in ("uniform", "in-batch")}
    started = time.process_time()
    usual_evaluation(train, over)
    evaluation_seconds = time.process_time() - started
    epochs, recipe_seconds = epochs_to(0.155, experiment.settings, over)
    best = read_experiment(CONFIGS / "a" / "lightgcn.toml").settings
    best_epochs, best_seconds = epochs_to(0.155, best, over)
    _, quick_seconds = epochs_to(0.155, {}, over)
    usual_seconds = (seconds["uniform"] + evaluation_seconds) * epochs
    return {
        "seconds_an_epoch": seconds,
        "evaluation_seconds": evaluation_seconds,
        "epochs_to_recall_0.155": epochs,
        "usual_seconds_to_recall_0.155": usual_seconds,
        "same_recipe_here_seconds": recipe_seconds,
        "lightgcn_of_configs_a": {"epochs": best_epochs, "seconds": best_seconds},
        "lightgcn_of_defaults": {"seconds": quick_seconds},
        "times_faster": {"configs_a": usual_seconds / best_seconds, "defaults": usual_seconds / quick_seconds},
    }


class Reached(Exception):
    """The target recall is reached."""


def epochs_to(recall: float, settings: dict[str, Any], over: Split) -> tuple[int, float]:
    """The first epoch whose model reaches a recall@10 at test, and the seconds of training until then."""
    evaluating, epochs, started = 0.0, 0, time.process_time()

    def look(model: Recommender) -> float:
        nonlocal evaluating, epochs
        begun = time.process_time()
        found = figures(model, over)["recall@10"]
        evaluating, epochs = evaluating + time.process_time() - begun, epochs + 1
        if found >= recall:
            raise Reached
        return found

    try:
        create("lightgcn", **(settings | {"patience": 1000})).fit(
            over.training(), replace(Run.seeded(1), validation=look)
        )
    except Reached:
        return epochs, time.process_time() - started - evaluating
    raise RuntimeError(f"recall@10 {recall} was never reached")


class UsualLightGCN(torch.nn.Module):
    """Message passing as usually written: a message for each edge in both directions, summed at its target."""

    def __init__(self, n_users: int, n_items: int, users: torch.Tensor, items: torch.Tensor) -> None:
        super().__init__()
        self.n_users, self.n_nodes = n_users, n_users + n_items
        self.embedding = torch.nn.Embedding(self.n_nodes, 64)
        torch.nn.init.xavier_uniform_(self.embedding.weight)
        self.source = torch.cat([users, items + n_users])
        self.target = torch.cat([items + n_users, users])

    def forward(self) -> torch.Tensor:
        """All nodes, users first."""
        layers = [self.embedding.weight]
        for _ in range(2):
            degree = torch.zeros(self.n_nodes).index_add(0, self.target, torch.ones(len(self.target)))
            norm = degree[self.source].rsqrt() * degree[self.target].rsqrt()
            messages = layers[-1][self.source] * norm[:, None]
            layers.append(torch.zeros_like(layers[-1]).index_add(0, self.target, messages))
        return torch.stack(layers).mean(dim=0)


def usual_epoch(train: TrainingData, kind: str, most_batches: int = 12) -> float:
    """Seconds of an epoch, extrapolated from its first batches."""
    users = torch.from_numpy(train.histories.owners.astype(np.int64))
    items = torch.from_numpy(train.histories.items.astype(np.int64))
    seen = [set(row.tolist()) for row in np.split(train.histories.items, train.histories.starts[1:-1])]
    model = UsualLightGCN(train.n_users, train.n_items, users, items)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001, weight_decay=1e-4)
    order = torch.randperm(len(users))
    batches = [order[start : start + 512] for start in range(0, len(order), 512)]
    started, done = time.process_time(), 0
    for batch in batches[:most_batches]:
        of_users, positives = users[batch], items[batch]
        rows: list[list[int]] = []
        for user, positive in zip(of_users.tolist(), positives.tolist(), strict=True):
            if kind == "uniform":
                drawn: list[int] = []
                while len(drawn) < 6:
                    item = random.randrange(train.n_items)
                    if item not in seen[user]:
                        drawn.append(item)
            else:
                others = [item for item in positives.tolist() if item != positive and item not in seen[user]]
                drawn = (others + [random.randrange(train.n_items) for _ in range(511)])[:511]
            rows.append(drawn)
        negatives = torch.tensor(rows)
        nodes = torch.nn.functional.normalize(model(), dim=1)
        positive_scores = (nodes[of_users] * nodes[positives + model.n_users]).sum(dim=1, keepdim=True)
        again = torch.nn.functional.normalize(model(), dim=1)
        negative_scores = (again[of_users][:, None] * again[negatives + model.n_users]).sum(dim=2)
        scores = torch.cat([positive_scores, negative_scores], dim=1) / 0.2
        loss = torch.nn.functional.cross_entropy(scores, torch.zeros(len(scores), dtype=torch.int64))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        done += 1
    return (time.process_time() - started) / done * len(batches)


def usual_evaluation(train: TrainingData, over: Split) -> float:
    """Recall@10 user by user in Python."""
    rng = np.random.default_rng(1)
    users, items = rng.normal(size=(train.n_users, 64)), rng.normal(size=(train.n_items, 64))
    valid = over.targets("valid")
    wanted = {int(user): set(valid.item_rows[valid.user_rows == user].tolist()) for user in np.unique(valid.user_rows)}
    recalls = []
    for user, targets in wanted.items():
        scores = users[user] @ items.T
        histories = train.histories
        scores[histories.items[histories.starts[user] : histories.starts[user + 1]]] = -np.inf
        best = sorted(range(len(scores)), key=lambda item: -scores[item])[:10]
        recalls.append(len(targets & set(best)) / len(targets))
    return float(np.mean(recalls))


def append() -> dict[str, Any]:
    data = zipf_log(10_538, 25_139, 1_000_000, np.random.default_rng(1))
    rows = np.arange(len(data.users), dtype=np.int32)
    train = TrainingData(Histories.from_events(data.events, rows), len(data.items))
    matrix = train.matrix()
    generator = torch_generator(Run.seeded(1))
    found: dict[str, Any] = {"users": train.n_users, "items": train.n_items, "edges": int(matrix.nnz)}
    for kind in ("aggregated first", "per edge"):
        users, items = (torch.randn((n, 64), generator=generator).mul_(0.1).requires_grad_() for n in matrix.shape)
        weights = {
            name: torch.randn(shape, generator=generator).mul_(0.1).requires_grad_()
            for name, shape in {"W1": (2, 64, 64), "W2": (2, 64, 64), "bias": (2, 64)}.items()
        }
        optimizer = torch.optim.Adam([users, items, *weights.values()], lr=0.001)
        edges = normalise_adjacency(matrix)
        started = time.process_time()
        graph = BipartiteGraph(edges, torch.device("cpu"))
        steps = 10 if kind == "aggregated first" else 1
        for _ in range(steps):
            if kind == "aggregated first":
                last = propagate(graph, (users, items), weights)[-1]
            else:
                last = per_edge(edges, users, items, weights)
            chosen = torch.from_numpy(np.random.default_rng(1).integers(len(train.histories.items), size=1024))
            owners = torch.from_numpy(train.histories.owners)[chosen]
            positives = torch.from_numpy(train.histories.items.astype(np.int64))[chosen]
            negatives = torch.randint(len(items), (1024,), generator=generator)
            gap = (last[0][owners] * (last[1][positives] - last[1][negatives])).sum(dim=1)
            loss = torch.nn.functional.softplus(-gap).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        found[kind] = {"ten_epochs_seconds": (time.process_time() - started) * 10 / steps, "epochs_timed": steps}
        found[kind]["peak_memory_mb_so_far"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    model = create("ngcf", epochs=1, batch_size=1024).fit(train, Run.seeded(1))
    times = []
    for user in range(50):
        started = time.process_time()
        rank(model, train.histories.take(np.array([user])), 10)
        times.append(1000 * (time.process_time() - started))
    found["fold_in_ms_median"] = float(np.median(times))
    return found


def appended() -> dict[str, Any]:
    experiment = read_experiment(CONFIGS / "a" / "ngcf.toml")
    data = workflow.read(experiment)
    over = cut(data, SplitConfig(split="new-users", ratios=(0.8, 0.1, 0.1)))
    with_them = with_graph_of_data(over)
    usual = {
        "loss": "bpr", "negatives": "uniform", "n_negatives": 1, "similarity": "dot", "temperature": 1.0,
        "initialiser": "xavier", "learning_rate": 0.001, "batch_size": 1024, "epochs": 10,
        "user_state": "stored", "solve_steps": 0,
    }  # fmt: skip
    found: dict[str, Any] = {}
    for label, name, settings, train in (
        ("popularity", "popularity", {}, over.training()),
        ("folded in", "ngcf", experiment.settings, over.training()),
        ("appended, ten epochs", "ngcf", usual, with_them),
    ):
        rows = []
        for seed in SEEDS:
            started = time.process_time()
            model = create(name, **settings).fit(train, Run.seeded(seed))
            rows.append({"fit_seconds": time.process_time() - started} | figures(model, over))
        found[label] = {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}
    return found


def with_graph_of_data(over: Split) -> TrainingData:
    """All that is shown at test, of those trained on and of the others."""
    shown = over.inputs("test")
    return TrainingData(Histories.from_events(shown, np.unique(shown.user_rows)), len(over.data.items))


def per_edge(edges: Any, users: torch.Tensor, items: torch.Tensor, weights: dict[str, torch.Tensor]) -> tuple:
    """NGCF with a message for each edge (an epoch is one step on the whole graph)."""
    of_users = torch.from_numpy(np.repeat(np.arange(edges.shape[0]), np.diff(edges.indptr)))
    of_items, norm = torch.from_numpy(edges.indices.astype(np.int64)), torch.from_numpy(edges.data)[:, None]
    for w1, w2, bias in zip(weights["W1"], weights["W2"], weights["bias"], strict=True):
        left, right = users[of_users], items[of_items]
        both = (left * right) @ w2
        to_users = (users @ w1 + bias).index_add(0, of_users, norm * (right @ w1 + both))
        to_items = (items @ w1 + bias).index_add(0, of_items, norm * (left @ w1 + both))
        users, items = (torch.nn.functional.leaky_relu(side, 0.2) for side in (to_users, to_items))
    return users, items


PARTS = {"quality": quality, "fold_in": fold_in, "usual": usual, "append": append, "appended": appended}


def main() -> None:
    torch.set_num_threads(1)
    json.dump({name: PARTS[name]() for name in sys.argv[1:] or PARTS}, sys.stdout)


if __name__ == "__main__":
    main()
