"""The loss of BPR: each positive of a user against the user's negatives, all of them or some that are drawn."""

from collections.abc import Iterator

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor
from torch.autograd.function import FunctionCtx, NestedIOFunction
from torch.nn import functional

from matinee.arrays import IntArray, rows_of
from matinee.histories import TrainingData
from matinee.models.factors.bpr_config import BPRConfig
from matinee.training.run import Run
from matinee.training.torch_trainer import torch_generator
from matinee.training.transfers import to_rows, to_tensor

BINS = 256
"""Of the scores of a step. With twice as many, and with half, lists are as good."""


class PairwiseLoss:
    """BPR's parameters, and the losses of an epoch: batches of users, their negatives against all their positives."""

    def __init__(self, config: BPRConfig, train: TrainingData, run: Run) -> None:
        self.config = config
        self.matrix = train.matrix()  # [U, I]
        self.rng = run.rng
        self.cumulative = np.cumsum(train.popularity)
        generator = torch_generator(run)
        self.device = generator.device
        deviation = 1 / config.dim**0.5

        def normal(n: int) -> Tensor:
            drawn: Tensor = torch.randn(n, config.dim, generator=generator, device=self.device) * deviation * 0.1
            return drawn

        self.parameters = {
            "users": normal(train.n_users),
            "items": normal(train.n_items),
            "bias": torch.zeros(train.n_items, device=self.device),
        }

    def losses(self) -> Iterator[Tensor]:
        """The loss of each batch of users: the mean over its pairs."""
        order, device = self.rng.permutation(self.matrix.shape[0]), self.device
        users, items, bias = (self.parameters[name] for name in ("users", "items", "bias"))
        for start in range(0, len(order), self.config.batch_size):
            rows = np.sort(order[start : start + self.config.batch_size])
            block = self.matrix[rows]
            vectors = users[to_tensor(rows, device)]  # [b, D]
            scores = torch.addmm(bias, vectors, items.T)  # [b, I]
            owners = to_tensor(rows_of(block.indptr), device)  # [P]
            positives = to_rows(block.indices, device)  # [P]
            if self.config.negatives == "all":
                loss = mean_over_negatives(scores, owners, positives)
            else:
                drawn = to_tensor(self.draw_negatives(block.indices, len(rows)), device)  # [b, n]
                loss = mean_over_drawn(scores, owners, positives, drawn)
            yield (loss + self._penalty(vectors, block)) / max(block.nnz, 1)

    def _penalty(self, vectors: Tensor, block: csr_array) -> Tensor:
        """l2 / 2 for each positive on its user, itself and, in expectation, a negative. A scalar."""
        items, bias = self.parameters["items"], self.parameters["bias"]
        counts = to_tensor(np.bincount(block.indices, minlength=len(items)).astype(np.float32), self.device)
        counts += counts.sum() / len(items)
        lengths = to_tensor(np.diff(block.indptr).astype(np.float32), self.device)
        squares = (lengths * vectors.square().sum(1)).sum()
        squares = squares + (counts * (items.square().sum(1) + bias.square())).sum()
        return squares * (self.config.l2 / 2)

    def draw_negatives(self, positives: IntArray, n_users: int) -> IntArray:
        """Negatives of each user of a batch, whose positives are [P]. [b, n]."""
        shape = (n_users, self.config.n_negatives)
        if self.config.negatives == "uniform" or not len(positives):
            return self.rng.integers(len(self.cumulative), size=shape)
        if self.config.negatives == "in-batch":
            picked: IntArray = positives[self.rng.integers(len(positives), size=shape)].astype(np.int64)
            return picked
        drawn = self.rng.random(shape) * self.cumulative[-1]
        found: IntArray = np.searchsorted(self.cumulative, drawn, side="right").astype(np.int64)
        return found


def mean_over_negatives(scores: Tensor, owners: Tensor, positives: Tensor) -> Tensor:
    """The sum over positives of the mean of softplus(score of j - score of the positive) over all negatives j.

    scores: [b, I]; owners and positives: [P], the row and the item of each positive; every other item is a negative.

    The loss of a user is a sum over pairs of scores, so it follows from two histograms: with c_p positives at score p
    and c_n negatives at score n it is sum c_p c_n softplus(n - p) over negatives. With K bins that is O(I + K^2) for a
    user in place of O(I P). The gradient is that of each score against the other histogram, read at the score's bin; a
    score is off by half a bin at most.
    """
    with torch.no_grad():
        bins, width = _bins(scores)
        size = scores.shape[0] * BINS
        of_pairs = bins[owners, positives]
        counts = torch.bincount(bins.view(-1), minlength=size).view(-1, BINS)
        n_positives = torch.bincount(of_pairs, minlength=size).view(-1, BINS)
        negatives = (counts - n_positives).float()
        negatives /= negatives.sum(1, keepdim=True).clamp(min=1)
        centres = torch.arange(BINS, device=scores.device) * width
        gaps = centres[:, None] - centres  # [K, K], of a negative in the row and a positive in the column
        slopes, of_positives = torch.sigmoid(gaps), n_positives.float()
        loss = ((negatives @ functional.softplus(gaps)) * of_positives).sum()
        share = 1 / (scores.shape[1] - of_positives.sum(1, keepdim=True)).clamp(min=1)
        up = (of_positives @ slopes.T) * share  # [b, K], the slope of a negative in each bin
        down = -(negatives @ slopes)  # [b, K], that of a positive
        slope = up.view(-1).index_select(0, bins.view(-1)).view_as(scores)
        slope[owners, positives] = down.view(-1).index_select(0, of_pairs)
    found: Tensor = _WithSlope.apply(scores, loss, slope)  # type: ignore[no-untyped-call]
    return found


def mean_over_drawn(scores: Tensor, owners: Tensor, positives: Tensor, drawn: Tensor) -> Tensor:
    """As `mean_over_negatives`, over the drawn items of each row that are no positives of it. drawn: [b, n]."""
    is_seen = torch.zeros(scores.shape, dtype=torch.bool, device=scores.device)
    is_seen[owners, positives] = True
    is_valid = (~is_seen.gather(1, drawn)).float()  # [b, n]
    weights = is_valid / is_valid.sum(1, keepdim=True).clamp(min=1)
    gaps = scores.gather(1, drawn)[owners] - scores[owners, positives][:, None]  # [P, n]
    return (functional.softplus(gaps) * weights[owners]).sum()


def _bins(scores: Tensor) -> tuple[Tensor, Tensor]:
    """The bin of each score, those of row r from r K on, and the width of a bin, one for all rows."""
    low, high = scores.aminmax()
    width = ((high - low) / (BINS - 1)).clamp(min=1e-6)
    positions = torch.addcmul(0.5 - low / width, scores, 1 / width).nan_to_num_(0.0, 0.0, 0.0)  # training has diverged
    starts = torch.arange(0, len(scores) * BINS, BINS, dtype=torch.int32, device=scores.device)
    return positions.to(torch.int32) + starts[:, None], width


class _WithSlope(torch.autograd.Function):
    """A loss whose gradient in the scores is known."""

    @staticmethod
    def forward(context: FunctionCtx, scores: Tensor, loss: Tensor, slope: Tensor) -> Tensor:
        context.save_for_backward(slope)
        return loss

    @staticmethod
    def backward(context: NestedIOFunction, upstream: Tensor) -> tuple[Tensor, None, None]:
        (slope,) = context.saved_tensors
        return upstream * slope, None, None
