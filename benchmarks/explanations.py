"""Deletion and insertion tests of the reasons of every model, for docs/laboratory/explanations.md.

    python benchmarks/explanations.py bundled              # what is stored; measures the models that are not
    python benchmarks/explanations.py bundled --again      # measures again what other code has measured
    python benchmarks/explanations.py ml-1m ease item-knn  # protocol B
    python benchmarks/explanations.py table                # the JSON as Markdown

A random split 70/15/15, seed 42, fitted on train, tested with the inputs of train and valid (sequence models: the last
event of each user is the target). Outcomes are added to explanations.json, one entry a data set and model, as soon as
they are measured: a run that was stopped goes on. The exit code is 1 where the reasons of a model do not hold.
"""

import argparse
import json
import sys
from pathlib import Path
from time import process_time
from typing import Any

import matinee as mt
from matinee.models import model_class, model_names
from sources import code_hash

OUT = Path(__file__).with_suffix(".json")
SEED = 42
BESIDES = ("matinee.models.linear.ease", "matinee.evaluation.explanations")
"""What an outcome rests on besides its model: the first stage of kprn, and the tests."""
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
    } | report.to_json()["explanations"]


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


def stored() -> dict[str, dict[str, dict[str, Any]]]:
    """The outcomes measured so far, by data set and model."""
    return json.loads(OUT.read_text("utf-8")) if OUT.exists() else {}


def store(found: dict[str, dict[str, dict[str, Any]]]) -> None:
    """Write all outcomes."""
    OUT.write_text(json.dumps(found, indent=1) + "\n", "utf-8")


def main(data: str, names: list[str], again: bool) -> bool:
    """Print the outcome of each model, measured first where it is not stored; whether the reasons of all hold."""
    names = names or list(model_names())
    for name in names:
        code = code_hash([model_class(name).__module__, *BESIDES], [data, SEED])
        old = stored().get(data, {}).get(name)
        if old is None or (again and old.get("code") != code):
            outcome, found = measure(name, data) | {"code": code}, stored()
            found.setdefault(data, {})[name] = outcome
            store(found)
        one = stored()[data][name]
        measures = {kind: _cell(one["measures"][kind]) for kind in SHOWN}
        print(
            name,
            one["method"],
            measures,
            "holds" if one["holds"] else "no reasons" if not one["tested"] else "FAILS",
            flush=True,
        )
    return all(one["holds"] or not one["tested"] for one in (stored()[data][name] for name in names))


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("data", help="a data set, or `table`")
    options.add_argument("models", nargs="*", help="all without any")
    options.add_argument("--again", action="store_true", help="measure again what other code has measured")
    chosen = options.parse_intermixed_args()
    if chosen.data == "table":
        print(table())
    else:
        sys.exit(not main(chosen.data, chosen.models, chosen.again))
