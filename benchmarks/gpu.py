"""Training on a GPU against the CPU of the same machine: seconds an epoch, seconds in all, and the quality of both.

    python benchmarks/gpu.py                          # every model on both data sets; gpu.json beside this file
    python benchmarks/gpu.py --models sasrec --data ml-1m --seconds 60
    python benchmarks/gpu.py --dry                    # a few users and one epoch, to see that it runs; stores nothing

Two logs: MovieLens 1M under protocols B and C with the settings of configs/ (the same number of epochs on both devices,
`--epochs`, and on the GPU also as many as the config says), and a synthetic one of 20 million events with tastes and
power laws of activity and popularity, made from a seed, which is for seconds an epoch alone. Each result is printed and
stored as it comes. `--seconds` ends a run after the epoch in which they are over. Where there is no GPU, the CPU alone
is measured, dry, and the output says so.
"""

import argparse
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

import matinee as mt
from matinee.data.splits import Split
from matinee.dataset import Dataset
from matinee.experiment import read_experiment
from matinee.training.devices import name_of, resolve_device

HERE = Path(__file__).parent
CONFIGS = {"lightgcn": "b", "mult-vae": "b", "neumf": "b", "gru4rec": "c", "sasrec": "c"}
LARGE = {  # what steps of a small log would take too long with: larger batches, and no more epochs than are timed
    "lightgcn": {"batch_size": 16_384, "layers": 2},
    "mult-vae": {"batch_size": 2_000, "dim": 200},
    "neumf": {"batch_size": 2_000, "candidates": 1_024},
    "gru4rec": {"batch_size": 65_536, "precision": "bfloat16"},
    "sasrec": {"batch_size": 65_536, "precision": "bfloat16"},
}
USERS, ITEMS, EVENTS, TASTES = 140_000, 27_000, 20_000_000, 40
DRAWN = 1.4
"""Events drawn for each that is kept: a user's second event of an item is left out."""


