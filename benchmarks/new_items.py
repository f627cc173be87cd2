"""New items on MovieLens 1M: 20% of the movies are held out of training, and ranked among themselves and among all.

    python benchmarks/new_items.py                                print what is stored
    python benchmarks/new_items.py all                            measure everything: an hour of one core
    python benchmarks/new_items.py rows --models ease --seeds 1   measure some rows
    python benchmarks/new_items.py known | scale | warm           the random split | the scale of new items | others

Each result is stored in new_items.json beside this file (`--json FILE`: in another one) as soon as it is there; what is
stored is not measured again without `--again`. Then results go to new_items.again.json until all are there, so that a
run that is killed continues. Needs ml-1m and ml-1m-text (abstracts and people from DBpedia) in MATINEE_DATA.

rows: for each of three seeds, 64% of the movies are train, 16% valid and 20% test. The ridge strength of each row is
chosen on valid from RIDGES, with the model fitted on train; the test is measured once, with the model fitted on train
and valid. Baselines have no settings.
scale: on valid alone. A fifth of the events of each movie are targets, of new ones and of known ones, and the
other events of new movies are left out, so that both compete as equals.
warm: the random split, fitted on train and valid, with and without features of the movies that nobody rated there:
NDCG@10 at test of lists of the others, and the largest change of their scores, as a part of the largest score.
"""

import argparse
import json
import os
import statistics
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

import matinee as mt
from matinee.arrays import BoolArray, IntArray
from matinee.config import EvaluationConfig
from matinee.data.labels import TRAIN, UNUSED, VALID
from matinee.data.splits import Split
from matinee.evaluation.evaluate import evaluate, validation
from matinee.evaluation.metrics import accuracy, find_hits
from matinee.evaluation.task import Task
from matinee.histories import Histories
from matinee.item_table import ItemTable
from matinee.models import create
from matinee.models.base import Recommender
from matinee.models.content.config import ContentConfig
from matinee.models.content.content_map import ContentMap
from matinee.models.content.inputs import counted_events
from matinee.models.content.similarity import Features
from matinee.ranking.rank import rank
from matinee.training.run import Run

RESULTS = Path(__file__).with_suffix(".json")
SCALES, TARGETS = (0.25, 0.5, 0.7, 0.85, 1.0, 1.2, 1.4, 2.0, 2.8, 4.0), 0.2
BLENDED, SCALED = ("ease", "item-knn", "ials"), ("ease", "ials", "item-knn", "item2vec")
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
MAPS: dict[tuple[Any, ...], ContentMap] = {}
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
    """The model with its new items predicted, as `mt.fit(items=...)` does; models with one training share a map."""
    train = split.training(refit)  # type: ignore[arg-type]
    counted = counted_events(model, train.histories, train.n_items)
    config = ContentConfig(ridge=ridge, blend=blend)
    key = id(table), config.model_dump_json(), counted.tobytes(), train.popularity.tobytes()
    if key not in MAPS:
        MAPS[key] = ContentMap.of(table, train.popularity, config, counted)
    return MAPS[key].extend(model, config.kept)


def row(name: str, split: Split, table: ItemTable, seed: int) -> dict[str, Any]:
    """One model with one set of features: the ridge chosen on valid, measured on test."""
    score = validation(split, "new-ndcg@10")
    fitted = mt.fit(name, split, seed=seed, **MODELS[name]).model
    on_valid = {ridge: score(extended(fitted, split, "train", table, ridge)) for ridge in RIDGES}
    ridge = max(on_valid, key=on_valid.__getitem__)
    refitted = mt.fit(name, split, seed=seed, refit="train+valid", **MODELS[name]).model
    result = measure(extended(refitted, split, "train+valid", table, ridge), split)
    return {"ridge": ridge, "valid": {str(key): value for key, value in on_valid.items()}, "test": result}


