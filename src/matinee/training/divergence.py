"""When training goes nowhere: a loss or weights that are not finite, or far past any use."""

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

from numpy.typing import NDArray

FIRST_STEP, FIRST_EPOCH = 1000, 10
"""How many times the loss of the first step, and of the first epoch, means that training diverges. Batches differ by up
to a hundred times in loss where a user's events are summed; epochs hardly do."""
SMALLEST_LOSS = 0.1
"""A lower loss at the start counts as this: a loss near 0 doubles easily."""
LARGEST_WEIGHT = 1e3
"""Weights start below 1, and Adam moves one by about the learning rate a step; trained models stay below 50. Where
scores are cosines, only this shows that steps are far too large: their loss is bounded."""


class DivergenceError(ArithmeticError):
    """Training diverges; the message says how, for use in `the loss is ... of epoch 3`."""


class NonFiniteLoss(DivergenceError):
    """The loss of a step (from 1 within its epoch) is NaN or infinite."""

    def __init__(self, step: int, value: float) -> None:
        super().__init__(f"the loss is {value} at step {step}")


def require_step(step: int, loss: float, first: float) -> None:
    """Raises DivergenceError unless the loss of a step is of use. first: that of the first step of training."""
    if not isfinite(loss):
        raise NonFiniteLoss(step, loss)
    if abs(loss) > FIRST_STEP * max(abs(first), SMALLEST_LOSS):
        raise DivergenceError(f"the loss is {loss:.3g} at step {step}, after {first:.3g} at the first step,")


def require_epoch(loss: float, curves: Sequence[Mapping[str, float]], state: Mapping[str, NDArray[Any]]) -> None:
    """Raises DivergenceError unless an epoch's loss and the trainer's state after it are of use."""
    if not isfinite(loss):
        raise NonFiniteLoss(1, loss)
    if curves and abs(loss) > FIRST_EPOCH * max(abs(first := curves[0]["loss"]), SMALLEST_LOSS):
        raise DivergenceError(f"the loss is {loss:.3g}, after {first:.3g} in the first epoch, at the end")
    for name, array in state.items():
        if array.dtype.kind != "f" or not array.size or name.startswith(("optimizer.", "buffer.")):
            continue
        largest = max(float(array.max()), -float(array.min()))
        if not largest <= LARGEST_WEIGHT:  # true of NaN too
            what = name.removeprefix("parameter.")
            raise DivergenceError(f"the weights {what} reach {largest:.3g}, past any use, at the end")
