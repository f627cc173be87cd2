"""The command compare."""

from collections.abc import Sequence
from pathlib import Path

import typer

from matinee.cli.entries import Chosen, entries_of, measure
from matinee.cli.options import Json, experiment_options, wrong_usage
from matinee.cli.output import print_json, progress, say
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
    json: bool = Json,
) -> None:
    """Measure several models on the same split and compare them, paired by user: best, tied or worse.

    Each has its own settings: `--set ease.l2=300`, or those of its file.
    """
    import numpy as np

    from matinee.evaluation.comparison import compare as compare_reports
    from matinee.report.files import require_figure

    if len(models) < 2:
        raise UsageError("compare takes two or more models; `matinee evaluate MODEL` evaluates one")
    common, entries = entries_of(models, experiment, chosen)
    _check_metric(metric, [entry.model for entry in entries], common)
    require_figure(figure)
    with progress(2 + 2 * len(entries)) as hooks:
        reports = measure(common, entries, hooks)
    comparison = compare_reports(reports, metric, rng=np.random.default_rng(common.split.seed))
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
