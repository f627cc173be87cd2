"""What a value map brings on valid: `python benchmarks/values.py configs/b/ease.toml [MAP ...]`, a JSON line each.

The model is fitted again for each map, since some train by weights; with --fold-in it is fitted once, unary, and only
the fold-in changes. Numbers in docs/values.md are from here.
"""

import argparse
import json
from pathlib import Path

from matinee import workflow
from matinee.config import configure
from matinee.experiment import Experiment, read_experiment
from matinee.values import resolve

METRICS = ("ndcg@10", "liked-ndcg@10", "disliked-ndcg@10", "graded-ndcg@10", "disliked@10")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("config", type=Path)
    parser.add_argument("maps", nargs="*", default=["unary", "default"])
    parser.add_argument("--fold-in", action="store_true", help="fit once, unary; only the fold-in changes")
    asked = parser.parse_args()
    experiment = read_experiment(asked.config)
    split, seed = workflow.prepare(experiment), experiment.split.seed
    fitted = None
    for text in asked.maps:
        config = configure(Experiment, {"values": text}, "maps").values
        if fitted is None or not asked.fold_in:
            values = "unary" if asked.fold_in else config
            fitted = workflow.fit(str(experiment.model), split, seed=seed, values=values, **experiment.settings)
        fitted.model.value_map = resolve(config, split.training().histories.values, split.data.kind)
        report = workflow.evaluate(fitted, split, (10,), seed=seed, on="valid", samples=100)
        measured = {name: round(report.metrics[name].mean, 4) for name in METRICS}
        print(json.dumps({"config": str(asked.config), "map": text, **measured}), flush=True)


if __name__ == "__main__":
    main()
