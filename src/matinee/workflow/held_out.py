"""How good a model is, and how its training went, where it is served from a fit on all of the data."""

from typing import Any

from matinee.config import ValuesConfig
from matinee.data.splits import Split
from matinee.models import create, model_class
from matinee.training.configs import EpochsConfig
from matinee.training.run import OnEpoch
from matinee.workflow.evaluating import evaluate, quality
from matinee.workflow.fitting import fit

POINTS = 10
"""Scores on valid at most: one of LightGCN costs as much as two of its epochs."""
CURVE = "held_out_curve"
"""The key of the manifest with the curve of the fit that was measured."""


def held_out_quality(
    model: str,
    parts: Split,
    settings: dict[str, Any],
    *,
    seed: int = 42,
    values: ValuesConfig | None = None,
    on_epoch: OnEpoch | None = None,
) -> dict[str, Any]:
    """Metrics of a fit on the training part of a split, for the manifest of an artefact that is fitted on all of it.

    A model that trains by epochs is scored on valid meanwhile: its curve is kept too, and the best of the scored
    epochs counts.
    """
    config = create(model, **settings).config
    monitored: dict[str, Any] = {}
    if isinstance(config, EpochsConfig) and not config.patience:
        monitored = {"patience": config.epochs, "validate_every": -(-config.epochs // POINTS)}
    values = values or ValuesConfig()
    fitted = fit(model_class(model)(**settings | monitored), parts, seed=seed, values=values, on_epoch=on_epoch)
    curve = {CURVE: list(fitted.model.curves)} if fitted.model.curves else {}
    return quality(evaluate(fitted, parts)) | curve
