"""The forward pass in numpy, for serving: scores of one user and many items, and their derivatives by the user."""

from dataclasses import dataclass

import numpy as np

from matinee.arrays import FloatArray, IntArray

BLOCK_VALUES = 2**18
"""Most values of the hidden layer of one user that are held at once: 1 MB, as a processor's cache has."""


@dataclass(frozen=True, slots=True, eq=False)
class NCFWeights:
    """All weights except the embeddings. A model without the product, or without the tower, has arrays of no elements.

    product: [D] output weights h of the product; user_layer, item_layer: [E, W] the first layer W_u, W_i;
    bias: [W] its bias; hidden: weights [w, w / 2] and bias [w / 2] of each further layer; output: [d] output weights
    of the tower. A user vector is D dims for the product, then E for the tower.
    """

    product: FloatArray
    user_layer: FloatArray
    item_layer: FloatArray
    bias: FloatArray
    hidden: tuple[tuple[FloatArray, FloatArray], ...]
    output: FloatArray

    def flatten(self) -> FloatArray:
        """All weights in one array, the inverse of `unflatten`."""
        arrays = [self.product, self.user_layer, self.item_layer, self.bias]
        arrays += [array for layer in self.hidden for array in layer]
        return np.concatenate([array.ravel() for array in (*arrays, self.output)]).astype(np.float32)

    @classmethod
    def unflatten(cls, flat: FloatArray, product: int, dim: int, layers: int) -> "NCFWeights":
        """From one array. product: D, 0 without a product; dim: width of the last layer; layers: 0 without a tower."""
        width = dim * 2 ** (layers - 1) if layers else 0
        shapes: list[tuple[int, ...]] = [(product,), (width, width), (width, width), (width,)]
        for layer in range(1, layers):
            n_out = width >> layer
            shapes += [(2 * n_out, n_out), (n_out,)]
        shapes.append((dim if layers else 0,))
        ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
        arrays = [array.reshape(shape) for array, shape in zip(np.split(flat, ends[:-1]), shapes, strict=True)]
        of_product, user_layer, item_layer, bias, *hidden, output = arrays
        pairs = zip(hidden[::2], hidden[1::2], strict=True)
        return cls(of_product, user_layer, item_layer, bias, tuple(pairs), output)

    def project_users(self, users: FloatArray) -> FloatArray:
        """[h ⊙ p, W_u p' + b], the users' inputs to `scores`. users [B, D + E] -> [B, D + W]."""
        n = len(self.product)
        return np.concatenate([users[:, :n] * self.product, users[:, n:] @ self.user_layer + self.bias], axis=1)

    def project_items(self, items: FloatArray) -> FloatArray:
        """[q, W_i q'], the items' inputs to `scores`. items [I, D + E] -> [I, D + W]."""
        n = len(self.product)
        return np.concatenate([items[:, :n], items[:, n:] @ self.item_layer], axis=1)

    def scores(self, user: FloatArray, items: FloatArray) -> FloatArray:
        """Scores of one projected user [D + W] and projected items [m, D + W]. [m]."""
        return self.activations(user, items)[0]

    def activations(self, user: FloatArray, items: FloatArray) -> tuple[FloatArray, list[FloatArray]]:
        """As `scores`, and the outputs of each layer of the tower, [m, w] each."""
        n = len(self.product)
        scores: FloatArray = items[:, :n] @ user[:n]
        if not len(self.output):
            return scores, []
        hidden = items[:, n:] + user[n:]  # [m, W]
        outputs = [np.maximum(hidden, 0, out=hidden)]
        for weights, bias in self.hidden:
            hidden = outputs[-1] @ weights
            hidden += bias
            outputs.append(np.maximum(hidden, 0, out=hidden))
        scores += outputs[-1] @ self.output
        return scores, outputs

    def gradients(self, items: FloatArray, outputs: list[FloatArray]) -> FloatArray:
        """Gradients of scores by the projected user. items [m, D + W], outputs as of `activations` -> [m, D + W]."""
        n = len(self.product)
        if not outputs:
            return items[:, :n]
        gradient = self.output * (outputs[-1] > 0)
        for (weights, _), below in zip(reversed(self.hidden), reversed(outputs[:-1]), strict=True):
            gradient = (gradient @ weights.T) * (below > 0)
        return np.concatenate([items[:, :n], gradient], axis=1) if n else gradient

    def by_user(self, gradients: FloatArray) -> FloatArray:
        """Gradients by the user vector from those by the projected one. [..., D + W] -> [..., D + E]."""
        n = len(self.product)
        by_product = gradients[..., :n] * self.product
        if not len(self.output):
            return by_product
        return np.concatenate([by_product, gradients[..., n:] @ self.user_layer.T], axis=-1)


def score_all(weights: NCFWeights, users: FloatArray, items: FloatArray, first_layer: FloatArray) -> FloatArray:
    """Scores of all items from projected users [B, D + W] and items [I, D + W]. [B, I].

    first_layer: the items' inputs to the tower, [W, I]. With a tower one user at a time: the hidden layer of one user
    and a block of items fits in a processor's cache, and a batch equals its users one by one, bit for bit.
    """
    if not len(weights.output):
        product: FloatArray = users @ items.T
        return product
    scores = np.empty((len(users), len(items)), dtype=np.float32)
    if weights.hidden:
        for row, user in enumerate(users):
            scores[row] = weights.scores(user, items)
        return scores
    n = len(weights.product)
    products = items[:, :n]
    size = max(1, BLOCK_VALUES // len(first_layer))
    for start in range(0, len(items), size):
        columns = slice(start, start + size)
        hidden = np.empty_like(first_layer[:, columns])
        for row, user in enumerate(users):
            # max(a, -b) + b is ReLU(a + b): one pass over the layer, and b's part is the same for all items
            np.maximum(first_layer[:, columns], -user[n:, None], out=hidden)
            part = scores[row, columns]
            np.dot(weights.output, hidden, out=part)
            if n:
                part += products[columns] @ user[:n]
            part += weights.output @ user[n:]
    return scores


def catalogue_sample(popularity: FloatArray, size: int) -> tuple[IntArray, FloatArray]:
    """Items that represent the catalogue, deterministically: the most popular, and evenly spaced ones of the rest.

    popularity [I] -> item rows [n] and weights [n], the number of items each one represents; they sum to I.
    All items if size >= I.
    """
    order = np.argsort(-popularity, kind="stable")
    if size >= len(order):
        return np.arange(len(order)), np.ones(len(order), dtype=np.float32)
    n_popular = size // 2
    n_rest = len(order) - n_popular
    spaced = n_popular + ((np.arange(size - n_popular) + 0.5) * n_rest / (size - n_popular)).astype(np.int64)
    weights = np.ones(size, dtype=np.float32)
    weights[n_popular:] = n_rest / (size - n_popular)
    return order[np.concatenate([np.arange(n_popular), spaced])], weights
