"""A network that scores pairs of a user and an item: a product half, a tower half, or both. Parameters and forward."""

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor
from torch.nn import functional

from matinee.arrays import FloatArray, IntArray
from matinee.models.ncf.config import PairConfig, TowerConfig
from matinee.models.ncf.likeness import NOISE, likeness_weights, n_compared
from matinee.nn.initialisers import initialise, initialise_embeddings
from matinee.nn.sparse_rows import normalise_adjacency
from matinee.training.torch_trainer import seeded_dropout

MOMENTUM = 0.1
"""How far a step moves the running mean and variance of batch normalisation (torch's default)."""
EPSILON = 1e-5


class PairNetwork:
    """score(u, i) = hᵀ(p_u ⊙ q_i) + h'ᵀ tower([p'_u, q'_i]), or one of the two halves.

    Source: He et al. 2017, eq. 9, 10 and 12. The first layer of the tower is a sum of a user part and an item part,
    W [p, q] + b = (W_u p + b) + W_i q, so both are computed once however many pairs meet.
    product: D dims of that half, 0 without it; a config without layers has no tower.
    """

    def __init__(self, config: PairConfig, product: int, matrix: csr_array, chance: torch.Generator) -> None:
        self.product, self.chance = product, chance
        tower = config if isinstance(config, TowerConfig) else None
        self.layers = tower.layers if tower else 0
        self.dropout = tower.dropout if tower else 0.0
        self.width = config.dim * 2 ** (self.layers - 1) if tower else 0
        compared = n_compared(config.dim, self.layers) if tower and tower.tower_start == "likeness" else self.width
        first = initialise_embeddings(
            normalise_adjacency(matrix), product + compared, config.initialiser, config.initial_std, chance
        )
        self.parameters = {
            side: torch.cat(
                [known, initialise((len(known), self.width - compared), "normal", chance, std=NOISE)], dim=1
            )
            for side, known in zip(("users", "items"), first, strict=True)
        }
        if product:
            self.parameters["product"] = torch.ones(product)
        width = 2 * self.width
        for layer in range(self.layers):
            self.parameters[f"weights{layer}"] = initialise((width // 2, width), "he", chance).T.contiguous()
            self.parameters[f"bias{layer}"] = torch.zeros(width // 2)
            width //= 2
        if tower:
            self.parameters["output"] = initialise((1, width), "he", chance)[0]
            if tower.tower_start == "likeness":
                self.parameters |= likeness_weights(config.dim, self.layers, chance)
        self.buffers: dict[str, Tensor] = {}
        if tower and tower.batch_norm:
            for layer in range(self.layers):
                at = self.width >> layer
                self.parameters |= {f"scale{layer}": torch.ones(at), f"shift{layer}": torch.zeros(at)}
                self.buffers |= {f"mean{layer}": torch.zeros(at), f"variance{layer}": torch.ones(at)}

    def user_parts(self, rows: IntArray) -> Tensor:
        """The product h ⊙ p, and what the first layer makes of p' with its bias. [b] -> [b, D + W]."""
        users = functional.embedding(torch.from_numpy(rows.astype("int64")), self.parameters["users"])
        parts = [users[:, : self.product] * self.parameters["product"]] if self.product else []
        if self.layers:
            heard = seeded_dropout(users[:, self.product :], self.dropout, self.chance)
            parts.append(torch.addmm(self.parameters["bias0"], heard, self.parameters["weights0"][: self.width]))
        return torch.cat(parts, dim=1)

    def item_parts(self) -> Tensor:
        """q, and what the first layer makes of q'. [I, D + W]."""
        items = self.parameters["items"]
        if not self.layers:
            return items
        heard = seeded_dropout(items[:, self.product :], self.dropout, self.chance)
        return torch.cat([items[:, : self.product], heard @ self.parameters["weights0"][self.width :]], dim=1)

    def scores(self, users: Tensor, table: Tensor, left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
        """Scores from parts: of every user with every item of a table [b, n], and of M pairs [M].

        users [b, D + W]; table [n, D + W]; left and right [M, D + W], the parts of each pair's user and item.
        """
        n = self.product
        crossed, paired = users[:, :n] @ table[:, :n].T, (left[:, :n] * right[:, :n]).sum(dim=1)
        if not self.layers:
            return crossed, paired
        # all in one pass, for batch normalisation must see what is watched and what is not together
        firsts = [(users[:, None, n:] + table[:, n:]).flatten(0, 1), left[:, n:] + right[:, n:]]  # [b n, W], [M, W]
        heights = self.climb(torch.cat(firsts) if len(left) else firsts[0])
        return crossed + heights[: crossed.numel()].view(crossed.shape), paired + heights[crossed.numel() :]

    def climb(self, first: Tensor) -> Tensor:
        """From the first layer's sums to the output, for M pairs. [M, W] -> [M]."""
        hidden = functional.relu(self._normalised(first, 0))
        for layer in range(1, self.layers):
            hidden = seeded_dropout(hidden, self.dropout, self.chance)
            hidden = torch.addmm(self.parameters[f"bias{layer}"], hidden, self.parameters[f"weights{layer}"])
            hidden = functional.relu(self._normalised(hidden, layer))
        return hidden @ self.parameters["output"]

    def squares(self, user_rows: Tensor | None) -> Tensor:
        """Squared lengths of the embeddings of some users [b], or with None of all items [I]."""
        if user_rows is None:
            return self.parameters["items"].square().sum(dim=1)
        return functional.embedding(user_rows, self.parameters["users"]).square().sum(dim=1)

    def tower_square(self) -> Tensor:
        """Sum of the squares of the tower's weights, biases aside. A scalar."""
        names = [name for name in self.parameters if name.startswith(("weights", "output"))]
        return sum((self.parameters[name].square().sum() for name in names), torch.zeros(()))

    def assign(self, name: str, values: FloatArray, columns: slice = slice(None)) -> None:
        """Set a parameter, or some of its columns, before training."""
        self.parameters[name][..., columns] = torch.from_numpy(np.array(values))

    def climbing(self) -> list[Tensor]:
        """The parameters that `climb` uses."""
        below = ("users", "items", "product", "weights0", "bias0")
        return [tensor for name, tensor in self.parameters.items() if name not in below]

    def _normalised(self, hidden: Tensor, layer: int) -> Tensor:
        """Batch normalisation over M pairs, of one alone by the running figures, which follow. [M, w] -> [M, w].

        Source: Ioffe and Szegedy 2015, algorithms 1 and 2.
        """
        if f"scale{layer}" not in self.parameters:
            return hidden
        mean, variance = self.buffers[f"mean{layer}"], self.buffers[f"variance{layer}"]
        if len(hidden) > 1:
            seen_variance, seen_mean = torch.var_mean(hidden, dim=0, correction=0)
            with torch.no_grad():
                mean.lerp_(seen_mean, MOMENTUM)
                variance.lerp_(seen_variance * (len(hidden) / (len(hidden) - 1)), MOMENTUM)
            mean, variance = seen_mean, seen_variance
        factor = self.parameters[f"scale{layer}"] * torch.rsqrt(variance + EPSILON)
        return (hidden - mean) * factor + self.parameters[f"shift{layer}"]
