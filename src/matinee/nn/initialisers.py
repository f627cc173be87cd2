"""First values of parameters."""

from math import sqrt
from typing import Literal

import torch
from torch import Tensor

Initialiser = Literal["normal", "xavier", "he"]


def initial(
    shape: tuple[int, ...],
    kind: Initialiser,
    generator: torch.Generator,
    *,
    std: float = 0.01,
    fan_in: int | None = None,
) -> Tensor:
    """A new tensor of float32: `normal` N(0, std²), `xavier` and `he` uniform as in their papers.

    fan_in: inputs of each output; by default the last axis, as in `inputs @ weights.T`.
    Source: Glorot and Bengio 2010, eq. 16; He et al. 2015, eq. 10 (variance 2 / fan_in).
    """
    values = torch.empty(shape, device=generator.device)
    if kind == "normal":
        return values.normal_(0.0, std, generator=generator)
    inputs = fan_in if fan_in is not None else shape[-1]
    bound = sqrt(6 / (inputs + shape[0])) if kind == "xavier" else sqrt(6 / inputs)
    return values.uniform_(-bound, bound, generator=generator)