def synthetic(seed: int, events: int) -> Dataset:
    """A log of about `events` events."""
    share = events / EVENTS
    n_users, n_items = max(400, int(USERS * share)), max(500, int(ITEMS * min(1, share * 4)))
    rng = np.random.default_rng(seed)
    lengths = np.clip(rng.pareto(1.3, n_users) * 50 + 20, 20, n_items // 4)
    lengths = np.maximum((lengths * DRAWN * events / lengths.sum()).astype(np.int64), 5)
    popularity = (np.arange(n_items) + 20.0) ** -1.0
    of_taste = rng.permutation(np.arange(n_items) % TASTES)
    users = np.repeat(np.arange(n_users), lengths)
    own = rng.integers(TASTES, size=(n_users, 3))
    tastes = own[users, rng.integers(3, size=len(users))]
    is_any = rng.random(len(users)) < 0.3
    items = rng.choice(n_items, len(users), p=popularity / popularity.sum())
    for taste in range(TASTES):
        members = np.flatnonzero(of_taste == taste)
        at = np.flatnonzero((tastes == taste) & ~is_any)
        weights = popularity[members]
        items[at] = rng.choice(members, len(at), p=weights / weights.sum())
    order = np.lexsort((rng.random(len(users)), users))
    users, items = users[order], items[order]
    _, first = np.unique(users * np.int64(n_items) + items, return_index=True)
    kept = np.sort(first)
    users, items = users[kept], items[kept]
    import polars as pl

    frame = pl.DataFrame({"user": users, "item": items, "at": 1_500_000_000 + np.arange(len(users))})
    return mt.events(frame, user="user", item="item", at="at")


def data_of(name: str, model: str, arguments: argparse.Namespace) -> Split | Dataset:
    """What a model is fitted on: a split, on whose test part its quality is measured, or a whole log."""
    if name == "synthetic":
        return synthetic(1, 40_000 if arguments.dry else arguments.events)
    experiment = read_experiment(HERE.parent / "configs" / CONFIGS[model] / f"{model}.toml")
    from matinee import workflow

    return workflow.prepare(experiment.model_copy(update={"data": "bundled" if arguments.dry else arguments.ml1m}))


def measure(
    model: str, on: Split | Dataset, device: str, settings: dict[str, object], seconds: float
) -> dict[str, object]:
    """One fit: its epochs and their seconds, and on a split NDCG@10 at test. It ends when the seconds are over."""
    rows: list[dict[str, float]] = []
    started = time.perf_counter()

    def on_epoch(epoch: int, epochs: int, metrics: dict[str, float]) -> None:
        rows.append({"at": time.perf_counter() - started, "loss": metrics["loss"]})
        if rows[-1]["at"] > seconds and epoch < epochs:
            raise KeyboardInterrupt

    try:
        fitted = mt.fit(model, on, device=device, values="unary", on_epoch=on_epoch, **settings)
    except KeyboardInterrupt:
        return {"device": name_of(device), "epochs": len(rows), **_timing(rows), "ended": "by --seconds"}
    seconds = round(time.perf_counter() - started, 2)
    found = {"device": name_of(device), "epochs": len(rows), "seconds": seconds, **_timing(rows)}
    found["events"] = fitted.manifest["data"]["events"]
    if isinstance(on, Split):
        score = mt.evaluate(fitted, on, k=(10,)).metrics["ndcg@10"]
        found["ndcg@10"] = [round(value, 4) for value in (score.mean, score.low, score.high)]
    return found


def _timing(rows: list[dict[str, float]]) -> dict[str, object]:
    """Seconds of the first epoch with all that comes before, and the median of those after it."""
    ends = [row["at"] for row in rows]
    later = np.diff(ends)
    return {
        "first_epoch_seconds": round(ends[0], 3) if ends else None,
        "epoch_seconds": round(float(np.median(later)), 3) if len(later) else None,
        "loss": round(rows[-1]["loss"], 4) if rows else None,
    }


def plan(arguments: argparse.Namespace, device: str) -> Iterator[tuple[str, str, str, dict[str, object], str]]:
    """Data, model, device, settings and name of each run; on the large log the CPU comes last."""
    epochs = 1 if arguments.dry else arguments.epochs
    runs = []
    for data in arguments.data:
        for model in arguments.models:
            experiment = read_experiment(HERE.parent / "configs" / CONFIGS[model] / f"{model}.toml")
            own = dict(experiment.settings) if data == "ml-1m" else dict(LARGE[model])
            own = {name: value for name, value in own.items() if name not in ("patience", "validate_every")}
            whole = own.pop("epochs", epochs)
            for where in dict.fromkeys((device, "cpu")):
                runs.append((data, model, where, own | {"epochs": epochs}, f"{epochs} epochs"))
            if device != "cpu" and data == "ml-1m":
                runs.append((data, model, device, own | {"epochs": whole}, "as configured"))
    yield from sorted(runs, key=lambda run: (run[0], run[0] == "synthetic" and run[2] == "cpu"))


def main() -> None:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--models", nargs="+", default=list(CONFIGS), choices=list(CONFIGS))
    parser.add_argument("--data", nargs="+", default=["ml-1m", "synthetic"], choices=["ml-1m", "synthetic"])
    parser.add_argument("--ml1m", default="ml-1m", help="Where MovieLens 1M is.")
    parser.add_argument("--events", type=int, default=EVENTS, help="Of the synthetic log.")
    parser.add_argument("--epochs", type=int, default=3, help="Of the runs that both devices do.")
    parser.add_argument("--seconds", type=float, default=60, help="A run ends after the epoch in which they are over.")
    parser.add_argument("--out", type=Path, default=HERE / "gpu.json")
    parser.add_argument("--dry", action="store_true", help="A few users and one epoch; stores nothing.")
    arguments = parser.parse_args()
    device = resolve_device("auto")
    if device == "cpu":
        print(json.dumps({"gpu": None, "why": f"no GPU here (torch {torch.__version__}): the CPU alone, dry"}))
        arguments.dry = True
    about = {"torch": torch.__version__, "gpu": name_of(device), "cpu_cores": os.cpu_count(), "runs": []}
    kept: tuple[tuple[str, str], Split | Dataset] | None = None
    for data, model, where, settings, name in plan(arguments, device):
        key = data, "" if data == "synthetic" else CONFIGS[model]
        try:
            if kept is None or kept[0] != key:
                kept = key, data_of(data, model, arguments)
            found = measure(model, kept[1], where, settings, arguments.seconds)
        except (RuntimeError, ValueError, mt.MatineeError) as error:
            found = {"device": where, "failed": f"{type(error).__name__}: {error}"[:500]}
        row = {"data": data, "model": model, "run": name} | found
        print(json.dumps(row), flush=True)
        about["runs"].append(row | {"settings": settings})
        if not arguments.dry:
            arguments.out.write_text(json.dumps(about, indent=1, default=str) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
