"""Lists for everyone by a command that is killed at random moments and started again, against one that is not.

    python benchmarks/lists_killed.py                            MovieLens 1M, 10 kills a format: minutes of one core
    python benchmarks/lists_killed.py --kills 100 --seed 2       more of them, at other moments

`matinee recommend --users all --out` by EASE and `matinee similar --all --out` by ItemKNN, as Parquet, CSV and JSON
lines. Each is run once without a kill; then SIGKILL comes at a moment drawn evenly from the time that this run took,
and the same command is started again, until it ends or the next kill comes. Checked after each kill: the file is not
there. Checked at each end: the file has the bytes of the run without a kill, and nothing is left beside it. Peak memory
is that of the largest process; `one part` is of a run with as many users as one part has.
"""

import argparse
import filecmp
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matinee.lists.everyone import PART_ROWS

RESULTS = Path(__file__).with_suffix(".json")
FORMATS = ("parquet", "csv", "jsonl")
MODELS = {"ease": "l2=500", "item-knn": "neighbours=500"}
LENGTH = 400
"""Items of a list."""


@dataclass(frozen=True)
class Ended:
    """A process: whether it was killed, its seconds and its peak memory."""

    killed: bool
    seconds: float
    peak_mb: float
    said: dict[str, Any]


def run(arguments: list[str], kill_after: float | None = None) -> Ended:
    """Run a command of Matinee; SIGKILL it after some seconds, unless it has ended."""
    command = [sys.executable, "-m", "matinee", *arguments, "--json"]
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        started = time.perf_counter()
        child = subprocess.Popen(command, stdout=out, stderr=errors, text=True)
        ended, usage = wait(child.pid, kill_after)
        child.returncode = os.waitstatus_to_exitcode(ended)
        out.seek(0), errors.seek(0)
        if child.returncode not in (0, -signal.SIGKILL):
            sys.exit(f"{' '.join(arguments)} failed: {errors.read()}")
        killed = child.returncode != 0
        said = {} if killed else json.loads(out.read())
        return Ended(killed, time.perf_counter() - started, usage.ru_maxrss / 1e3, said)


def wait(pid: int, kill_after: float | None) -> tuple[int, Any]:
    """The status and usage of a process at its end; it is killed if it does not end before."""
    until = None if kill_after is None else time.perf_counter() + kill_after
    while until is not None and time.perf_counter() < until:
        found, status, usage = os.wait4(pid, os.WNOHANG)
        if found:
            return status, usage
        time.sleep(0.001)
    if until is not None:
        os.kill(pid, signal.SIGKILL)
    _, status, usage = os.wait4(pid, 0)
    return status, usage


def measure(arguments: list[str], folder: Path, suffix: str, n_kills: int, rng: random.Random) -> dict[str, Any]:
    """One command in one format: without a kill, then with some. It ends the program where something is wrong."""
    whole, out = folder / f"whole.{suffix}", folder / f"lists.{suffix}"
    plain = run([*arguments, "--out", str(whole)])
    ended, kills, ends, continued, peak = plain, 0, 0, 0, plain.peak_mb
    while kills < n_kills or ended.killed:
        ended = run([*arguments, "--out", str(out)], rng.uniform(0, plain.seconds) if kills < n_kills else None)
        kills, ends, peak = kills + ended.killed, ends + (not ended.killed), max(peak, ended.peak_mb)
        continued += ended.said.get("continued", 0) > 0
        if out.exists() and not filecmp.cmp(out, whole, shallow=False):
            sys.exit(f"after {kills} kills {out} is there, and not that of the run without a kill")
        if not ended.killed:
            out.unlink()
            if left := {path.name for path in folder.iterdir()} - {whole.name}:
                sys.exit(f"after {kills} kills {left} are left beside {out}")
    size = whole.stat().st_size
    whole.unlink()
    return {
        "parts": plain.said["parts"], "mb": size / 1e6, "seconds": plain.seconds, "kills": kills,
        "equal files": ends, "of them continued": continued, "peak_memory_mb": peak,
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    # this process imports nothing large: a child's peak memory counts that of its parent before it starts
    parser.add_argument("--kills", type=int, default=10, help="of each command in each format")
    parser.add_argument("--seed", type=int, default=1, help="of the moments")
    parser.add_argument("--data", default="ml-1m")
    parser.add_argument("--json", type=Path, default=RESULTS, metavar="FILE", help="where results are stored")
    given = parser.parse_args()
    rng = random.Random(given.seed)
    found: dict[str, Any] = {"data": given.data, "k": LENGTH, "seed": given.seed}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        artefacts = {model: str(folder / model) for model in MODELS}
        for model, setting in MODELS.items():
            run(["train", model, "--data", given.data, "--set", setting, "--out", artefacts[model]])
        (lists := folder / "lists").mkdir()
        everyone = ["recommend", artefacts["ease"], "--users", "all", "-k", str(LENGTH)]
        first = ",".join(map(str, range(1, PART_ROWS // LENGTH + 1)))  # ids of MovieLens count from 1
        one_part = run([*everyone, "--users", first, "--out", str(folder / "one.csv")])
        found["one part"] = {"peak_memory_mb": one_part.peak_mb}
        commands = {
            "recommend": everyone,
            "similar": ["similar", artefacts["item-knn"], "--all", "-k", str(LENGTH), "--titles"],
        }
        for command, arguments in commands.items():
            for suffix in FORMATS:
                row = measure(arguments, lists, suffix, given.kills, rng)
                found.setdefault(command, {})[suffix] = row
                print(command, suffix, json.dumps(row), file=sys.stderr, flush=True)
    given.json.write_text(json.dumps(found, indent=2) + "\n", "utf-8")
    print(json.dumps(found, indent=2))


if __name__ == "__main__":
    main()
