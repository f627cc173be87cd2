"""How long MovieLens 1M takes from its files to indexed arrays, against the reader of most notebooks.

    OMP_NUM_THREADS=1 POLARS_MAX_THREADS=1 taskset -c 0 python benchmarks/reading.py > benchmarks/reading.json

Ours is the whole of `load`: reading, checks, vocabularies, order, repeats, titles. Theirs is `pandas.read_csv` alone.
"""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import pandas
import polars

from matinee.data.loading import load


def seconds(work: Callable[[], object], runs: int) -> list[float]:
    taken = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    return taken


def main() -> None:
    shared = Path(os.environ.get("MATINEE_DATA") or Path(__file__).parents[2] / "shared" / "data")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=shared / "ml-1m", help="folder of MovieLens 1M")
    parser.add_argument("--runs", type=int, default=11, help="runs of ours; the median counts")
    options = parser.parse_args()
    file = options.data / "ratings.dat"
    names = ["user", "item", "rating", "time"]
    ours = seconds(lambda: load(options.data), options.runs)
    theirs = seconds(lambda: pandas.read_csv(file, sep="::", engine="python", names=names, encoding="latin-1"), 1)
    data = load(options.data)
    print(
        json.dumps(
            {
                "events": len(data.events),
                "cores": len(os.sched_getaffinity(0)),
                "ours_seconds": round(statistics.median(ours), 4),
                "ours_first_seconds": round(ours[0], 4),
                "pandas_seconds": round(theirs[0], 3),
                "ratio": round(theirs[0] / statistics.median(ours), 1),
                "ratio_first": round(theirs[0] / ours[0], 1),
                "versions": {"pandas": pandas.__version__, "polars": polars.__version__},
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
