"""Pooling of the scores of paths, in numpy for serving and in torch for training."""

from typing import TYPE_CHECKING

import numpy as np

from matinee.arrays import FloatArray, IntArray

if TYPE_CHECKING:
    from torch import Tensor

LARGEST = 60.0
"""Largest exponent: e^60 is within float32, and no trained score comes near."""


def pool(scores: FloatArray, weights: FloatArray, pairs: IntArray, n_pairs: int, temperature: float) -> FloatArray:
    """The sum T log(1 + Σ w exp(s / T)) over the paths of each pair, 0 without paths. [P] each -> [n_pairs].

    Source: Wang et al. 2019, eq. 8, where T is gamma. Differs from the paper: weights of paths, those of the events
    that they start from, and the 1, a path of score 0 that every pair has; it keeps pairs without paths comparable.
    """
    terms = weights * np.exp(np.minimum(scores / temperature, LARGEST), dtype=np.float64)
    pooled: FloatArray = temperature * np.log1p(np.bincount(pairs, terms, minlength=n_pairs))
    return pooled.astype(np.float32)


def pool_tensors(scores: "Tensor", weights: "Tensor", pairs: "Tensor", n_pairs: int, temperature: float) -> "Tensor":
    """`pool` with gradients."""
    terms = weights * (scores / temperature).clamp(max=LARGEST).exp()
    return temperature * terms.new_zeros(n_pairs).index_add(0, pairs, terms).log1p()
