"""Losses that put a user's own items above others."""

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from matinee.nn.sparse_tensors import Graph

BLOCK_SCORES = 2**22
"""Scores of the whole catalogue held at once (16 MB)."""


class _CatalogueSoftmax(torch.autograd.Function):
    """The loss and both gradients in one pass over blocks of users, so that [B, I] is never held whole."""

    @staticmethod
    def forward(ctx: Any, users: Tensor, items: Tensor, seen: Graph, shares: Tensor) -> Tensor:  # noqa: ANN401
        by_users, by_items = torch.empty_like(users), torch.zeros_like(items)
        total = users.new_zeros(())
        size = max(1, BLOCK_SCORES // max(1, len(items)))
        for start in range(0, len(users), size):
            block, share = users[start : start + size], shares[start : start + size, None]  # [b, D], [b, 1]
            scores = block @ items.T  # [b, I]
            highest = scores.amax(dim=1, keepdim=True)
            scores.sub_(highest).exp_()
            sums = scores.sum(dim=1, keepdim=True)
            total += (share * (sums.log() + highest)).sum()
            scores.mul_(share / sums)
            torch.mm(scores, items, out=by_users[start : start + size])
            by_items.addmm_(scores.T, block)
        own = seen.by_user @ items  # [B, D]
        by_users -= own
        by_items -= seen.by_item @ users
        ctx.save_for_backward(by_users, by_items)
        return total - (users * own).sum()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None, None]:  # noqa: ANN401
        by_users, by_items = ctx.saved_tensors
        return gradients[0] * by_users, gradients[0] * by_items, None, None


def catalogue_softmax(users: Tensor, items: Tensor, seen: Graph, shares: Tensor) -> Tensor:
    """Σ_u share_u · log Σ_j exp(u · j) - Σ_ui seen_ui · (u · i). A scalar.

    users [B, D] and items [I, D], already divided by the temperature; seen [B, I], how much each own item
    counts; shares [B], its row sums. With seen = 1 / (number of events) it is the mean over events of
    -log softmax(u · i) over the whole catalogue.
    """
    loss: Tensor = _CatalogueSoftmax.apply(users, items, seen, shares)  # type: ignore[no-untyped-call]
    return loss


def sampled_loss(kind: str, positives: Tensor, negatives: Tensor) -> Tensor:
    """The mean loss of P positives against n negatives each. positives [P]; negatives [P, n], -inf where left out.

    infonce: -log(e^p / (e^p + Σ e^n)): van den Oord et al. 2018, eq. 4. bpr: mean of -log σ(p - n): Rendle et al.
    2009, section 4. bce: -log σ(p) - Σ log σ(-n), over all of them: He et al. 2017, eq. 7.
    """
    if kind == "infonce":
        return (torch.logsumexp(torch.cat([positives[:, None], negatives], dim=1), dim=1) - positives).mean()
    left = torch.isfinite(negatives)
    if kind == "bpr":
        return functional.softplus(negatives - positives[:, None]).sum() / left.sum().clamp(min=1)
    if kind == "bce":
        whole = functional.softplus(-positives).sum() + functional.softplus(negatives).sum()
        return whole / (len(positives) + left.sum())
    raise ValueError(f"no sampled loss {kind!r}")
