"""EASE past memory: what exact EASE loses when only blocks of the Gram matrix are inverted, against sparse-ease.

    python benchmarks/ease_blocks.py LOG [FORM ...] [--l2 ...]   measure what the JSON lacks; LOG: b, lastfm or large
    python benchmarks/ease_blocks.py                              print the table of docs/laboratory/linear.md

Every form but the first and the last keeps at most as many bytes of weights as 200 neighbours an item, 8 bytes a sparse
entry (value and column) and 4 a dense one:

    ease                exact, all pairs
    sparse-ease         200 neighbours, each item with a system of its own
    random              blocks of equal size drawn at random, each inverted alone; weights within a block only
    popularity          blocks of items that are next to each other in popularity
    clusters            blocks of items that occur together: the leading singular vectors of the normalised log, cut in
                        halves along the direction of the most variance until blocks are small enough
    head and clusters   half of the bytes for the popular items, inverted exactly; the rest in clusters
    head and sparse     the same head; the rest by sparse-ease, with half as many neighbours
    arrow               each cluster inverted together with the most popular items, as many as the cluster has; these
                        among a head that takes half of the bytes
    choice              sparse-ease with a `head` of half of the bytes, and half as many neighbours: each popular
                        item by whichever of the two leaves less
    large head          the same with 200 neighbours beside a head of 1,000, or 4,096 above 20,000 items: more bytes

Random 70/15/15, fitted on train, NDCG@10 and recall@20 on valid, the best `l2` of each form by NDCG@10; seconds of
processor, and the largest resident memory of the fit, each in a process of its own.
"""

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import csr_array, diags_array
from scipy.sparse.linalg import svds

import matinee as mt
from matinee.arrays import FloatArray, IntArray
from matinee.config import EvaluationConfig
from matinee.data.splits import Split
from matinee.data.synthetic import zipf_log
from matinee.dataset import Dataset
from matinee.evaluation.evaluate import evaluate
from matinee.histories import TrainingData
from matinee.models.base import Recommender
from matinee.models.linear.ease import EASE
from matinee.models.linear.sparse_ease import SparseEASE
from matinee.training.run import Run
from matinee.workflow.tuning import without_test

STORE = Path(__file__).with_suffix(".json")
SEED, NEIGHBOURS, VECTORS = 42, 200, 32
PAIR_BYTES = 8
LOGS: dict[str, Callable[[], Dataset]] = {
    "b": lambda: mt.load("ml-1m"),
    "lastfm": lambda: mt.load(Path(os.environ["MATINEE_DATA"]) / "lastfm" / "train.tsv"),
    "large": lambda: zipf_log(30_000, 41_000, 810_000, np.random.default_rng(SEED)),
}
L2 = {"b": (100.0, 300.0, 1000.0, 3000.0), "lastfm": (10.0, 30.0, 100.0, 300.0), "large": (300.0, 1000.0, 3000.0)}
LISTED = 1500
"""Users of the large log that are evaluated, drawn at random."""
Blocks: TypeAlias = list[IntArray]


def inverse(gram: FloatArray) -> FloatArray:
    """Of a positive definite matrix. [n, n]."""
    found: FloatArray = cho_solve(cho_factor(gram), np.eye(len(gram), dtype=gram.dtype))
    return found


def block_of(matrix: csr_array, items: IntArray, l2: float) -> FloatArray:
    """EASE's weights among some items. [n, n]."""
    part = matrix[:, items]
    gram = (part.T @ part).toarray() + np.eye(len(items), dtype=np.float32) * np.float32(l2)
    weights = inverse(gram)
    weights /= -np.diag(weights)
    np.fill_diagonal(weights, 0)
    return weights


class Entries:
    """Weights that are filled in block by block. [I, I] (from, to)."""

    def __init__(self, n_items: int) -> None:
        self.n_items = n_items
        self.parts: list[tuple[IntArray, IntArray, FloatArray]] = []

    def add(self, weights: FloatArray, sources: IntArray, targets: IntArray) -> None:
        """weights: [len(sources), len(targets)]."""
        rows, columns = np.nonzero(weights)
        found = weights[rows, columns].astype(np.float32)
        self.parts.append((sources[rows].astype(np.int32), targets[columns].astype(np.int32), found))

    def matrix(self) -> csr_array:
        """All that was added. [I, I]."""
        rows, columns, values = (np.concatenate(each) for each in zip(*self.parts, strict=True))
        found = csr_array((values, (rows, columns)), shape=(self.n_items, self.n_items))
        found.sort_indices()
        return found


