"""The scale of a column of ratings, found in the whole column, and the ratings as stars."""

import re
from dataclasses import dataclass

import polars as pl

LEAST, MOST = 0.5, 5.0
"""The site's stars."""
SCALES = (5, 10, 100)
_NUMBER = r"^([0-9]{1,3}(?:[.,][0-9]{1,6})?)$"
_FRACTION = r"^([0-9]{1,3}(?:[.,][0-9]{1,6})?)\s*(?:/|out of|of)\s*(5|10|100)$"
_PERCENT = r"^([0-9]{1,3}(?:[.,][0-9]{1,6})?)\s*%$"
_STARS = r"^(?:★{1,5}½?|½)☆*$"
_OUT_OF = re.compile(r"(?:\W*\b(?:out of|of|[01]\s*(?:-|to)|/)\s*|(?<![0-9]))(5|10|100)\W*$", re.IGNORECASE)
"""The scale in the name of a column, such as `Rating10` or `score (1-10)`."""


@dataclass(frozen=True, slots=True)
class Scale:
    """What the ratings of a column are out of, and what says so.

    by: `site`, `column` (its name) or `highest` (the highest rating, and the line that it is on).
    """

    out_of: int
    by: str
    highest: float = 0.0
    line: int = 0


def scale_of(cells: pl.Series, name: str, of_site: int | None) -> Scale | None:
    """The scale of a column [N] of texts: its site's, else its name's, else 10 above a rating of 5, 100 above 10.

    The line of the highest rating is its index here. None if no cell is a plain number, because fractions, percentages
    and stars name their own scale.
    """
    numbers = _numbers(cells)
    if numbers.null_count() == len(numbers):
        return None
    if of_site is not None:
        return Scale(of_site, "site")
    if (found := _OUT_OF.search(name)) is not None:
        return Scale(int(found[1]), "column")
    row = numbers.set(numbers > SCALES[-1], None).arg_max() or 0
    highest = numbers[row] or 0.0
    return Scale(next((scale for scale in SCALES if highest <= scale), SCALES[0]), "highest", highest, row)


def without_scale(name: str) -> str:
    """A column's name without the scale in it: `score (1-10)` becomes `score`."""
    return _OUT_OF.sub("", name)


def stars_of(cells: pl.Series, scale: Scale | None) -> pl.Series:
    """The ratings [N] as stars from LEAST to MOST; null for a cell that is no rating on its scale."""
    text = pl.col("text")
    fraction = text.str.extract_groups(_FRACTION)
    glyphs = text.str.count_matches("★") + 0.5 * text.str.count_matches("½")
    stars = pl.coalesce(
        _decimal(text.str.extract(_NUMBER)) * MOST / (scale.out_of if scale else SCALES[0]),
        _decimal(fraction.struct[0]) * MOST / fraction.struct[1].cast(pl.Float64),
        _decimal(text.str.extract(_PERCENT)) * MOST / 100,
        pl.when(text.str.contains(_STARS)).then(glyphs),
    )
    found = cells.to_frame("text").select(stars.alias("stars"))["stars"]
    return found.set((found <= 0) | (found > MOST), None).clip(lower_bound=LEAST)


def _numbers(cells: pl.Series) -> pl.Series:
    """The cells [N] that are plain numbers, with a decimal point or comma; null for all others."""
    return cells.to_frame("text").select(_decimal(pl.col("text").str.extract(_NUMBER))).to_series()


def _decimal(text: pl.Expr) -> pl.Expr:
    return text.str.replace(",", ".", literal=True).cast(pl.Float64, strict=False)
