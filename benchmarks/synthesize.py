"""A synthetic log of 100 million events: seconds, memory, bytes; and how close logs in three shapes come to real ones.

python benchmarks/synthesize.py             # 100 million events, then the comparisons
python benchmarks/synthesize.py 1000000     # so many events

Prints JSON and keeps it beside this script. The log goes to a temporary folder and is removed.
"""

import argparse
import json
import os
import resource
import sys
import tempfile
from pathlib import Path
from time import perf_counter, process_time

import matinee as mt
from matinee.data.synthesis.files import write_parts
from matinee.errors import DataError
from matinee.workflow import compare_logs, population_of

EVENTS = 100_000_000
EVENTS_PER_USER, EVENTS_PER_ITEM = 160, 1_250
"""About as in MovieLens 32M, which has 200,948 users and 87,585 items."""
SHAPES = {
    "bundled": "bundled",
    "ml-1m": "ml-1m",
    "lastfm": Path(os.environ.get("MATINEE_DATA", "")) / "lastfm/train.tsv",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("events", type=int, nargs="?", default=EVENTS)
    n_events = parser.parse_args().events
    found = {"log": written(n_events), "comparison": {}}
    for name, path in SHAPES.items():
        try:
            real = mt.load(path)
        except DataError:
            print(f"{name} is not there", file=sys.stderr)
            continue
        population = population_of(like=real)
        found["comparison"][name] = {"taste": population.shape.taste} | compare_logs(real, population.shape).to_json()
    text = json.dumps(found, indent=1)
    if n_events == EVENTS:
        Path(__file__).with_suffix(".json").write_text(text + "\n", "utf-8")
    print(text)


def written(n_events: int) -> dict[str, float]:
    """What writing a log of so many events takes."""
    users, items = n_events // EVENTS_PER_USER, max(n_events // EVENTS_PER_ITEM, 1_000)
    started, busy = perf_counter(), process_time()
    population = population_of(users, items, n_events, seed=42)
    with tempfile.TemporaryDirectory() as folder:
        n_files = write_parts(population, Path(folder) / "log")
        size = sum(path.stat().st_size for path in (Path(folder) / "log").iterdir())
    return {
        "users": users,
        "items": items,
        "events": n_events,
        "files": n_files,
        "seconds": perf_counter() - started,
        "processor_seconds": process_time() - busy,
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
        "bytes_per_event": size / n_events,
    }


if __name__ == "__main__":
    main()
