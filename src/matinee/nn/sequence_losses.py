"""Losses of what comes next: P states, each with its target, against the catalogue or negatives."""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from matinee.arrays import FloatArray, IntArray
from matinee.histories import TrainingData
from matinee.nn.losses import sampled_loss
from matinee.nn.negatives import NegativeSampler
from matinee.nn.sequence_settings import SequenceConfig

BLOCK_SCORES = 2**21
"""Scores held at once (8 MB in float32)."""


class SequenceLoss:
    """A mean loss over transitions, as the config says; chance is run.rng's.

    Sources: bce: Kang and McAuley 2018, eq. 7; softmax: Klenitskiy and Vasilev 2023; gbce: Petrov and Macdonald 2023,
    eq. 15 and 17; bpr-max and top1-max: Hidasi and Karatzoglou 2018, eq. 7 and 11. Negatives are shared by the
    transitions of a step but for bce.
    """

    def __init__(self, config: SequenceConfig, train: TrainingData, rng: np.random.Generator) -> None:
        self.config, self.rng, self.n_items = config, rng, train.n_items
        weights = np.maximum(train.popularity, 0).astype(np.float64) ** config.negative_power
        self.shares = weights / weights.sum()  # [I], chance of a drawn negative
        self.popularity = train.popularity / max(1, len(train.histories.items))
        self.cumulative = np.cumsum(self.shares)
        self.sampler = None
        if config.loss in ("bce", "gbce"):
            self.sampler = NegativeSampler("uniform", train.matrix(), config.n_negatives, rng)

    def __call__(self, states: Tensor, table: Tensor, targets: IntArray, owners: IntArray) -> Tensor:
        """Of states [P, D], all items [I, D], targets [P] item rows, owners [P], whose transitions they are."""
        kind = self.config.loss
        own = functional.embedding(torch.from_numpy(targets.astype(np.int64)), table)  # [P, D]
        if kind == "softmax":
            return self._softmax(states, own, table, np.zeros(len(table), dtype=np.float32), targets)
        if kind == "bce":
            return self._bce(states, own, table, targets, owners)
        rows, offsets = self._drawn(targets)
        candidates = functional.embedding(torch.from_numpy(rows), table)  # [n, D]
        if kind == "sampled-softmax":
            places = np.searchsorted(rows, targets)
            places[rows[np.minimum(places, len(rows) - 1)] != targets] = -1
            return self._softmax(states, own, candidates, offsets, places)
        positives = (states * own).sum(dim=1)  # [P]
        negatives = states @ candidates.T  # [P, n]
        if kind == "gbce":
            assert self.sampler is not None
            left_out = torch.from_numpy(self.sampler.has(owners[:, None], rows[None]))
            return gbce(positives, negatives, left_out, self._exponent())
        left_out = torch.from_numpy(rows[None] == targets[:, None])
        if kind == "bpr-max":
            return bpr_max(positives, negatives, left_out, self.config.penalty)
        return top1_max(positives, negatives, left_out)

    def _softmax(
        self, states: Tensor, own: Tensor, candidates: Tensor, offsets: FloatArray, places: IntArray
    ) -> Tensor:
        where = torch.from_numpy(places.astype(np.int64))
        loss: Tensor = _CandidateSoftmax.apply(  # type: ignore[no-untyped-call]
            states, own, candidates, torch.from_numpy(offsets), where, self.config.precision == "bfloat16"
        )
        return loss

    def _bce(self, states: Tensor, own: Tensor, table: Tensor, targets: IntArray, owners: IntArray) -> Tensor:
        assert self.sampler is not None
        drawn = self.sampler.draw(owners, targets)
        candidates = functional.embedding(torch.from_numpy(drawn.items.astype(np.int64)), table)  # [P, n, D]
        negatives = (candidates @ states[:, :, None])[:, :, 0].masked_fill(torch.from_numpy(drawn.left_out), -torch.inf)
        return sampled_loss("bce", (states * own).sum(dim=1), negatives)

    def _drawn(self, targets: IntArray) -> tuple[IntArray, FloatArray]:
        """Different negatives for a step, ascending, and the log of how often each came over what to expect. [n], [n].

        With it the sum of e^(score + offset) over them is, on average, that over the whole catalogue.
        """
        config = self.config
        places = np.searchsorted(self.cumulative, self.rng.random(config.n_negatives) * self.cumulative[-1], "right")
        drawn = np.minimum(places, self.n_items - 1)
        expected = config.n_negatives * self.shares
        if config.in_batch:
            drawn = np.concatenate([drawn, targets])
            expected = expected + len(targets) * self.popularity
        rows, counts = np.unique(drawn, return_counts=True)
        offsets = np.log(counts) - np.log(np.maximum(expected[rows], 1e-12))
        return rows.astype(np.int64), offsets.astype(np.float32)

    def _exponent(self) -> float:
        """The β of gbce: Petrov and Macdonald 2023, eq. 17, with α the sampled share of the catalogue."""
        alpha = min(1.0, self.config.n_negatives / max(1, self.n_items - 1))
        t = self.config.calibration
        return alpha * (t * (1 - 1 / alpha) + 1 / alpha)


