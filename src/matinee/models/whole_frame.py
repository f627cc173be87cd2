"""A frame of texts that is shown whole."""

from typing import Any

import polars as pl

from matinee.shown import MOST_TEXT, Overview


class WholeFrame(pl.DataFrame):
    """A frame whose texts a notebook shows uncut, and a terminal as far as 2,000 characters go."""

    def _repr_html_(self, **options: Any) -> str:  # noqa: ANN401 - those of polars
        rows = [self.columns, *([str(cell) for cell in row] for row in self.iter_rows())]
        return Overview(f"{len(self):,} {self.columns[0]}s", rows).html()

    def __str__(self) -> str:
        with pl.Config(fmt_str_lengths=1_000):
            whole = super().__str__()
        return whole if len(whole) <= MOST_TEXT else super().__str__()

    def __repr__(self) -> str:
        return str(self)
