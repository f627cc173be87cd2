"""Scores of pairs in numpy: a product half and a tower half, of which user and item each bring their part."""

from dataclasses import dataclass

import numpy as np

from matinee.arrays import FloatArray, IntArray


@dataclass(frozen=True, slots=True, eq=False)
class PairWeights:
    """All weights but the embeddings; a half that is missing has no dims.

    product: [D] the output layer on the product; by_user, by_item: [E, W] the first layer's two halves; offset: [W]
    its bias; upper: weights [w, w / 2] and bias [w / 2] of each further layer; output: [D] the output layer on the
    tower. A user's vector is D values for the product, then E for the tower.
    """

    product: FloatArray
    by_user: FloatArray
    by_item: FloatArray
    offset: FloatArray
    upper: tuple[tuple[FloatArray, FloatArray], ...]
    output: FloatArray

    def flat(self) -> FloatArray:
        """All of them in one array, as `of_flat` reads them."""
        parts = [self.product, self.by_user, self.by_item, self.offset]
        parts += [part for layer in self.upper for part in layer]
        return np.concatenate([part.ravel() for part in (*parts, self.output)]).astype(np.float32)

    @classmethod
    def of_flat(cls, flat: FloatArray, product: int, dim: int, layers: int) -> "PairWeights":
        """From one array. product: D, 0 without a product; dim: of the tower's top; layers: 0 without a tower."""
        width = dim * 2 ** (layers - 1) if layers else 0
        shapes: list[tuple[int, ...]] = [(product,), (width, width), (width, width), (width,)]
        for layer in range(1, layers):
            above = width >> layer
            shapes += [(2 * above, above), (above,)]
        shapes.append((dim if layers else 0,))
        ends = np.cumsum([int(np.prod(shape)) for shape in shapes])
        parts = [part.reshape(shape) for part, shape in zip(np.split(flat, ends[:-1]), shapes, strict=True)]
        of_product, by_user, by_item, offset, *upper, output = parts
        return cls(of_product, by_user, by_item, offset, tuple(zip(upper[::2], upper[1::2], strict=True)), output)

    def user_parts(self, users: FloatArray) -> FloatArray:
        """The product h ⊙ p, and what the first layer makes of p with its bias. users [B, D + E] -> [B, D + W]."""
        n = len(self.product)
        return np.concatenate([users[:, :n] * self.product, users[:, n:] @ self.by_user + self.offset], axis=1)

    def item_parts(self, items: FloatArray) -> FloatArray:
        """q, and what the first layer makes of it. items [I, D + E] -> [I, D + W]."""
        n = len(self.product)
        return np.concatenate([items[:, :n], items[:, n:] @ self.by_item], axis=1)

    def scores(self, user: FloatArray, items: FloatArray) -> FloatArray:
        """One user's scores. user [D + W], items [m, D + W] -> [m]."""
        n = len(self.product)
        scores: FloatArray = items[:, :n] @ user[:n]
        if not len(self.output):
            return scores
        hidden = np.maximum(items[:, n:] + user[n:], 0)  # [m, W]
        for weights, bias in self.upper:
            hidden = hidden @ weights
            hidden += bias
            np.maximum(hidden, 0, out=hidden)
        scores += hidden @ self.output
        return scores

    def slopes(self, user: FloatArray, items: FloatArray) -> tuple[FloatArray, FloatArray]:
        """One user's scores and their derivatives by the user's vector. [m], [m, D + E]."""
        n = len(self.product)
        scores: FloatArray = items[:, :n] @ user[:n]
        of_product = items[:, :n] * self.product
        if not len(self.output):
            return scores, of_product
        levels = [np.maximum(items[:, n:] + user[n:], 0)]
        for weights, bias in self.upper:
            levels.append(np.maximum(levels[-1] @ weights + bias, 0))
        slope = self.output * (levels[-1] > 0)
        for (weights, _), below in zip(reversed(self.upper), reversed(levels[:-1]), strict=True):
            slope = (slope @ weights.T) * (below > 0)
        scores = scores + levels[-1] @ self.output
        return scores, np.concatenate([of_product, slope @ self.by_user.T], axis=1)


def score_all(weights: PairWeights, states: FloatArray, items: FloatArray) -> FloatArray:
    """Scores of all items. states [B, D + W], items [I, D + W] -> [B, I].

    User by user where there is a tower: the hidden layer of one user and all items fits in a processor's cache, and a
    batch gives bit for bit what its users give alone.
    """
    if not len(weights.output):
        product: FloatArray = states @ items.T
        return product
    scores = np.empty((len(states), len(items)), dtype=np.float32)
    for row, state in enumerate(states):
        scores[row] = weights.scores(state, items)
    return scores


def catalogue_sample(popularity: FloatArray, size: int) -> tuple[IntArray, FloatArray]:
    """Items that stand for all, and how many each stands for: the most popular, then every so many of the rest.

    popularity [I] -> rows [n], weights [n]; the weights add up to I. All items if size is I or more.
    """
    order = np.argsort(-popularity, kind="stable")
    if size >= len(order):
        return np.arange(len(order)), np.ones(len(order), dtype=np.float32)
    head = size // 2
    rest = len(order) - head
    places = head + ((np.arange(size - head) + 0.5) * rest / (size - head)).astype(np.int64)
    weights = np.ones(size, dtype=np.float32)
    weights[head:] = rest / (size - head)
    return order[places if head == 0 else np.concatenate([np.arange(head), places])], weights
