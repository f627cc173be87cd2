"""What two workers gain over one: lists for everyone, counts, half-steps of iALS, trials of a search, and epochs.

By processes, and on Ray clusters of this machine: one node of two cores, as `ray start` makes it there, whose workers
share one object store; and two nodes of one core, between whose stores everything is sent, by the same two cores.

    python benchmarks/cluster.py               both, on a synthetic log; prints JSON and writes benchmarks/cluster.json
    python benchmarks/cluster.py --times 1     one run of each
    python benchmarks/cluster.py --on node     of processes, node (one of two cores) and nodes (two of one core); all
    python benchmarks/cluster.py --jobs ials   of the jobs whose names have this in them; the other rows stay
    python benchmarks/cluster.py --large       counts on four times the users and events, beside the others
    python benchmarks/cluster.py --epochs      epochs of models that share batches, beside the others
    python benchmarks/cluster.py --table       measure nothing; print what is stored as docs/cluster.md has it

Runs of one and of two workers alternate, and the quickest of each is taken. Workers have started before the clock
does, since a job of an hour does not notice the 2 seconds; what starting costs is a row of its own. One worker is this
process with one thread. An epoch is timed from the end of the first to the end of the last. Run it on a quiet machine
of two cores: beside other work two processes get two shares of it and one process one, which flatters them.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

import matinee as mt
from matinee.data.synthetic import zipf_log
from matinee.dataset import Dataset
from matinee.histories import TrainingData
from matinee.lists.everyone import for_users
from matinee.lists.file import write
from matinee.models import model_class
from matinee.scale.choice import runner_of
from matinee.scale.runner import Runner
from matinee.training.run import Run
from matinee.tuning.side_by_side import run_side_by_side
from matinee.tuning.trials import Proposal
from matinee.workflow.counting import count_by_parts, fit_by_parts
from matinee.workflow.data import whole
from matinee.workflow.together import fit_together
from matinee.workflow.tuning import FitOnValid, without_test

OUT = Path(__file__).with_suffix(".json")
N_USERS, N_ITEMS, N_EVENTS = 60_000, 4_000, 3_000_000
COUNTED = ("ease", "item-knn", "pmi", "markov", "linear-next")
LISTED = ("ease", "item-knn")
WANTED = 1.6
KINDS = {"processes": "processes", "node": "Ray, one node", "nodes": "Ray, two nodes"}
"""Where two workers are, by the name of an option."""
STORE = 2**30
"""Bytes of a node's object store; the 150 MB of a cluster for tests are less than the counts of item-knn."""
LARGE = 4
"""Times the users and the events of the larger log."""
TOGETHER = {"lightgcn": 20, "mult-vae": 10, "sasrec": 3}
"""Epochs of each model that shares batches."""
EPOCH_USERS, EPOCH_ITEMS, EPOCH_EVENTS = 6_000, 3_000, 600_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--on", nargs="*", choices=tuple(KINDS), default=tuple(KINDS))
    parser.add_argument("--jobs", default="")
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--epochs", action="store_true")
    parser.add_argument("--table", action="store_true")
    arguments = parser.parse_args()
    if arguments.table:
        print(_table(json.loads(OUT.read_text("utf-8"))))
        return
    if arguments.epochs:
        for row in _epochs(arguments.jobs, arguments.times, arguments.on):
            _store("epochs", row, EPOCH_USERS, EPOCH_ITEMS, EPOCH_EVENTS)
        return
    times = LARGE if arguments.large else 1
    section, jobs = ("large", _counting_jobs(times)) if arguments.large else ("rows", _jobs())
    chosen = {name: job for name, job in jobs if arguments.jobs in name}
    for on in arguments.on:
        with runner_of(1) as one, _two(on) as address, runner_of(address) as two:
            for row in _measure(chosen, one, two, KINDS[on], arguments.times):
                _store(section, row, N_USERS * times, N_ITEMS, N_EVENTS * times)


def _store(section: str, row: dict[str, Any], users: int, items: int, events: int) -> None:
    """Put a row into a section of the file: `rows`, whose sizes stand at the top, or another with its own."""
    stored = json.loads(OUT.read_text("utf-8")) if OUT.exists() else {}
    sizes = {"users": users, "items": items, "events": events}
    place = stored if section == "rows" else stored.setdefault(section, {})
    rows = {(each["workers"], each["job"]): each for each in place.get("rows", [])}
    rows[row["workers"], row["job"]] = row
    place |= sizes | {"rows": [*rows.values()]}
    stored["wanted"] = WANTED
    OUT.write_text(json.dumps(stored, indent=2) + "\n", "utf-8")


def _jobs() -> Iterator[tuple[str, Callable[[Runner], Any]]]:
    """Each job by name: what it gives must be the same for every runner."""
    yield from _counting_jobs(1)
    data = _log(1)
    yield "fit of ials", partial(_fit, whole(data).training())
    split = without_test(mt.split(mt.keep(data, min_item_events=200)))
    measured = {"k": (10,), "on": "valid", "samples": 100}
    objective = FitOnValid(model_class("ials"), split, "ndcg@10", 1, {"dim": 32, "epochs": 2}, measured)
    yield "trials of ials", partial(_trials, objective)
    for name in LISTED:
        yield f"lists of {name}", partial(_lists, mt.fit(name, data))


