"""Tables for the terminal: reports, segments, comparisons and lists of movies."""

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from matinee.evaluation.bootstrap import Interval
from matinee.evaluation.comparison import Comparison, format_p
from matinee.evaluation.report import Report, format_interval
from matinee.workflow import MovieList

COLUMNS = ("ndcg", "recall")
"""Metrics shown in a comparison beside the deciding one."""
PRINTED = ("activity", "popularity")
"""Segments shown in the terminal; the HTML report shows all."""
VERDICTS = {"best": "bold green", "tied": "yellow", "worse": "dim"}


def report_table(report: Report) -> RenderableType:
    """A report: one row per metric, one column per cutoff, with 95% intervals; then segments and notes."""
    ks, rows = report.grid()
    table = Table(title=report.headline(), title_justify="left", title_style="bold")
    table.add_column("metric")
    for k in ks:
        table.add_column(f"@{k}", justify="right")
    for name, cells in rows.items():
        table.add_row(name, *(format_interval(cell, name) for cell in cells))
    below = [_times(report), *report.notes(), "In brackets: 95% bootstrap intervals over users."]
    segments = [segment_table(report, 10 if 10 in ks else ks[-1])] if report.segments and ks else []
    return Group(table, *segments, *(Padding(Text(line, style="dim"), (0, 1)) for line in below))


def segment_table(report: Report, k: int) -> Table:
    """NDCG and recall at one cutoff for users by activity, and recall for items by popularity."""
    table = Table(title="by user activity and item popularity", title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for heading in ("segment", "size", ""):
        table.add_column(heading)
    for heading in (f"ndcg@{k}", f"recall@{k}"):
        table.add_column(heading, justify="right")
    for segment in report.segments:
        if segment.by not in PRINTED:
            continue
        values = (segment.metrics.get(f"{metric}@{k}") for metric in ("ndcg", "recall"))
        cells = ("" if value is None else f"{value:.4f}" for value in values)
        table.add_row(segment.name, f"{segment.size:,} {segment.of}", segment.about, *cells)
    return table


def comparison_table(comparison: Comparison) -> RenderableType:
    """A comparison: one row per model, best first, with metrics, fit time, paired difference and verdict.

    Intervals are below their values, so that the table fits into 80 columns.
    """
    metrics = _columns(comparison)
    table = Table(title=_title(comparison), title_justify="left", title_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("model", overflow="fold")
    for heading in (*metrics, "fit s", "difference", "verdict"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row, report in zip(comparison.rows, comparison.reports, strict=True):
        is_best = row.verdict == "best"
        deciding, *others = (format_interval(report.metrics[metric], metric) for metric in metrics)
        verdict = Text(row.verdict, style=VERDICTS[row.verdict])
        table.add_row(
            row.label,
            _stacked(deciding),
            *(other.partition(" ")[0] for other in others),
            _seconds(report.fit_seconds),
            "" if is_best else _stacked(format_difference(row.difference)),
            verdict if is_best else Text.assemble(verdict, (f"\np {format_p(row.p_adjusted)}", "dim")),
        )
    below = [
        f"Difference: to the best in {comparison.metric}, paired by user, {comparison.samples:,} bootstrap samples. "
        f"p: with Holm's correction; worse: p at most {comparison.alpha:g}; tied: larger.",
        *comparison.reports[0].notes(),
    ]
    return Group(table, *(Padding(Text(line, style="dim"), (0, 1)) for line in below))


def format_difference(difference: Interval) -> str:
    """`-0.0560 (-0.0599, -0.0523)`."""
    return f"{difference.mean:+.4f} ({difference.low:+.4f}, {difference.high:+.4f})"


def _columns(comparison: Comparison) -> Sequence[str]:
    """The deciding metric and COLUMNS at the same cutoff, as far as every report has them."""
    _, at, k = comparison.metric.partition("@")
    names = [comparison.metric, *(f"{base}@{k}" for base in COLUMNS if at)]
    return [name for name in dict.fromkeys(names) if all(name in report.metrics for report in comparison.reports)]


def _title(comparison: Comparison) -> str:
    first = comparison.reports[0]
    return (
        f"{len(comparison.rows)} models on {first.data['name']}, {first.evaluation['on']} of split "
        f"{first.split['method']}: {comparison.users:,} users"
    )


def _stacked(text: str) -> Text:
    """A value with its interval on the line below."""
    value, _, interval = text.partition(" (")
    return Text.assemble(value, (f"\n{interval.rstrip(')')}", "dim"))


def _times(report: Report) -> str:
    fit = "" if report.fit_seconds is None else f"fitted in {_seconds(report.fit_seconds)} s, "
    memory = "" if report.peak_memory_mb is None else f", peak memory {report.peak_memory_mb:,.0f} MB"
    return f"{fit}ranked in {_seconds(report.rank_seconds)} s{memory}"


def _seconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.2f}"


def movie_table(movies: MovieList) -> RenderableType:
    """A list of movies: rank, title, genres, score and, if they were asked for, the reasons."""
    explained = any(movie.because for movie in movies)
    title = f"similar to {movies.of}, by {movies.model}" if movies.of else f"recommended by {movies.model}"
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, padding=(0, 1))
    for heading in ("", "title", "genres", "score", *(["because of"] if explained else [])):
        table.add_column(heading, justify="right" if heading in ("", "score") else "left")
    for row in movies.rows():
        table.add_row(*row[: len(table.columns)])
    return table
