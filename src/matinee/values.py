"""Value maps: from the value of an event (stars, plays, hours) to its weight in a history.

A map is part of the experiment (`ValuesConfig`), is resolved to numbers on the training log, and is saved with the
model. `Recommender.state_of` applies it, so evaluation, the commands and the site weigh events in the same way.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from matinee.arrays import FloatArray, blocks
from matinee.config import ValuesConfig
from matinee.errors import MatineeError
from matinee.histories import Histories
from matinee.mapped import empty

TOPS = (1, 5, 7, 10, 20, 100)
"""Ends of scales. A scale begins at 0, or for a log with values below 0 at minus its end: stars are shares of five, so
that a log of 4s and 5s has no dislikes, and half stars change nothing."""
STARS = 5.0
"""Stars of a site's scale."""
MORE, LESS = 2.0, -1.0
"""Unary: weights of "more like this" and "less like this", which have a value of plus and minus infinity."""
COUNTS_BELOW = 0.25
"""A log whose median lies lower than this on its scale has counts (plays, hours), and no dislikes."""
RATING_SHAPE = ((0.0, -0.4), (0.2, -0.2), (0.4, 0.0), (0.6, 0.4), (0.8, 0.8), (1.0, 1.0))
"""Default map of ratings: position on the scale and weight, before the mean weight of the log is made 1. Measured on
valid: docs/values.md."""
COUNT_SHAPE = (0.3, 1.0)
"""Default map of counts: weights of the lowest and of the highest, before the mean weight of the log is made 1."""

HALVES, MANY_VALUES = np.arange(256) / 2, 2**12
"""Values that ratings have: more of them than the second are looked up, in a sixth of the time."""


@dataclass(frozen=True, slots=True)
class ValueMap:
    """A value map in numbers. config: with knots and neutral, or unary; note: why it is unary, or what it clips."""

    config: ValuesConfig
    note: str | None = None

    @property
    def unary(self) -> bool:
        """Whether every event weighs 1."""
        return self.config.map == "unary"

    @property
    def has_counts(self) -> bool:
        """Whether the values of the log are counts, such as plays, by the default map of such a log."""
        return self.config.map == "log"

    def weights(self, values: FloatArray) -> FloatArray:
        """Weight of each value; NaN, an event without one, gets the neutral weight. [N] -> [N] float32.

        Infinity weighs as the ends of the map; where it is unary, MORE and LESS.
        """
        found = empty(len(values), np.float32)
        for block in blocks(len(values)):
            found[block] = self._weights_of(values[block])
        return found

    def _weights_of(self, values: FloatArray) -> FloatArray:
        """See weights: of a block."""
        if len(values) > MANY_VALUES and (codes := _halves(values)) is not None:
            return self._weights_of(HALVES.astype(values.dtype))[codes]
        if self.unary:
            return np.where(np.isinf(values), np.where(values > 0, MORE, LESS), 1).astype(np.float32)
        knots, weights = np.array(self.config.knots).T
        within = np.clip(values.astype(np.float64), knots[0], knots[-1])
        if self.config.map == "steps":
            indices = np.searchsorted(knots, values, side="right")
            found = np.concatenate([[0.0], weights])[indices]
        elif self.config.map == "log":
            found = np.interp(np.log1p(within), np.log1p(knots), weights)
        else:
            found = np.interp(within, knots, weights)
        found = np.where(np.isnan(values), self.config.neutral or 1.0, found)
        return found.round(6).astype(np.float32)  # so that rounding in a scale makes no zero a like

    def weigh(self, histories: Histories) -> Histories:
        """The histories with the weights of their values."""
        if histories.weighed_by is self:
            return histories
        is_plain = self.unary and not np.isinf(histories.values).any()
        return histories if is_plain else replace(histories, mapped=self.weights(histories.values), weighed_by=self)

    def of_stars(self, stars: FloatArray) -> FloatArray:
        """Stars, 0 to 5, as values on the log's scale; of counts, on the scale of their logarithm. NaN stays. [N]."""
        if self.config.scale in (None, (0.0, STARS)):
            return stars
        low, high = self.config.scale or (0.0, STARS)
        shares: FloatArray = stars / STARS
        return np.expm1(shares * np.log1p(high)) if self.config.map == "log" else low + shares * (high - low)

    def stars_of(self, values: FloatArray) -> FloatArray:
        """Values of the log as stars, 0 to 5: the inverse of `of_stars`. [N]."""
        if self.config.scale in (None, (0.0, STARS)):
            return values
        low, high = self.config.scale or (0.0, STARS)
        shares: FloatArray = (values - low) / (high - low)
        if self.config.map == "log":
            shares = np.log1p(values) / np.log1p(high)
        return STARS * shares

    def notes_on(self, values: FloatArray) -> tuple[str, ...]:
        """What becomes of ratings that the map does not expect: outside its knots, or any where it is unary."""
        given = values[np.isfinite(values)]
        if self.unary:
            return ("the model weighs all events equally (unary), so ratings change nothing",) if len(given) else ()
        low, high = self.config.knots[0][0], self.config.knots[-1][0]
        outside = np.unique(given[(given < low) | (given > high)])
        if self.config.map != "linear" or not len(outside):
            return ()
        return (f"ratings outside {low:g} to {high:g} weigh as its ends: {', '.join(f'{v:g}' for v in outside[:3])}",)

    def to_json(self) -> dict[str, object]:
        """Everything but the note, in plain Python types."""
        return self.config.model_dump(mode="json", exclude_none=True)


