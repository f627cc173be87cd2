"""Lists of a large catalogue, exactly and through an approximate index: time, recall, and what making the index costs.

    python benchmarks/ann.py                         200,000 items, ials and bpr with 64 and 128 dimensions
    python benchmarks/ann.py --items 100000 --dims 64 --models ials
    python benchmarks/ann.py --ways                  recall and time of other kinds of index on the same vectors

Prints JSON and writes benchmarks/ann.json. The vectors are those of models fitted on a synthetic log of the shape of
MovieLens (`matinee data synthesize`). One thread. Seconds are those of the processor; the time of a list of one visitor
is the median of several hundred. Recall is the share of the first ten items of exact lists, on users of whom most were
not in the self-test.
"""

import argparse
import json
import os
import resource
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

import matinee as mt
from matinee.data.synthesis.files import write_parts
from matinee.histories import Histories
from matinee.models.vectors import unit
from matinee.ranking.indexes import tested_index
from matinee.ranking.item_index import ItemIndex
from matinee.ranking.rank import rank
from matinee.workflow import population_of

OUT = Path(__file__).with_suffix(".json")
K, ALONE, TOGETHER = 10, 300, 2_000
"""Length of a list, visitors who are listed for one at a time, and users of a batch."""
EPOCHS = {"ials": 4, "bpr": 4}
PROBES = (8, 32, 128)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=200_000)
    parser.add_argument("--users", type=int, default=50_000)
    parser.add_argument("--events", type=int, default=4_000_000)
    parser.add_argument("--dims", type=int, nargs="*", default=[64, 128])
    parser.add_argument("--models", nargs="*", default=["ials", "bpr"])
    parser.add_argument("--folder", type=Path, default=Path("/tmp/matinee-ann"), help="of the log")
    parser.add_argument("--ways", action="store_true")
    given = parser.parse_args()
    about = {"items": given.items, "users": given.users, "events": given.events}
    rows: list[dict[str, Any]] = []
    with threadpool_limits(1):
        for row in ways(given) if given.ways else measured(given):
            print(json.dumps(row), flush=True)
            rows.append(row)
            stored = json.loads(OUT.read_text("utf-8")) if OUT.exists() else {}
            name = "ways" if given.ways else "lists"
            stored[name] = about | {"load": round(os.getloadavg()[0], 1), "rows": rows}
            OUT.write_text(json.dumps(stored, indent=1) + "\n", "utf-8")


def fitted(given: argparse.Namespace) -> Iterator[tuple[str, int, Any]]:
    """Each model with each number of dimensions, on one log."""
    folder = given.folder / f"{given.users}-{given.items}-{given.events}"
    write_parts(population_of(given.users, given.items, given.events, seed=42), folder)
    data = mt.load(folder)
    for name in given.models:
        for dim in given.dims:
            yield name, dim, mt.fit(name, data, dim=dim, epochs=EPOCHS[name])


