"""What is known of how good a model is: figures that its artefact was saved with, and how it was trained."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from matinee.store.artefact import Artefact

METRIC = "ndcg@10"
BASELINES = ("popularity", "item-knn", "ease")
"""What every model's figure stands beside."""
CURVE_WIDTH, CURVE_HEIGHT = 520, 180


@dataclass(frozen=True, slots=True)
class Figure:
    """A model's figure with the interval that holds it with 95% confidence, measured on `users` users."""

    model: str
    mean: float
    low: float
    high: float
    users: int
    on: str
    split: str


@dataclass(frozen=True, slots=True)
class Curve:
    """One quantity over the epochs. points: of an SVG polyline within CURVE_WIDTH by CURVE_HEIGHT."""

    name: str
    points: str
    first: float
    last: float
    epochs: int


def figures(artefacts: Sequence[Artefact]) -> dict[str, Figure]:
    """The figures of those that were measured, by model."""
    found = {
        artefact.name: _figure(artefact.name, artefact.manifest.get("metrics"), artefact) for artefact in artefacts
    }
    return {name: figure for name, figure in found.items() if figure}


def beside(artefact: Artefact, known: Mapping[str, Figure]) -> list[Figure]:
    """A model's figure and the baselines', as far as they were measured on the same split; none without its own."""
    own = known.get(artefact.name)
    if own is None:
        return []
    on_its_split = artefact.manifest.get("baselines", {})
    others = [_figure(name, on_its_split.get(name), artefact) or known.get(name) for name in BASELINES]
    return [own, *(other for other in others if other and other.split == own.split and other.model != own.model)]


def _figure(name: str, metrics: Mapping[str, Any] | None, artefact: Artefact) -> Figure | None:
    """One figure as a manifest holds it."""
    figure, measured = (metrics or {}).get(METRIC), artefact.manifest.get("measured", {})
    if not figure or not all(isinstance(figure.get(key), int | float) for key in ("mean", "low", "high")):
        return None
    split = str((measured.get("split") or {}).get("method", ""))
    values = (float(figure["mean"]), float(figure["low"]), float(figure["high"]))
    return Figure(name, *values, int(measured.get("users", 0)), str(measured.get("on", "")), split)


def curves(artefact: Artefact) -> list[Curve]:
    """How the loss fell, and the metric on valid rose, epoch by epoch; nothing for models without epochs."""
    path = artefact.path / "curves.json" if artefact.path else None
    if path is None or not path.is_file():
        return []
    try:
        epochs: list[dict[str, Any]] = json.loads(path.read_text("utf-8"))
        rows = [
            (name, [(epoch["epoch"], epoch[name]) for epoch in epochs if name in epoch]) for name in ("loss", "valid")
        ]
        return [_curve(name, values) for name, values in rows if len(values) > 1]
    except (OSError, ValueError, KeyError, TypeError):
        return []  # an artefact is good without its curves


def _curve(name: str, values: list[tuple[float, float]]) -> Curve:
    epochs, heights = [float(at) for at, _ in values], [float(value) for _, value in values]
    low, high = min(heights), max(heights)
    span = high - low or 1.0
    points = " ".join(
        f"{(at - epochs[0]) / (epochs[-1] - epochs[0]) * CURVE_WIDTH:.1f},"
        f"{CURVE_HEIGHT - (value - low) / span * CURVE_HEIGHT:.1f}"
        for at, value in zip(epochs, heights, strict=True)
    )
    return Curve(name, points, heights[0], heights[-1], int(epochs[-1]))
