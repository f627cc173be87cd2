"""The pairwise loss of BPR in torch: users in batches, their negatives against all their positives."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from matinee.arrays import IntArray, rows_of
from matinee.histories import TrainingData
from matinee.training.run import Run
from matinee.training.torch_trainer import TorchTrainer, torch_generator

if TYPE_CHECKING:
    from matinee.models.factors.bpr import BPRConfig


class Pairwise:
    """Parameters, and the losses of an epoch."""

    def __init__(self, config: "BPRConfig", train: TrainingData, run: Run) -> None:
        self.config = config
        self.matrix = train.matrix()  # [U, I]
        self.rng = run.rng
        self.popularity = np.cumsum(train.popularity)
        generator = torch_generator(run)
        spread = 1 / config.dim**0.5
        self.parameters = {
            "users": torch.randn(train.n_users, config.dim, generator=generator) * spread * 0.1,
            "items": torch.randn(train.n_items, config.dim, generator=generator) * spread * 0.1,
            "bias": torch.zeros(train.n_items),
        }
        self.trainer = TorchTrainer(self.parameters, self._losses, self._learned, config)

    def _losses(self) -> Iterator[Tensor]:
        order = self.rng.permutation(self.matrix.shape[0])
        users, items, bias = (self.parameters[name] for name in ("users", "items", "bias"))
        for start in range(0, len(order), self.config.batch_size):
            rows = np.sort(order[start : start + self.config.batch_size])
            block = self.matrix[rows]
            negatives = self._negatives(block.indices, len(rows))
            chosen = users[torch.from_numpy(rows)]
            table = torch.addmm(bias, chosen, items.T)  # [b, I]
            owners = rows_of(block.indptr)
            watched = torch.zeros(table.shape, dtype=torch.bool)
            watched[torch.from_numpy(owners), torch.from_numpy(block.indices.astype(np.int64))] = True
            taken = torch.from_numpy(negatives)
            valid = (~watched.gather(1, taken)).float()  # [b, n]
            weights = valid / valid.sum(1, keepdim=True).clamp(min=1)
            others = table.gather(1, taken)  # [b, n]
            places = torch.from_numpy(owners)
            own = table[places, torch.from_numpy(block.indices.astype(np.int64))]  # [P]
            losses = functional.softplus(others[places] - own[:, None])  # [P, n]
            loss = (losses * weights[places]).sum()
            yield (loss + self._ridge(chosen, block.indices, np.diff(block.indptr))) / max(block.nnz, 1)

    def _ridge(self, chosen: Tensor, positives: IntArray, lengths: IntArray) -> Tensor:
        """l2 / 2 for each positive on its user, itself and, in expectation, a negative."""
        items, bias = self.parameters["items"], self.parameters["bias"]
        times = torch.from_numpy(np.bincount(positives, minlength=len(items)).astype(np.float32))
        times += times.sum() / len(items)
        ridge = (torch.from_numpy(lengths.astype(np.float32)) * chosen.square().sum(1)).sum()
        ridge = ridge + (times * (items.square().sum(1) + bias.square())).sum()
        scaled: Tensor = ridge * (self.config.l2 / 2)
        return scaled

    def _negatives(self, positives: IntArray, n_users: int) -> IntArray:
        """Items for each user of a batch. [b, n]."""
        shape = (n_users, self.config.n_negatives)
        if self.config.negatives == "uniform" or not len(positives):
            return self.rng.integers(len(self.popularity), size=shape)
        if self.config.negatives == "in-batch":
            picked: IntArray = positives[self.rng.integers(len(positives), size=shape)].astype(np.int64)
            return picked
        drawn = self.rng.random(shape) * self.popularity[-1]
        found: IntArray = np.searchsorted(self.popularity, drawn, side="right").astype(np.int64)
        return found

    def _learned(self) -> Mapping[str, Any]:
        return {name: tensor.detach().numpy().copy() for name, tensor in self.parameters.items()}
