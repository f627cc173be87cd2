"""Dropout that draws one byte a value: with a generator of one's own torch draws a float each, several times slower."""

import torch
from torch import Tensor


def drop_bytes(values: Tensor, share: float, generator: torch.Generator) -> Tensor:
    """Each value zeroed with a chance of `share` (to the nearest 1/256), the others scaled to keep the mean."""
    least = round(256 * share)
    if least == 0:
        return values
    words = torch.empty(values.numel() // 8 + 1, dtype=torch.int64).random_(-(2**63), None, generator=generator)
    kept = words.view(torch.uint8)[: values.numel()].view(values.shape) >= least
    return values * kept.to(values.dtype).mul_(256 / (256 - least))
