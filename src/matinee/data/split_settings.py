"""The settings that each split method uses; any other that is given is an error, found before the log is read."""

import math
from typing import Any

from matinee.config import EvaluationConfig, SplitConfig
from matinee.errors import UsageError
from matinee.reading.timestamps import parse_time
from matinee.times import parse_duration

USES: dict[str, tuple[str, ...]] = {
    "random": ("ratios", "by", "rest", "repeats"),
    "leave-last": (),
    "leave-random": (),
    "time": ("ratios", "at"),
    "new-users": ("ratios", "input_share"),
    "new-items": ("ratios",),
    "k-fold": ("folds", "fold"),
    "session": ("ratios", "gap", "min_length", "earlier"),
    "files": ("path",),
}
"""The fields of SplitConfig by method. `seed` also seeds the model, so every method takes it."""
DRAWN = ("random", "leave-random", "new-users", "new-items", "k-fold")
"""Methods that draw by `seed`."""


def settings_of(split: SplitConfig) -> dict[str, Any]:
    """The settings that decide about a split, ready for JSON."""
    used = {*USES[split.split], *(("seed",) if split.split in DRAWN else ())}
    if split.split == "time":
        used = {"at"} if split.at else {"ratios"}
    return split.model_dump(mode="json", include=used)


def check_settings(split: SplitConfig, evaluation: EvaluationConfig | None = None) -> None:
    """Raise UsageError for a given setting that the split method does not use, or one out of its range."""
    used = USES[split.split]
    for name in sorted(split.model_fields_set - {"split", "seed", *used}):
        raise UsageError(_unused(split.split, name, getattr(split, name), [m for m in USES if name in USES[m]]))
    if evaluation is not None and "predict" in evaluation.model_fields_set and split.split != "session":
        raise UsageError(_unused(split.split, "predict", evaluation.predict, ["session"]))
    if {"ratios", "at"} <= split.model_fields_set:
        raise UsageError(f"at = {','.join(split.at)} and ratios both say where a split by time cuts; give one of them")
    if "ratios" in used:
        checked_ratios(split)
    if "folds" in used:
        _check_folds(split)
    if "gap" in used:
        parse_duration(split.gap, "gap")
    for text in split.at:
        parse_time(text, "at")
    if split.split == "files" and not split.path:
        raise UsageError("split files needs the folder of its tables; give --split files:PATH")


def checked_ratios(config: SplitConfig) -> tuple[float, float, float]:
    """The ratios. Raises UsageError unless each is from 0 to 1 and they sum to 1."""
    ratios = config.ratios
    given = "ratios " + ", ".join(f"{ratio:g}" for ratio in ratios)
    if not all(math.isfinite(ratio) and ratio >= 0 for ratio in ratios):
        raise UsageError(f"{given}: each must be from 0 to 1; for example 0.70,0.15,0.15")
    if abs(sum(ratios) - 1) > 1e-6:
        raise UsageError(f"{given} sum to {sum(ratios):g}; they must sum to 1, for example 0.70,0.15,0.15")
    return ratios


def _check_folds(config: SplitConfig) -> None:
    if config.folds < 3:
        raise UsageError(f"folds = {config.folds} leaves no fold for train besides test and valid; use 3 or more")
    if config.fold >= config.folds:
        raise UsageError(f"fold = {config.fold}: folds are numbered 0 to {config.folds - 1}; choose one of them")


def _unused(method: str, name: str, value: object, others: list[str]) -> str:
    shown = ",".join(map(str, value)) if isinstance(value, tuple) else value
    owners = " or ".join([", ".join(others[:-1]), others[-1]] if len(others) > 1 else others)
    return (
        f"{name} = {shown} has no effect on split {method}: it belongs to split {owners}; "
        "leave it out or choose that split"
    )
