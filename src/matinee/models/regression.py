"""Ridge regression of user vectors on what histories give: fold-in by one matrix product."""

from collections.abc import Sequence

import numpy as np

from matinee.arrays import FloatArray

SMALLEST = 1e-6
"""Added to the mean square of the inputs, which may all be zero."""


def ridge_regression(inputs: FloatArray, targets: FloatArray, strength: float) -> FloatArray:
    """The matrix that maps inputs [n, D] best to targets [n, E]. [D, E].

    strength: of the ridge, as a multiple of the inputs' squares, summed over rows and averaged over columns.
    """
    dim = inputs.shape[1]
    gram = inputs.T @ inputs
    gram += gram.dtype.type(strength) * np.eye(dim, dtype=gram.dtype) * (np.trace(gram) / dim + np.float32(SMALLEST))
    solved: FloatArray = np.linalg.solve(gram, inputs.T @ targets)
    return solved


def best_strength(inputs: FloatArray, targets: FloatArray, strengths: Sequence[float]) -> float:
    """The strength whose regressions without one row each have the least squared error of that row.

    Exact without a solve for each row: an error is the residual over 1 - h, where h is the row's leverage.
    """
    values, axes = np.linalg.eigh(inputs.T @ inputs)
    rotated, unit = inputs @ axes, float(values.mean()) + SMALLEST
    squares, products = rotated**2, rotated.T @ targets

    def error(strength: float) -> float:
        inverse = 1 / (np.maximum(values, 0) + strength * unit)
        residuals = targets - rotated @ (inverse[:, None] * products)
        residuals /= np.maximum(1 - squares @ inverse, SMALLEST)[:, None]
        return float(np.square(residuals).sum())

    return min(strengths, key=error)
