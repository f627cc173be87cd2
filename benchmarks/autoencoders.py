"""The autoencoders on one core: quality, fold-in, and an epoch against the usual loop.

Prints one JSON object; `python benchmarks/autoencoders.py PART ...` runs some parts only. Run it as `make bench` does.
Seconds are processor seconds of one thread.

    quality  mult-vae, mult-dae and cdae on protocols A and B, autorec on 90/10 of A, by item and by user of B;
             three seeds: NDCG@10 and recall@10, or RMSE, MAE and NDCG@10; seconds of the fit
    fold_in  what a known user gets from the history and from what was learned of them (cdae, autorec); users never
             trained on; a visitor's list, p50 and p99 of 500
    whole    autorec on a 90/10 draw of all ratings at once, as in the paper: a user or an item may have none in train
    usual    MovieLens 1M, an epoch of each config of configs/b against the same network and batch size with dense
             rows from a DataLoader, torch's layers and losses, in float32; here as configured, and in float32
"""

import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from matinee import workflow
from matinee.config import EvaluationConfig, SplitConfig
from matinee.data.labels import TEST, TRAIN
from matinee.data.splits import Split
from matinee.data.splits import split as cut
from matinee.evaluation.evaluate import evaluate
from matinee.experiment import Experiment, read_experiment
from matinee.histories import TrainingData
from matinee.models import create
from matinee.models.base import Recommender
from matinee.ranking.rank import rank
from matinee.training.run import Run

CONFIGS = Path(__file__).parents[1] / "configs"
SEEDS = (1, 2, 3)
LISTS = ("a/mult-vae", "a/mult-dae", "a/cdae", "b/mult-vae", "b/mult-dae", "b/cdae")
VALUES = ("a/autorec", "b/autorec", "b/autorec-user")
os.environ.setdefault("MATINEE_DATA", str(Path(__file__).parents[2] / "shared" / "data"))


def scores(model: Recommender, over: Split) -> dict[str, float]:
    report = evaluate(model, over, EvaluationConfig(k=(10,), samples=100), rng=np.random.default_rng(1))
    names = ("recall@10", "ndcg@10", *(("rmse", "mae") if model.predicts_values else ()))
    return {name: report.metrics[name].mean for name in names}


def fitted(experiment: Experiment, over: Split, seed: int, **settings: Any) -> tuple[Recommender, float]:
    model = create(experiment.model, **(experiment.settings | settings))
    started = time.process_time()
    model.fit(over.training(), Run.seeded(seed))
    return model, time.process_time() - started


def prepared(name: str) -> tuple[Experiment, Split]:
    experiment = read_experiment(CONFIGS / f"{name}.toml")
    return experiment, workflow.prepare(experiment)


