"""The command compare."""

import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

import typer

from matinee.cli.entries import Chosen, entries_of, measure_on
from matinee.cli.options import Json, experiment_options, wrong_usage
from matinee.cli.output import json_ready, print_json, progress, say
from matinee.config import Experiment
from matinee.errors import UsageError


@experiment_options("columns", "items", "filters", "split", "evaluation")
def compare(
    experiment: Experiment,
    chosen: Chosen,
    models: list[str] = typer.Argument(
        ..., metavar="MODEL MODEL ...", help="Models of the registry, experiments in .toml files, or artefacts."
    ),
    metric: str = typer.Option("ndcg@10", "--metric", help="The metric that decides."),
    figure: Path | None = typer.Option(None, "--figure", help="Save a figure of the comparison (png, svg, pdf)."),
    report: list[Path] = typer.Option(
        [], "--report", metavar="FILE", help="Save a report (html, md, json, tex); repeatable.", show_default=False
    ),
    json: bool = Json,
) -> None:
    """Measure several models on the same split and compare them, paired by user: best, tied or worse.

    Each has its own settings: `--set ease.l2=300`, or those of its file.
    """
    import numpy as np

    from matinee.evaluation.comparison import compare as compare_reports
    from matinee.report.files import require_figure
    from matinee.workflow.result import Origin, result_of

    if len(models) < 2:
        raise UsageError("compare takes two or more models; `matinee evaluate MODEL` evaluates one")
    common, entries = entries_of(models, experiment, chosen)
    _check_metric(metric, [entry.model for entry in entries], common)
    require_figure(figure)
    _require_reports(report)
    started = perf_counter()
    with progress(2 + 2 * len(entries)) as hooks:
        reports, split = measure_on(common, entries, hooks, cost=bool(report))
    comparison = compare_reports(reports, metric, rng=np.random.default_rng(common.split.seed))
    if report:
        origin = Origin(
            {id(found): entry.experiment for found, entry in zip(reports, entries, strict=True)},
            command_line(),
            perf_counter() - started,
        )
        _save_reports(result_of(comparison, split, origin), report)
    if figure is not None:
        from matinee.report.plots import draw_comparison

        draw_comparison(comparison, figure)
    if json:
        print_json(comparison.to_json())
        return
    from matinee.report.tables import comparison_table

    say(comparison_table(comparison))
    if figure is not None:
        say(f"figure saved to {figure}")
    for path in report:
        say(f"report saved to {path}")


def report(
    result: Path = typer.Argument(..., help="The JSON of a comparison, saved by `matinee compare --report FILE.json`."),
    out: list[Path] = typer.Option([], "--out", metavar="FILE", help="Save it as html, md, json or tex; repeatable."),
    figures: Path | None = typer.Option(None, "--figures", metavar="FOLDER", help="Save each figure in this folder."),
    figure_format: str = typer.Option("svg", "--figure-format", metavar="svg|pdf|png", help="Format of the figures."),
    json: bool = Json,
) -> None:
    """Make the report of a comparison again from its JSON, in other formats, and its figures as files."""
    from matinee.destinations import require_folder
    from matinee.report.comparison.files import figure_suffix, require_reports, save_figures, save_report
    from matinee.report.comparison.result import read_result

    if not out and figures is None:
        raise UsageError("say what to make of it: --out FILE.html (or md, json, tex), or --figures FOLDER")
    suffix = figure_suffix(figure_format)
    require_reports(out, "--out")
    if figures is not None:
        require_folder(figures, "--figures")
    found = read_result(result)
    drawn = [] if figures is None else save_figures(found, figures, suffix)
    for path in out:
        save_report(found, path, figures)
    if json:
        print_json({"reports": list(map(str, out)), "figures": list(map(str, drawn))})
        return
    for path in (*out, *drawn):
        say(f"saved {path}")


def command_line() -> str:
    """The command as it was typed, ready to be typed again."""
    return shlex.join(["matinee", *sys.argv[1:]])


def _require_reports(paths: Sequence[Path]) -> None:
    if paths:
        from matinee.report.comparison.files import require_reports

        require_reports(paths)


def _save_reports(raw: dict[str, Any], paths: Sequence[Path]) -> None:
    from matinee.report.comparison.files import save_report
    from matinee.report.comparison.result import Result

    result = Result(json_ready(raw))
    for path in paths:
        save_report(result, path)


def _check_metric(metric: str, models: Sequence[str], experiment: Experiment) -> None:
    """Raises UsageError for an unknown metric, or one that is not measured: at its list length, or of these models."""
    from matinee.evaluation.metrics import parse_metric
    from matinee.models import model_class

    with wrong_usage():
        _, k = parse_metric(metric)
    ranking = [name for name in models if k is None and not model_class(name).predicts_values]
    if ranking:
        raise UsageError(
            f"--metric {metric} is of predicted values, and {ranking[0]} only ranks; choose another metric"
        )
    ks = experiment.evaluation.k
    if k is not None and k not in ks:
        raise UsageError(f"--metric {metric} is not measured with -k {','.join(map(str, ks))}; add {k} to -k")
