"""The network in torch: a product (GMF), a tower (MLP), or both (NeuMF). Parameters, initial values, forward pass."""

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor
from torch.nn import functional

from matinee.arrays import FloatArray, IntArray
from matinee.models.ncf.config import NCFConfig, TowerConfig
from matinee.models.ncf.inference import NCFWeights
from matinee.nn.initialisers import initialise, initialise_embeddings
from matinee.nn.sparse_rows import normalise_adjacency
from matinee.training.torch_trainer import seeded_dropout
from matinee.training.transfers import to_array, to_rows, to_tensor

MOMENTUM = 0.1
"""Update rate of batch normalisation's running mean and variance (torch's default)."""
EPSILON = 1e-5
NOISE = 0.02
"""Standard deviation of the noise on similarity weights, which keeps two units from staying equal."""


class NCFNetwork:
    """score(u, i) = hᵀ(p_u ⊙ q_i) + outputᵀ tower([p'_u, q'_i]), or one of the two terms.

    Source: He et al. 2017, eq. 9, 10 and 12. The tower's first layer is a sum of a user and an item projection,
    W [p, q] + b = (W_u p + b) + W_i q, so each is computed once, however many pairs share it.
    product: D dims of the product, 0 without one; a config without layers has no tower. W: width of the first layer.
    """

    def __init__(self, config: NCFConfig, product: int, matrix: csr_array, generator: torch.Generator) -> None:
        self.product, self.generator, self.device = product, generator, generator.device
        tower = config if isinstance(config, TowerConfig) else None
        self.layers = tower.layers if tower else 0
        self.dropout = tower.dropout if tower else 0.0
        self.width = config.dim * 2 ** (self.layers - 1) if tower else 0
        by_similarity = tower is not None and tower.tower_init == "similarity"
        n_first = n_compared(config.dim, self.layers) if by_similarity else self.width
        known = initialise_embeddings(
            normalise_adjacency(matrix), product + n_first, config.initialiser, config.initial_std, generator
        )
        self.parameters = {
            side: torch.cat(
                [first, initialise((len(first), self.width - n_first), "normal", generator, std=NOISE)], dim=1
            )
            for side, first in zip(("users", "items"), known, strict=True)
        }
        if product:
            self.parameters["product"] = torch.ones(product, device=self.device)
        self.buffers: dict[str, Tensor] = {}
        if tower:
            self._add_tower(tower)

    def _add_tower(self, config: TowerConfig) -> None:
        for layer in range(self.layers):
            n_out = self.width >> layer
            self.parameters[f"weights{layer}"] = initialise((n_out, 2 * n_out), "he", self.generator).T.contiguous()
            self.parameters[f"bias{layer}"] = torch.zeros(n_out, device=self.device)
        self.parameters["output"] = initialise((1, config.dim), "he", self.generator)[0]
        if config.tower_init == "similarity":
            self.parameters |= similarity_weights(config.dim, self.layers, self.generator)
        if config.batch_norm:
            for layer in range(self.layers):
                zeros = torch.zeros(self.width >> layer, device=self.device)
                self.parameters |= {f"scale{layer}": torch.ones_like(zeros), f"shift{layer}": zeros.clone()}
                self.buffers |= {f"mean{layer}": zeros, f"variance{layer}": torch.ones_like(zeros)}

    def users(self, rows: IntArray) -> Tensor:
        """Embeddings of user rows [b], p and p'. [b, D + E]."""
        return functional.embedding(to_rows(rows, self.device), self.parameters["users"])

    def items(self, rows: IntArray | None = None) -> Tensor:
        """Embeddings of item rows [m], or of all items with None, q and q'. [m, D + E]."""
        items = self.parameters["items"]
        return items if rows is None else functional.embedding(to_rows(rows, self.device), items)

    def project_users(self, users: Tensor) -> Tensor:
        """[h ⊙ p, W_u p' + b] of user embeddings. [b, D + E] -> [b, D + W]."""
        projected = [users[:, : self.product] * self.parameters["product"]] if self.product else []
        if self.layers:
            inputs = seeded_dropout(users[:, self.product :], self.dropout, self.generator)
            projected.append(torch.addmm(self.parameters["bias0"], inputs, self.parameters["weights0"][: self.width]))
        return torch.cat(projected, dim=1)

    def project_items(self, items: Tensor) -> Tensor:
        """[q, W_i q'] of item embeddings. [m, D + E] -> [m, D + W]."""
        if not self.layers:
            return items
        inputs = seeded_dropout(items[:, self.product :], self.dropout, self.generator)
        return torch.cat([items[:, : self.product], inputs @ self.parameters["weights0"][self.width :]], dim=1)

    def scores(self, users: Tensor, table: Tensor, pair_users: Tensor, pair_items: Tensor) -> tuple[Tensor, Tensor]:
        """Scores of every user with every item of a table [b, n], and of M further pairs [M]. All inputs projected.

        users [b, D + W]; table [n, D + W]; pair_users and pair_items [M, D + W].
        """
        n = self.product
        crossed, paired = users[:, :n] @ table[:, :n].T, (pair_users[:, :n] * pair_items[:, :n]).sum(dim=1)
        if not self.layers:
            return crossed, paired
        # one pass, since batch normalisation takes its statistics over positives and negatives together
        first = [(users[:, None, n:] + table[:, n:]).flatten(0, 1), pair_users[:, n:] + pair_items[:, n:]]
        tower = self.tower(torch.cat(first) if len(pair_users) else first[0])  # [b n + M]
        return crossed + tower[: crossed.numel()].view(crossed.shape), paired + tower[crossed.numel() :]

    def tower(self, first: Tensor) -> Tensor:
        """From the first layer's pre-activations to the tower's score, for M pairs. [M, W] -> [M]."""
        hidden = functional.relu(self._batch_norm(first, 0))
        for layer in range(1, self.layers):
            hidden = seeded_dropout(hidden, self.dropout, self.generator)
            hidden = torch.addmm(self.parameters[f"bias{layer}"], hidden, self.parameters[f"weights{layer}"])
            hidden = functional.relu(self._batch_norm(hidden, layer))
        return hidden @ self.parameters["output"]

    def tower_parameters(self) -> list[Tensor]:
        """The parameters that `tower` reads."""
        others = ("users", "items", "product", "weights0", "bias0")
        return [tensor for name, tensor in self.parameters.items() if name not in others]

    def tower_squared_norm(self) -> Tensor:
        """Sum of the squares of the tower's weights, without biases. A scalar."""
        names = [name for name in self.parameters if name.startswith(("weights", "output"))]
        return sum((self.parameters[name].square().sum() for name in names), torch.zeros((), device=self.device))

    def assign(self, name: str, values: FloatArray, columns: slice = slice(None)) -> None:
        """Set a parameter, or some of its columns, before training."""
        self.parameters[name][..., columns] = to_tensor(np.array(values), self.device)

    def serving_weights(self) -> NCFWeights:
        """The weights for serving in numpy, with batch normalisation multiplied into the layer below it."""
        named = {name: to_array(tensor) for name, tensor in (self.parameters | self.buffers).items()}
        layers = []
        for layer in range(self.layers):
            weights, bias = named[f"weights{layer}"], named[f"bias{layer}"]
            if self.buffers:
                factor = named[f"scale{layer}"] / np.sqrt(named[f"variance{layer}"] + np.float32(EPSILON))
                weights, bias = weights * factor, (bias - named[f"mean{layer}"]) * factor + named[f"shift{layer}"]
            layers.append((weights, bias))
        empty = np.zeros(0, dtype=np.float32)
        first, bias = layers[0] if layers else (np.zeros((0, 0), dtype=np.float32), empty)
        of_users, of_items = first[: self.width], first[self.width :]
        return NCFWeights(
            named.get("product", empty), of_users, of_items, bias, tuple(layers[1:]), named.get("output", empty)
        )

    def _batch_norm(self, hidden: Tensor, layer: int) -> Tensor:
        """Batch normalisation over M pairs, if the config has it; a lone pair uses the running statistics. [M, w].

        Source: Ioffe and Szegedy 2015, algorithms 1 and 2.
        """
        if f"scale{layer}" not in self.parameters:
            return hidden
        mean, variance = self.buffers[f"mean{layer}"], self.buffers[f"variance{layer}"]
        if len(hidden) > 1:
            batch_variance, batch_mean = torch.var_mean(hidden, dim=0, correction=0)
            with torch.no_grad():
                mean.lerp_(batch_mean, MOMENTUM)
                variance.lerp_(batch_variance * (len(hidden) / (len(hidden) - 1)), MOMENTUM)
            mean, variance = batch_mean, batch_variance
        factor = self.parameters[f"scale{layer}"] * torch.rsqrt(variance + EPSILON)
        return (hidden - mean) * factor + self.parameters[f"shift{layer}"]


