"""Products in bfloat16 in few shapes: torch compiles a kernel for each new one, and keeps it."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

SIZES_TO_DOUBLE = 8
"""Sizes from one power of two to the next; rows are padded by 6% on average."""


def of_few(size: int) -> int:
    """The least of few sizes that is at least `size`: 1 to 16, then 18, 20, ... 32, 36, ..."""
    step = 1 << max(0, int(size - 1).bit_length() - SIZES_TO_DOUBLE.bit_length())
    return -(-size // step) * step


def with_few_rows(rows: "Tensor") -> "Tensor":
    """Rows [n, ...] and rows of zeros, `of_few(n)` in all."""
    n_added = of_few(len(rows)) - len(rows)
    from torch import cat

    return rows if n_added == 0 else cat([rows, rows.new_zeros((n_added, *rows.shape[1:]))])


class RowProducts:
    """x W + b for up to `n_rows` rows x at a time, in the type of W; in bfloat16 in few shapes.

    weights: [D, E]; bias: [E], none by default, of the same type.
    """

    def __init__(self, weights: "Tensor", n_rows: int, bias: "Tensor | None" = None) -> None:
        self._weights, self._bias = weights, bias
        self._rows = weights.new_zeros((of_few(n_rows), len(weights)))

    def __call__(self, rows: "Tensor") -> "Tensor":
        """[r, D] -> [r, E], both float32."""
        if rows.dtype == self._weights.dtype:
            return self._product(rows)
        n = len(rows)
        self._rows[:n] = rows
        return self._product(self._rows[: of_few(n)])[:n].float()

    def _product(self, rows: "Tensor") -> "Tensor":
        from torch import addmm

        return rows @ self._weights if self._bias is None else addmm(self._bias, rows, self._weights)
