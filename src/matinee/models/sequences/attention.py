"""Causal self-attention blocks over sequences."""

from collections.abc import Mapping
from math import sqrt

import torch
from torch import Tensor
from torch.nn import functional

from matinee.training.torch_trainer import fast_dropout

WEIGHTS = ("qkv", "mixed", "up", "down", "shifts", "norms")
"""The parameters of K blocks, each stacked over them."""


def initial_blocks(n_blocks: int, dim: int, generator: torch.Generator) -> dict[str, Tensor]:
    """First values: Xavier's normal for weights, zero shifts, norms that change nothing."""

    def drawn(*shape: int) -> Tensor:
        return torch.empty((n_blocks, *shape)).normal_(0.0, sqrt(2 / (dim + dim)), generator=generator)

    norms = torch.zeros((n_blocks, 2, 2, dim))  # of attention and feed-forward, each a scale and a shift
    norms[:, :, 0] = 1
    return {
        "qkv": drawn(dim, 3 * dim),
        "mixed": drawn(dim, dim),
        "up": drawn(dim, dim),
        "down": drawn(dim, dim),
        "shifts": torch.zeros((n_blocks, 2, dim)),
        "norms": norms,
    }


def attend(
    values: Tensor,
    weights: Mapping[str, Tensor],
    n_heads: int,
    norm: str,
    dropout: float,
    generator: torch.Generator,
) -> Tensor:
    """Blocks of causal self-attention and feed-forward, each with a residual. [B, T, D] -> [B, T, D].

    Rows may be filled up at their end: no step looks at a later one. norm: "pre", x + f(LN(x)) (Kang and McAuley
    2018, eq. 5), or "post", LN(x + f(x)) (Vaswani et al. 2017). Dropout is on what each half adds; attention weights
    are left whole, as fused attention has it.
    """
    n_rows, length, dim = values.shape
    for block in range(len(weights["qkv"])):
        qkv, mixed, up, down, shifts, norms = (weights[name][block] for name in WEIGHTS)
        inside = _normed(values, norms[0]) if norm == "pre" else values
        split = (inside @ qkv).view(n_rows, length, 3, n_heads, dim // n_heads).transpose(1, 3)  # [B, h, 3, T, d]
        heard = _heard(split[:, :, 0], split[:, :, 1], split[:, :, 2])
        added = heard.transpose(1, 2).reshape(n_rows, length, dim) @ mixed
        values = values + fast_dropout(added, dropout, generator)
        if norm == "post":
            values = _normed(values, norms[0])
        inside = _normed(values, norms[1]) if norm == "pre" else values
        added = torch.relu(inside @ up + shifts[0]) @ down + shifts[1]
        values = values + fast_dropout(added, dropout, generator)
        if norm == "post":
            values = _normed(values, norms[1])
    return values


def _heard(queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """What each step hears of itself and those before it. [B, h, T, d]."""
    if queries.dtype == torch.float32:
        return functional.scaled_dot_product_attention(queries, keys, values, is_causal=True)
    # in bfloat16 the gradient of torch's fused attention takes three times as long as that of the plain products
    later = torch.full((queries.shape[2],) * 2, -torch.inf, dtype=queries.dtype).triu(1)  # [T, T]
    scores = torch.matmul(queries / sqrt(queries.shape[3]), keys.transpose(2, 3)) + later
    return torch.matmul(torch.softmax(scores, dim=-1).to(values.dtype), values)


def _normed(values: Tensor, norm: Tensor) -> Tensor:
    return functional.layer_norm(values, values.shape[-1:], norm[0].to(values.dtype), norm[1].to(values.dtype), 1e-5)
