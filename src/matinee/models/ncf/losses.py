"""The losses of an epoch for networks that score pairs: by users against the catalogue, or by pairs against draws."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor
from torch.nn import functional

from matinee.arrays import FloatArray, IntArray, rows_of
from matinee.models.ncf.config import PairConfig, TowerConfig
from matinee.models.ncf.network import PairNetwork
from matinee.nn.losses import sampled_loss
from matinee.nn.negatives import NegativeSampler
from matinee.nn.sparse_rows import batches

BLOCK_VALUES = 2**20
"""Values of the widest hidden layer held at once (4 MB)."""
BlockLoss = Callable[[slice, Tensor, Tensor], Tensor]
"""The loss of some users, from their parts [b, D + W] and those of all items [I, D + W]."""


def pair_losses(
    config: PairConfig, matrix: csr_array, network: PairNetwork, rng: np.random.Generator
) -> Callable[[], Iterator[Tensor]]:
    """A function that yields the losses of one epoch. matrix: binary, [U, I]."""
    if config.loss == "softmax" or config.candidates:
        candidates = Candidates(matrix, config.candidates, rng)
        return lambda: _by_users(config, matrix, candidates, network)
    sampler = NegativeSampler(config.negatives, matrix, config.n_negatives, rng)
    return lambda: _by_pairs(config, matrix, sampler, network)


class Candidates:
    """Draws the items that stand for the catalogue in a step: the most popular, and as many of the rest at random.

    size: how many in all; 0, or as many as there are items: every item.
    """

    def __init__(self, matrix: csr_array, size: int, rng: np.random.Generator) -> None:
        self.rng, self.n_items = rng, matrix.shape[1]
        popularity = np.bincount(matrix.indices, minlength=self.n_items)
        order = np.argsort(-popularity, kind="stable")
        self.size = size if 0 < size < self.n_items else self.n_items
        self.head, self.rest = np.split(order, [self.size // 2])

    @property
    def is_everything(self) -> bool:
        """Whether no item is left out."""
        return self.size == self.n_items

    def draw(self) -> tuple[IntArray, FloatArray]:
        """Item rows [n], and how many items each stands for [n]: their sum is I."""
        if self.is_everything:
            return np.arange(self.n_items), np.ones(self.n_items, dtype=np.float32)
        n_drawn = self.size - len(self.head)
        drawn = self.rng.choice(self.rest, n_drawn, replace=False)
        worth = np.ones(self.size, dtype=np.float32)
        worth[len(self.head) :] = len(self.rest) / n_drawn
        return np.concatenate([self.head, drawn]), worth


def _by_users(config: PairConfig, matrix: csr_array, candidates: Candidates, network: PairNetwork) -> Iterator[Tensor]:
    """Steps of `batch_size` users, their own items exact, all others by the candidates."""
    active = np.flatnonzero(np.diff(matrix.indptr))
    tower_l2 = config.tower_l2 if isinstance(config, TowerConfig) else 0.0
    for places in batches(len(active), config.batch_size, candidates.rng):
        rows = np.sort(active[places])
        own = matrix[rows]
        drawn, worth = candidates.draw()
        step = _Step(config, network, own, (torch.from_numpy(drawn), torch.from_numpy(worth)), candidates.is_everything)
        size = len(rows)
        if not network.buffers:  # batch normalisation has to see a step whole
            size = max(1, BLOCK_VALUES // (len(drawn) * max(1, network.width)))
        slices = [slice(start, start + size) for start in range(0, len(rows), size)]
        users = network.user_parts(rows)
        whole: Tensor = _InBlocks.apply(  # type: ignore[no-untyped-call]
            step.loss, slices, network.climbing(), users, network.item_parts(), *network.climbing()
        )
        share = len(rows) / len(active)
        of_users = network.squares(torch.from_numpy(rows.astype(np.int64))).sum()
        ridge = config.l2 * (of_users + share * network.squares(None).sum())
        ridge = ridge + share * tower_l2 * network.tower_square()
        yield (whole + matrix.nnz / len(active) * ridge) / step.n_terms


class _Step:
    """The loss of one step of users.

    own: what they have, binary [b, I]; drawn: candidates [n] and how many items each stands for [n].
    softmax: Σ over events of -log(e^s / Σ_j e^s_j). bce: -log σ(s) of each event, and n_negatives n_u / (I - n_u) times
    -log σ(-s) of each item that the user has not: the expectation of drawing n_negatives of them for each event.
    The sums over what a user has not are estimated by the candidates, with expectations that are exact.
    """

    def __init__(
        self, config: PairConfig, network: PairNetwork, own: csr_array, drawn: tuple[Tensor, Tensor], whole: bool
    ) -> None:
        self.softmax, self.network, self.own, self.whole = config.loss == "softmax", network, own, whole
        self.drawn = drawn[0]
        lengths = np.diff(own.indptr)
        dtype = network.parameters["users"].dtype
        self.worth = drawn[1].to(dtype)
        self.lengths = torch.from_numpy(lengths).to(dtype)
        self.negative_worth = config.n_negatives * self.lengths / (own.shape[1] - self.lengths).clamp(min=1)
        self.n_terms = own.nnz * (1 if self.softmax else 1 + config.n_negatives)

    def loss(self, part: slice, users: Tensor, items: Tensor) -> Tensor:
        """See BlockLoss."""
        own, drawn, worth = self.own[part], self.drawn, self.worth
        owners, rows = (torch.from_numpy(column.astype(np.int64)) for column in (rows_of(own.indptr), own.indices))
        table = items if self.whole else functional.embedding(drawn, items)
        none = rows[:0] if self.whole else rows
        left = functional.embedding(owners[: len(none)], users)
        crossed, watched = self.network.scores(users, table, left, functional.embedding(none, items))
        if self.whole:
            watched = crossed[owners, rows]
        has = torch.zeros(own.shape, dtype=torch.bool)
        has[owners, rows] = True
        others = crossed.masked_fill(has if self.whole else has[:, drawn], -torch.inf)  # [b, n]
        if self.softmax:
            return (self.lengths[part] * _log_sums(watched, owners, others, worth)).sum() - watched.sum()
        negatives = functional.softplus(others) @ worth  # [b]
        return functional.softplus(-watched).sum() + (self.negative_worth[part] * negatives).sum()


def _log_sums(watched: Tensor, owners: Tensor, others: Tensor, worth: Tensor) -> Tensor:
    """log(Σ e^s over what a user has + Σ worth e^s over the others). [P], [P], [b, n], [n] -> [b]."""
    highest = others.detach().amax(dim=1).scatter_reduce(0, owners, watched.detach(), "amax")  # [b]
    sums = (others - highest[:, None]).exp() @ worth
    return sums.index_add(0, owners, (watched - highest[owners]).exp()).log() + highest


class _InBlocks(torch.autograd.Function):
    """The sum of the losses of blocks of users and its gradient in one pass, so that one block is held at a time."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        loss: BlockLoss,
        slices: Sequence[slice],
        climbing: Sequence[Tensor],
        users: Tensor,
        items: Tensor,
        *_: Tensor,
    ) -> Tensor:
        items = items.detach().requires_grad_()
        sums = [torch.zeros_like(tensor) for tensor in (items, *climbing)]
        by_users, total = torch.empty_like(users), users.new_zeros(())
        for part in slices:
            with torch.enable_grad():
                block = users[part].detach().requires_grad_()
                value = loss(part, block, items)
            by_users[part], *rest = torch.autograd.grad(value, [block, items, *climbing])
            torch._foreach_add_(sums, rest)
            total += value.detach()
        ctx.save_for_backward(by_users, *sums)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        return (None, None, None, *(gradients[0] * saved for saved in ctx.saved_tensors))


