"""How good each served model is: the scores that its artefact was saved with, and how its training went."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Any

from matinee.recommender import POPULAR, Engine
from matinee.store.artefact import Artefact

METRIC = "ndcg@10"
BASELINES = ("popularity", "item-knn", "ease")
"""Models whose scores are shown beside every other model's."""
CURVE_WIDTH, CURVE_HEIGHT = 520, 180


@dataclass(frozen=True, slots=True)
class ModelScore:
    """A model's mean score over `users` users, with a 95% interval. on: valid or test; split: its method."""

    model: str
    mean: float
    low: float
    high: float
    users: int
    on: str
    split: str


@dataclass(frozen=True, slots=True)
class Curve:
    """One quantity by epoch.

    points: of an SVG polyline within CURVE_WIDTH by CURVE_HEIGHT, from `low` at its bottom to `high` at its top.
    """

    name: str
    points: str
    first: float
    last: float
    epochs: int
    low: float
    high: float
    digits: int


class ModelQuality:
    """The scores of an engine's models. names: the models that have a page, popularity always among them."""

    def __init__(self, engine: Engine) -> None:
        self.names = engine.models if POPULAR in engine.models else (*engine.models, POPULAR)
        self.scores = model_scores(list(engine.artefacts.values()))

    def best_first(self) -> list[str]:
        """The models by score; those measured on a rarer split, or not at all, come last."""
        splits = Counter(score.split for score in self.scores.values())

        def key(name: str) -> tuple[int, float]:
            score = self.scores.get(name)
            return (-splits[score.split], -score.mean) if score else (1, 0.0)

        return sorted(self.names, key=key)

    def scales(self) -> dict[str, float]:
        """By split, the score for which a bar has its full length."""
        splits = {score.split for score in self.scores.values()}
        return {split: scale_of([score for score in self.scores.values() if score.split == split]) for split in splits}


def data_of(engine: Engine) -> str:
    """The name of the data that the models of an engine were fitted on, empty if unknown."""
    return str(next(iter(engine.artefacts.values())).manifest.get("data", {}).get("name", ""))


def model_scores(artefacts: Sequence[Artefact]) -> dict[str, ModelScore]:
    """The scores of the models that were measured, by name."""
    found = {
        artefact.name: _read_score(artefact.name, artefact.manifest.get("metrics"), artefact) for artefact in artefacts
    }
    return {name: score for name, score in found.items() if score}


def with_baselines(artefact: Artefact, scores: Mapping[str, ModelScore]) -> list[ModelScore]:
    """A model's score and the baselines' on the same split; empty for a model that was not measured."""
    own = scores.get(artefact.name)
    if own is None:
        return []
    on_its_split = artefact.manifest.get("baselines", {})
    others = [_read_score(name, on_its_split.get(name), artefact) or scores.get(name) for name in BASELINES]
    return [own, *(other for other in others if other and other.split == own.split and other.model != own.model)]


def best_next_model(engine: Engine) -> str:
    """The model of what comes next with the best score, the first if none was measured; empty if none is served."""
    artefacts = {name: artefact for name, artefact in engine.artefacts.items() if artefact.model.ordered}

    def mean(name: str) -> float:
        return float(artefacts[name].manifest.get("metrics", {}).get(METRIC, {}).get("mean", 0.0) or 0.0)

    return max(artefacts, key=mean, default="")


def scale_of(scores: Sequence[ModelScore]) -> float:
    """The score for which a bar has its full length."""
    return max((score.high for score in scores), default=1.0) * 1.05


def curves(artefact: Artefact) -> list[Curve]:
    """Loss and validation metric by epoch, of the fit that was measured if its curve was kept; empty without epochs."""
    try:
        if found := curves_of(artefact.manifest.get("held_out_curve") or []):
            return found
    except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError):
        pass  # a manifest that somebody wrote by hand
    path = artefact.path / "curves.json" if artefact.path else None
    if path is None or not path.is_file():
        return []
    try:
        return curves_of(json.loads(path.read_text("utf-8")))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError):
        return []  # an artefact can be served without its curves


def curves_of(epochs: Sequence[Mapping[str, Any]]) -> list[Curve]:
    """The same of the metrics of each epoch. Raises ValueError for one that is not finite."""
    rows = [(name, [(epoch["epoch"], epoch[name]) for epoch in epochs if name in epoch]) for name in ("loss", "valid")]
    ends = [float(epoch["epoch"]) for epoch in epochs]
    return [_curve(name, values, (min(ends), max(ends))) for name, values in rows if len(values) > 1]


def _read_score(name: str, metrics: Mapping[str, Any] | None, artefact: Artefact) -> ModelScore | None:
    """A score from a manifest."""
    value, measured = (metrics or {}).get(METRIC), artefact.manifest.get("measured", {})
    if not value or not all(isinstance(value.get(key), int | float) for key in ("mean", "low", "high")):
        return None
    split = str((measured.get("split") or {}).get("method", ""))
    interval = (float(value["mean"]), float(value["low"]), float(value["high"]))
    return ModelScore(name, *interval, int(measured.get("users", 0)), str(measured.get("on", "")), split)


def _curve(name: str, values: list[tuple[float, float]], ends: tuple[float, float]) -> Curve:
    """A quantity by epoch. ends: the first and the last epoch of the drawing, for what is not measured at each."""
    epochs, heights = [float(at) for at, _ in values], [float(value) for _, value in values]
    if not all(map(isfinite, (*epochs, *heights))):
        raise ValueError(f"{name}: NaN or infinity")
    low, high = min(heights), max(heights)
    span = high - low or 1.0
    points = " ".join(
        f"{(at - ends[0]) / (ends[1] - ends[0]) * CURVE_WIDTH:.1f},"
        f"{CURVE_HEIGHT - (value - low) / span * CURVE_HEIGHT:.1f}"
        for at, value in zip(epochs, heights, strict=True)
    )
    return Curve(name, points, heights[0], heights[-1], int(epochs[-1]), low, high, 2 if high >= 1 else 3)
