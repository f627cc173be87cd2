"""The command replay."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from matinee.cli.entries import Chosen, named
from matinee.cli.options import Json, check_model, experiment_options, with_model
from matinee.cli.output import print_json, progress, say, table, warn
from matinee.experiment import Experiment

if TYPE_CHECKING:
    from matinee.workflow import Replay


@experiment_options("columns", "filters")
def replay(  # noqa: PLR0913 - one for each option
    experiment: Experiment,
    chosen: Chosen,
    model: str | None = typer.Argument(None, help="A model of the registry, such as ease.", show_default=False),
    against: str | None = typer.Option(
        None, "--against", help="Another model, for an A/B test on paper.", metavar="MODEL"
    ),
    retrain_every: str = typer.Option(
        "30d", "--retrain-every", help="When models are fitted again: after a time (30d) or a number of events (5000)."
    ),
    first: float = typer.Option(0.5, "--first", help="Share of the events that the first fit learns from."),
    k: int = typer.Option(10, "-k", help="Length of the lists."),
    seed: int = typer.Option(42, "--seed", help="The random seed of fits, arms and intervals."),
    out: Path | None = typer.Option(None, "--out", help="A folder: the same command goes on where it was interrupted."),
    figure: Path | None = typer.Option(None, "--figure", help="Draw the metrics over time: .png, .svg or .pdf."),
    json: bool = Json,
) -> None:
    """Replay a log in time order: before each event a list, then the event is folded in, with regular retraining."""
    from matinee import workflow
    from matinee.report.files import require_figure

    experiment = with_model(experiment, model)
    name = named(experiment)
    check_model(experiment, name)
    if figure is not None:
        require_figure(figure, "--figure")
    every: str | int = int(retrain_every) if retrain_every.isdecimal() else retrain_every
    with progress(None) as (on_step, _):
        data = workflow.read(experiment, on_step)
        found = workflow.replay(
            data,
            name,
            against,
            retrain_every=every,
            first=first,
            k=k,
            seed=seed,
            folder=out,
            on_window=lambda number, total, what: on_step(f"window {number + 1} of {total}: {what}"),
            **experiment.settings,
        )
    if figure is not None:
        from matinee.report.replay_plot import draw_replay  # matplotlib is slow to import

        draw_replay(found, figure)
    if json:
        print_json(found.to_json() | ({"figure": str(figure)} if figure else {}))
        return
    for note in data.notes:
        warn(note)
    _show(found)


def _show(found: "Replay") -> None:
    head = ["window from", "events", "could be hit", *(f"{label} NDCG@{found.k}" for label in found.models)]
    rows = [
        (
            each["begin"][:10],
            f"{each['events']:,}",
            "" if each["could_be_hit"] is None else f"{each['could_be_hit']:.1%}",
            *("" if of["ndcg"] is None else f"{of['ndcg']:.4f}" for of in each["models"].values()),
        )
        for each in found.to_json()["windows"]
    ]
    say(table(f"{found.data} replayed", head, rows))
    headline, scores = found.overview().headline, list(found.overview().rows)
    say(table(headline, list(scores[0]), scores[1:]))
    for sentence in found.sentences():
        say(sentence)
