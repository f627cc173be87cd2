"""The command compare."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from matinee.cli.compared import Course, measure_plan, read_plan, times_line
from matinee.cli.entries import Chosen, entries_of
from matinee.cli.options import Json, On, experiment_options, require_one_of, require_search_time, wrong_usage
from matinee.cli.output import json_ready, print_json, say
from matinee.errors import MatineeError, UsageError
from matinee.experiment import Experiment

REPORTS = (Path("comparison.html"), Path("comparison.json"))
"""What a long comparison saves where --report names nothing."""
SEARCH_SECONDS = 60.0
"""Of a model's search, where --tune-seconds does not say otherwise."""


@experiment_options("columns", "items", "filters", "split", "evaluation", "machine")
def compare(  # noqa: PLR0913 - one for each option
    experiment: Experiment,
    chosen: Chosen,
    models: list[str] | None = typer.Argument(
        None,
        metavar="MODEL MODEL ...",
        help="Models of the registry, experiments in .toml files, or artefacts; or one .toml file with `models`.",
        show_default=False,
    ),
    more: str = typer.Option("", "--models", metavar="A,B,...|all", help="Models of the registry; all of them."),
    metric: str | None = typer.Option(
        None, "--metric", help="The metric that decides. Default: ndcg@10.", show_default=False
    ),
    seeds: int | None = typer.Option(
        None, "--seeds", min=1, metavar="N", help="Fits of each model, each with a seed of its own.", show_default=False
    ),
    tuned: bool = typer.Option(
        False, "--tuned", help="Choose each model's settings on valid first, by a short search."
    ),
    tune_seconds: float | None = typer.Option(
        None,
        "--tune-seconds",
        metavar="X",
        help="With --tuned: seconds after which a model's search tries no further settings. Default: 60.",
    ),
    unseen: bool | None = typer.Option(
        None,
        "--unseen/--no-unseen",
        help="Fit each model once more without a fifth of the users, and measure what they lose. Default: if tuned.",
        show_default=False,
    ),
    jobs: int | None = typer.Option(
        None, "--jobs", min=1, metavar="N", help="Fits at once. Default: one for each core, if there are more than 4."
    ),
    on: str | None = On,
    run: Path | None = typer.Option(
        None, "--run", metavar="FOLDER", help="Keep finished fits here. Default: runs/compare, until all are finished."
    ),
    strict: bool = typer.Option(False, "--strict", help="Fail before any fit if the split leaks."),
    figure: Path | None = typer.Option(None, "--figure", help="Save a figure of the comparison (png, svg, pdf)."),
    report: list[Path] = typer.Option(
        [],
        "--report",
        metavar="FILE",
        help="Save a report (html, md, json, tex); repeatable. Default if tuned or with seeds: comparison.html, .json.",
        show_default=False,
    ),
    json: bool = Json,
) -> None:
    """Measure several models on the same split and compare them, paired by user: best, tied or worse.

    Each has its own settings: `--set ease.l2=300`, or those of its file. An interrupted run goes on when the command is
    repeated.
    """
    from matinee.report.files import require_figure

    plan = read_plan(models or [], more, experiment, chosen)
    common, entries = entries_of(plan.models, plan.experiment, plan.chosen)
    deciding = metric or plan.metric or "ndcg@10"
    _check_metric(deciding, [entry.model for entry in entries], common)
    require_figure(figure)
    tuned = tuned or plan.tuned
    report = report or (list(REPORTS) if tuned or (seeds or plan.seeds or 1) > 1 else [])
    _require_reports(report)
    require_one_of(jobs, on)
    _require_run(run)
    _check_tuning(tuned, tune_seconds)
    whole = tuned if unseen is None else unseen
    course = Course(seeds or plan.seeds or 1, tuned, tune_seconds or SEARCH_SECONDS, whole, jobs, run, strict, on)
    raw, comparison, problems = measure_plan(common, entries, deciding, course)
    if figure is not None:
        from matinee.report.plots import draw_comparison

        draw_comparison(comparison, figure)
    if report:
        _save_reports(raw, report)
    if json:
        print_json(raw)
    else:
        from matinee.report.tables import comparison_table

        say(comparison_table(comparison))
        say(times_line(raw["times"]))
        for kind, path in [*[("figure", figure)] * (figure is not None), *(("report", path) for path in report)]:
            say(f"{kind} saved to {path}")
    if problems:
        raise MatineeError(f"{len(problems)} fits failed; the others are compared: {'; '.join(problems)}")


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


def _check_tuning(tuned: bool, seconds: float | None) -> None:
    """Raises UsageError for a budget of no search, or none at all."""
    if seconds is None:
        return
    if not tuned:
        raise UsageError(f"--tune-seconds {seconds:g} has no effect without --tuned")
    require_search_time(seconds)


def _require_run(folder: Path | None) -> None:
    """Raises UsageError for a file in place of the folder that keeps fits, MatineeError if nothing can be written."""
    from matinee.destinations import require_folder

    if folder is None:
        return
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--run {folder} is a file; name a folder, which keeps the finished fits")
    require_folder(folder / "fit", "--run")


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
