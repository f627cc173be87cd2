"""Training on top of linear-next, in torch: its scores out of fold, and a softmax over their sum with a network's."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from matinee.arrays import IntArray
from matinee.histories import TrainingData
from matinee.models.sequences.linear_next import NEGLIGIBLE, LinearNext
from matinee.models.sequences.losses import SeenCandidates
from matinee.nn.few_shapes import RowProducts, of_few, with_few_rows
from matinee.training.run import Run
from matinee.training.transfers import block_cells, to_rows, to_tensor

BLOCK_SCORES = 2**18
"""Scores held at once on a CPU: 1 MB, which fits a core's cache."""


class OutOfFoldScores:
    """Scores of linear-next after each event, by weights that were fitted without the users of the event's fold.

    With K decays, a state [K, I] follows each history: x ← γ x + W[item], and the scores are its sum over γ. Every
    event weighs 1, and none is negligible.
    """

    def __init__(self, linear: LinearNext, n_folds: int, train: TrainingData, run: Run, device: torch.device) -> None:
        self.past, self.owners = train.histories, train.histories.owners
        self.n_items, decays = train.n_items, np.array(linear.config.decays, dtype=np.float32)
        folds = run.rng.permutation(len(self.past)) % n_folds
        inputs = linear.inputs_of(train)  # [J]; the other items share a row of zeros
        weights = np.zeros((n_folds, len(inputs) + 1, len(decays), self.n_items), dtype=np.float32)
        for fold in range(n_folds):
            others = TrainingData(self.past.take(np.flatnonzero(folds != fold)), self.n_items)
            by_decay = linear.fit(others, run).weights.reshape(len(decays), self.n_items, self.n_items)
            weights[fold, :-1] = by_decay[:, inputs].transpose(1, 0, 2)
        self.weights = to_tensor(weights.reshape(-1, len(decays) * self.n_items), device)  # [folds * (J + 1), K * I]
        row_of = np.full(self.n_items, len(inputs))
        row_of[inputs] = np.arange(len(inputs))
        self.rows = folds[self.owners] * (len(inputs) + 1) + row_of[self.past.items]  # [N], of each event
        self.decays = decays
        self.factors = to_tensor(np.repeat(decays, self.n_items), device)  # [K * I]

    def __call__(self, transitions: IntArray, batch_sizes: IntArray) -> Tensor:
        """Scores of all items after the inputs of P packed transitions, see `pack`. [P, I]."""
        rows = to_rows(self.rows[transitions], self.weights.device)
        states = self._before(transitions[: batch_sizes[0]])  # [R, K * I]
        scores = self.weights.new_empty((len(rows), self.n_items))
        start = 0
        for size in batch_sizes.tolist():
            step = slice(start, start + size)
            states = torch.addcmul(functional.embedding(rows[step], self.weights), states[:size], self.factors)
            torch.sum(states.view(size, len(self.decays), self.n_items), dim=1, out=scores[step])
            start += size
        return scores

    def _before(self, transitions: IntArray) -> Tensor:
        """The states before R transitions, from the last events whose weights are not negligible. [R, K * I]."""
        first = self.past.starts[self.owners[transitions]]
        states = self.weights.new_zeros((len(transitions), self.weights.shape[1]))
        later = np.flatnonzero(transitions > first)
        if len(later):
            n_events = 1 + int(np.log(NEGLIGIBLE) / np.log(self.decays.max()))
            back = np.arange(n_events)
            events = transitions[later, None] - 1 - back  # [R, T]
            weights = self.decays[:, None] ** back * (events >= first[later, None])[:, None]  # [R, K, T]
            blocks = np.arange(len(self.decays))[:, None]
            rows = self.rows[np.maximum(events, 0)][:, None] * len(self.decays) + blocks  # [R, K, T]
            states[to_rows(later, states.device)] = functional.embedding_bag(
                to_rows(rows.reshape(-1, n_events), states.device),
                self.weights.view(-1, self.n_items),
                mode="sum",
                per_sample_weights=to_tensor(weights.astype(np.float32).reshape(-1, n_events), states.device),
            ).view(len(later), -1)
        return states


def residual_softmax(  # noqa: PLR0913 - loss_with_gradients takes tensors one by one
    vectors: Tensor,
    outputs: Tensor,
    factor: Tensor,
    linear: Tensor,
    target_rows: IntArray,
    seen: SeenCandidates | None,
    weights: Tensor,
    bf16: bool,
) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
    """Weighted mean of -log softmax(vectors outputsᵀ + factor linear) at targets, and its gradients by the first three.

    vectors [P, D]; outputs [I, D]; factor []; linear [P, I], scores that are taken as they are; target_rows, weights
    [P]. What was seen before is left out, but never a target. In blocks: of [P, I], only `linear` is held.
    """
    dtype = torch.bfloat16 if bf16 else torch.float32
    n, device = len(vectors), vectors.device
    by_vectors, by_outputs = torch.empty_like(vectors), torch.zeros_like(outputs)
    by_factor, total = torch.zeros_like(factor), vectors.new_zeros(())
    outputs, targets = outputs.to(dtype), to_rows(target_rows, device)
    size = max(1, block_cells(device, BLOCK_SCORES) // len(outputs))
    size = of_few(size) if bf16 else size
    products = RowProducts(outputs.T, size)
    for start in range(0, n, size):
        block = slice(start, start + size)
        scores = torch.addcmul(products(vectors[block]), linear[block], factor)  # [b, I]
        of_target = scores.gather(1, targets[block, None])  # [b, 1]
        if seen is not None:
            rows, columns = seen.of(block)
            scores[to_rows(rows, device), to_rows(columns, device)] = -torch.inf
            scores.scatter_(1, targets[block, None], of_target)
        highest = scores.amax(dim=1, keepdim=True)
        sums = scores.sub_(highest).exp_().sum(dim=1, keepdim=True)
        total += (sums.log() + highest - of_target)[:, 0] @ weights[block]
        by_scores = scores.mul_(weights[block, None] / sums)
        by_scores.scatter_add_(1, targets[block, None], -weights[block, None])
        by_factor += torch.dot(by_scores.view(-1), linear[block].reshape(-1))
        inputs, by_scores = vectors[block].to(dtype), by_scores.to(dtype)
        if bf16:
            inputs, by_scores = with_few_rows(inputs), with_few_rows(by_scores)
        by_vectors[block] = (by_scores @ outputs)[: len(scores)].float()
        by_outputs += by_scores.T @ inputs
    return total / n, (by_vectors.div_(n), by_outputs.div_(n), by_factor.div_(n))