def _counting_jobs(times: int) -> Iterator[tuple[str, Callable[[Runner], Any]]]:
    """Counts of a log of so many times the users and events."""
    train = whole(_log(times)).training()
    for name in COUNTED:
        yield f"counts of {name}", partial(_counts, model_class(name)(), train)


@cache
def _log(times: int) -> Dataset:
    return zipf_log(N_USERS * times, N_ITEMS, N_EVENTS * times, np.random.default_rng(1))


def _epochs(jobs: str, times: int, on: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Seconds of an epoch by one worker and by two, of models that share batches."""
    train = whole(zipf_log(EPOCH_USERS, EPOCH_ITEMS, EPOCH_EVENTS, np.random.default_rng(1))).training()
    for each in on:
        with _two(each) as two:
            for name, epochs in TOGETHER.items():
                if jobs not in name:
                    continue
                best = {
                    label: min(_epoch_seconds(name, epochs, train, workers) for _ in range(times))
                    for label, workers in (("one", 1), ("two", two))
                }
                gain = {"times": best["one"] / best["two"], "load": round(os.getloadavg()[0], 1)}
                yield _said({"workers": KINDS[each], "job": f"epoch of {name}", **best, **gain})


def _epoch_seconds(name: str, epochs: int, train: TrainingData, workers: int | str) -> float:
    ends: list[float] = []
    run = Run.seeded(1, lambda epoch, n_epochs, metrics: ends.append(time.perf_counter()))
    fit_together(model_class(name)(epochs=epochs), train, run, workers)
    return (ends[-1] - ends[0]) / (len(ends) - 1)


def _table(stored: dict[str, Any]) -> str:
    """A Markdown table of each section."""
    tables = []
    for place in (stored, *(stored[name] for name in ("large", "epochs") if name in stored)):
        by_job: dict[str, dict[str, dict[str, Any]]] = {}
        for row in place["rows"]:
            by_job.setdefault(row["job"], {})[row["workers"]] = row
        lines = [
            f"{place['users']:,} users, {place['items']:,} items, {place['events']:,} events",
            "",
            "| job | one worker, s | two processes | Ray, one node | Ray, two nodes |",
            "|---|---|---|---|---|",
        ]
        for job, rows in by_job.items():
            if job != "start":
                gains = [f"{rows[kind]['times']:.2f} times" if kind in rows else "" for kind in KINDS.values()]
                lines.append(f"| {job} | {min(each['one'] for each in rows.values()):.2f} | {' | '.join(gains)} |")
        tables.append("\n".join(lines))
    return "\n\n".join(tables)


def _lists(model: Any, runner: Runner) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return write(for_users(model, "all", 10), Path(folder) / "lists.parquet", runner=runner).path.read_bytes()


def _counts(model: Any, train: TrainingData, runner: Runner) -> bytes:
    counts = count_by_parts(model, train, runner)
    dense: np.ndarray[Any, Any] = counts.data if hasattr(counts, "indices") else counts
    return dense.tobytes()


def _fit(train: TrainingData, runner: Runner) -> bytes:
    fitted = fit_by_parts(model_class("ials")(dim=64, epochs=3), train, Run.seeded(1), runner)
    return fitted.items.tobytes()  # type: ignore[attr-defined]


def _trials(objective: FitOnValid, runner: Runner) -> list[tuple[int, float | None]]:
    proposals = [Proposal(n, {}, {"unobserved": 0.1 + 0.1 * n}) for n in range(8)]
    return sorted((each.number, each.value) for each in run_side_by_side(runner, objective, proposals, (), None))


def _measure(
    jobs: dict[str, Callable[[Runner], Any]], one: Runner, two: Runner, kind: str, times: int
) -> Iterator[dict[str, Any]]:
    started = time.perf_counter()
    list(two.map(abs, range(4)))
    yield _said({"workers": kind, "job": "start", "two": time.perf_counter() - started})
    for name, job in jobs.items():
        seconds: dict[str, list[float]] = {"one": [], "two": []}
        results = {}
        for _ in range(times):
            for label, runner in (("one", one), ("two", two)):
                begun = time.perf_counter()
                results[label] = job(runner)
                seconds[label].append(time.perf_counter() - begun)
        assert results["one"] == results["two"], name
        best = {label: min(each) for label, each in seconds.items()}
        gain = {"times": best["one"] / best["two"], "load": round(os.getloadavg()[0], 1)}
        yield _said({"workers": kind, "job": name, **best, **gain})


def _said(row: dict[str, Any]) -> dict[str, Any]:
    print(json.dumps(row), flush=True)
    return row


@contextmanager
def _two(on: str) -> Iterator[int | str]:
    """Two workers, as `runner_of` takes them: two processes, or a Ray cluster of this machine alone, of two cores."""
    if on == "processes":
        yield 2
        return
    from ray.cluster_utils import Cluster

    cores = [2] if on == "node" else [1, 1]
    cluster = Cluster()
    try:
        for n in cores:
            cluster.add_node(
                num_cpus=n, node_ip_address="127.0.0.2", include_dashboard=False, object_store_memory=STORE
            )
        yield cluster.address
    finally:
        cluster.shutdown()


if __name__ == "__main__":
    main()
