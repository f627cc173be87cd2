"""The command advise."""

from typing import TYPE_CHECKING

import typer

from matinee.cli.entries import Chosen
from matinee.cli.options import Json, experiment_options, require_search_time
from matinee.cli.output import OnStep, print_json, progress, say, table, warn
from matinee.errors import UsageError
from matinee.experiment import Experiment

if TYPE_CHECKING:
    from matinee.data.splits import Split
    from matinee.workflow import Advice, AdviceCheck


@experiment_options("columns", "items", "filters", "split", models=False)
def advise(
    experiment: Experiment,
    chosen: Chosen,
    check: bool = typer.Option(False, "--check", help="Tune the first three models shortly, and see who is right."),
    seconds: float | None = typer.Option(
        None,
        "--tune-seconds",
        metavar="X",
        help="With --check: seconds after which a model's search tries no further settings. Default: 60.",
    ),
    jobs: int | None = typer.Option(None, "--jobs", min=1, metavar="N", help="With --check: fits at once. Default: 1."),
    json: bool = Json,
) -> None:
    """Measure a log, and say which models to try on it, in which order and why: by results on the logs most like it.

    Without --split, the task is to find each user's last event where the log has times, and random events otherwise.
    """
    from matinee import workflow

    for name, given in (("--tune-seconds", seconds), ("--jobs", jobs)):
        if given is not None and not check:
            raise UsageError(f"{name} {given:g} has no effect without --check")
    if seconds is not None:
        require_search_time(seconds)
    with progress(None) as (on_step, _):
        split = _prepared(experiment, chosen, on_step)
        on_step("measuring the log")
        advice = workflow.advise(split, seed=experiment.split.seed)
        found = _checked(advice, experiment, split, seconds or 60.0, jobs or 1, on_step) if check else None
    for note in (*split.data.notes, *split.notes):
        warn(note)
    if json:
        print_json(advice.to_json() | ({"check": found.to_json()} if found else {}))
        return
    _show(advice)
    if found is not None:
        _show_check(found)


def _prepared(experiment: Experiment, chosen: Chosen, on_step: OnStep) -> "Split":
    """The split that was asked for, or the one that suits the log."""
    from matinee import workflow
    from matinee.data.splits import split
    from matinee.workflow.advising import split_for

    if any(field.startswith("split.") and field != "split.seed" for field in chosen):
        return workflow.prepare(experiment, on_step)
    data = workflow.read(experiment, on_step)
    return split(data, split_for(data, experiment.split.seed))


def _checked(
    advice: "Advice", experiment: Experiment, split: "Split", seconds: float, jobs: int, on_step: OnStep
) -> "AdviceCheck":
    from matinee import workflow
    from matinee.workflow.comparing import Course
    from matinee.workflow.side_by_side import Progress

    steps = Progress(lambda planned, step: on_step(f"{planned.label}: {step}"))
    course = Course(jobs, progress=steps)
    return workflow.check_advice(advice, split, seconds=seconds, experiment=experiment, course=course)


def _show(advice: "Advice") -> None:
    from matinee.data.statistics import percent

    traits = advice.traits
    order = "no times" if traits.order is None else f"{traits.order:.3f}"
    rows = [
        ("users, items, events", f"{traits.users:,}, {traits.items:,}, {traits.events:,}"),
        ("events of a user, of an item", f"{traits.user_events:,.1f}, {traits.item_events:,.1f} (means)"),
        ("share of all pairs", percent(traits.density)),
        ("different values", f"{traits.values:,}"),
        ("the top 1% of items have", f"{percent(traits.top_share)} of the events (Gini {traits.gini:.2f})"),
        ("repeated successors", f"{order} more than by chance" if traits.order is not None else order),
        ("recent events on new items", "no times" if traits.cold is None else percent(traits.cold)),
    ]
    say(table(f"{advice.data}, to be tested by split {advice.split}", ["", ""], rows))
    say(table("models to try, best first", ["", "model", "of the best", "fit", "measured"], advice.rows(), right="02"))
    for name, about in {each.log: each.about for of in advice.suggestions for each in of.evidence}.items():
        say(f"{name}: {about}")
    for note in advice.notes:
        warn(note)
    if advice.models:
        say(f"next       matinee advise --check, or matinee evaluate {advice.models[0]} --auto, with the same --data")


def _show_check(found: "AdviceCheck") -> None:
    from matinee.report.tables import comparison_table

    say(comparison_table(found.comparison))
    for name, settings in found.found.items():
        words = ", ".join(f"{field}={value}" for field, value in settings.items()) or "the defaults"
        say(f"{name}: {words}")
    for problem in found.problems:
        warn(problem)
    say(found.sentence())
