"""Fit times and quality of every model before and after: an older commit and this one, in turns on one core.

    git worktree add FOLDER 965ba46
    python benchmarks/fit_times.py FOLDER                            # all models, stored and printed
    python benchmarks/fit_times.py FOLDER --data ml-1m --models ease ials
    python benchmarks/fit_times.py table                             # what is stored, as Markdown

Each fit runs in a process of its own, one thread, pinned to one core, with the defaults of its side: processor seconds
of the first fit of the process and, where that took at most FIT_AGAIN, of a second one, in which nothing is imported
any more; then NDCG@10 on valid and test. The sides alternate, and the least of the rounds is kept. Random 70/15/15
split, seed 42. torch is imported before the clock starts. Models are those that the older commit has; each is added to
fit_times.json as soon as it is measured.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
OUT = Path(__file__).with_suffix(".json")
SEED, FIT_AGAIN = 42, 10.0
ENVIRONMENT = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "POLARS_MAX_THREADS": "1"}
FORCED_KERNELS = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
QUICK = (
    "popularity", "item-knn", "user-knn", "ease", "linear-next", "ials", "pmi", "markov", "movie-pairs", "bpr",
    "lightgcn", "cdae", "mult-vae", "autorec",
)  # fmt: skip
"""Models that are fitted on MovieLens 1M too."""
SAME = 0.002
"""Differences of NDCG@10 below this are not marked: rounding alone leads the training of some models elsewhere."""


def fit_and_measure(model: str, data: str) -> dict[str, float]:
    """Seconds and quality of one model by the code on the path."""
    import matinee as mt
    from matinee.models import model_class

    if model_class(model).trained_by_torch:
        import_module("torch")
    split = mt.split(mt.load(data), "random", ratios=(0.70, 0.15, 0.15), seed=SEED)
    found: dict[str, float] = {}
    for which in ("first", "again"):
        started = time.process_time()
        fitted = mt.fit(model, split, seed=SEED)
        found[which] = time.process_time() - started
        if found[which] > FIT_AGAIN:
            break
    for on in ("valid", "test"):
        found[on] = mt.evaluate(fitted, split, k=10, on=on, samples=100).metrics["ndcg@10"].mean
    return found


def in_turns(model: str, data: str, sides: dict[str, Path], core: int, rounds: int) -> dict[str, dict[str, float]]:
    """Seconds and quality of one model on both sides, each round in the other order."""
    best: dict[str, dict[str, float]] = {}
    for number in range(rounds):
        for side in list(sides)[:: 1 if number % 2 == 0 else -1]:
            found = of_side(sides[side], model, data, core)
            kept = best.setdefault(side, found)
            kept |= {which: min(kept[which], found[which]) for which in ("first", "again") if which in kept}
    return {side: {name: round(value, 4) for name, value in found.items()} for side, found in best.items()}


def of_side(source: Path, model: str, data: str, core: int) -> dict[str, float]:
    """One process that fits a model with the code of a checkout."""
    environment = {name: value for name, value in os.environ.items() if name not in FORCED_KERNELS}
    environment |= ENVIRONMENT | {"PYTHONPATH": str(source / "src")}
    command = ["taskset", "-c", str(core), sys.executable, __file__, "fit", "--models", model, "--data", data]
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True, cwd=source)
    answer: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return answer


def models_of(source: Path) -> list[str]:
    """The models of a checkout."""
    command = [sys.executable, "-c", "from matinee.models import MODELS; print(*MODELS)"]
    environment = os.environ | {"PYTHONPATH": str(source / "src")}
    return subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True).stdout.split()


def table() -> str:
    """The outcomes as Markdown; what is more than a twentieth slower, or worse by more than SAME, in bold."""
    parts = []
    for data, models in json.loads(OUT.read_text("utf-8")).items():
        rows = [
            f"| {data} | first fit, s | again, s | NDCG@10 valid | NDCG@10 test |",
            "|---|---|---|---|---|",
        ]
        for model, sides in models.items():
            before, now = sides["before"], sides["now"]
            cells = []
            for which in ("first", "again", "valid", "test"):
                if which not in before or which not in now:
                    cells.append("")
                    continue
                is_time = which in ("first", "again")
                old, new = before[which], now[which]
                is_worse = new > 1.05 * old and new - old > 0.02 if is_time else new < old - SAME
                text = [f"{value:.2f}" if is_time else f"{value:.4f}".removeprefix("0") for value in (old, new)]
                cells.append(f"{text[0]} → " + (f"**{text[1]}**" if is_worse else text[1]))
            rows.append(f"| {model} | {' | '.join(cells)} |")
        parts.append("\n".join(rows))
    return "\n\n".join(parts)


def main() -> None:
    """Fit on both sides in turns, or once in this process."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("before", help="a checkout of the older commit; `table` for the stored table")
    options.add_argument("--models", nargs="+", help="only these models")
    options.add_argument("--data", nargs="+", default=["bundled", "ml-1m"])
    options.add_argument("--rounds", type=int, default=2, help="how often each side is fitted")
    options.add_argument("--core", type=int, default=0, help="the core that all fits are pinned to")
    chosen = options.parse_args()
    if chosen.before == "table":
        print(table())
        return
    if chosen.before == "fit":
        print(json.dumps(fit_and_measure(chosen.models[0], chosen.data[0])))
        return
    sides = {"before": Path(chosen.before).resolve(), "now": ROOT}
    names = chosen.models or models_of(sides["before"])
    git = ["git", "rev-parse", "--short", "HEAD"]
    commits = {side: subprocess.check_output(git, cwd=path, text=True).strip() for side, path in sides.items()}
    stored: dict[str, Any] = json.loads(OUT.read_text("utf-8")) if OUT.exists() else {}
    for data in chosen.data:
        for model in names:
            if data == "bundled" or model in QUICK or chosen.models:
                found: dict[str, Any] = dict(in_turns(model, data, sides, chosen.core, chosen.rounds))
                found |= {"commits": commits, "rounds": chosen.rounds}
                stored.setdefault(data, {})[model] = found
                OUT.write_text(json.dumps(stored, indent=1) + "\n", "utf-8")
                print(data, model, found, file=sys.stderr, flush=True)
    print(json.dumps(stored, indent=1))


if __name__ == "__main__":
    main()
