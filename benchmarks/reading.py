"""Time to read MovieLens 1M from its files to indexed arrays, against pandas.

    OMP_NUM_THREADS=1 POLARS_MAX_THREADS=1 taskset -c 0 python benchmarks/reading.py > benchmarks/reading.json

Ours is `load` of the same file: reading, checks, vocabularies, order, repeats; and again with the movies' titles.
Pandas only runs `read_csv`.
"""

import argparse
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pandas
import polars

from matinee.data.loading import load


def seconds(work: Callable[[], object], runs: int) -> list[float]:
    durations = []
    for _ in range(runs):
        start = time.perf_counter()
        work()
        durations.append(time.perf_counter() - start)
    return durations


def main() -> None:
    shared = Path(os.environ.get("MATINEE_DATA") or Path(__file__).parents[2] / "shared" / "data")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=shared / "ml-1m", help="folder of MovieLens 1M")
    parser.add_argument(
        "--rounds", type=int, default=3, help="rounds of five runs of ours and one of pandas; medians are reported"
    )
    options = parser.parse_args()
    file = options.data / "ratings.dat"
    names = ["user", "item", "rating", "time"]
    ours: list[float] = []
    with_titles: list[float] = []
    by_pandas: list[float] = []
    alone = Path(tempfile.mkdtemp()) / "ratings.dat"  # without movies.dat beside it
    alone.symlink_to(file.resolve())
    for _ in range(options.rounds):  # alternate, so that load on the machine slows both
        ours += seconds(lambda: load(alone), 5)
        with_titles += seconds(lambda: load(options.data), 5)
        by_pandas += seconds(
            lambda: pandas.read_csv(file, sep="::", engine="python", names=names, encoding="latin-1"), 1
        )
    data = load(options.data)
    print(
        json.dumps(
            {
                "events": len(data.events),
                "cores": len(os.sched_getaffinity(0)),
                "ours_seconds": round(statistics.median(ours), 4),
                "ours_with_titles_seconds": round(statistics.median(with_titles), 4),
                "ours_first_seconds": round(ours[0], 4),
                "pandas_seconds": round(statistics.median(by_pandas), 3),
                "ratio": round(statistics.median(by_pandas) / statistics.median(ours), 1),
                "ratio_of_best": round(min(by_pandas) / min(ours), 1),
                "versions": {"pandas": pandas.__version__, "polars": polars.__version__},
            },
            indent=2,
        )
    )


if __name__ == "__main__":
    main()