def measured(given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    for name, dim, artefact in fitted(given):
        model, known = artefact.model, artefact.known
        tested = tested_index(model, known)
        row = {"model": name, "dim": dim, "items": len(artefact.items), "note": tested.note, "recall": tested.recall}
        row |= {"cells": tested.cells, "probes": tested.probes, "made_s": round(tested.seconds, 2)}
        index = tested.index or ItemIndex(model.item_vectors()).probing(max(1, tested.probes))
        users = np.unique(known.events.user_rows)
        rng = np.random.default_rng(7)
        histories = known.of_rows(rng.choice(users, TOGETHER, replace=False))
        row |= {"history": float(np.mean(histories.lengths)), "longest": int(histories.lengths.max())}
        for words, allowed in filters(len(artefact.items), rng):
            row[words] = compared(model, histories, index, allowed)
        yield row | {"peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6)}


def filters(n_items: int, rng: np.random.Generator) -> Iterator[tuple[str, np.ndarray[Any, Any] | None]]:
    yield "all items", None
    for share in (0.5, 0.2, 0.05):
        yield f"{share:.0%} of the items", rng.random(n_items) < share


def compared(
    model: Any, histories: Histories, index: ItemIndex, allowed: np.ndarray[Any, Any] | None
) -> dict[str, float]:
    """Times of lists one at a time and of a batch, exact and through the index, and the recall."""
    rank(model, histories.block(0, 1), K, allowed=allowed, index=index)
    exact, exact_s = timed(lambda: rank(model, histories, K, allowed=allowed).items)
    found, found_s = timed(lambda: rank(model, histories, K, allowed=allowed, index=index).items)
    one = [histories.block(n, n + 1) for n in range(ALONE)]
    alone = {
        "exact_ms": median_ms([lambda each=each: rank(model, each, K, allowed=allowed) for each in one]),
        "index_ms": median_ms([lambda each=each: rank(model, each, K, allowed=allowed, index=index) for each in one]),
        "state_ms": median_ms([lambda each=each: model.state_of(each) for each in one]),
    }
    rows = {
        "recall": recall(exact, found),
        "exact_lists_s": len(found) / exact_s,
        "index_lists_s": len(found) / found_s,
    }
    return {name: round(value, 4) for name, value in (alone | rows).items()}


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    started = process_time()
    return work(), process_time() - started


def median_ms(works: list[Callable[[], Any]]) -> float:
    seconds = []
    for work in works:
        started = perf_counter()
        work()
        seconds.append(perf_counter() - started)
    return 1000 * float(np.median(seconds))


def recall(exact: np.ndarray[Any, Any], found: np.ndarray[Any, Any]) -> float:
    return float((exact[:, :, None] == found[:, None, :]).any(axis=2)[exact >= 0].mean())


def ways(given: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """Kinds of index on the same vectors: recall@10 of unmasked lists, and the time of a search."""
    for name, dim, artefact in fitted(given):
        vectors = np.ascontiguousarray(artefact.model.item_vectors(), dtype=np.float32)
        known = artefact.known
        chosen = np.random.default_rng(7).choice(np.unique(known.events.user_rows), 500, replace=False)
        users = artefact.model.user_vectors(artefact.model.state_of(known.of_rows(chosen)))
        users = np.ascontiguousarray(users, dtype=np.float32)
        wanted = np.argsort(-(users @ vectors.T), axis=1)[:, :K]
        for kind, made_s, searches in kinds(vectors, users):
            for at, search in searches.items():
                found, seconds = timed(search)
                about = {"kind": kind, "at": at, "made_s": round(made_s, 2)}
                shares = {"recall": round(recall(wanted, found), 4), "ms": round(1000 * seconds / len(users), 4)}
                yield {"model": name, "dim": dim} | about | shares


def kinds(vectors: Any, users: Any) -> Iterator[tuple[str, float, dict[str, Callable[[], Any]]]]:
    """Each kind of index, the seconds that it took to make, and its searches by how far they look."""
    import faiss

    ours, made = timed(lambda: ItemIndex(vectors))
    yield (
        "cells of directions, longest apart",
        made,
        {f"{n} cells": partial(_items, ours.probing(n), users) for n in PROBES},
    )
    index, made = timed(lambda: _cells(vectors, faiss.METRIC_INNER_PRODUCT))
    yield "cells of directions", made, {f"{n} cells": partial(_near, index, users, n) for n in PROBES}
    lengths = np.linalg.norm(vectors, axis=1)
    longer = np.sqrt(np.maximum(lengths.max() ** 2 - lengths**2, 0))[:, None].astype(np.float32)
    queries = np.concatenate([users, np.zeros((len(users), 1), dtype=np.float32)], axis=1)
    index, made = timed(lambda: _cells(np.concatenate([vectors, longer], axis=1), faiss.METRIC_L2))
    yield "cells of augmented vectors (L2)", made, {f"{n} cells": partial(_near, index, queries, n) for n in PROBES}
    graph = faiss.IndexHNSWFlat(vectors.shape[1], 16, faiss.METRIC_INNER_PRODUCT)
    graph.hnsw.efConstruction = 80
    _, made = timed(lambda: graph.add(vectors))
    yield "graph (HNSW)", made, {f"ef {n}": partial(_walked, graph, users, n) for n in (32, 128, 512)}


def _cells(data: Any, metric: int) -> Any:
    """Cells without items apart: of directions for products, else of the vectors themselves."""
    import faiss

    of_products = metric == faiss.METRIC_INNER_PRODUCT
    width = data.shape[1]
    centres = faiss.IndexFlatIP(width) if of_products else faiss.IndexFlatL2(width)
    index = faiss.IndexIVFFlat(centres, width, round(4 * np.sqrt(len(data))), metric)
    index.cp.niter, index.cp.max_points_per_centroid, index.cp.min_points_per_centroid = 8, 64, 1
    index.cp.spherical = of_products
    index.train(unit(data) if of_products else data)
    index.add(data)
    return index


def _items(index: ItemIndex, users: Any) -> Any:
    return index.search(users, K)[0]


def _near(index: Any, users: Any, probes: int) -> Any:
    index.nprobe = probes
    return index.search(users, K)[1]


def _walked(graph: Any, users: Any, ef: int) -> Any:
    graph.hnsw.efSearch = ef
    return graph.search(users, K)[1]


if __name__ == "__main__":
    main()
