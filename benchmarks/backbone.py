"""Protocol B on one core: EASE's fit and its memory, ranking everyone, and the whole `evaluate` command.

Each is compared with the usual implementation, in one run. Prints one JSON object. Run it as `make bench` does:
one core, one thread, nothing else running.

    fit       X.T @ X in dense float64 and np.linalg.inv, against matinee's EASE: seconds and memory added by the fit,
              each in a process of its own
    rank      a loop over users (product, mask, argsort), against rank(): seconds for 6,040 lists of 10
    evaluate  `matinee evaluate ease --data ml-1m --set l2=500 --json` as a process: seconds, peak memory, metrics
    help      `matinee --help` as a process: seconds
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import matinee as mt
from matinee.config import EvaluationConfig
from matinee.evaluation.task import Task
from matinee.ranking.rank import rank

L2 = 500.0
LOOP_USERS = 1000


def data_path(name: str) -> Path:
    """The folder of a data set outside the project."""
    root = os.environ.get("MATINEE_DATA") or Path(__file__).parents[2] / "shared" / "data"
    return Path(root) / name


def memory_now() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def measure(work: Callable[[], Any]) -> dict[str, float]:
    """Seconds of a task, and the peak memory it added, sampled every 2 ms."""
    before, peak, done = memory_now(), 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.002):
            peak = max(peak, memory_now())

    watcher = threading.Thread(target=watch)
    watcher.start()
    started = time.perf_counter()
    work()
    seconds = time.perf_counter() - started
    done.set()
    watcher.join()
    return {"seconds": seconds, "added_mb": (max(peak, memory_now()) - before) / 1e6}


def textbook(matrix: Any) -> np.ndarray:
    """The usual implementation of EASE."""
    dense = matrix.toarray().astype(np.float64)
    gram = dense.T @ dense
    gram[np.diag_indices_from(gram)] += L2
    inverse = np.linalg.inv(gram)
    weights = inverse / -np.diag(inverse)
    weights[np.diag_indices_from(weights)] = 0
    return weights


def fit_once(which: str, data: str) -> dict[str, float]:
    """One fit in this process; `fit` runs it in a child process."""
    from matinee.models import create
    from matinee.training.run import Run

    train = mt.split(mt.load(data)).training()
    if which == "textbook":
        matrix = train.matrix()
        return measure(lambda: textbook(matrix))
    return measure(lambda: create("ease", l2=L2).fit(train, Run.seeded(1)))


def fit(data: str, times: int) -> dict[str, Any]:
    runs: dict[str, list[dict[str, float]]] = {"textbook": [], "matinee": []}
    for _ in range(times):
        for which in runs:
            child = [sys.executable, __file__, "--child", which, "--data", data]
            runs[which].append(json.loads(subprocess.run(child, capture_output=True, text=True, check=True).stdout))
    middle = {
        which: {key: statistics.median(run[key] for run in results) for key in ("seconds", "added_mb")}
        for which, results in runs.items()
    }
    return middle | {
        "seconds_ratio": middle["matinee"]["seconds"] / middle["textbook"]["seconds"],
        "memory_ratio": middle["matinee"]["added_mb"] / middle["textbook"]["added_mb"],
    }


def ranking(data: str, times: int) -> dict[str, Any]:
    split = mt.split(mt.load(data))
    model = mt.fit("ease", split, l2=L2).model
    histories = Task.of(split, EvaluationConfig()).histories
    ours = []
    for _ in range(times):
        started = time.perf_counter()
        found = rank(model, histories, 10)
        ours.append(time.perf_counter() - started)
    matrix = histories.matrix(len(split.data.items)).toarray().astype(np.float64)
    weights = model.weights.astype(np.float64)
    started = time.perf_counter()
    lists = []
    for user in range(LOOP_USERS):
        scores = matrix[user] @ weights
        scores[matrix[user] > 0] = -np.inf
        lists.append(np.argsort(-scores)[:10])
    loop = (time.perf_counter() - started) * len(histories) / LOOP_USERS
    agree = float(np.mean([set(a) == set(b.tolist()) for a, b in zip(lists, found.items[:LOOP_USERS], strict=True)]))
    seconds = statistics.median(ours)
    return {
        "users": len(histories),
        "loop_seconds": loop,
        "loop_users_timed": LOOP_USERS,
        "rank_seconds": seconds,
        "times_faster": loop / seconds,
        "same_lists": agree,
    }


def command(*arguments: str, times: int) -> tuple[float, str]:
    """Median seconds of a command, and its output."""
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", "from matinee.cli import main; main()", *arguments],
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds), done.stdout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default=str(data_path("ml-1m")))
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--child", choices=["textbook", "matinee"])
    options = parser.parse_args()
    if options.child:
        print(json.dumps(fit_once(options.child, options.data)))
        return
    evaluate = ["evaluate", "ease", "--data", options.data, "--set", f"l2={L2}", "-k", "5,10,20", "--json"]
    seconds, printed = command(*evaluate, times=options.times)
    report = json.loads(printed)
    help_seconds, _ = command("--help", times=5)
    result = {
        "data": report["data"],
        "fit": fit(options.data, options.times),
        "rank": ranking(options.data, options.times),
        "evaluate": {
            "seconds": seconds,
            "peak_memory_mb": report["peak_memory_mb"],
            "fit_seconds": report["fit_seconds"],
            "rank_seconds": report["rank_seconds"],
            "ndcg@10": report["metrics"]["ndcg@10"],
            "recall@10": report["metrics"]["recall@10"],
        },
        "help_seconds": help_seconds,
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
