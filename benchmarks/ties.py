"""How often two copies of one model are called tied, and how often a worse one is called worse.

Copies differ by their random seeds alone, so `tied` is right for them: at least 94 of 100 comparisons should say so.

noise: EASE with noise added to each score, one seed for each copy: what differs is drawn for each user by itself.
seeds: fits of iALS from different starts, three for each copy, as `compare --seeds 3` measures them.
single: the same with one fit for each copy; they have the same settings, so their gap is known to be that of seeds.
unknown: the same again, as if they were two models: nothing is known of seeds, and users alone are tested.
power: EASE against EASE with more noise, to see that what is worse is not called tied.

python benchmarks/ties.py [--comparisons 100] > benchmarks/ties.json
"""

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from time import perf_counter
from typing import Any

import numpy as np

import matinee as mt
from matinee.config import EvaluationConfig
from matinee.data.splits import Split
from matinee.evaluation.comparison import compare
from matinee.evaluation.evaluate import evaluate
from matinee.evaluation.report import Report
from matinee.evaluation.seeds import over_seeds
from matinee.models.linear.ease import EASE

SAMPLES = 2000
CONFIG = EvaluationConfig(k=(10,), samples=100)
N_FITS = 60
LITTLE, MUCH = 0.1, 0.4
"""Noise as a share of the standard deviation of a user's scores."""


class NoisyEASE(EASE):
    """EASE with noise on each score, from a seed of its own."""

    noise = LITTLE
    draw = np.random.default_rng(0)

    def score(self, state: Any) -> np.ndarray:
        """Scores with noise. [B, I]."""
        scores = super().score(state)
        return scores + self.noise * scores.std(axis=1, keepdims=True) * self.draw.standard_normal(scores.shape)


def noisy(fitted: EASE, split: Split, seed: int, noise: float) -> Report:
    copy = NoisyEASE(**fitted.config.model_dump())
    copy.__dict__ |= fitted.__dict__ | {"draw": np.random.default_rng(seed), "noise": noise}
    report = evaluate(copy, split, CONFIG, rng=np.random.default_rng(0))
    return replace(report, config=report.config | {"noise": noise})  # more noise is another model


def verdicts(pairs: Iterator[tuple[Report, Report]], name: str, expected: str) -> dict[str, Any]:
    started, found, draw = perf_counter(), [], np.random.default_rng(1)
    for one, other in pairs:
        row = compare([one, other], "ndcg@10", rng=draw, samples=SAMPLES).rows[1]
        found.append((row.verdict, row.difference.mean))
    right = sum(verdict == expected for verdict, _ in found)
    result = {
        "comparisons": len(found),
        expected: right,
        "mean difference": float(np.mean([gap for _, gap in found])),
        "seconds": perf_counter() - started,
    }
    print(f"{name}: {expected} in {right} of {len(found)}", file=sys.stderr, flush=True)
    return result


def fits(split: Split, n: int) -> list[Report]:
    reports = []
    for seed in range(n):
        fitted = mt.fit("ials", split, seed=seed, dim=16, epochs=4)
        reports.append(evaluate(fitted.model, split, CONFIG, rng=np.random.default_rng(0)))
    return reports


def groups(reports: list[Report], size: int, n: int) -> Iterator[tuple[Report, Report]]:
    """Pairs of copies of `size` fits each, drawn without a fit in common."""
    draw = np.random.default_rng(2)
    for _ in range(n):
        drawn = draw.permutation(len(reports))[: 2 * size]
        yield tuple(  # type: ignore[misc]
            over_seeds([reports[index] for index in part], part.tolist(), draw) for part in np.split(drawn, 2)
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--comparisons", type=int, default=100)
    parser.add_argument("--fits", type=int, default=N_FITS)
    options = parser.parse_args()
    n = options.comparisons
    split = mt.split(mt.load("bundled"), "random", seed=42)
    ease = mt.fit("ease", split).model
    results: dict[str, Any] = {"data": split.data.describe(), "alpha": 0.05}
    little = [noisy(ease, split, seed, LITTLE) for seed in range(2 * n)]
    results["noise"] = verdicts(zip(little[::2], little[1::2], strict=True), "noise", "tied")
    much = [noisy(ease, split, 10_000 + seed, MUCH) for seed in range(min(n, 20))]
    results["power"] = verdicts(zip(little[: len(much)], much, strict=True), "power", "worse")
    pool = fits(split, options.fits)
    scores = [report.metrics["ndcg@10"].mean for report in pool]
    results["ials"] = {"fits": len(pool), "mean": float(np.mean(scores)), "deviation": float(np.std(scores, ddof=1))}
    results["seeds"] = verdicts(groups(pool, 3, n), "seeds", "tied")
    results["single"] = verdicts(groups(pool, 1, n), "single", "tied")
    apart = ((one, replace(other, config=other.config | {"copy": 2})) for one, other in groups(pool, 1, n))
    results["unknown"] = verdicts(apart, "unknown", "tied")
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