def quality() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in (*LISTS, *VALUES):
        experiment, over = prepared(name)
        rows = []
        for seed in SEEDS:
            model, seconds = fitted(experiment, over, seed)
            rows.append(scores(model, over) | {"fit_seconds": seconds})
        found[name] = {key: float(np.mean([row[key] for row in rows])) for key in rows[0]} | {"seeds": rows}
        found[name]["peak_memory_mb_so_far"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
        print(name, found[name], file=sys.stderr, flush=True)
    return found


def fold_in() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in ("b/cdae", "b/autorec"):
        experiment, over = prepared(name)
        model, _ = fitted(experiment, over, 1)
        whole = scores(model, over)
        histories = over.training().histories
        found[name] = {"history": whole, "list_ms": list_ms(model, over.training())}
        some = histories.take(np.arange(0, len(histories), 10))
        folded = model.score(model.fold_in(some))
        model.config = create(experiment.model, **(experiment.settings | {"user_state": "stored"})).config
        found[name]["stored"] = scores(model, over)
        stored = model.score(model.fold_in(some))
        found[name]["correlation"] = float(
            np.mean([np.corrcoef(*pair)[0, 1] for pair in zip(folded, stored, strict=True)])
        )
    experiment, over = prepared("b/mult-vae")
    model, _ = fitted(experiment, over, 1)
    found["b/mult-vae"] = {"list_ms": list_ms(model, over.training())}
    new_users = cut(over.data, SplitConfig(split="new-users", ratios=(0.8, 0.1, 0.1)))
    for name in ("b/mult-vae", "b/cdae", "b/autorec"):
        model, _ = fitted(read_experiment(CONFIGS / f"{name}.toml"), new_users, 1)
        found[name]["new users"] = scores(model, new_users)
        print(name, found[name], file=sys.stderr, flush=True)
    ease = create("ease", l2=500.0).fit(new_users.training(), Run.seeded(1))
    found["ease"] = {"new users": scores(ease, new_users)}
    return found


def list_ms(model: Recommender, train: TrainingData) -> dict[str, float]:
    """Milliseconds of one list, of 500 users one by one."""
    rank(model, train.histories.take(np.array([0])), 10)
    times = []
    for user in np.random.default_rng(1).choice(len(train.histories), 500, replace=False):
        one = train.histories.take(np.array([user]))
        started = time.process_time()
        rank(model, one, 10)
        times.append(1000 * (time.process_time() - started))
    return {f"p{q}": float(np.percentile(times, q)) for q in (50, 99)}


def whole() -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in VALUES:
        experiment, over = prepared(name)
        labels = np.full(len(over.data.events), TRAIN, dtype=np.int8)
        labels[np.random.default_rng(42).random(len(labels)) < 0.1] = TEST
        model, _ = fitted(experiment, drawn := Split(over.data, SplitConfig(), labels), 1)
        found[name] = scores(model, drawn)
    return found


def usual() -> dict[str, Any]:
    found: dict[str, Any] = {}
    over = prepared("b/mult-vae")[1]
    train = over.training()
    for name, epoch in (("b/mult-vae", usual_mult_vae), ("b/cdae", usual_cdae), ("b/autorec", usual_autorec)):
        experiment = read_experiment(CONFIGS / f"{name}.toml")
        theirs = epoch(create(experiment.model, **experiment.settings).config, train)
        ours = median_epoch(experiment, train)
        found[name] = {"usual": theirs, "here": ours, "times_faster": theirs / ours}
        if "precision" in experiment.settings:
            whole = median_epoch(experiment, train, precision="float32")
            found[name] |= {"here, float32": whole, "times_faster, float32": theirs / whole}
        print(name, found[name], file=sys.stderr, flush=True)
    return found


def median_epoch(experiment: Experiment, train: TrainingData, epochs: int = 6, **settings: Any) -> float:
    """Median seconds of an epoch, without the first, which includes the setup."""
    ends: list[float] = []
    model = create(experiment.model, **(experiment.settings | settings | {"epochs": epochs}))
    model.fit(train, Run.seeded(1, lambda *_: ends.append(time.process_time())))
    return float(np.median(np.diff(ends)))


def timed(loader: DataLoader, network: nn.Module, config: Any, loss_of: Callable[..., torch.Tensor]) -> float:
    """Seconds of an epoch."""
    optimizer = torch.optim.Adam(network.parameters(), lr=config.learning_rate, weight_decay=1e-5)
    started = time.process_time()
    for batch in loader:
        optimizer.zero_grad()
        loss = loss_of(*batch)
        loss.backward()
        optimizer.step()
        loss.item()
    return time.process_time() - started


def dense_batches(config: Any, *columns: torch.Tensor) -> DataLoader:
    return DataLoader(TensorDataset(*columns), batch_size=config.batch_size, shuffle=True)


def usual_mult_vae(config: Any, train: TrainingData) -> float:
    rows = torch.from_numpy(train.matrix().toarray())
    dim, n_items = config.dim, rows.shape[1]
    encoder = nn.Linear(n_items, 2 * dim if config.variational else dim)
    decoder = nn.Linear(dim, n_items)

    def loss_of(batch: torch.Tensor) -> torch.Tensor:
        codes = encoder(functional.dropout(functional.normalize(batch), config.dropout))
        extra = torch.zeros(())
        if config.variational:
            mean, log_variance = codes.chunk(2, dim=1)
            codes = mean + torch.randn_like(mean) * (0.5 * log_variance).exp()
            extra = -0.5 * (1 + log_variance - mean.pow(2) - log_variance.exp()).sum(dim=1).mean()
        else:
            codes = torch.tanh(codes)
        fit = -(functional.log_softmax(decoder(codes), dim=1) * batch).sum(dim=1).mean()
        return fit + config.kl_weight * extra

    return timed(dense_batches(config, rows), nn.ModuleList([encoder, decoder]), config, loss_of)


def usual_cdae(config: Any, train: TrainingData) -> float:
    rows = torch.from_numpy(train.matrix().toarray())
    encoder, decoder = nn.Linear(rows.shape[1], config.dim), nn.Linear(config.dim, rows.shape[1])
    nodes = nn.Embedding(len(rows), config.dim)

    def loss_of(users: torch.Tensor, batch: torch.Tensor) -> torch.Tensor:
        hidden = torch.tanh(encoder(functional.dropout(functional.normalize(batch), config.noise)) + nodes(users))
        return -(functional.log_softmax(decoder(hidden), dim=1) * batch).sum(dim=1).mean()

    loader = dense_batches(config, torch.arange(len(rows)), rows)
    return timed(loader, nn.ModuleList([encoder, decoder, nodes]), config, loss_of)


def usual_autorec(config: Any, train: TrainingData) -> float:
    matrix = train.matrix(train.histories.values)
    rows = torch.from_numpy((matrix.T if config.based_on == "item" else matrix).toarray())
    encoder, decoder = nn.Linear(rows.shape[1], config.dim), nn.Linear(config.dim, rows.shape[1])

    def loss_of(batch: torch.Tensor) -> torch.Tensor:
        mask = (batch > 0).float()
        predicted = decoder(torch.sigmoid(encoder(batch)))
        return ((predicted - batch) * mask).pow(2).sum() / mask.sum()

    return timed(dense_batches(config, rows), nn.ModuleList([encoder, decoder]), config, loss_of)


PARTS: dict[str, Callable[[], dict[str, Any]]] = {
    "quality": quality,
    "fold_in": fold_in,
    "whole": whole,
    "usual": usual,
}


def parts() -> Iterator[tuple[str, dict[str, Any]]]:
    for name in sys.argv[1:] or PARTS:
        yield name, PARTS[name]()


def main() -> None:
    torch.set_num_threads(1)
    json.dump(dict(parts()), sys.stdout)


if __name__ == "__main__":
    main()
