"""New items on MovieLens 1M: 20% of the movies are held out of training, and ranked among themselves and among all.

    python benchmarks/new_items.py > benchmarks/new_items.json

Needs ml-1m and ml-1m-text (abstracts and people from DBpedia) in MATINEE_DATA. For each of three seeds, 64% of the
movies are train, 16% valid and 20% test. The ridge strength of each row is chosen on valid from RIDGES, with the model
fitted on train; the test is measured once, with the model fitted on train and valid. Baselines have no settings.
"""

import json
import os
import statistics
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import matinee as mt
from matinee.config import EvaluationConfig
from matinee.data.splits import Split
from matinee.evaluation.evaluate import evaluate, validation
from matinee.evaluation.task import Task
from matinee.histories import Histories
from matinee.item_table import ItemTable
from matinee.models import create
from matinee.models.base import Recommender
from matinee.models.content.config import ContentConfig
from matinee.models.content.content_map import ContentMap
from matinee.models.content.similarity import Features
from matinee.ranking.rank import rank
from matinee.training.run import Run

BLENDS = (0.0, 10.0, 30.0, 100.0, 300.0)
SEEDS, RATIOS, RIDGES = (1, 2, 3), (0.64, 0.16, 0.20), (0.15, 0.3, 0.5, 1.0)
MODELS: dict[str, dict[str, Any]] = {
    "ease": {"l2": 500.0},
    "item-knn": {},
    "ials": {},
    "lightgcn": {},
    "item2vec": {},
    "bpr": {},
}
COLUMNS = {"genres": ("genres",), "texts": ("text",), "genres and texts": ("genres", "text")}
METRICS = ("new-ndcg@10", "new-recall@10", "ndcg@10", "recall@10")


def features(root: Path, data: Any) -> ItemTable:
    """Genres, years, abstracts and people by item row."""
    texts = dict(pl.read_csv(root / "ml-1m-text" / "abstracts.csv").iter_rows())
    people: dict[int, list[str]] = {}
    for movie, _, name in pl.read_csv(root / "ml-1m-text" / "people.csv").iter_rows():
        people.setdefault(movie, []).append(name)
    ids = data.items.ids.tolist()
    own = ItemTable.of_catalogue(data.items, data.catalogue)
    lists = {"genres": own.lists["genres"], "people": tuple(tuple(people.get(id, ())) for id in ids)}
    return replace(own, lists=lists, texts={"text": tuple(texts.get(id, "") for id in ids)})


def only(table: ItemTable, names: tuple[str, ...]) -> ItemTable:
    """A table with some of its columns, without years."""

    def keep(columns: Mapping[str, Any]) -> dict[str, Any]:
        return {name: column for name, column in columns.items() if name in names}

    return replace(table, lists=keep(table.lists), texts=keep(table.texts), years=np.zeros_like(table.years))


def measure(model: Recommender[Any], split: Split) -> dict[str, list[float]]:
    """Each metric at test with its interval."""
    config = EvaluationConfig(k=(10,), refit="train+valid")
    found = evaluate(model, split, config, rng=np.random.default_rng(0)).metrics
    return {name: [found[name].mean, found[name].low, found[name].high] for name in METRICS}


def baselines(split: Split, table: ItemTable) -> dict[str, Recommender[Any]]:
    """Random, the test items' own popularity, and cosines of genres and of texts with the history."""
    train, n_items = split.training("train+valid"), len(split.data.items)
    found: dict[str, Recommender[Any]] = {}
    found["hidden popularity"] = create("popularity").fit(train, Run.seeded(1))
    found["hidden popularity"].popularity = np.bincount(  # type: ignore[attr-defined]
        split.targets("test").item_rows, minlength=n_items
    ).astype(np.float32)
    found["random"] = create("ease", l2=1e9)  # random weights: another order for every history
    found["random"].weights = np.random.default_rng(0).standard_normal((n_items, n_items), dtype=np.float32)  # type: ignore[attr-defined]
    rows = np.arange(n_items)
    for name, columns in [("cosine of genres", ("genres",)), ("cosine of texts", ("text",))]:
        kernel = Features.of(only(table, columns), ContentConfig()).kernel(rows, rows, 0.0)
        found[name] = create("ease", l2=1e9)
        found[name].weights = np.ascontiguousarray(kernel, dtype=np.float32)  # type: ignore[attr-defined]
    return found


