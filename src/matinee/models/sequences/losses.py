"""Losses for the next item: P states and their targets, against the whole catalogue or negatives."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from matinee.arrays import FloatArray, IntArray, rows_of
from matinee.histories import TrainingData
from matinee.models.sequences.config import SequenceConfig
from matinee.nn.few_shapes import with_few_rows
from matinee.nn.gradients import loss_with_gradients
from matinee.nn.ranking_losses import NegativeSampler, sampled_loss
from matinee.training.transfers import block_cells, to_rows, to_tensor

BLOCK_SCORES = 2**21
"""Scores held at once on a CPU (8 MB in float32)."""


class SequenceLoss:
    """The config's loss, averaged over transitions. Negatives are drawn from rng.

    Sources: bce: Kang and McAuley 2018, eq. 7; softmax: Klenitskiy and Vasilev 2023; gbce: Petrov and Macdonald 2023,
    eq. 15 and 17; bpr-max and top1-max: Hidasi and Karatzoglou 2018, eq. 7 and 11. All transitions of a step share
    their negatives, except with bce.
    """

    def __init__(self, config: SequenceConfig, train: TrainingData, rng: np.random.Generator) -> None:
        self.config, self.rng, self.n_items = config, rng, train.n_items
        self.past, self.owners = train.histories, train.histories.owners
        weights = np.maximum(train.popularity, 0).astype(np.float64) ** config.negative_power
        self.probabilities = weights / weights.sum()  # [I], of an item to be drawn as a negative
        self.frequencies = train.popularity / max(1, len(train.histories.items))
        self.cumulative = np.cumsum(self.probabilities)
        self.weights = transition_weights(train.histories.starts, config.user_power)
        self.sampler = None
        if config.loss in ("bce", "gbce"):
            self.sampler = NegativeSampler("uniform", train.matrix(), config.n_negatives, rng)

    def draw_from(self, rng: np.random.Generator) -> None:
        """Draw negatives from another generator from now on."""
        self.rng = rng
        if self.sampler is not None:
            self.sampler.rng = rng

    def __call__(self, states: Tensor, items: Tensor, transitions: IntArray) -> Tensor:
        """Loss of states [P, D] for all items' vectors [I, D]. transitions [P]: see `batches`."""
        kind, device = self.config.loss, items.device
        target_rows, seen, user_weights = self.targets_of(transitions)
        targets = functional.embedding(to_rows(target_rows, device), items)  # [P, D]
        if kind == "bce":
            return self._bce(states, targets, items, target_rows, self.owners[transitions])
        weights, bf16 = to_tensor(user_weights, device), self.config.precision == "bfloat16"
        if kind == "softmax":
            whole = Candidates(items.new_zeros(len(items)), target_rows, seen)
            return loss_with_gradients(candidate_softmax, states, targets, items, whole, weights, bf16)
        rows, offsets = self._draw(target_rows)
        candidates = functional.embedding(to_tensor(rows, device), items)  # [n, D]
        if kind == "sampled-softmax":
            drawn = Candidates.drawn(rows, to_tensor(offsets, device), target_rows, seen, self.n_items)
            return loss_with_gradients(candidate_softmax, states, targets, candidates, drawn, weights, bf16)
        positives = (states * targets).sum(dim=1)  # [P]
        negatives = states @ candidates.T  # [P, n]
        if kind == "gbce":
            assert self.sampler is not None
            excluded = to_tensor(self.sampler.has_seen(self.owners[transitions, None], rows[None]), device)
            return gbce(positives, negatives, excluded, self._exponent())
        excluded = to_tensor(rows[None] == target_rows[:, None], device)
        if kind == "bpr-max":
            return bpr_max(positives, negatives, excluded, self.config.penalty)
        return top1_max(positives, negatives, excluded)

    def targets_of(self, transitions: IntArray) -> tuple[IntArray, "SeenCandidates | None", FloatArray]:
        """Targets of transitions [P], what is left out of their candidates if anything is, and their weights [P]."""
        owners, seen = self.owners[transitions], None
        if self.config.mask_seen:
            seen = SeenCandidates.of_transitions(transitions, self.past.starts[owners], self.past.items)
        return self.past.items[transitions + 1], seen, self.weights[owners]

    def _bce(self, states: Tensor, targets: Tensor, items: Tensor, target_rows: IntArray, owners: IntArray) -> Tensor:
        assert self.sampler is not None
        drawn = self.sampler.draw(owners, target_rows)
        candidates = functional.embedding(to_rows(drawn.items, items.device), items)  # [P, n, D]
        excluded = to_tensor(drawn.excluded, items.device)
        negatives = (candidates @ states[:, :, None])[:, :, 0].masked_fill(excluded, -torch.inf)
        return sampled_loss("bce", (states * targets).sum(dim=1), negatives)

    def _draw(self, target_rows: IntArray) -> tuple[IntArray, FloatArray]:
        """Distinct negatives of a step, ascending, and log(times drawn / expected times). [n], [n].

        With this offset, the sum of e^(score + offset) over them is an unbiased estimate of the whole catalogue's.
        """
        config = self.config
        draws = np.searchsorted(self.cumulative, self.rng.random(config.n_negatives) * self.cumulative[-1], "right")
        drawn = np.minimum(draws, self.n_items - 1)
        expected = config.n_negatives * self.probabilities
        if config.in_batch:
            drawn = np.concatenate([drawn, target_rows])
            expected = expected + len(target_rows) * self.frequencies
        rows, counts = np.unique(drawn, return_counts=True)
        offsets = np.log(counts) - np.log(np.maximum(expected[rows], 1e-12))
        return rows.astype(np.int64), offsets.astype(np.float32)

    def _exponent(self) -> float:
        """The β of gbce: Petrov and Macdonald 2023, eq. 17, with α the sampled fraction of the catalogue."""
        alpha = min(1.0, self.config.n_negatives / max(1, self.n_items - 1))
        t = self.config.calibration
        return alpha * (t * (1 - 1 / alpha) + 1 / alpha)


