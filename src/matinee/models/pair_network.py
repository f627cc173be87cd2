"""The network of MoviePairs in torch, and its exact cross-entropy from counts."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor
from torch.nn import functional

from matinee.arrays import FloatArray, IntArray
from matinee.histories import TrainingData
from matinee.models.base import Run
from matinee.models.cooccurrence import sample_pairs
from matinee.nn.steps import GradientSteps, torch_generator

if TYPE_CHECKING:
    from matinee.models.movie_pairs import MoviePairsConfig

NEGATIVE_AXES = 4
"""One axis in so many begins with a minus sign: what movies meet is not a product of a vector with itself."""


class PairNetwork:
    """Parameters and losses of an epoch. counts: [I, I], None draws pairs from the histories."""

    def __init__(self, config: "MoviePairsConfig", train: TrainingData, counts: csr_array | None, run: Run) -> None:
        self.config = config
        self.counts = counts
        self.train = train
        self.rng = run.rng
        generator = torch_generator(run)
        self.parameters = self._first_values(generator, counts)
        self.trainer = GradientSteps(self.parameters, self._losses, self._learned, config)
        if counts is not None:
            self.mass = np.asarray(counts.sum(axis=1), dtype=np.float64).ravel()
            self.chances = inclusion(self.mass**config.row_power * (self.mass > 0), config.batch_size)

    def _first_values(self, generator: torch.Generator, counts: csr_array | None) -> dict[str, Tensor]:
        config = self.config
        popularity = self.train.popularity if counts is None else np.asarray(counts.sum(axis=0)).ravel()
        smoothed = popularity + 0.5 * popularity.sum() / max(np.count_nonzero(popularity), 1) / 1000
        parameters = {
            "items": torch.randn(self.train.n_items, config.dim, generator=generator) * 0.1,
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
        batches = self._sampled_rows() if self.counts is None else self._rows()
        items, bias = self.parameters["items"], self.parameters["bias"]
        for rows, targets in batches:
            vectors = items[torch.from_numpy(rows)]
            yield CountedCrossEntropy.apply(self._read(vectors), items, bias, targets)  # type: ignore[no-untyped-call]

    def _rows(self) -> Iterator[tuple[IntArray, csr_array]]:
        """Rows of the counts, drawn one after the other along a shuffled line on which each is its chance long."""
        assert self.counts is not None
        shares = self.mass / self.mass.sum() / np.maximum(self.chances, 1e-300)  # the weight of a drawn row
        n_steps = max(1, round(np.count_nonzero(self.mass) / max(self.chances.sum(), 1)))
        for _ in range(n_steps):
            order = self.rng.permutation(len(self.mass))
            ends = np.cumsum(self.chances[order])
            points = np.arange(self.rng.random(), ends[-1], 1.0)
            rows = np.sort(order[np.searchsorted(ends, points, side="right")])
            targets = self.counts[rows]
            scale = (shares[rows] / self.mass[rows]).astype(np.float32)
            targets.data *= np.repeat(scale, np.diff(targets.indptr))
            yield rows, targets

    def _sampled_rows(self) -> Iterator[tuple[IntArray, csr_array]]:
        """Batches of drawn pairs, as counts of the movies that are read in them."""
        config, n_items = self.config, self.train.n_items
        for start in range(0, config.sampled_pairs, config.batch_size):
            size = min(config.batch_size, config.sampled_pairs - start)
            read, named = sample_pairs(self.train.histories, size, self.rng, config.pair_weight)
            rows, places = np.unique(read, return_inverse=True)
            shares = np.full(size, 1 / size, dtype=np.float32)
            yield rows, csr_array((shares, (places, named)), shape=(len(rows), n_items))

    def _learned(self) -> Mapping[str, Any]:
        items = self.parameters["items"]

        def copied(tensor: Tensor) -> NDArray[np.float32]:
            array: NDArray[np.float32] = tensor.detach().numpy().copy()
            return array

        return {"items": copied(items), "readings": copied(self._read(items)), "bias": copied(self.parameters["bias"])}


class CountedCrossEntropy(torch.autograd.Function):
    """sum of w_i log sum_j exp(x_i · e_j + b_j) - sum of T_ij (x_i · e_j + b_j), w_i the sum of row i of T.

    x [b, D], e [I, D], b [I], T [b, I] sparse. The gradient is computed on the way forward, while the only [b, I] table
    is in the cache. Logits stay far below the 88 that
    float32 overflows at, so no maximum is taken off; were one to pass it, the loss is infinite and training stops.
    """

    @staticmethod
    def forward(ctx: Any, read: Tensor, items: Tensor, bias: Tensor, targets: csr_array) -> Tensor:  # noqa: ANN401
        """See the class."""
        table = torch.addmm(bias, read, items.T).exp_()  # [b, I]
        sizes = table.sum(1)
        weights = torch.from_numpy(np.asarray(targets.sum(axis=1), dtype=np.float32).reshape(-1))
        pull = read.numpy(), items.numpy()
        for_read = torch.from_numpy(targets @ pull[1])  # [b, D]
        for_items = torch.from_numpy(targets.T @ pull[0])  # [I, D]
        for_bias = torch.from_numpy(np.asarray(targets.sum(axis=0), dtype=np.float32).reshape(-1))
        loss = weights @ sizes.log() - (read * for_read).sum() - bias @ for_bias
        share = weights / sizes  # [b]
        ctx.save_for_backward(
            (table @ items) * share[:, None] - for_read,
            table.T @ (read * share[:, None]) - for_items,
            table.T @ share - for_bias,
        )
        return loss

    @staticmethod
    def backward(ctx: Any, *outer: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        """See the class."""
        read, items, bias = ctx.saved_tensors
        return read * outer[0], items * outer[0], bias * outer[0], None


def inclusion(sizes: FloatArray, n_drawn: int) -> FloatArray:
    """Chances in proportion to sizes that sum to n_drawn (or to how many sizes are above 0), none above 1. [R]."""
    present = int(np.count_nonzero(sizes))
    if present <= n_drawn:
        return np.where(sizes > 0, 1.0, 0.0)
    chances: FloatArray = sizes * (n_drawn / sizes.sum())
    while (chances > 1).any():
        sure = chances >= 1
        chances[sure] = 1
        rest = sizes[~sure].sum()
        chances[~sure] = sizes[~sure] * ((n_drawn - sure.sum()) / rest)
    return chances
