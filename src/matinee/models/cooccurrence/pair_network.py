"""The network of MoviePairs in torch, and its exact cross-entropy from counts."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor
from torch.nn import functional

from matinee.models.cooccurrence.batches import PairBatches
from matinee.training.run import Run
from matinee.training.torch_trainer import TorchTrainer, torch_generator

if TYPE_CHECKING:
    from matinee.models.cooccurrence.movie_pairs import MoviePairsConfig

NEGATIVE_AXES = 4
"""One axis in so many begins with a minus sign: what movies meet is not a product of a vector with itself."""


class PairNetwork:
    """Parameters, and the losses of an epoch."""

    def __init__(self, config: "MoviePairsConfig", batches: PairBatches, run: Run) -> None:
        self.config = config
        self.batches = batches
        self.parameters = self._first_values(torch_generator(run))
        self.trainer = TorchTrainer(self.parameters, self._losses, self._learned, config)

    def _first_values(self, generator: torch.Generator) -> dict[str, Tensor]:
        config, popularity = self.config, self.batches.popularity
        smoothed = popularity + popularity.sum() / len(popularity) / 2000  # nothing is impossible
        parameters = {
            "items": torch.randn(len(popularity), config.dim, generator=generator) * 0.1,
            "bias": torch.from_numpy(np.log(smoothed / smoothed.sum()).astype(np.float32)),
        }
        if config.hidden == "linear":
            signs = torch.where(torch.arange(config.dim) % NEGATIVE_AXES == NEGATIVE_AXES - 1, -1.0, 1.0)
            parameters["turn"] = torch.diag(signs)
        elif config.hidden == "relu":
            width = config.hidden_dim or config.dim
            parameters["scale"] = torch.ones(config.dim)
            parameters["inner"] = torch.randn(config.dim, width, generator=generator) / config.dim**0.5
            parameters["inner_bias"] = torch.zeros(width)
            parameters["outer"] = torch.randn(width, config.dim, generator=generator) * 0.3 / width**0.5
        return parameters

    def _read(self, vectors: Tensor) -> Tensor:
        """f(e). [b, D] -> [b, D]."""
        parts = self.parameters
        if self.config.hidden == "linear":
            return vectors @ parts["turn"]
        if self.config.hidden == "relu":
            normed = functional.layer_norm(vectors, vectors.shape[1:], parts["scale"])
            return vectors + torch.relu(normed @ parts["inner"] + parts["inner_bias"]) @ parts["outer"]
        return vectors

    def _losses(self) -> Iterator[Tensor]:
        items, bias = self.parameters["items"], self.parameters["bias"]
        for rows, targets in self.batches:
            vectors = items[torch.from_numpy(rows)]
            yield CountedCrossEntropy.apply(self._read(vectors), items, bias, targets)  # type: ignore[no-untyped-call]

    def _learned(self) -> Mapping[str, Any]:
        items = self.parameters["items"]

        def copied(tensor: Tensor) -> NDArray[np.float32]:
            array: NDArray[np.float32] = tensor.detach().numpy().copy()
            return array

        return {"items": copied(items), "readings": copied(self._read(items)), "bias": copied(self.parameters["bias"])}


class CountedCrossEntropy(torch.autograd.Function):
    """sum of w_i log sum_j exp(x_i · e_j + b_j) - sum of T_ij (x_i · e_j + b_j), w_i the sum of row i of T.

    x [b, D], e [I, D], b [I], T [b, I] sparse, written out here: next to the products of the softmax that costs little,
    and counts of pairs are not sparse enough for products of their own. The gradient is computed on the way forward,
    while the tables are in the cache. Logits stay far below the 88 that float32 overflows at, so no maximum is taken
    off; were one to pass it, the loss is infinite and training stops.
    """

    @staticmethod
    def forward(ctx: Any, read: Tensor, items: Tensor, bias: Tensor, targets: csr_array) -> Tensor:  # noqa: ANN401
        """See the class."""
        wanted = torch.from_numpy(targets.toarray())  # [b, I]
        table = torch.addmm(bias, read, items.T)  # [b, I]
        named = torch.dot(wanted.view(-1), table.view(-1))
        sizes, weights = table.exp_().sum(1), wanted.sum(1)
        loss = weights @ sizes.log() - named
        table.mul_((weights / sizes)[:, None]).sub_(wanted)
        ctx.save_for_backward(table @ items, table.T @ read, table.sum(0))
        return loss

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        """See the class."""
        read, items, bias = ctx.saved_tensors
        return read * outer[0], items * outer[0], bias * outer[0], None
