"""Skip-gram with negative sampling in torch, its expected loss from counts."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor

from matinee.models.cooccurrence.batches import PairBatches
from matinee.training.run import Run
from matinee.training.torch_trainer import TorchTrainer, torch_generator

if TYPE_CHECKING:
    from matinee.models.cooccurrence.item2vec import Item2VecConfig


class SkipGram:
    """Parameters, and the losses of an epoch."""

    def __init__(self, config: "Item2VecConfig", batches: PairBatches, run: Run) -> None:
        self.config = config
        self.batches = batches
        generator = torch_generator(run)
        popularity = batches.popularity
        chances = np.where(popularity > 0, np.maximum(popularity, 1e-300) ** config.negative_power, 0)
        self.negatives = torch.from_numpy((config.negatives * chances / chances.sum()).astype(np.float32))
        present = torch.from_numpy((popularity > 0).astype(np.float32))[:, None]
        self.present = present
        self.parameters = {
            name: torch.randn(len(popularity), config.dim, generator=generator) * present / config.dim**0.5
            for name in ("items", "contexts")
        }
        self.trainer = TorchTrainer(self.parameters, self._losses, self._learned, config)

    def _losses(self) -> Iterator[Tensor]:
        items, contexts = self.parameters["items"], self.parameters["contexts"]
        for rows, targets in self.batches:
            chosen = items[torch.from_numpy(rows)]
            yield ExpectedNegativeSampling.apply(chosen, contexts, targets, self.negatives)  # type: ignore[no-untyped-call]

    def _learned(self) -> Mapping[str, Any]:
        return {name: (tensor * self.present).detach().numpy().copy() for name, tensor in self.parameters.items()}


class ExpectedNegativeSampling(torch.autograd.Function):
    """- sum T_ij log s(u_i · v_j) - sum w_i q_j log s(-u_i · v_j).

    u [b, D], v [I, D], T [b, I] sparse, w its row sums, q [I] how many negatives each item is expected to be.
    As log s(x) = log s(-x) + x this is sum (T_ij + w_i q_j) softplus(u_i · v_j) - T_ij u_i · v_j.
    The gradient is computed on the way forward.
    """

    @staticmethod
    def forward(ctx: Any, chosen: Tensor, contexts: Tensor, targets: csr_array, negatives: Tensor) -> Tensor:  # noqa: ANN401
        """See the class."""
        table = chosen @ contexts.T  # [b, I]
        weights = torch.from_numpy(np.asarray(targets.sum(axis=1), dtype=np.float32).reshape(-1, 1))
        expected = torch.from_numpy(targets.toarray())
        pull = weights * negatives + expected  # [b, I]
        shares = table.sigmoid()
        # softplus(x) = x - log s(x): s is needed anyway, and softplus itself is four times as slow
        loss = ((pull - expected) * table).sum() - (pull * shares.log()).sum()
        slopes = pull.mul_(shares).sub_(expected)
        ctx.save_for_backward(slopes @ contexts, slopes.T @ chosen)
        return loss

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        """See the class."""
        chosen, contexts = ctx.saved_tensors
        return chosen * outer[0], contexts * outer[0], None, None