def n_compared(dim: int, layers: int) -> int:
    """Dims that `similarity_weights` compare: each takes four units of the first layer."""
    return (dim // 2 << layers) // 4


def similarity_weights(dim: int, layers: int, generator: torch.Generator) -> dict[str, Tensor]:
    """`weights0` [2 W, W] ... and `output` [dim] with which the tower computes Σ |a + b| - |a - b|, plus noise.

    A term is 2 sign(a b) min(|a|, |b|): like a product, which random weights learn late or never. The first layer
    holds a + b and -a - b of each dim, then a - b and b - a; each further layer adds its inputs in twos.
    dim: width of the last layer; W = dim · 2^(layers - 1).
    """
    width, n, device = dim * 2 ** (layers - 1), n_compared(dim, layers), generator.device
    of_users, of_items = (torch.zeros(width, width, device=device) for _ in range(2))
    dims = torch.arange(n, device=device)
    differences = (dim // 2) * 2 ** (layers - 1)  # the first unit that holds a - b
    for unit, sign_a, sign_b in (
        (0, 1.0, 1.0),
        (1, -1.0, -1.0),
        (differences, 1.0, -1.0),
        (differences + 1, -1.0, 1.0),
    ):
        of_users[dims, unit + 2 * dims] = sign_a
        of_items[dims, unit + 2 * dims] = sign_b
    weights = {"weights0": torch.cat([of_users, of_items])}
    for layer in range(1, layers):
        weights[f"weights{layer}"] = torch.eye(width >> layer, device=device).repeat_interleave(2, dim=0)
    noisy = {
        name: values + initialise((values.shape[0], values.shape[1]), "normal", generator, std=NOISE)
        for name, values in weights.items()
    }
    output = torch.zeros(dim, device=device)
    output[: dim // 2] = 1
    output[dim // 2 : 2 * (dim // 2)] = -1
    return noisy | {"output": output}
