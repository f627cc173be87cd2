"""The commands train, evaluate and models."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from matinee.cli.entries import Chosen, Entry, folds, measure, named, resolve, searched
from matinee.cli.next_step import next_step
from matinee.cli.options import (
    Json,
    On,
    Workers,
    check_machine,
    check_model,
    check_triples,
    chosen_workers,
    experiment_options,
    with_model,
)
from matinee.cli.output import print_json, progress, say, table, warn
from matinee.config import EvaluationConfig
from matinee.errors import MatineeError, UsageError
from matinee.experiment import Experiment
from matinee.extras import is_installed

if TYPE_CHECKING:
    from matinee.store.artefact import Artefact


ONE_SPLIT = "one split: name a --fold, or leave out --repeats"
AUTO = typer.Option(False, "--auto", help="Choose settings on valid first, by a short search of some nine fits.")


@experiment_options("columns", "items", "filters", "split", "machine")
def train(  # noqa: PLR0913 - one for each option
    experiment: Experiment,
    chosen: Chosen,
    model: str | None = typer.Argument(None, help="A model of the registry, such as ease.", show_default=False),
    out: Path | None = typer.Option(None, "--out", help="Folder of the artefact. Default: artefacts/MODEL."),
    resume: bool = typer.Option(False, "--resume", help="Continue an interrupted run; keep a finished one."),
    auto: bool = AUTO,
    workers: int | None = Workers,
    on: str | None = On,
    json: bool = Json,
) -> None:
    """Fit a model on a log, or with --split on its training part, and save it as an artefact."""
    from matinee import workflow
    from matinee.store import artefact
    from matinee.store.manifest import require_destination
    from matinee.training.checkpoint import require_replaceable

    experiment = with_model(experiment, model)
    name = named(experiment)
    check_model(experiment, name)
    check_triples(experiment, [name])
    check_machine(experiment, [name])
    path = out or Path("artefacts") / name
    require_destination(path)
    several = chosen_workers(workers, on)
    checkpoint = path.with_name(f"{path.name}.checkpoint")
    require_replaceable(checkpoint)
    if checkpoint.exists() and not resume:
        warn(f"{checkpoint} is of an interrupted run, which --resume continues; training by epochs replaces it")
    with progress(5) as (on_step, on_epoch):
        is_split = any(field.startswith("split.") and field != "split.seed" for field in chosen)
        split = workflow.prepare(experiment, on_step) if is_split else None
        data = split.data if split is not None else workflow.read(experiment, on_step)
        if auto:
            experiment = searched(experiment, split or data, on_step)
        about: dict[str, Any] = {
            "experiment": experiment.model_dump(mode="json", exclude_unset=True, exclude={"machine"})
        }
        done = _finished(path, about, data.fingerprint) if resume else None
        if done is None:
            on_step(f"fitting {name}")
            seed = experiment.split.seed
            with _resume_hint(checkpoint):
                fitted = workflow.fit(
                    name,
                    split or data,
                    seed=seed,
                    values=workflow.values_of(experiment),
                    graph=experiment.graph,
                    **workflow.features_of(experiment),
                    on_epoch=on_epoch,
                    checkpoint=checkpoint,
                    resume=resume,
                    workers=several,
                    **experiment.machine.model_dump(),
                    **experiment.settings,
                )
            if split is not None and len(split.targets("valid")):
                on_step(f"evaluating {name} on valid")
                report = workflow.evaluate(fitted, split, seed=seed, on="valid")
                fitted = workflow.noted(fitted, report, split, EvaluationConfig(on="valid"), seed)
                about |= workflow.quality(report)
            machine = experiment.machine.model_dump(exclude={"memory"})
            about |= workflow.predicted_values(fitted, split or data, seed=seed, **machine)
            on_step(f"saving {path}")
            with _resume_hint(checkpoint, failures=(MatineeError,)):
                done = artefact.save(fitted.with_manifest(about), path, draw=_curves_of(fitted))
            if fitted.model.curves:  # otherwise the checkpoint is of another run
                checkpoint.unlink(missing_ok=True)
    _show_trained(done, (*data.notes, *(split.notes if split is not None else ())), json)


@experiment_options("columns", "items", "filters", "split", "evaluation", "machine")
def evaluate(
    experiment: Experiment,
    chosen: Chosen,
    model: str | None = typer.Argument(None, help="A model of the registry, or an artefact.", show_default=False),
    figure: Path | None = typer.Option(None, "--figure", help="Save a figure of predicted values (png, svg, pdf)."),
    explanations: bool = typer.Option(
        False, "--explanations", help="Test the reasons of the lists: whether items fall without what explains them."
    ),
    auto: bool = AUTO,
    json: bool = Json,
) -> None:
    """Fit a model on the training part of a split and evaluate it, or evaluate an artefact."""
    from matinee.report.files import require_figure

    fitted, experiment = resolve(model, experiment, chosen)
    if auto and fitted is not None:
        raise UsageError(f"--auto has no effect on {model}, which is fitted already; leave it out")
    if explanations:
        experiment = _with_explanations(experiment)
    require_figure(figure)
    _require_predictions(experiment, figure)
    with progress() as (on_step, on_epoch):
        report = measure(experiment, [Entry(str(model), experiment, fitted)], (on_step, on_epoch), auto=auto)[0]
    if figure is not None:
        from matinee.report.calibration_plot import draw_calibration

        draw_calibration(report.calibration, figure, report.headline().partition(":")[0])
    if json:
        print_json(report.to_json())
        return
    from matinee.report.tables import report_table

    say(report_table(report))
    if figure is not None:
        say(f"figure saved to {figure}")


def models(json: bool = Json) -> None:
    """List the models of Matinee and of installed packages (entry points)."""
    from matinee.models import MODELS, model_class, model_names
    from matinee.models.outside import installed_names, installed_package

    rows = []
    problems = [
        f"model {name!r} of package {installed_package(name)} is ignored: Matinee has a model of that name"
        for name in installed_names()
        if name in MODELS
    ]
    for name in model_names():
        package = "matinee" if name in MODELS else installed_package(name)
        try:
            about = (model_class(name).__doc__ or "").strip().partition("\n")[0]
            rows.append({"model": name, "package": package, "about": about})
        except MatineeError as error:
            problems.append(str(error))
    if json:
        print_json({"models": rows, "problems": problems})
        return
    say(table("Models", ["model", "package", ""], [tuple(row.values()) for row in rows]))
    for problem in problems:
        warn(problem)


def _with_explanations(experiment: Experiment) -> Experiment:
    """The experiment with the test of explanations. Raises UsageError for a split that it cannot be made on."""
    if experiment.split.split == "session" or len(folds(experiment)) > 1:
        what = (
            "one history a user: use another split than session" if experiment.split.split == "session" else ONE_SPLIT
        )
        raise UsageError(f"--explanations needs {what}")
    return experiment.model_copy(update={"evaluation": experiment.evaluation.model_copy(update={"explanations": True})})


def _require_predictions(experiment: Experiment, figure: Path | None) -> None:
    """Raises MatineeError if a figure of predicted values is asked for and there are none to draw."""
    from matinee.models import model_class, model_names

    if figure is None:
        return
    if experiment.model is None or not model_class(experiment.model).predicts_values:
        able = ", ".join(name for name in model_names() if model_class(name).predicts_values)
        raise MatineeError(f"--figure draws predicted values, and {experiment.model} predicts none; use one of {able}")
    if len(folds(experiment)) > 1:
        raise MatineeError(f"--figure needs {ONE_SPLIT}")


def _finished(path: Path, about: dict[str, Any], fingerprint: str) -> "Artefact | None":
    """The artefact at a path if it comes from the same experiment and data; None otherwise."""
    from matinee.store.artefact import load

    if not (path / "manifest.json").is_file():
        return None
    found = load(path)
    same = (
        found.manifest.get("experiment") == about["experiment"] and found.manifest["data"]["fingerprint"] == fingerprint
    )
    return found if same else None


@contextmanager
def _resume_hint(checkpoint: Path, *, failures: tuple[type[BaseException], ...] = ()) -> Iterator[None]:
    """On an interrupt, or one of these failures, say how to resume."""
    stops: tuple[type[BaseException], ...] = (KeyboardInterrupt, *failures)
    try:
        yield
    except stops:
        if checkpoint.exists():
            warn(f"stopped; repeat the command with --resume to continue from {checkpoint}")
        raise


def _curves_of(fitted: "Artefact") -> Callable[[Path], None] | None:
    """Draws the training curves of a model that trains by epochs; nothing where there is nothing to draw with."""
    if not is_installed("matplotlib"):
        return None

    def draw(path: Path) -> None:
        from matinee.report.plots import draw_curves  # matplotlib is slow to import

        draw_curves({fitted.name: fitted.model.curves}, path, getattr(fitted.model.config, "monitor", "valid"))

    return draw


def _show_trained(fitted: "Artefact", notes: tuple[str, ...], json: bool) -> None:
    from matinee.ranking.indexes import may_have_index

    manifest = fitted.manifest
    notes = (*notes, *manifest.get("notes", ()))
    for note in notes:
        warn(note)
    if json:
        print_json({"artefact": str(fitted.path)} | manifest | {"notes": list(notes)})
        return
    data = manifest["data"]
    ndcg = [manifest["metrics"]["ndcg@10"]] if "metrics" in manifest else []
    rows = [
        ("data", f"{data['name']}: {data['users']:,} users, {data['items']:,} items, {data['events']:,} events"),
        ("settings", ", ".join(f"{key}={value}" for key, value in manifest["config"].items())),
        ("values", str(fitted.model.value_map.config)),
        ("fitted in", f"{manifest['fit_seconds']:.2f} s"),
        *(("valid", f"NDCG@10 {value['mean']:.4f} ({value['low']:.4f}–{value['high']:.4f})") for value in ndcg),
        ("artefact", fitted.path),
    ]
    if may_have_index(fitted.model):
        rows.append(("lists", f"through an approximate index of its {data['items']:,} items, if asked for: --ann"))
    say(table(f"trained {fitted.name}", ["", ""], rows))
    say(f"next       {next_step(fitted)}")  # on one line, however long, so that it can be copied
