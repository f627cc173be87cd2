"""GMF, MLP and NeuMF on one core: quality, fold-in, and seconds an epoch against the usual implementation.

Prints one JSON object; `python benchmarks/ncf.py PART ...` runs some parts and takes the others from ncf.json.
Run it as `make bench` does. Seconds are processor seconds of one thread.

    a-gmf, b-gmf, ...  protocols A and B, three seeds (B: gmf and mlp one): recall@10, NDCG@10, seconds of the fit;
             on A NDCG@10 with stored embeddings too
    start    protocol A, three seeds: neumf pre-trained with a gmf and an mlp of its dim and layers
    epoch    MovieLens 1M, dim 16, three layers: an epoch with the paper's loss, by events with four sampled negatives
             each, and by users with their expectation; an epoch of the usual loop (four negatives sampled in Python,
             a Dataset of triples, batches of 256, Adam), extrapolated from its first batches
    serve    MovieLens 1M: a visitor's list in milliseconds, median and 99th percentile of 300
"""

import json
import os
import sys
import tempfile
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from matinee import workflow
from matinee.config import EvaluationConfig
from matinee.data.splits import Split
from matinee.evaluation.evaluate import evaluate, validation
from matinee.experiment import read_experiment
from matinee.histories import TrainingData
from matinee.models import create
from matinee.models.base import Recommender
from matinee.ranking.rank import rank
from matinee.store import artefact
from matinee.store.artefact import Artefact
from matinee.training.run import Run

CONFIGS = Path(__file__).parents[1] / "configs"
SEEDS = (1, 2, 3)
SEEDS_ON_B = {"gmf": (1,), "mlp": (1,), "neumf": SEEDS}
NAMES = ("gmf", "mlp", "neumf")
os.environ.setdefault("MATINEE_DATA", str(Path(__file__).parents[2] / "shared" / "data"))


def prepared(protocol: str) -> Split:
    return workflow.prepare(read_experiment(CONFIGS / protocol / "gmf.toml"))


def scores(model: Recommender, over: Split) -> dict[str, float]:
    report = evaluate(model, over, EvaluationConfig(k=(10,), samples=100), rng=np.random.default_rng(1))
    return {name: report.metrics[name].mean for name in ("recall@10", "ndcg@10")}


def fitted(protocol: str, name: str, over: Split, seed: int) -> tuple[Recommender, float]:
    model = create(name, **read_experiment(CONFIGS / protocol / f"{name}.toml").settings)
    monitored = validation(over, model.config.monitor) if model.config.patience else None
    started = time.process_time()
    model.fit(over.training(), replace(Run.seeded(seed), validation=monitored))
    return model, time.process_time() - started


def quality(protocol: str, name: str) -> dict[str, Any]:
    over, rows = prepared(protocol), []
    for seed in SEEDS_ON_B[name] if protocol == "b" else SEEDS:
        model, seconds = fitted(protocol, name, over, seed)
        row = {"seed": seed, "fit_seconds": seconds} | scores(model, over)
        if protocol == "a":
            model.config = model.config.model_copy(update={"user_state": "stored"})
            row["ndcg@10_stored"] = scores(model, over)["ndcg@10"]
        rows.append(row)
    return {"seeds": rows} | {key: float(np.mean([row[key] for row in rows])) for key in rows[0] if key != "seed"}


def pretrained() -> dict[str, Any]:
    over, rows = prepared("a"), []
    train = over.training()
    for seed in SEEDS:
        with tempfile.TemporaryDirectory() as folder:
            for name, layers in (("gmf", {}), ("mlp", {"layers": 1})):
                part = create(name, dim=16, **layers).fit(train, Run.seeded(seed))
                artefact.save(Artefact.of(part, over.data, train), Path(folder, name))
            artefacts = {f"pretrained_{name}": str(Path(folder, name)) for name in ("gmf", "mlp")}
            model = create("neumf", **artefacts).fit(train, Run.seeded(seed))
        rows.append({"seed": seed} | scores(model, over))
    return {"seeds": rows} | {key: float(np.mean([row[key] for row in rows])) for key in ("recall@10", "ndcg@10")}


