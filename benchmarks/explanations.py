"""Deletion and insertion tests of the reasons of every model, for docs/laboratory/explanations.md.

    python benchmarks/explanations.py bundled              # every model, default settings; some minutes
    python benchmarks/explanations.py ml-1m ease item-knn  # protocol B
    python benchmarks/explanations.py table                # the JSON as Markdown

A random split 70/15/15, seed 42, fitted on train, tested with the inputs of train and valid (sequence models: the last
event of each user is the target). Outcomes are added to explanations.json, one entry a data set and model.
"""

import json
import sys
from pathlib import Path
from time import process_time

import matinee as mt
from matinee.models import model_class, model_names

OUT = Path(__file__).with_suffix(".json")
SEED = 42
SHOWN = ("deletion-score", "deletion-rank", "deletion-wins", "insertion-rank", "insertion-wins")


def measure(name: str, data: str) -> dict[str, object]:
    """Fit one model and test its reasons."""
    log = mt.load(data)
    if model_class(name).ordered:
        split = mt.split(log, "leave-last", seed=SEED)
    else:
        split = mt.split(log, "random", ratios=(0.70, 0.15, 0.15), seed=SEED)
    started = process_time()
    model = mt.fit(name, split, seed=SEED)
    fitted = process_time()
    plain = mt.evaluate(model, split, k=(10,), samples=100, seed=SEED)
    ranked = process_time()
    report = mt.evaluate(model, split, k=(10,), samples=1000, seed=SEED, explanations=True)
    done = process_time()
    assert report.explanations is not None
    return {
        "split": split.config.split,
        "ndcg@10": round(plain.metrics["ndcg@10"].mean, 4),
        "fit_cpu_seconds": round(fitted - started, 1),
        "test_cpu_seconds": round(max(0.0, (done - ranked) - (ranked - fitted)), 1),
    } | report.explanations.to_json()


def table() -> str:
    """The outcomes as Markdown, a table a data set."""
    parts = []
    for data, models in json.loads(OUT.read_text("utf-8")).items():
        rows = [f"| {data} | method | items | no reason | {' | '.join(SHOWN)} |", "|---" * (4 + len(SHOWN)) + "|"]
        for name, one in models.items():
            cells = [_cell(one["measures"][measure]) for measure in SHOWN]
            rows.append(
                f"| {name} | {one['method']} | {one['tested']:,} | {one['without_reason']} | {' | '.join(cells)} |"
            )
        parts.append("\n".join(rows))
    return "\n\n".join(parts)


def _cell(found: dict[str, float | None]) -> str:
    if found["mean"] is None or found["mean"] != found["mean"]:
        return "–"
    mean, low, high = (f"{float(f'{found[end]:.3g}'):g}" for end in ("mean", "low", "high"))
    return f"{mean} ({low}–{high})"


def main(data: str, names: list[str]) -> None:
    """Measure the models and write after each one."""
    for name in names or model_names():
        found = json.loads(OUT.read_text("utf-8")) if OUT.exists() else {}
        found.setdefault(data, {})[name] = measure(name, data)
        OUT.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
        print(name, found[data][name]["measures"]["deletion-score"], flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "table":
        print(table())
    else:
        main(sys.argv[1], sys.argv[2:])