def _by_pairs(
    config: PairConfig, matrix: csr_array, sampler: NegativeSampler, network: PairNetwork
) -> Iterator[Tensor]:
    """Steps of `batch_size` positives, each against its own draws: He et al. 2017, section 3.1 (with bce)."""
    pairs = rows_of(matrix.indptr), matrix.indices
    events = matrix.nnz / max(1, int((np.diff(matrix.indptr) > 0).sum()))
    tower_l2 = config.tower_l2 if isinstance(config, TowerConfig) else 0.0
    by_user = torch.from_numpy(np.diff(matrix.indptr).astype(np.float32))
    by_item = torch.from_numpy(np.bincount(matrix.indices, minlength=matrix.shape[1]).astype(np.float32))
    for places in batches(len(pairs[0]), config.batch_size, sampler.rng):
        user_rows, item_rows = pairs[0][places], pairs[1][places]
        drawn = sampler.draw(user_rows, item_rows)
        rows, owners = np.unique(user_rows, return_inverse=True)
        positives, negatives = _scored(network, rows, owners, item_rows, drawn.items)
        negatives = negatives.masked_fill(torch.from_numpy(drawn.excluded), -torch.inf)
        loss = sampled_loss(config.loss, positives, negatives)
        of_users, of_items = (torch.from_numpy(column.astype(np.int64)) for column in (user_rows, item_rows))
        # summed over an epoch, each row once
        ridge = (network.squares(of_users) / by_user[of_users]).sum()
        ridge = config.l2 * (ridge + (network.squares(None)[of_items] / by_item[of_items]).sum())
        ridge = ridge + tower_l2 * len(places) / matrix.nnz * network.tower_square()
        terms = len(places) * (1 + config.n_negatives if config.loss == "bce" else 1)
        yield loss + events * ridge / terms


def _scored(
    network: PairNetwork, rows: IntArray, owners: IntArray, item_rows: IntArray, drawn: IntArray
) -> tuple[Tensor, Tensor]:
    """Scores of P positives and their negatives. rows [b] of users, owners [P] among them; drawn [P, n] or [n]."""
    users, items = network.user_parts(rows), network.item_parts()
    shared = drawn.ndim == 1
    wanted = item_rows[:, None] if shared else np.concatenate([item_rows[:, None], drawn], axis=1)  # [P, 1 + n]
    left = torch.from_numpy(np.repeat(owners, wanted.shape[1]))
    right = functional.embedding(torch.from_numpy(wanted.ravel().astype(np.int64)), items)
    table = items[torch.from_numpy(drawn.astype(np.int64))] if shared else items[:0]
    crossed, paired = network.scores(users, table, functional.embedding(left, users), right)
    if shared:
        return paired, crossed[torch.from_numpy(owners)]
    paired = paired.view(wanted.shape)
    return paired[:, 0], paired[:, 1:]