def as_equals(split: Split, seed: int) -> tuple[Split, BoolArray]:
    """A split by new items whose valid part has a fifth of each movie's events, and which movies are new in it. [I]."""
    labels, rng = split.labels.copy(), np.random.default_rng(seed)
    new = np.bincount(split.targets("valid").item_rows, minlength=len(split.data.items)) > 0
    is_target = rng.random(len(labels)) < TARGETS
    labels[(split.labels == TRAIN) & is_target] = VALID
    labels[(split.labels == VALID) & ~is_target] = UNUSED
    return replace(split, labels=labels), new


def scales(name: str, split: Split, new: BoolArray, table: ItemTable, seed: int) -> dict[str, dict[str, float]]:
    """NDCG@10 on valid by scale: of all targets, of known and of new ones; and the share of new items in the lists.

    Movies of test are left out of the lists.
    """
    task = Task.of(split, EvaluationConfig(on="valid"))
    assert isinstance(task.histories, Histories)
    popularity = split.training().popularity
    listed, found = new | (popularity > 0), {}
    fitted = mt.fit(name, split, seed=seed, **MODELS[name]).model
    content = ContentMap.of(table, popularity, ContentConfig())
    for scale in SCALES:
        model = replace(content, scale=scale).extend(fitted)
        lists = rank(model, task.histories, 10, masked=task.masked, allowed=listed).items
        found[str(scale)] = {
            "all": ndcg(task, lists, np.ones_like(new)),
            "known": ndcg(task, lists, ~new),
            "new": ndcg(task, lists, new),
            "share of new": float(new[lists].mean()),
        }
    return found


def ndcg(task: Task, lists: IntArray, of_items: BoolArray) -> float:
    """The mean NDCG@10 of lists, by those targets alone that are among some items, over users who have any."""
    targets = task.targets.keep(of_items[task.targets.items])
    counts = np.diff(targets.starts)
    hits = find_hits(lists, targets.starts, targets.items, task.n_items)
    return float(accuracy(hits, np.maximum(counts, 1), [10])["ndcg@10"][counts > 0].mean())


def known_items(name: str, data: Any, table: ItemTable) -> dict[str, Any]:
    """The random split: without features, with them for new items alone, and with the blend that is best on valid."""
    split = mt.split(data)
    on_valid = validation(split)
    model = mt.fit(name, split, **MODELS[name]).model
    blended = {blend: extended(model, split, "train", table, 0.5, blend) for blend in BLENDS}
    valid = {blend: on_valid(each) for blend, each in blended.items()}
    best = max(valid, key=valid.__getitem__)
    rows = {"without features": model, "features, no blend": blended[0.0], "blend": blended[best]}
    found = {"chosen": best, "valid": {str(key): value for key, value in valid.items()}}
    return found | {key: by_decile(each, split) for key, each in rows.items()}


def warm(name: str, data: Any, table: ItemTable, seed: int) -> dict[str, float]:
    """What features of movies without events change for the others, at test, in lists of these others alone."""
    split = mt.split(data, seed=seed)
    model = mt.fit(name, split, seed=seed, refit="train+valid", **MODELS[name]).model
    both = {"without features": model, "with features": extended(model, split, "train+valid", table, 0.3)}
    task, known = Task.of(split, EvaluationConfig()), split.training("train+valid").popularity > 0
    assert isinstance(task.histories, Histories)
    found, scores = {}, []
    for key, each in both.items():
        lists = rank(each, task.histories, 10, masked=task.masked, allowed=known).items
        found[key] = ndcg(task, lists, np.ones_like(known))
        scores.append(each.score(each.fold_in(task.histories.take(np.arange(500))))[:, known])
    return found | {
        "difference": abs(found["with features"] - found["without features"]),
        "score difference": float(np.abs(scores[1] - scores[0]).max() / np.abs(scores[0]).max()),
        "movies without events": int((~known).sum()),
    }


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