@dataclass(frozen=True, slots=True, eq=False)
class SeenCandidates:
    """The candidates that precede each of P transitions in its history.

    starts: [P + 1]; columns: [N], the index of each among the candidates.
    """

    starts: IntArray
    columns: IntArray

    @classmethod
    def of_transitions(cls, transitions: IntArray, first: IntArray, items: IntArray) -> "SeenCandidates":
        """Items from the start of each transition's history, `first`, up to its input; every item is a candidate."""
        starts = np.concatenate([[0], np.cumsum(transitions + 1 - first)])
        before = np.arange(starts[-1]) + np.repeat(first - starts[:-1], np.diff(starts))
        return cls(starts, items[before])

    def among(self, rows: IntArray, n_items: int) -> "SeenCandidates":
        """The same with fewer candidates, item rows [C]."""
        index = np.full(n_items, -1)
        index[rows] = np.arange(len(rows))
        columns = index[self.columns]
        kept = columns >= 0
        counts = np.concatenate([[0], np.cumsum(kept)])
        return SeenCandidates(counts[self.starts], columns[kept])

    def of(self, block: slice) -> tuple[IntArray, IntArray]:
        """Row within a block of transitions, and column, of each."""
        starts = self.starts[block.start : block.stop + 1]
        return rows_of(starts), self.columns[starts[0] : starts[-1]]


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """What a softmax over C candidates adds and leaves out.

    offsets: [C], added to their scores; target_indices: [P], the candidate that is the target and left out there, -1 if
    none is; seen: left out too.
    """

    offsets: Tensor
    target_indices: IntArray
    seen: SeenCandidates | None

    @classmethod
    def drawn(
        cls, rows: IntArray, offsets: Tensor, target_rows: IntArray, seen: SeenCandidates | None, n_items: int
    ) -> "Candidates":
        """Drawn negatives, item rows [C] ascending."""
        indices = np.searchsorted(rows, target_rows)
        indices[rows[np.minimum(indices, len(rows) - 1)] != target_rows] = -1
        seen = seen and seen.among(rows, n_items)
        return cls(offsets, indices, seen)

    def left_out(self, block: slice) -> tuple[IntArray, IntArray]:
        """Row within a block of transitions, and column, of each that is left out."""
        targets = self.target_indices[block]
        rows = np.flatnonzero(targets >= 0)
        columns = targets[rows]
        if self.seen is None:
            return rows, columns
        seen_rows, seen_columns = self.seen.of(block)
        return np.concatenate([rows, seen_rows]), np.concatenate([columns, seen_columns])


