"""The share of each batch that one of several processes trains on, and what these agree on. Alone: all of it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from matinee.arrays import IntArray
from matinee.errors import MatineeError

if TYPE_CHECKING:
    import torch

T = TypeVar("T")


class RankLostError(MatineeError):
    """Another process of the fit no longer answers."""


class Share:
    """Process `rank` of `n`, from 0. Parameters are the same in all of them after each step."""

    rank, n = 0, 1

    def rows(self, batch: IntArray) -> IntArray:
        """This process's rows of a batch, at least one. [B] -> [about B / n]."""
        return batch if self.n == 1 else batch[self.rank % len(batch) :: self.n]

    def rng(self, shared: np.random.Generator, generator: "torch.Generator | None" = None) -> np.random.Generator:
        """The source of an epoch's draws that belong to rows, such as dropout; `shared` remains that of the batches.

        Alone, both are the same. Else it follows from `shared` and the rank, and so does torch's generator from now on.
        """
        if self.n == 1:
            return shared
        own = np.random.default_rng([int(shared.integers(2**63)), self.rank])
        if generator is not None:
            generator.manual_seed(int(own.integers(2**63)))
        return own

    def average(self, gradients: "Sequence[torch.Tensor | None]", loss: "torch.Tensor") -> "torch.Tensor":
        """Replace gradients by their mean over the processes, in place. Returns the mean loss."""
        return loss

    def agree(self, value: T) -> T:
        """What process 0 gives, in all of them."""
        return value


ALONE = Share()