class Results:
    """What is stored: by part, row and seed. Written after each result; measured again, beside the file until `end`."""

    def __init__(self, path: Path, again: bool) -> None:
        self.path, self.file = path.with_suffix(".again.json") if again else path, path
        self.kept: dict[str, Any] = json.loads(self.path.read_text("utf-8")) if self.path.exists() else {}

    def add(self, part: str, name: str, seed: int | None, work: Callable[[], Any]) -> None:
        """Measure something, unless it is there."""
        rows, key = self.kept.setdefault(part, {}), name if seed is None else str(seed)
        into = rows if seed is None else rows.setdefault(name, {})
        if key in into:
            return
        into[key] = work()
        print(part, name, seed, json.dumps(into[key])[:200], file=sys.stderr, flush=True)
        self.path.write_text(json.dumps(self.kept, indent=2) + "\n", "utf-8")

    def end(self) -> None:
        """Put what was measured again in the place of what was stored."""
        if self.path == self.file:
            return
        before = json.loads(self.file.read_text("utf-8")) if self.file.exists() else {}
        for part, rows in self.kept.items():
            for name, found in rows.items():
                old = before.setdefault(part, {}).get(name, {})
                before[part][name] = found if part == "known items" else old | found
        self.file.write_text(json.dumps(before, indent=2) + "\n", "utf-8")
        self.path.unlink(missing_ok=True)
        self.path, self.kept = self.file, before

    def means(self) -> dict[str, dict[str, float]]:
        """Each metric of each row at test: the mean over its seeds."""
        return {
            name: {metric: statistics.mean(each["test"][metric][0] for each in seeds.values()) for metric in METRICS}
            for name, seeds in self.kept.get("rows", {}).items()
        }


def measure_rows(results: Results, data: Any, table: ItemTable, models: list[str], seeds: list[int]) -> None:
    """The held-out movies, by baselines and models."""
    chosen = {f"ease, {name}": ("ease", only(table, columns)) for name, columns in COLUMNS.items() if "ease" in models}
    chosen |= {f"{name}, all features": (name, table) for name in models}
    for seed in seeds:
        MAPS.clear()
        split = mt.split(data, "new-items", ratios=RATIOS, seed=seed)
        for name, model in baselines(split, table).items():
            results.add("rows", name, seed, lambda model=model, split=split: {"test": measure(model, split)})
        for name, given in chosen.items():
            results.add(
                "rows", name, seed, lambda given=given, split=split, seed=seed: row(given[0], split, given[1], seed)
            )


def measure_scales(results: Results, data: Any, table: ItemTable, models: list[str], seeds: list[int]) -> None:
    """The scale of new items, on valid."""
    for seed in seeds:
        split, new = as_equals(mt.split(data, "new-items", ratios=RATIOS, seed=seed), seed)
        for name in models:
            results.add(
                "scale",
                name,
                seed,
                lambda name=name, split=split, new=new, seed=seed: scales(name, split, new, table, seed),
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("part", nargs="?", choices=["rows", "known", "scale", "warm", "all"])
    parser.add_argument("--models", nargs="+", choices=list(MODELS), default=list(MODELS), metavar="MODEL")
    parser.add_argument("--seeds", nargs="+", type=int, default=SEEDS, metavar="SEED")
    parser.add_argument("--json", type=Path, default=RESULTS, metavar="FILE", help="where results are stored")
    parser.add_argument("--again", action="store_true", help="measure what is stored too")
    given = parser.parse_args()
    results = Results(given.json, given.again)
    if given.part is not None:
        root = Path(os.environ.get("MATINEE_DATA") or Path(__file__).parents[2] / "shared" / "data")
        data = mt.load(root / "ml-1m")
        table = features(root, data)
        if given.part in ("rows", "all"):
            measure_rows(results, data, table, given.models, given.seeds)
        for name in sorted(set(given.models) & set(BLENDED)) if given.part in ("known", "all") else ():
            results.add("known items", name, None, lambda name=name: known_items(name, data, table))
        for name, seed in product(given.models, given.seeds) if given.part in ("warm", "all") else ():
            results.add("warm", name, seed, lambda name=name, seed=seed: warm(name, data, table, seed))
        if given.part in ("scale", "all"):
            measure_scales(results, data, table, sorted(set(given.models) & set(SCALED)), given.seeds)
        results.end()
    print(json.dumps({"means": results.means(), **results.kept}, indent=2))


if __name__ == "__main__":
    main()