def transition_weights(starts: IntArray, user_power: float) -> FloatArray:
    """Weight of each transition of a history with n of them: n^-user_power, scaled to mean 1. [B + 1] -> [B]."""
    n = np.maximum(np.diff(starts) - 1, 0)
    weights: FloatArray = np.maximum(n, 1.0) ** -user_power
    weights *= n.sum() / max((weights * n).sum(), 1e-12)
    return weights.astype(np.float32)


def gbce(positives: Tensor, negatives: Tensor, excluded: Tensor, exponent: float) -> Tensor:
    """-(log σ(p)^β + Σ log(1 - σ(n))) / (1 + number of n), averaged over P. positives [P], the others [P, n]."""
    kept = ~excluded
    others = (functional.softplus(negatives) * kept).sum(dim=1)
    return ((exponent * functional.softplus(-positives) + others) / (kept.sum(dim=1) + 1)).mean()


def bpr_max(positives: Tensor, negatives: Tensor, excluded: Tensor, penalty: float) -> Tensor:
    """-log Σ s σ(p - n) + penalty Σ s n², s the softmax of the negatives' scores. positives [P], the others [P, n]."""
    weights = torch.softmax(negatives.masked_fill(excluded, -1e9), dim=1)
    above = (weights * torch.sigmoid(positives[:, None] - negatives)).sum(dim=1)
    return (-torch.log(above + 1e-24) + penalty * (weights * negatives.square()).sum(dim=1)).mean()


def top1_max(positives: Tensor, negatives: Tensor, excluded: Tensor) -> Tensor:
    """Σ s (σ(n - p) + σ(n²)), s the softmax of the negatives' scores. positives [P], the others [P, n]."""
    weights = torch.softmax(negatives.masked_fill(excluded, -1e9), dim=1)
    losses = torch.sigmoid(negatives - positives[:, None]) + torch.sigmoid(negatives.square())
    return (weights * losses).sum(dim=1).mean()


def candidate_softmax(
    states: Tensor, targets: Tensor, vectors: Tensor, candidates: Candidates, weights: Tensor, bf16: bool
) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
    """Weighted mean of -log(e^p / (e^p + Σ e^(n + offset))), and its gradients by states, targets and vectors.

    states, targets [P, D]; vectors [C, D] of the candidates; weights [P]. In blocks, so that [P, C] is never held.
    """
    dtype = torch.bfloat16 if bf16 else torch.float32
    n, device = len(states), states.device
    if bf16:  # rows of weight 0 are added, and their gradients left out at the end
        states, targets, weights = map(with_few_rows, (states, targets, weights))
    states, vectors, offsets = states.to(dtype), vectors.to(dtype), candidates.offsets.to(dtype)
    by_states, by_vectors = torch.empty_like(targets), torch.zeros_like(vectors, dtype=torch.float32)
    by_positives, total = targets.new_empty(len(targets)), targets.new_zeros(())
    positives = (states.float() * targets).sum(dim=1)  # [P]
    size = max(1, block_cells(device, BLOCK_SCORES) // len(vectors))
    for start in range(0, len(states), size):
        block = slice(start, start + size)
        scores = torch.addmm(offsets, states[block], vectors.T)  # [b, C]
        rows, columns = candidates.left_out(block)
        scores[to_rows(rows, device), to_rows(columns, device)] = -torch.inf
        highest = torch.maximum(scores.amax(dim=1).float(), positives[block])
        scores.sub_(highest.to(dtype)[:, None]).exp_()
        of_target = torch.exp(positives[block] - highest.to(dtype).float())
        sums = scores.sum(dim=1).float() + of_target
        total += (sums.log() + highest.to(dtype).float() - positives[block]) @ weights[block]
        by_positives[block] = (of_target / sums - 1) * weights[block]
        scores.mul_((weights[block] / sums).to(dtype)[:, None])
        by_states[block] = scores @ vectors
        by_vectors += scores.T @ states[block]
    by_states.addcmul_(by_positives[:, None], targets)
    by_targets = by_positives[:, None] * states.float()
    return total / n, (by_states[:n].div_(n), by_targets[:n].div_(n), by_vectors.div_(n))