def by_blocks(matrix: csr_array, blocks: Blocks, l2: float) -> Entries:
    entries = Entries(matrix.shape[1])
    for items in blocks:
        entries.add(block_of(matrix, items, l2), items, items)
    return entries


def in_runs(items: IntArray, size: int) -> Blocks:
    """Items in blocks of equal size, at most `size`, in their order."""
    return np.array_split(items, max(1, -(-len(items) // size)))


def clusters(matrix: csr_array, items: IntArray, size: int) -> Blocks:
    """Items that occur together, in blocks of at most `size`."""
    part = matrix[:, items]
    users, counts = np.maximum(part.sum(axis=1), 1), np.maximum(part.sum(axis=0), 1)
    scaled = (diags_array(users**-0.5) @ part @ diags_array(counts**-0.5)).tocsr()
    _, values, vectors = svds(scaled.astype(np.float64), k=min(VECTORS, len(items) - 1), v0=np.ones(min(part.shape)))
    found = vectors.T * values
    found /= np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)
    return [items[each] for each in _halves(found, np.arange(len(items)), size)]


def _halves(vectors: FloatArray, items: IntArray, size: int) -> Iterator[IntArray]:
    if len(items) <= size:
        yield items
        return
    own = vectors[items] - vectors[items].mean(axis=0)
    direction = np.linalg.eigh(own.T @ own)[1][:, -1]
    order = items[np.argsort(own @ direction, kind="stable")]
    middle = len(order) // 2
    yield from _halves(vectors, order[:middle], size)
    yield from _halves(vectors, order[middle:], size)


def sizes_of(n_items: int) -> tuple[int, int, int]:
    """Of a block; of a head that takes half of the bytes; of the blocks of the rest."""
    numbers = PAIR_BYTES * min(NEIGHBOURS, n_items) * n_items // 4
    head = int((numbers / 2) ** 0.5)
    return min(n_items, numbers // n_items), head, min(n_items - head, numbers // 2 // (n_items - head))


def fit(form: str, train: TrainingData, l2: float) -> Recommender[Any]:
    """A fitted model that scores by the weights of a form."""
    run = Run.seeded(SEED)
    if form == "ease":
        return EASE(l2=l2).fit(train, run)
    settings = sparse_settings(train.n_items)
    if form in settings:
        return SparseEASE(l2=l2, **settings[form]).fit(train, run)
    model = SparseEASE(l2=l2)
    model.weights = in_blocks(form, train, l2).matrix()
    return model


def sparse_settings(n_items: int) -> dict[str, dict[str, int]]:
    """The forms that are settings of sparse-ease."""
    return {
        "sparse-ease": {"neighbours": NEIGHBOURS},
        "choice": {"neighbours": NEIGHBOURS // 2, "head": int((NEIGHBOURS * n_items / 2) ** 0.5)},
        "large head": {"neighbours": NEIGHBOURS, "head": 4096 if n_items > 20_000 else 1000},
    }


def in_blocks(form: str, train: TrainingData, l2: float) -> Entries:
    """The weights of a form whose blocks are inverted."""
    matrix = train.liked_matrix().astype(np.float32)
    order = np.argsort(-train.popularity, kind="stable")
    size, n_head, small = sizes_of(train.n_items)
    head, tail = order[:n_head], order[n_head:]
    if form == "random":
        return by_blocks(matrix, in_runs(np.random.default_rng(SEED).permutation(train.n_items), size), l2)
    if form == "popularity":
        return by_blocks(matrix, in_runs(order, size), l2)
    if form == "clusters":
        return by_blocks(matrix, clusters(matrix, order, size), l2)
    entries = by_blocks(matrix, [head], l2)
    if form == "head and sparse":
        fitted = SparseEASE(l2=l2, neighbours=NEIGHBOURS // 2).fit(train, Run.seeded(SEED))
        own = fitted.weights.tocsc()[:, tail].tocoo()
        entries.parts.append((own.row, tail[own.col].astype(np.int32), own.data))
        return entries
    n_shared = small // 2 if form == "arrow" else 0
    for items in clusters(matrix, tail, max(1, small - n_shared)):
        both = np.concatenate([head[:n_shared], items])
        entries.add(block_of(matrix, both, l2)[:, n_shared:], both, items)
    return entries


FORMS = (
    "ease",
    "sparse-ease",
    "random",
    "popularity",
    "clusters",
    "head and clusters",
    "head and sparse",
    "arrow",
    "choice",
    "large head",
)


def in_child(work: Callable[[], None]) -> None:
    """Run in a process of its own, so that its memory is that of the work alone."""
    child = os.fork()
    if not child:
        try:
            work()
        finally:
            os._exit(0)
    os.waitpid(child, 0)


def status(name: str) -> int:
    """A size that Linux keeps of this process, in bytes."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) * 1024


def bytes_of(form: str, model: Any, n_items: int) -> int:
    """What the weights take: of dense blocks 4 bytes each, of sparse ones 8."""
    if form == "ease":
        return 4 * n_items**2
    if form in ("sparse-ease", "choice", "large head"):
        return PAIR_BYTES * model.weights.nnz
    return PAIR_BYTES * min(NEIGHBOURS, n_items) * n_items


def measure(log: str, forms: list[str], ridges: list[float]) -> None:
    split = without_test(mt.split(LOGS[log](), "random", ratios=(0.70, 0.15, 0.15), seed=SEED))
    train = split.training()
    seen = of_some_users(split) if log == "large" else split
    for form in forms:
        for l2 in ridges or L2[log]:
            if all(each["l2"] != l2 for each in load().get(log, {}).get(form, [])):
                in_child(lambda form=form, l2=l2: store(log, form, measured(form, l2, train, seen)))


def measured(form: str, l2: float, train: TrainingData, seen: Split) -> dict[str, float]:
    """What is stored of one fit."""
    started, before = time.process_time(), status("VmRSS")
    model = fit(form, train, l2)
    seconds, peak = time.process_time() - started, status("VmHWM") - before
    config = EvaluationConfig(k=(10, 20), on="valid", samples=100)
    metrics = evaluate(model, seen, config, rng=np.random.default_rng(SEED)).metrics
    return {
        "l2": l2,
        "ndcg@10": round(metrics["ndcg@10"].mean, 5),
        "recall@20": round(metrics["recall@20"].mean, 5),
        "seconds": round(seconds, 2),
        "fit_bytes": peak,
        "bytes": bytes_of(form, model, train.n_items),
    }


def of_some_users(split: Split) -> Split:
    """The split with the valid events of LISTED users alone."""
    users = np.random.default_rng(SEED).permutation(len(split.data.users))[:LISTED]
    events = split.data.events
    kept = np.isin(events.user_rows, users)
    return Split(replace(split.data, events=events.take(kept)), split.config, split.labels[kept])


def load() -> dict[str, dict[str, list[dict[str, Any]]]]:
    found: dict[str, dict[str, list[dict[str, Any]]]] = json.loads(STORE.read_text()) if STORE.exists() else {}
    return found


def store(log: str, form: str, row: dict[str, Any]) -> None:
    print(log, form, row, flush=True)
    stored = load()
    stored.setdefault(log, {}).setdefault(form, []).append(row)
    STORE.write_text(json.dumps(stored, indent=1) + "\n")


def table() -> str:
    """A row a form, columns a log: NDCG@10, recall@20, seconds, memory of weights and of the fit, by the best l2."""
    stored = load()
    lines = ["| | " + " | ".join(stored) + " |", "|---|" + "---|" * len(stored)]
    for form in FORMS:
        cells = []
        for log in stored:
            found = max(stored[log].get(form, []), key=lambda row: row["ndcg@10"], default=None)
            cells.append("" if found is None else cell(found))
        lines.append(f"| {form} | {' | '.join(cells)} |")
    return "\n".join(lines)


def cell(row: dict[str, Any]) -> str:
    return (
        f"{row['ndcg@10']:.4f}, {row['recall@20']:.4f}; {row['seconds']:.1f} s; "
        f"{row['bytes'] / 1e6:.0f}, {row['fit_bytes'] / 1e6:.0f} MB (`l2` {row['l2']:g})"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("log", nargs="?", choices=LOGS)
    parser.add_argument("forms", nargs="*", default=FORMS)
    parser.add_argument("--l2", nargs="*", type=float, default=[])
    arguments = parser.parse_args()
    if arguments.log:
        measure(arguments.log, arguments.forms, arguments.l2)
    else:
        print(table())
