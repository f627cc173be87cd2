"""From a table and its layout to rows: text, stars and time of each, and why a row is no rating or watch of a movie."""

from dataclasses import replace

import polars as pl

from matinee.reading.columns import PERSONAL_NAMES
from matinee.reading.timestamps import MICROS, to_micros
from matinee.renamed import EVENT_KINDS
from matinee.serve.transfer.rows import ImportRow
from matinee.serve.transfer.scale import Scale, scale_of, stars_of
from matinee.serve.transfer.sites import RECORD_FIELDS, Layout

_NOON = 43_200
"""Seconds into a day that is given without a time: the same day in most time zones."""
_NOT_A_MOVIE = r"series|episode|season|show|game|podcast|musicvideo|person|^(?:tv|anime|list|book|manga|ova|ona)$"
_LATER = r"^(?:plantowatch|towatch|wanttowatch|wanttosee|watchlist|wishlist|plan(?:ned|ning)|later)$"
_UNFINISHED = r"^(?:(?:currently)?watching|inprogress|onhold|hold|paused|dropped|abandoned|notinterest\w+)$"
_MARKS = {"yes", "y", "true", "1", "x", "✓", "✔", "o", "예", "네", "no", "n", "false", "0", "아니오", "아니요"}
_NOT_SEEN = ("", "no", "n", "false", "0", "아니오", "아니요")
_OTHER_EVENTS = ("click", "dismissed", "restored", "unsaved", "more", "less", *EVENT_KINDS)
_WHOLE = r"^([0-9]{1,15})\.0+$"
"""A whole number as a spreadsheet writes it, or a data frame with gaps."""
_NUMBER = r"^[0-9]+(?:\.[0-9]*)?$"
_DIGITS_OF_A_DAY = r"^[0-9]{8}$"
_DAY = r"^[^:T]*[^0-9:T][^:T]*$"


def fields_of(frame: pl.DataFrame, layout: Layout) -> pl.DataFrame:
    """Each field as a column [N] of stripped text: of several columns the first that is not blank."""
    texts = {name: _text(frame[name]) for names in layout.columns.values() for name in names}
    blank = pl.repeat("", len(frame), dtype=pl.String, eager=True)
    fields: dict[str, pl.Series] = {}
    for field in (*PERSONAL_NAMES, *RECORD_FIELDS):
        column = blank
        for name in reversed(layout.columns.get(field, ())):
            column = texts[name].zip_with(texts[name] != "", column)
        fields[field] = column
    return pl.DataFrame(fields)


def is_marked(seen: pl.Series) -> bool:
    """Whether a column [N] of texts says yes or no of each movie, so that it tells the watched ones."""
    return len(seen) > 0 and seen.str.to_lowercase().is_in(["", *_MARKS]).all()


def rows_of(fields: pl.DataFrame, lines: pl.Series, layout: Layout) -> tuple[list[ImportRow], Scale | None]:
    """The rows, and the scale of their ratings. lines: [N], of each row in its file."""
    ratings = fields["rating"]
    scale = scale_of(ratings, next(iter(layout.columns.get("rating", ())), ""), layout.out_of)
    kinds = fields["kind"].str.to_lowercase()
    may_be_rating = (ratings != "") & (layout.site != "matinee")  # our own export always names the kind
    is_rating = (kinds == "rating") | ((kinds != "watched") & may_be_rating)
    stars = stars_of(ratings, scale).set(~is_rating, None)
    columns = (
        lines,
        _whole(fields["item"]),
        _titles(fields),
        fields["original"],
        _whole(fields["year"]),
        fields["imdb"],
        _whole(fields["tmdb"]),
        ratings,
        stars,
        fields["date"],
        instants(fields["date"]),
        pl.Series(["watched", "rating"]).gather(is_rating.cast(pl.UInt32)),
        _excluded(fields, layout, stars.is_not_null()),
    )
    rows = list(map(ImportRow._make, zip(*(column.to_list() for column in columns), strict=True)))
    return rows, scale and replace(scale, line=lines[scale.line])


def instants(dates: pl.Series) -> pl.Series:
    """UTC seconds [N] of texts, null where they cannot be read; a day without a time is its noon.

    Raises DataError for dates such as 01/02/2016, where no other one says which number is the month.
    """
    is_number = dates.str.contains(_NUMBER)
    texts = to_micros(dates.set(is_number, None))[0]
    micros = to_micros(dates.set(~is_number, None))[0].zip_with(is_number, texts)  # one column may hold both
    is_day = dates.str.contains(_DAY) | (dates.str.contains(_DIGITS_OF_A_DAY) & (micros % (2 * _NOON * MICROS) == 0))
    return micros // MICROS + _NOON * is_day.cast(pl.Int64)


def _excluded(fields: pl.DataFrame, layout: Layout, has_rating: pl.Series) -> pl.Series:
    """Why each row is no rating or watch of a movie, empty if it is one. A movie that is rated was watched."""
    form, status = (_plain(pl.col(name)) for name in ("type", "status"))
    bodies = pl.any_horizontal(pl.col(name) != "" for name in ("show", "season", "episode", "anime", "person", "list"))
    not_a_movie = pl.when(form == "").then((pl.col("movie") == "") & bodies).otherwise(form.str.contains(_NOT_A_MOVIE))
    other_event = pl.col("kind").str.to_lowercase().is_in(_OTHER_EVENTS) | (
        pl.lit(layout.site == "matinee") & ~pl.col("record").is_in(["", "event"])
    )
    unseen = pl.lit(is_marked(fields["seen"]) and "seen" in layout.columns) & pl.col("seen").str.to_lowercase().is_in(
        _NOT_SEEN
    )
    undated = pl.col("date") == ""
    reason = (
        pl.when(other_event).then(pl.lit("no_event"))
        .when(pl.col("kind").str.to_lowercase() == "saved").then(pl.lit("later"))
        .when(not_a_movie).then(pl.lit("other_kind"))
        .when(pl.lit(has_rating)).then(pl.lit(""))
        .when(status.str.contains(_UNFINISHED) | (pl.col("paused") != "")).then(pl.lit("unfinished"))
        .when(status.str.contains(_LATER) | unseen | pl.lit(layout.is_for_later)).then(pl.lit("later"))
        .when((pl.col("listed") != "") & undated & (status == "")).then(pl.lit("later"))
        .when((pl.col("collected") != "") & undated).then(pl.lit("no_event"))
        .otherwise(pl.lit(""))
    )  # fmt: skip
    return fields.select(reason.alias("excluded"))["excluded"]


def _titles(fields: pl.DataFrame) -> pl.Series:
    """The title; of a season or an episode with its number, which the report names."""
    number = pl.concat_str(
        pl.lit(" S") + pl.col("season_number"),
        pl.when(pl.col("episode_number") != "").then(pl.lit("E") + pl.col("episode_number")).otherwise(pl.lit("")),
    )
    numbered = pl.col("title") + pl.when(pl.col("season_number") != "").then(number).otherwise(pl.lit(""))
    return fields.select(numbered.alias("title"))["title"]


def _text(column: pl.Series) -> pl.Series:
    """Cells of any type as stripped text; empty for a blank, and for what is no single value."""
    if column.dtype.is_nested():
        return pl.repeat("", len(column), dtype=pl.String, eager=True)
    return column.cast(pl.String).str.strip_chars().fill_null("")


def _whole(cells: pl.Series) -> pl.Series:
    return cells.str.replace(_WHOLE, "$1")


def _plain(text: pl.Expr) -> pl.Expr:
    return text.str.to_lowercase().str.replace_all(r"[\W_]", "")