def extended(
    model: Recommender[Any], split: Split, refit: str, table: ItemTable, ridge: float, blend: float = 0.0
) -> Recommender[Any]:
    popularity = split.training(refit).popularity  # type: ignore[arg-type]
    return ContentMap.of(table, popularity, ContentConfig(ridge=ridge, blend=blend)).extend(model)


def row(name: str, split: Split, table: ItemTable, seed: int) -> dict[str, Any]:
    """One model with one set of features: the ridge chosen on valid, measured on test."""
    score = validation(split, "new-ndcg@10")
    fitted = mt.fit(name, split, seed=seed, **MODELS[name]).model
    on_valid = {ridge: score(extended(fitted, split, "train", table, ridge)) for ridge in RIDGES}
    ridge = max(on_valid, key=on_valid.__getitem__)
    refitted = mt.fit(name, split, seed=seed, refit="train+valid", **MODELS[name]).model
    result = measure(extended(refitted, split, "train+valid", table, ridge), split)
    return {"ridge": ridge, "valid": {str(key): value for key, value in on_valid.items()}, "test": result}


def known_items(data: Any, table: ItemTable) -> dict[str, Any]:
    """The random split: without features, with them for new items alone, and with the blend that is best on valid."""
    split, found = mt.split(data), {}
    on_valid = validation(split)
    for name in ("ease", "item-knn", "ials"):
        model = mt.fit(name, split, **MODELS[name]).model
        blended = {blend: extended(model, split, "train", table, 0.5, blend) for blend in BLENDS}
        valid = {blend: on_valid(each) for blend, each in blended.items()}
        best = max(valid, key=valid.__getitem__)
        rows = {"without features": model, "features, no blend": blended[0.0], "blend": blended[best]}
        found[name] = {"chosen": best, "valid": {str(key): value for key, value in valid.items()}}
        found[name] |= {key: by_decile(each, split) for key, each in rows.items()}
    return found


def by_decile(model: Recommender[Any], split: Split) -> dict[str, Any]:
    """NDCG@10 and coverage at test, and recall@10 of all targets by decile of popularity, the rarest items first."""
    metrics = evaluate(model, split, EvaluationConfig(k=(10,)), rng=np.random.default_rng(0)).metrics
    task, n_items = Task.of(split, EvaluationConfig()), len(split.data.items)
    assert isinstance(task.histories, Histories)
    lists = rank(model, task.histories, 10).items
    order = np.argsort(np.argsort(split.training().popularity, kind="stable"), kind="stable")
    decile = order[task.targets.items] * 10 // n_items
    listed = task.targets.owners * n_items + task.targets.items
    hit = np.isin(listed, (np.arange(len(lists))[:, None] * n_items + lists).ravel())
    recall = np.bincount(decile, hit, minlength=10) / np.maximum(np.bincount(decile, minlength=10), 1)
    found = {name: metrics[name].mean for name in ("ndcg@10", "coverage@10")}
    return found | {"interval": [metrics["ndcg@10"].low, metrics["ndcg@10"].high], "recall by decile": recall.tolist()}


def main() -> None:
    root = Path(os.environ.get("MATINEE_DATA") or Path(__file__).parents[2] / "shared" / "data")
    data = mt.load(root / "ml-1m")
    table = features(root, data)
    rows: dict[str, list[dict[str, Any]]] = {}
    for seed in SEEDS:
        split = mt.split(data, "new-items", ratios=RATIOS, seed=seed)
        for name, model in baselines(split, table).items():
            rows.setdefault(name, []).append({"test": measure(model, split)})
        tables = {f"ease, {name}": ("ease", only(table, columns)) for name, columns in COLUMNS.items()}
        tables |= {f"{name}, all features": (name, table) for name in MODELS}
        for name, (model_name, features_of) in tables.items():
            rows.setdefault(name, []).append(row(model_name, split, features_of, seed))
            print(seed, name, rows[name][-1]["test"]["new-ndcg@10"], file=sys.stderr, flush=True)
    means = {
        name: {metric: statistics.mean(each["test"][metric][0] for each in runs) for metric in METRICS}
        for name, runs in rows.items()
    }
    print(json.dumps({"means": means, "known items": known_items(data, table), "seeds": rows}, indent=2))


if __name__ == "__main__":
    main()
