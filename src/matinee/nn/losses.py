"""Losses on scores of positive and negative items, and the softmax over the whole catalogue."""

import torch
from torch import Tensor
from torch.nn import functional

from matinee.nn.gradients import loss_with_gradients
from matinee.nn.sparse_tensors import BipartiteGraph

BLOCK_SCORES = 2**22
"""Number of scores held at once by the catalogue softmax (16 MB)."""


def catalogue_softmax(users: Tensor, items: Tensor, targets: BipartiteGraph, user_weights: Tensor) -> Tensor:
    """Σ_u user_weight_u · log Σ_j exp(u · j) - Σ_ui target_ui · (u · i). A scalar.

    users [B, D] and items [I, D], already divided by the temperature; targets [B, I], the weight of each positive
    pair; user_weights [B], its row sums. With every target 1 / (number of events) this is the mean over events of
    -log softmax(u · i) over the whole catalogue.
    """
    return loss_with_gradients(_catalogue_softmax, users, items, targets, user_weights)


def _catalogue_softmax(
    users: Tensor, items: Tensor, targets: BipartiteGraph, user_weights: Tensor
) -> tuple[Tensor, tuple[Tensor, Tensor]]:
    """Loss and both gradients in one pass over blocks of users; never holds all [B, I] scores."""
    user_grad, item_grad = torch.empty_like(users), torch.zeros_like(items)
    total = users.new_zeros(())
    size = max(1, BLOCK_SCORES // max(1, len(items)))
    for start in range(0, len(users), size):
        block, weights = users[start : start + size], user_weights[start : start + size, None]  # [b, D], [b, 1]
        scores = block @ items.T  # [b, I]
        highest = scores.amax(dim=1, keepdim=True)
        scores.sub_(highest).exp_()
        sums = scores.sum(dim=1, keepdim=True)
        total += (weights * (sums.log() + highest)).sum()
        scores.mul_(weights / sums)
        torch.mm(scores, items, out=user_grad[start : start + size])
        item_grad.addmm_(scores.T, block)
    target_sums = targets.by_user @ items  # [B, D]
    user_grad -= target_sums
    item_grad -= targets.by_item @ users
    return total - (users * target_sums).sum(), (user_grad, item_grad)


def sampled_loss(kind: str, positives: Tensor, negatives: Tensor) -> Tensor:
    """Mean loss of P positive scores [P] against n negative scores each [P, n]; -inf excludes a negative.

    infonce: -log(e^p / (e^p + Σ e^n)): van den Oord et al. 2018, eq. 4. bpr: mean of -log σ(p - n): Rendle et al.
    2009, section 4. bce: -log σ(p) - Σ log σ(-n), averaged over all terms: He et al. 2017, eq. 7.
    """
    if kind == "infonce":
        return (torch.logsumexp(torch.cat([positives[:, None], negatives], dim=1), dim=1) - positives).mean()
    is_included = torch.isfinite(negatives)
    if kind == "bpr":
        return functional.softplus(negatives - positives[:, None]).sum() / is_included.sum().clamp(min=1)
    if kind == "bce":
        total = functional.softplus(-positives).sum() + functional.softplus(negatives).sum()
        return total / (len(positives) + is_included.sum())
    raise ValueError(f"no sampled loss {kind!r}")
