"""What two workers gain over one: lists for everyone, counts, half-steps of iALS and trials of a search.

By processes, and on a Ray cluster of this machine.

    python benchmarks/cluster.py               both, on a synthetic log; prints JSON and writes benchmarks/cluster.json
    python benchmarks/cluster.py --times 1     one run of each
    python benchmarks/cluster.py --no-ray      without a Ray cluster
    python benchmarks/cluster.py --jobs ials   of the jobs whose names have this in them; the other rows stay

Runs of one and of two workers alternate, and the quickest of each is taken. Workers have started before the clock
does, since a job of an hour does not notice the 2 seconds; what starting costs is a row of its own. One worker is this
process with one thread. Run it on a quiet machine of two cores: beside other work two processes get two shares of it
and one process one, which flatters them.
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

import matinee as mt
from matinee.data.synthetic import zipf_log
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
from matinee.workflow.tuning import FitOnValid, without_test

OUT = Path(__file__).with_suffix(".json")
N_USERS, N_ITEMS, N_EVENTS = 60_000, 4_000, 3_000_000
COUNTED = ("ease", "item-knn", "pmi", "markov", "linear-next")
LISTED = ("ease", "item-knn")
WANTED = 1.6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--no-ray", action="store_true")
    parser.add_argument("--jobs", default="")
    arguments = parser.parse_args()
    jobs = {name: job for name, job in _jobs() if arguments.jobs in name}
    before = json.loads(OUT.read_text("utf-8"))["rows"] if OUT.exists() else []
    stored = {(row["workers"], row["job"]): row for row in before}
    for kind, opened in (("processes", lambda: runner_of(2)), ("Ray", _ray)):
        if kind == "Ray" and arguments.no_ray:
            break
        with runner_of(1) as one, opened() as two:
            for row in _measure(jobs, one, two, kind, arguments.times):
                about = {"users": N_USERS, "items": N_ITEMS, "events": N_EVENTS, "wanted": WANTED}
                stored[kind, row["job"]] = row
                OUT.write_text(json.dumps(about | {"rows": [*stored.values()]}, indent=2) + "\n", "utf-8")


def _jobs() -> Iterator[tuple[str, Callable[[Runner], Any]]]:
    """Each job by name: what it gives must be the same for every runner."""
    data = zipf_log(N_USERS, N_ITEMS, N_EVENTS, np.random.default_rng(1))
    train = whole(data).training()
    for name in COUNTED:
        yield f"counts of {name}", partial(_counts, model_class(name)(), train)
    yield "fit of ials", partial(_fit, train)
    split = without_test(mt.split(mt.keep(data, min_item_events=200)))
    measured = {"k": (10,), "on": "valid", "samples": 100}
    objective = FitOnValid(model_class("ials"), split, "ndcg@10", 1, {"dim": 32, "epochs": 2}, measured)
    yield "trials of ials", partial(_trials, objective)
    for name in LISTED:
        yield f"lists of {name}", partial(_lists, mt.fit(name, data))


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
def _ray() -> Iterator[Runner]:
    """A runner on a cluster of two nodes of one core each, on this machine alone."""
    from ray.cluster_utils import Cluster

    cluster = Cluster()
    try:
        for _ in range(2):
            cluster.add_node(num_cpus=1, node_ip_address="127.0.0.2", include_dashboard=False)
        with runner_of(cluster.address) as runner:
            yield runner
    finally:
        cluster.shutdown()


if __name__ == "__main__":
    main()
