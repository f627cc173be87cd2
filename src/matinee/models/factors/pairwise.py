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
from matinee.nn.candidates import Candidates, shared_cells
from matinee.nn.sampled_softmax import Pairs, pair_scores
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
        self.candidates = Candidates(self.matrix, config.candidates, run.rng)
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
            if not self.candidates.is_everything:
                yield (self._sampled_loss(vectors, block) + self._penalty(vectors, block)) / max(block.nnz, 1)
                continue
            scores = torch.addmm(bias, vectors, items.T)  # [b, I]
            owners = to_tensor(rows_of(block.indptr), device)  # [P]
            positives = to_rows(block.indices, device)  # [P]
            if self.config.negatives == "all":
                loss = mean_over_negatives(scores, owners, positives)
            else:
                drawn = to_tensor(self.draw_negatives(block.indices, len(rows)), device)  # [b, n]
                loss = mean_over_drawn(scores, owners, positives, drawn)
            yield (loss + self._penalty(vectors, block)) / max(block.nnz, 1)

    def _sampled_loss(self, vectors: Tensor, block: csr_array) -> Tensor:
        """As `mean_over_negatives`, over candidates that represent the catalogue. vectors: [b, D]."""
        items, bias = self.parameters["items"], self.parameters["bias"]
        rows, weights = self.candidates.draw()
        drawn, cells = to_rows(rows, self.device), shared_cells(block, rows)
        scores = torch.addmm(bias[drawn], vectors, functional.embedding(drawn, items).T)  # [b, n]
        counts = to_tensor(weights, self.device).repeat(len(vectors), 1)  # [b, n]
        counts[tuple(to_tensor(each, self.device) for each in cells)] = 0
        pairs = Pairs(block, self.device)
        positives = pair_scores(vectors, items, pairs) + bias[pairs.columns.long()]
        return mean_over_candidates(scores, counts, positives, pairs.owners.long())

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
        size = scores.shape[0] * BINS
        low, high = scores.aminmax()
        width = _width(low, high)
        starts = torch.arange(0, size, BINS, dtype=torch.int32, device=scores.device)
        bins = _bins(scores, low, width, starts[:, None])
        of_pairs = bins[owners, positives]
        counts = torch.bincount(bins.view(-1), minlength=size).view(-1, BINS)
        n_positives = torch.bincount(of_pairs, minlength=size).view(-1, BINS)
        negatives = (counts - n_positives).float()
        negatives /= negatives.sum(1, keepdim=True).clamp(min=1)
        loss, up, down = _histogram_loss(negatives, n_positives.float(), width)
        up *= 1 / (scores.shape[1] - n_positives.float().sum(1, keepdim=True)).clamp(min=1)
        slope = up.view(-1).index_select(0, bins.view(-1)).view_as(scores)
        slope[owners, positives] = down.view(-1).index_select(0, of_pairs)
    found: Tensor = _WithSlopes.apply(loss, scores, slope)  # type: ignore[no-untyped-call]
    return found


def mean_over_drawn(scores: Tensor, owners: Tensor, positives: Tensor, drawn: Tensor) -> Tensor:
    """As `mean_over_negatives`, over the drawn items of each row that are no positives of it. drawn: [b, n]."""
    is_seen = torch.zeros(scores.shape, dtype=torch.bool, device=scores.device)
    is_seen[owners, positives] = True
    is_valid = (~is_seen.gather(1, drawn)).float()  # [b, n]
    weights = is_valid / is_valid.sum(1, keepdim=True).clamp(min=1)
    gaps = scores.gather(1, drawn)[owners] - scores[owners, positives][:, None]  # [P, n]
    return (functional.softplus(gaps) * weights[owners]).sum()


def mean_over_candidates(scores: Tensor, counts: Tensor, positives: Tensor, owners: Tensor) -> Tensor:
    """As `mean_over_negatives`, over candidates, each of which counts as so many negatives.

    scores, counts: [b, n]; positives: [P], the scores of users' own items; owners: [P], their rows.
    """
    with torch.no_grad():
        n_users, size = len(scores), len(scores) * BINS
        ends = torch.stack([*scores.aminmax(), *positives.aminmax()])
        width, low = _width(ends.min(), ends.max()), ends.min()
        starts = torch.arange(0, size, BINS, dtype=torch.int32, device=scores.device)
        bins, of_pairs = _bins(scores, low, width, starts[:, None]), _bins(positives, low, width, starts[owners])
        negatives = torch.bincount(bins.view(-1), counts.view(-1), size).view(n_users, BINS)
        n_positives = torch.bincount(of_pairs, minlength=size).view(n_users, BINS).float()
        loss, up, down = _histogram_loss(negatives / negatives.sum(1, keepdim=True).clamp(min=1), n_positives, width)
        share = counts / counts.sum(1, keepdim=True).clamp(min=1)
        slope = up.view(-1).index_select(0, bins.view(-1)).view_as(scores).mul_(share)
        of_positives = down.view(-1).index_select(0, of_pairs)
    found: Tensor = _WithSlopes.apply(loss, scores, positives, slope, of_positives)  # type: ignore[no-untyped-call]
    return found


def _histogram_loss(negatives: Tensor, positives: Tensor, width: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Σ of softplus(n - p) over pairs of bins, and its slopes by a negative and a positive in each bin. [b, K] each."""
    centres = torch.arange(BINS, device=negatives.device) * width
    gaps = centres[:, None] - centres  # [K, K], of a negative in the row and a positive in the column
    slopes = torch.sigmoid(gaps)
    loss = ((negatives @ functional.softplus(gaps)) * positives).sum()
    return loss, positives @ slopes.T, -(negatives @ slopes)


def _width(low: Tensor, high: Tensor) -> Tensor:
    return ((high - low) / (BINS - 1)).clamp(min=1e-6)


def _bins(scores: Tensor, low: Tensor, width: Tensor, starts: Tensor) -> Tensor:
    """The bin of each score, counted from its start."""
    positions = torch.addcmul(0.5 - low / width, scores, 1 / width).nan_to_num_(0.0, 0.0, 0.0)  # training has diverged
    return positions.to(torch.int32) + starts


class _WithSlopes(torch.autograd.Function):
    """A loss whose gradients in one or more tensors of scores are known."""

    @staticmethod
    def forward(context: FunctionCtx, loss: Tensor, *scores_and_slopes: Tensor) -> Tensor:
        context.save_for_backward(*scores_and_slopes[len(scores_and_slopes) // 2 :])
        return loss

    @staticmethod
    def backward(context: NestedIOFunction, upstream: Tensor) -> tuple[Tensor | None, ...]:
        slopes = context.saved_tensors
        return None, *(upstream * slope for slope in slopes), *[None] * len(slopes)
