"""Tables for a terminal."""

from collections.abc import Sequence

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from matinee.evaluation.bootstrap import Interval
from matinee.evaluation.comparison import Comparison
from matinee.evaluation.evaluate import Report, format_interval
from matinee.workflow import MovieList

COLUMNS = ("ndcg", "recall")
"""What a comparison shows of each model beside the metric that decides."""
VERDICTS = {"best": "bold green", "tied": "yellow", "worse": "dim"}


def report_table(report: Report) -> RenderableType:
    """A report: a row a metric, a column a list length, each with its 95% interval; then segments and notes."""
    ks, rows = report.grid()
    table = Table(title=report.headline(), title_justify="left", title_style="bold")
    table.add_column("metric")
    for k in ks:
        table.add_column(f"@{k}", justify="right")
    for name, cells in rows.items():
        table.add_row(name, *(format_interval(cell, name) for cell in cells))
    below = [_times(report), *report.notes(), "In brackets: 95% bootstrap intervals over users."]
    return Group(table, *(Padding(Text(line, style="dim"), (0, 1)) for line in below))


def segment_table(report: Report, k: int) -> Table:
    """Whom the model serves: NDCG and recall at one k for users by activity, recall for items by popularity."""
    table = Table(title=f"{report.model}: by users' activity and items' popularity", title_justify="left")
    for heading in ("segment", "of", "what they are"):
        table.add_column(heading)
    for heading in (f"ndcg@{k}", f"recall@{k}"):
        table.add_column(heading, justify="right")
    for segment in report.segments:
        figures = (segment.metrics.get(f"{metric}@{k}") for metric in ("ndcg", "recall"))
        cells = ("" if figure is None else f"{figure:.4f}" for figure in figures)
        table.add_row(segment.name, f"{segment.size:,} {segment.of}", segment.about, *cells)
    return table


def comparison_table(comparison: Comparison) -> RenderableType:
    """A comparison: a row a model, best first, with metrics, time, the paired difference and the verdict.

    Intervals stand under their figures, so that the table fits 80 columns.
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
        f"Difference: from the best in {comparison.metric}, paired by user, {comparison.samples:,} bootstrap samples. "
        f"p: after Holm's correction; worse: at most {comparison.alpha:g}; tied: no more than chance may make.",
        *comparison.reports[0].notes(),
    ]
    return Group(table, *(Padding(Text(line, style="dim"), (0, 1)) for line in below))


def format_difference(difference: Interval) -> str:
    """`-0.0560 (-0.0599, -0.0523)`."""
    return f"{difference.mean:+.4f} ({difference.low:+.4f}, {difference.high:+.4f})"


def format_p(p: float) -> str:
    """`0.031`, or `< 0.001`."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _columns(comparison: Comparison) -> Sequence[str]:
    """The metric that decides, and a few others at the same list length, that every report has."""
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
    """A figure with its interval on the line below."""
    figure, _, interval = text.partition(" (")
    return Text.assemble(figure, (f"\n{interval.rstrip(')')}", "dim"))


def _times(report: Report) -> str:
    fit = "" if report.fit_seconds is None else f"fitted in {_seconds(report.fit_seconds)} s, "
    memory = "" if report.peak_memory_mb is None else f", {report.peak_memory_mb:,.0f} MB at most"
    return f"{fit}ranked in {_seconds(report.rank_seconds)} s{memory}"


def _seconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.2f}"


def movie_table(movies: MovieList) -> RenderableType:
    """A list of movies: rank, title, genres, score, and what of the history speaks for each if that was asked for."""
    explained = any(movie.because for movie in movies)
    title = f"like {movies.of}, says {movies.model}" if movies.of else f"for you, says {movies.model}"
    table = Table(title=title, title_justify="left", title_style="bold", box=SIMPLE_HEAD, padding=(0, 1))
    for heading in ("", "title", "genres", "score", *(["because of"] if explained else [])):
        table.add_column(heading, justify="right" if heading in ("", "score") else "left")
    for row in movies.rows():
        table.add_row(*map(escape, row[: len(table.columns)]))
    return table
