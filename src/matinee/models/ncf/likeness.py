"""First weights at which a tower of ReLU measures how alike two vectors are, and a slower pace for them."""

import torch
from torch import Tensor

from matinee.nn.initialisers import initialise

NOISE = 0.02
"""Spread of what is added, so that no two units stay the same."""


def n_compared(dim: int, layers: int) -> int:
    """Dims that such a tower compares: four units of its first layer serve each."""
    return (dim // 2 << layers) // 4


def likeness_weights(dim: int, layers: int, chance: torch.Generator) -> dict[str, Tensor]:
    """`weights0` [2 W, W] ... and `output` [dim] with score = Σ |a + b| - |a - b|, noise aside.

    A term is 2 sign(a b) min(|a|, |b|): a product in all but size, which random weights find late or never. The first
    layer holds a + b and -a - b of each dim, then a - b and b - a; a layer above adds its inputs two by two.
    dim: width of the top; W = dim · 2^(layers - 1).
    """
    width, n = dim * 2 ** (layers - 1), n_compared(dim, layers)
    by_user, by_item = torch.zeros(width, width), torch.zeros(width, width)
    dims = torch.arange(n)
    half = (dim // 2) * 2 ** (layers - 1)
    for unit, of_user, of_item in ((0, 1.0, 1.0), (1, -1.0, -1.0), (half, 1.0, -1.0), (half + 1, -1.0, 1.0)):
        by_user[dims, unit + 2 * dims] = of_user
        by_item[dims, unit + 2 * dims] = of_item
    weights = {"weights0": torch.cat([by_user, by_item])}
    for layer in range(1, layers):
        above = width >> layer
        weights[f"weights{layer}"] = torch.eye(above).repeat_interleave(2, dim=0)
    noisy = {
        name: values + initialise((values.shape[0], values.shape[1]), "normal", chance, std=NOISE)
        for name, values in weights.items()
    }
    output = torch.zeros(dim)
    output[: dim // 2] = 1
    output[dim // 2 : 2 * (dim // 2)] = -1
    return noisy | {"output": output}


def slow_down(optimizer: torch.optim.Optimizer, slow: list[Tensor], share: float) -> None:
    """Give some of an optimiser's parameters `share` of the step size that the others have."""
    (group,) = optimizer.param_groups
    chosen = {id(tensor) for tensor in slow}
    group["params"] = [tensor for tensor in group["params"] if id(tensor) not in chosen]
    optimizer.add_param_group({"params": slow})

    def follow(optimizer: torch.optim.Optimizer, *_: object) -> None:
        fast, other = optimizer.param_groups
        other["lr"] = fast["lr"] * share  # the fast one's follows the schedule

    optimizer.register_step_pre_hook(follow)
