"""Losses of what comes next: P states, each with its target, against the catalogue or negatives."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from matinee.arrays import FloatArray, IntArray, rows_of
from matinee.histories import TrainingData
from matinee.models.sequences.config import SequenceConfig
from matinee.nn.losses import sampled_loss
from matinee.nn.negatives import NegativeSampler

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
        self.past, self.owners = train.histories, train.histories.owners
        weights = np.maximum(train.popularity, 0).astype(np.float64) ** config.negative_power
        self.shares = weights / weights.sum()  # [I], chance of a drawn negative
        self.popularity = train.popularity / max(1, len(train.histories.items))
        self.cumulative = np.cumsum(self.shares)
        self.weights = user_weights(train.histories.starts, config.user_power)
        self.sampler = None
        if config.loss in ("bce", "gbce"):
            self.sampler = NegativeSampler("uniform", train.matrix(), config.n_negatives, rng)

    def __call__(self, states: Tensor, table: Tensor, places: IntArray) -> Tensor:
        """Of states [P, D], all items [I, D], and where each transition stands in the histories [P]."""
        kind, targets, owners = self.config.loss, self.past.items[places + 1], self.owners[places]
        own = functional.embedding(torch.from_numpy(targets.astype(np.int64)), table)  # [P, D]
        if kind == "bce":
            return self._bce(states, own, table, targets, owners)
        seen = Seen.at(places, self.past.starts[owners], self.past.items) if self.config.mask_seen else None
        weights = torch.from_numpy(self.weights[owners])
        if kind == "softmax":
            return self._softmax(states, own, table, torch.zeros(len(table)), targets, seen, weights)
        rows, offsets = self._drawn(targets)
        candidates = functional.embedding(torch.from_numpy(rows), table)  # [n, D]
        if kind == "sampled-softmax":
            found = np.searchsorted(rows, targets)
            found[rows[np.minimum(found, len(rows) - 1)] != targets] = -1
            seen = seen and seen.among(rows, self.n_items)
            return self._softmax(states, own, candidates, torch.from_numpy(offsets), found, seen, weights)
        positives = (states * own).sum(dim=1)  # [P]
        negatives = states @ candidates.T  # [P, n]
        if kind == "gbce":
            assert self.sampler is not None
            left_out = torch.from_numpy(self.sampler.has_seen(owners[:, None], rows[None]))
            return gbce(positives, negatives, left_out, self._exponent())
        left_out = torch.from_numpy(rows[None] == targets[:, None])
        if kind == "bpr-max":
            return bpr_max(positives, negatives, left_out, self.config.penalty)
        return top1_max(positives, negatives, left_out)

    def _softmax(
        self,
        states: Tensor,
        own: Tensor,
        candidates: Tensor,
        offsets: Tensor,
        places: IntArray,
        seen: "Seen | None",
        weights: Tensor,
    ) -> Tensor:
        where, half = torch.from_numpy(places.astype(np.int64)), self.config.precision == "bfloat16"
        loss: Tensor = _CandidateSoftmax.apply(  # type: ignore[no-untyped-call]
            states, own, candidates, offsets, where, seen, weights, half
        )
        return loss

    def _bce(self, states: Tensor, own: Tensor, table: Tensor, targets: IntArray, owners: IntArray) -> Tensor:
        assert self.sampler is not None
        drawn = self.sampler.draw(owners, targets)
        candidates = functional.embedding(torch.from_numpy(drawn.items.astype(np.int64)), table)  # [P, n, D]
        negatives = (candidates @ states[:, :, None])[:, :, 0].masked_fill(torch.from_numpy(drawn.excluded), -torch.inf)
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


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What came before each of P transitions. starts: [P + 1]; columns: [N], the place of each among the candidates."""

    starts: IntArray
    columns: IntArray

    @classmethod
    def at(cls, places: IntArray, first: IntArray, items: IntArray) -> "Seen":
        """The items from the first of each transition's history to its place, all items being candidates."""
        starts = np.concatenate([[0], np.cumsum(places + 1 - first)])
        before = np.arange(starts[-1]) + np.repeat(first - starts[:-1], np.diff(starts))
        return cls(starts, items[before])

    def among(self, rows: IntArray, n_items: int) -> "Seen":
        """The same of chosen candidates, their item rows [C]."""
        place = np.full(n_items, -1)
        place[rows] = np.arange(len(rows))
        columns = place[self.columns]
        kept = columns >= 0
        counts = np.concatenate([[0], np.cumsum(kept)])
        return Seen(counts[self.starts], columns[kept])

    def of(self, block: slice) -> tuple[Tensor, Tensor]:
        """Of a block of transitions, row within it and column of each."""
        starts = self.starts[block.start : block.stop + 1]
        columns = self.columns[starts[0] : starts[-1]].astype(np.int64)
        return torch.from_numpy(rows_of(starts)), torch.from_numpy(columns)


def user_weights(starts: IntArray, user_power: float) -> FloatArray:
    """What a transition of each history counts, n^-user_power with n of them; 1 on average over all. [B + 1] -> [B]."""
    n = np.maximum(np.diff(starts) - 1, 0)
    weights: FloatArray = np.maximum(n, 1.0) ** -user_power
    weights *= n.sum() / max((weights * n).sum(), 1e-12)
    return weights.astype(np.float32)


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
    """Weighted mean of -log(e^p / (e^p + Σ e^(n + offset))), loss and gradients in one pass; [P, C] is never whole.

    places [P]: where a target stands among the candidates, which is left out there; -1 if nowhere. What was seen is
    left out too. weights [P].
    """

    @staticmethod
    def forward(  # noqa: PLR0913  # autograd takes them one by one
        ctx: Any,  # noqa: ANN401
        states: Tensor,
        own: Tensor,
        candidates: Tensor,
        offsets: Tensor,
        places: Tensor,
        seen: Seen | None,
        weights: Tensor,
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
            if seen is not None:
                scores[seen.of(block)] = -torch.inf
            highest = torch.maximum(scores.amax(dim=1).float(), positives[block])
            scores.sub_(highest.to(dtype)[:, None]).exp_()
            own_share = torch.exp(positives[block] - highest.to(dtype).float())
            sums = scores.sum(dim=1).float() + own_share
            total += (sums.log() + highest.to(dtype).float() - positives[block]) @ weights[block]
            shortfalls[block] = (own_share / sums - 1) * weights[block]
            scores.mul_((weights[block] / sums).to(dtype)[:, None])
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
        return scale * by_states, scale * by_own, scale * by_candidates, None, None, None, None, None