def read(saved: object) -> ValueMap:
    """The map that `to_json` wrote. Raises ValueError for anything else."""
    config = ValuesConfig.model_validate(saved)
    if config.map != "unary" and (not config.knots or config.neutral is None):
        raise ValueError(f"{config.map} without knots or without a neutral weight")
    return ValueMap(config)


def _halves(values: FloatArray) -> NDArray[np.uint8] | None:
    """The index of each value among HALVES; None if one is not of them. [N]."""
    with np.errstate(invalid="ignore", over="ignore"):  # NaN and infinity equal no code
        doubled = values * 2
        codes = doubled.astype(np.uint8)
    return codes if (codes == doubled).all() else None


UNARY = ValueMap(ValuesConfig(map="unary"))


def resolve(config: ValuesConfig, values: FloatArray, kind: str = "rating") -> ValueMap:
    """The map in numbers, from the values [N] of the training log of a kind (`rating`, `click`).

    `default` is the identity for clicks of kinds with different weights, `unary` for other clicks and for ratings of
    one value only, `log` for counts, else `linear`; its mean weight over the log is 1. Raises MatineeError for a map
    that needs values where the log has none, or that gives no event of the log a weight above 0.
    """
    values = values[np.isfinite(values)]
    if len(values) == 0 or (kind == "click" and values.min() == values.max()):
        if config.map in ("default", "unary"):
            return UNARY
        raise MatineeError(f"values: the events of this log have no values, so {config.map} has no meaning; use unary")
    low, high = float(values.min()), float(values.max())
    scale = config.scale or _scale_of(values)
    if config.map == "unary":
        return UNARY if low == high else ValueMap(ValuesConfig(map="unary", scale=scale))
    if not config.knots and low == high:
        return replace(UNARY, note=f"every event has the value {low:g}, so values weigh nothing (unary)")
    if kind == "click" and config.map == "default":  # weights of kinds of events, as they were chosen
        config, scale = _identity(values), (0.0, high)
    chosen = config if config.knots else _with_knots(config, values)
    bounds = chosen.knots[0][0], chosen.knots[-1][0]
    note = None
    if config.scale and (low < config.scale[0] or high > config.scale[1]):
        n_outside = int(((values < config.scale[0]) | (values > config.scale[1])).sum())
        note = f"{n_outside:,} values lie outside the scale {bounds[0]:g} to {bounds[1]:g} and weigh as its ends"
    return ValueMap(_with_neutral(chosen, values).model_copy(update={"scale": scale}), note)


def _with_knots(config: ValuesConfig, values: FloatArray) -> ValuesConfig:
    """A default, linear or log map with knots by the log's scale, its mean weight over the log 1."""
    scale = config.scale or _scale_of(values)
    kind = config.map
    if kind == "default":
        kind = "log" if _are_counts(values, scale) else "linear"
    if kind == "log":
        if values.min() <= -1:
            raise MatineeError(f"values: log needs values above -1, and this log has {values.min():g}; use linear")
        bounds = (float(values.min()), float(values.max())) if config.scale is None else scale
        knots = tuple(zip(bounds, COUNT_SHAPE, strict=True))
    else:
        knots = tuple((scale[0] + place * (scale[1] - scale[0]), weight) for place, weight in RATING_SHAPE)
    found = ValuesConfig(map=kind, knots=knots, neutral=config.neutral)
    mean = float(ValueMap(found).weights(values).mean(dtype=np.float64))
    if mean <= 0:
        return found
    return found.model_copy(update={"knots": tuple((value, weight / mean) for value, weight in knots)})


def _identity(values: FloatArray) -> ValuesConfig:
    """Values above 0 as weights, over their mean."""
    high, mean = float(values.max()), float(values.mean(dtype=np.float64))
    return ValuesConfig(map="linear", knots=((0.0, 0.0), (high, high / mean)))


def _scale_of(values: FloatArray) -> tuple[float, float]:
    """The narrowest scale that holds all values: from 0 (or from -top) to one of TOPS, or to the largest value."""
    low, high = float(values.min()), float(values.max())
    largest = max(-low, high)
    top = next((float(top) for top in TOPS if largest <= top), largest)
    return (-top if low < 0 else 0.0), top


def _are_counts(values: FloatArray, scale: tuple[float, float]) -> bool:
    """Whether the median lies low on the scale, as that of counts does; of two values (thumbs) none is a count."""
    position = (float(np.median(values)) - scale[0]) / (scale[1] - scale[0])
    return scale[0] >= 0 and position < COUNTS_BELOW and len(np.unique(values)) > 2


def _with_neutral(config: ValuesConfig, values: FloatArray) -> ValuesConfig:
    """The map with its neutral weight. Raises MatineeError if no event of the log has a weight above 0."""
    weights = ValueMap(config).weights(values)
    if weights.max() <= 0:
        raise MatineeError(
            f"values: {config} gives none of the log's values ({values.min():g} to {values.max():g}) a weight above 0"
        )
    if config.neutral is not None:
        return config
    mean = float(weights.mean(dtype=np.float64))
    return config.model_copy(update={"neutral": mean if mean > 0 else float(weights.max())})