class UsualNCF(torch.nn.Module):
    """The usual implementation: embeddings looked up per triple, and the tower over their concatenation."""

    def __init__(self, n_users: int, n_items: int, kind: str, dim: int, layers: int) -> None:
        super().__init__()
        self.kind, width = kind, dim * 2 ** (layers - 1)
        self.tables = torch.nn.ModuleList(
            torch.nn.Embedding(n, size) for size in (dim, width) for n in (n_users, n_items)
        )
        steps: list[torch.nn.Module] = []
        for layer in range(layers):
            steps += [torch.nn.Linear(2 * width >> layer, width >> layer), torch.nn.ReLU()]
        self.tower = torch.nn.Sequential(*steps)
        self.output = torch.nn.Linear(2 * dim if kind == "neumf" else dim, 1)

    def forward(self, users: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        """The logits of triples. [M], [M] -> [M]."""
        parts = []
        if self.kind != "mlp":
            parts.append(self.tables[0](users) * self.tables[1](items))
        if self.kind != "gmf":
            parts.append(self.tower(torch.cat([self.tables[2](users), self.tables[3](items)], dim=1)))
        return self.output(torch.cat(parts, dim=1)).view(-1)


class Triples(torch.utils.data.Dataset):
    """(user, item, label), with negatives sampled in Python each epoch."""

    def __init__(self, train: TrainingData) -> None:
        self.pairs = list(zip(train.histories.owners.tolist(), train.histories.items.tolist(), strict=True))
        self.seen, self.n_items = set(self.pairs), train.n_items

    def draw(self) -> None:
        """Sample four negatives for each positive."""
        negatives = []
        for user, _ in self.pairs:
            for _ in range(4):
                item = np.random.randint(self.n_items)  # noqa: NPY002 - as usual implementations have it
                while (user, item) in self.seen:
                    item = np.random.randint(self.n_items)  # noqa: NPY002
                negatives.append((user, item))
        self.rows = self.pairs + negatives
        self.labels = [1.0] * len(self.pairs) + [0.0] * len(negatives)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int) -> tuple[int, int, float]:
        """A triple."""
        return (*self.rows[index], self.labels[index])


def usual_epoch(triples: Triples, kind: str, train: TrainingData, batches: int = 300) -> dict[str, float]:
    """Seconds of an epoch: sampling measured in full, training extrapolated from the first batches."""
    started = time.process_time()
    triples.draw()
    drawing = time.process_time() - started
    model = UsualNCF(train.n_users, train.n_items, kind, 16, 3)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.001)
    loader = torch.utils.data.DataLoader(triples, batch_size=256, shuffle=True)
    steps = iter(loader)
    next(steps)  # the order is sampled before the first batch
    started = time.process_time()
    for _, (users, items, labels) in zip(range(batches), steps, strict=False):
        optimizer.zero_grad()
        loss = torch.nn.functional.binary_cross_entropy_with_logits(model(users, items), labels.float())
        loss.backward()
        optimizer.step()
    training = (time.process_time() - started) / batches * len(loader)
    return {"drawing": drawing, "training": training, "seconds": drawing + training, "batches_timed": batches}


def our_epoch(name: str, train: TrainingData, **settings: Any) -> float:
    """Seconds of an epoch: half the difference of fits of three epochs and of one, which leaves out preparation."""
    tower = {} if name == "gmf" else {"layers": 3, "dropout": 0.0}
    seconds = []
    for epochs in (1, 3):
        model = create(name, dim=16, epochs=epochs, loss="bce", n_negatives=4, **tower, **settings)
        started = time.process_time()
        model.fit(train, Run.seeded(1))
        seconds.append(time.process_time() - started)
    return (seconds[1] - seconds[0]) / 2


def epoch() -> dict[str, Any]:
    train = prepared("b").training()
    triples, found = Triples(train), {}
    for name in NAMES:
        usual = usual_epoch(triples, name, train)
        pairs = our_epoch(name, train, candidates=0, batch_size=4096)
        users = our_epoch(name, train, candidates=512)
        found[name] = {
            "usual": usual,
            "ours_pairs_seconds": pairs,
            "ours_users_seconds": users,
            "times_faster_pairs": usual["seconds"] / pairs,
            "times_faster_users": usual["seconds"] / users,
        }
    return found


def serve() -> dict[str, Any]:
    over, found = prepared("b"), {}
    histories = over.training().histories
    for name in NAMES:
        settings = read_experiment(CONFIGS / "b" / f"{name}.toml").settings
        model = create(name, **(settings | {"epochs": 2})).fit(over.training(), Run.seeded(1))
        times = []
        for user in range(300):
            started = time.process_time()
            rank(model, histories.take(np.array([user])), 10)
            times.append(1000 * (time.process_time() - started))
        found[name] = {"median_ms": float(np.median(times)), "p99_ms": float(np.quantile(times, 0.99))}
    return found


PARTS = {
    **{f"{protocol}-{name}": partial(quality, protocol, name) for protocol in "ab" for name in NAMES},
    "start": pretrained,
    "epoch": epoch,
    "serve": serve,
}


def main() -> None:
    torch.set_num_threads(1)
    before = json.loads(Path(__file__).with_suffix(".json").read_text("utf-8")) if sys.argv[1:] else {}
    json.dump(before | {name: PARTS[name]() for name in sys.argv[1:] or PARTS}, sys.stdout, indent=2)


if __name__ == "__main__":
    main()
