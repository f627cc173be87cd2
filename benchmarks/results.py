"""What each model reaches on the protocols of MovieLens, from the experiments in configs/, one after the other.

    python benchmarks/results.py PROTOCOL [NAME ...]   measure what results.json lacks of a, b or c; NAME: of a config
    python benchmarks/results.py                       write docs/results.md from it, and print what is missing

Each experiment is fitted once with its own settings and seed, and its test part is looked at once.
"""

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

from matinee import workflow
from matinee.config import read_experiment

ROOT = Path(__file__).parents[1]
STORE, PAGE = Path(__file__).with_suffix(".json"), ROOT / "docs" / "results.md"
PROTOCOLS = {
    "a": "Protocol A: MovieLens latest-small of January 2016, 30- and 10-core, random 70/15/15",
    "b": "Protocol B: MovieLens 1M, no filter, random 70/15/15",
    "c": "Protocol C: MovieLens 1M, 5-core, leave the last out",
}
METRICS = ("ndcg@10", "recall@10")
Rows = dict[str, dict[str, dict[str, Any]]]


def measure(protocol: str, names: list[str]) -> None:
    """Fit and evaluate the experiments of a protocol that are not stored."""
    split, prepared_for = None, None
    for path in experiments(protocol):
        if (names and path.stem not in names) or path.stem in load().get(protocol, {}):
            continue
        experiment = read_experiment(path)
        shared = experiment.model_dump(include={"data", "columns", "items", "filters", "split"})
        if shared != prepared_for:
            split, prepared_for = workflow.prepare(experiment), shared
        assert split is not None
        started = time.process_time()
        fitted, report = workflow.run(experiment, split)
        stored = load()  # another process may have stored others
        found = {
            name: [report.metrics[name].mean, report.metrics[name].low, report.metrics[name].high] for name in METRICS
        }
        row = {"model": fitted.name, "users": report.users, "seed": fitted.manifest["seed"], "metrics": found}
        row |= {"fit_seconds": report.fit_seconds, "processor_seconds": round(time.process_time() - started, 1)}
        stored.setdefault(protocol, {})[path.stem] = row
        STORE.write_text(json.dumps(stored, indent=1, sort_keys=True) + "\n", encoding="utf-8")
        print(protocol, path.stem, {name: round(each[0], 4) for name, each in found.items()}, flush=True)


def experiments(protocol: str) -> list[Path]:
    """The files of a protocol."""
    return sorted((ROOT / "configs" / protocol).glob("*.toml"))


def missing() -> dict[str, list[str]]:
    """The experiments of each protocol that are not stored."""
    stored = load()
    return {
        name: [path.stem for path in experiments(name) if path.stem not in stored.get(name, {})] for name in PROTOCOLS
    }


def page(stored: Rows) -> str:
    """docs/results.md: a table for each protocol, best first, and what is not measured yet."""
    lines = [
        "# Results",
        "",
        "Written by `python benchmarks/results.py` from `benchmarks/results.json`. Each row is an",
        "experiment of `configs/`: one fit, one seed, settings chosen on valid by hand or by search, **not with equal",
        "budgets**; lists of all items; in brackets 95% intervals. `matinee evaluate --config configs/b/ease.toml`",
        "gives a row again. The protocol of new users is not measured yet.",
    ]
    for protocol, title in PROTOCOLS.items():
        rows = sorted(stored.get(protocol, {}).items(), key=lambda each: -each[1]["metrics"]["ndcg@10"][0])
        lines += ["", f"## {title}", ""]
        if rows:
            lines += ["| experiment | model | NDCG@10 | recall@10 | fit |", "|---|---|---|---|---|"]
        for name, row in rows:
            ndcg, recall = ("{:.4f} ({:.4f}–{:.4f})".format(*row["metrics"][metric]) for metric in METRICS)
            lines.append(f"| {name} | {row['model']} | {ndcg} | {recall} | {row['fit_seconds']:.1f} s |")
        left = [path.stem for path in experiments(protocol) if path.stem not in stored.get(protocol, {})]
        if left:
            lines += ["" if rows else "Nothing is measured yet."] + ([""] if not rows else [])
            lines.append(f"Not measured yet: {', '.join(left)}.")
    return "\n".join(lines) + "\n"


def load() -> Rows:
    """What is stored."""
    found: Rows = json.loads(STORE.read_text(encoding="utf-8")) if STORE.exists() else {}
    return found


def main() -> None:
    arguments = sys.argv[1:]
    if arguments:
        if arguments[0] not in PROTOCOLS:
            sys.exit(f"{arguments[0]} is none of {', '.join(PROTOCOLS)}")
        os.chdir(ROOT)
        measure(arguments[0], arguments[1:])
    PAGE.write_text(page(load()), encoding="utf-8")
    for protocol, names in missing().items():
        print(f"{protocol}: {len(names)} missing: {', '.join(names)}")


if __name__ == "__main__":
    main()
