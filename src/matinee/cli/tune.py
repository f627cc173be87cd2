"""The command tune."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from matinee.cli.entries import Chosen, named
from matinee.cli.options import Json, On, check_model, check_triples, experiment_options, require_one_of, with_model
from matinee.cli.output import print_json, progress, say, table, warn
from matinee.experiment import Experiment

if TYPE_CHECKING:
    from matinee.tuning import Trial
    from matinee.workflow import TuningResult

BEST, HISTORY = "best.toml", "history.svg"


@experiment_options("columns", "items", "filters", "split", "evaluation")
def tune(  # noqa: PLR0913 - one for each option
    experiment: Experiment,
    chosen: Chosen,
    model: str | None = typer.Argument(None, help="A model of the registry, such as ials.", show_default=False),
    trials: int | None = typer.Option(None, "--trials", help="Settings to try in all. Default: 20.", metavar="N"),
    seconds: float | None = typer.Option(None, "--seconds", help="Time after which no more are tried.", metavar="X"),
    metric: str | None = typer.Option(None, "--metric", help="What is tuned for, on valid. Default: ndcg@10."),
    search: list[str] = typer.Option(
        [],
        "--search",
        help="A field to search, by its own range or another; repeatable.",
        metavar="FIELD[=LOW:HIGH[:log]]",
    ),
    jobs: int | None = typer.Option(
        None, "--jobs", help="Trials side by side. Default: one for each core.", metavar="N"
    ),
    on: str | None = On,
    out: Path | None = typer.Option(None, "--out", help="Folder of the search. Default: tuning/MODEL."),
    json: bool = Json,
) -> None:
    """Choose a model's settings on the valid part of a split. The same command goes on with what it has.

    The folder gets every trial (trials.jsonl), the best as an experiment (best.toml) and a figure (history.svg).
    """
    from matinee import workflow
    from matinee.destinations import require_folder
    from matinee.tuning import Budget
    from matinee.workflow.toml_text import experiment_toml
    from matinee.writing import new_file

    experiment = with_model(experiment, model)
    name = named(experiment)
    check_model(experiment, name)
    check_triples(experiment, [name])
    require_one_of(jobs, on)
    budget = Budget(20 if trials is None and seconds is None else trials, seconds)
    folder = out or Path("tuning") / name
    require_folder(folder, "--out")
    with progress(None if budget.trials is None else budget.trials + 3) as (on_step, on_epoch):
        split = workflow.prepare(experiment, on_step)
        on_step(f"trying {name} with its defaults")

        def on_trial(trial: "Trial", so_far: "Sequence[Trial]") -> None:
            best = max((each.value for each in so_far if each.value is not None), default=float("nan"))
            on_step(f"{len(so_far)} trials, best {abs(best):.4f}, the last {_outcome(trial)} in {trial.seconds:.1f} s")

        found = workflow.tune_experiment(
            experiment,
            split,
            budget,
            metric=metric,
            fields=search,
            folder=folder,
            jobs=_cores() if jobs is None else jobs,
            on=on,
            hooks=(on_trial, on_epoch),
        )
    for note in (*split.data.notes, *split.notes):
        warn(note)
    best = folder / BEST
    text = experiment_toml(experiment, experiment.settings | found.trials[found.best].settings)
    with new_file(best, "experiment") as part:
        part.write_text(_comment(found, best) + text, encoding="utf-8")
    from matinee.report.tuning_plot import draw_search  # matplotlib is slow to import

    draw_search(found, folder / HISTORY)
    if json:
        print_json({"best_file": str(best), "history": str(folder / HISTORY)} | found.to_json())
        return
    _show(found, best)


def _comment(found: "TuningResult", best: Path) -> str:
    return (
        f"# {found.metric} {found.value:.6f} on valid, trial {found.trials[found.best].number} of {len(found.trials)}; "
        f"again by:\n# matinee evaluate --config {best} --on valid\n"
    )


def _show(found: "TuningResult", best: Path) -> None:
    ended = [each.state for each in found.trials]
    trial = found.trials[found.best]
    words = ", ".join(f"{name}={value}" for name, value in trial.settings.items())
    by_default = "failed" if found.defaults is None else f"{found.defaults:.4f}"
    rows = [
        (f"{found.metric} on valid", f"{found.value:.4f} (defaults: {by_default})"),
        ("settings", words or "the defaults: nothing that was tried is better"),
        ("searched", ", ".join(found.fields)),
        ("trials", ", ".join(f"{ended.count(state)} {state}" for state in dict.fromkeys(ended))),
        ("time", f"{found.elapsed:.1f} s"),
        ("files", f"{best}, {best.with_name(HISTORY)}"),
    ]
    say(table(f"tuned {found.model}", ["", ""], rows))
    for each in found.trials:
        if each.state == "failed":
            warn(f"trial {each.number} failed with {_words(each)}: {each.note}")
    say(f"next       matinee evaluate --config {best}")


def _words(trial: "Trial") -> str:
    return ", ".join(f"{name}={value}" for name, value in trial.settings.items()) or "the defaults"


def _outcome(trial: "Trial") -> str:
    return trial.state if trial.value is None else f"{abs(trial.value):.4f} ({trial.state})"


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