def gbce(positives: Tensor, negatives: Tensor, left_out: Tensor, exponent: float) -> Tensor:
    """-(log σ(p)^β + Σ log(1 - σ(n))) / (1 + how many), averaged over P. positives [P], the others [P, n]."""
    kept = ~left_out
    others = (functional.softplus(negatives) * kept).sum(dim=1)
    return ((exponent * functional.softplus(-positives) + others) / (kept.sum(dim=1) + 1)).mean()


def bpr_max(positives: Tensor, negatives: Tensor, left_out: Tensor, penalty: float) -> Tensor:
    """-log Σ s σ(p - n) + penalty Σ s n², s the softmax of the negatives' scores. positives [P], the others [P, n]."""
    shares = torch.softmax(negatives.masked_fill(left_out, -1e9), dim=1)
    above = (shares * torch.sigmoid(positives[:, None] - negatives)).sum(dim=1)
    return (-torch.log(above + 1e-24) + penalty * (shares * negatives.square()).sum(dim=1)).mean()


def top1_max(positives: Tensor, negatives: Tensor, left_out: Tensor) -> Tensor:
    """Σ s (σ(n - p) + σ(n²)), s the softmax of the negatives' scores. positives [P], the others [P, n]."""
    shares = torch.softmax(negatives.masked_fill(left_out, -1e9), dim=1)
    losses = torch.sigmoid(negatives - positives[:, None]) + torch.sigmoid(negatives.square())
    return (shares * losses).sum(dim=1).mean()


class _CandidateSoftmax(torch.autograd.Function):
    """Mean of -log(e^p / (e^p + Σ e^(n + offset))): loss and gradients in one pass over blocks, [P, C] never whole.

    places [P]: where a target stands among the candidates, which is left out there; -1 if nowhere.
    """

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        states: Tensor,
        own: Tensor,
        candidates: Tensor,
        offsets: Tensor,
        places: Tensor,
        half: bool,
    ) -> Tensor:
        dtype = torch.bfloat16 if half else torch.float32
        n = len(states)
        states, candidates, offsets = states.to(dtype), candidates.to(dtype), offsets.to(dtype)
        by_states, by_candidates = torch.empty(own.shape), torch.zeros(candidates.shape)
        shortfalls, total = torch.empty(n), torch.zeros(())
        positives = (states.float() * own).sum(dim=1)  # [P]
        size = max(1, BLOCK_SCORES // len(candidates))
        for start in range(0, n, size):
            block = slice(start, start + size)
            scores = torch.addmm(offsets, states[block], candidates.T)  # [b, C]
            rows = torch.nonzero(places[block] >= 0)[:, 0]
            scores[rows, places[block][rows]] = -torch.inf
            highest = torch.maximum(scores.amax(dim=1).float(), positives[block])
            scores.sub_(highest.to(dtype)[:, None]).exp_()
            own_share = torch.exp(positives[block] - highest.to(dtype).float())
            sums = scores.sum(dim=1).float() + own_share
            total += (sums.log() + highest.to(dtype).float() - positives[block]).sum()
            shortfalls[block] = own_share / sums - 1
            scores.mul_((1 / sums).to(dtype)[:, None])
            by_states[block] = scores @ candidates
            by_candidates += scores.T @ states[block]
        by_states.addcmul_(shortfalls[:, None], own)
        by_own = shortfalls[:, None] * states.float()
        ctx.save_for_backward(by_states.div_(n), by_own.div_(n), by_candidates.div_(n))
        return total / n

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        by_states, by_own, by_candidates = ctx.saved_tensors
        scale = gradients[0]
        return scale * by_states, scale * by_own, scale * by_candidates, None, None, None
