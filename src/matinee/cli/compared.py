"""What `compare` runs: the plan of the command line and of a file, every fit with every seed, and the result."""

import hashlib
import shlex
import sys
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

from pydantic import Field

from matinee.cli.entries import Chosen, Entry, folds, is_file, overridden
from matinee.cli.output import progress, warn
from matinee.config import configure
from matinee.errors import MatineeError, UsageError
from matinee.experiment import Experiment, read_experiment

if TYPE_CHECKING:
    from matinee.data.splits import Split
    from matinee.evaluation.comparison import Comparison
    from matinee.evaluation.report import Report
    from matinee.workflow.comparing import ModelResult

SOME_SECONDS = 1.0
"""Of training, below which the share of evaluation says nothing."""
DEFAULT_FOLDER = Path("runs") / "compare"
ALL = "all"


class ComparisonFile(Experiment):
    """A whole comparison as TOML: an experiment without a model of its own, and what is compared."""

    models: tuple[str, ...] = ()
    """Models of the registry, experiments in files, or artefacts; `all` is every model of the registry."""
    seeds: int | None = Field(None, ge=1)
    """Fits of each model."""
    metric: str | None = None
    """The metric that decides."""
    tuned: bool = False
    """Whether each model's settings are chosen on valid first."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is compared, by the command line and a file."""

    models: tuple[str, ...]
    experiment: Experiment
    chosen: Chosen
    seeds: int | None = None
    metric: str | None = None
    tuned: bool = False


@dataclass(frozen=True, slots=True)
class Course:
    """How it runs: fits of each model, tuned or not, how many at once, where finished ones are kept, leaks refused.

    on: the address of a Ray cluster that runs the fits; search_seconds: after which a search tries no further settings;
    unseen: also fit without some users.
    """

    n_seeds: int
    tuned: bool
    search_seconds: float
    unseen: bool
    jobs: int | None
    folder: Path | None
    strict: bool
    on: str | None = None


def read_plan(arguments: Sequence[str], more: str, experiment: Experiment, chosen: Chosen) -> Plan:
    """The models of arguments, --models and a file that names several.

    Raises UsageError for fewer than two, and for a file of several beside other arguments.
    """
    from matinee.models import model_names

    named = [name.strip() for name in more.split(",") if name.strip()]
    plan = Plan((), experiment, chosen)
    files = {name: _read(Path(name)) for name in arguments if is_file(name)}
    several = next((name for name, found in files.items() if found.models), None)
    if several is not None and len(arguments) > 1:
        others = ", ".join(name for name in arguments if name != several)
        raise UsageError(f"{several} names several models and stands alone; add {others} to its `models`")
    if several is not None:
        found = files[several]
        own = Experiment.model_validate(found.model_dump(exclude_unset=True, exclude=set(_BESIDE)))
        merged = overridden(own, experiment, chosen - {"set"})
        merged = merged.model_copy(update={"settings": own.settings | experiment.settings})
        named = [*found.models, *named]
        plan = Plan((), merged, chosen | {"data", "split.split"}, found.seeds, found.metric, found.tuned)
    else:
        named = [*arguments, *named]
    names = tuple(dict.fromkeys(model_names())) if named == [ALL] else tuple(named)
    if ALL in names:
        raise UsageError("`all` stands alone: it names every model of the registry")
    if len(names) < 2:
        raise UsageError(_too_few(names, several))
    return replace(plan, models=names)


def _too_few(names: Sequence[str], several: str | None) -> str:
    """What to write instead of one model or none."""
    text = "compare takes two or more models"
    one = names[0] if names else ""
    if "," in one or " " in one.strip():
        return f"{text}, and {one!r} is one name; write --models {','.join(one.replace(',', ' ').split())}"
    if several is not None or is_file(one):
        return f'{text}; {several or one} names fewer: write, for example, models = ["ease", "ials"] at its top'
    return f"{text}; `matinee evaluate MODEL` evaluates one"


_BESIDE = ("models", "seeds", "metric", "tuned")


def _read(path: Path) -> ComparisonFile:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        read_experiment(path)  # says what is wrong
        raise
    return configure(ComparisonFile, values, str(path)) if "models" in values else ComparisonFile()


def measure_plan(
    common: Experiment, entries: Sequence[Entry], metric: str, course: Course
) -> tuple[dict[str, Any], "Comparison", list[str]]:
    """The result for JSON, the comparison, and a sentence for each fit that failed.

    Raises MatineeError if fewer than two models are left, and with `strict` if the split leaks.
    """
    import numpy as np

    from matinee.evaluation.comparison import compare
    from matinee.workflow.result import Origin, result_of
    from matinee.workflow.tuning import SHORT

    _check_seeds(common, course)
    started = perf_counter()
    of_folds, split = _measure_folds(common, entries, metric, course)
    rng = np.random.default_rng(common.split.seed)
    seeds = _seeds(common, course)
    reports: list[Report] = []
    experiments: dict[int, Experiment] = {}
    searches: dict[int, dict[str, Any]] = {}
    problems: list[str] = []
    failed: list[dict[str, str]] = []
    for index, entry in enumerate(entries):
        results = [results[index] for results in of_folds]
        problems += [f"{entry.source}: {text}" for each in results for text in each.problems]
        failed += [{"model": entry.source, "error": text} for each in results for text in each.problems]
        report = _one_report(results, seeds, rng)
        if report is not None:
            reports.append(report)
            experiments[id(report)] = entry.experiment
            if found := results[0].search:
                searches[id(report)] = found
    if problems and len(reports) < 2:
        raise MatineeError(problems[0] if len(problems) == 1 else f"all but one failed: {'; '.join(problems)}")
    comparison = compare(reports, metric, rng=np.random.default_rng(common.split.seed))
    command = shlex.join(["matinee", *sys.argv[1:]])
    budget = f"yes, on valid: {SHORT} trials of each model, none begun after {course.search_seconds:g} s"
    facts = {"seeds": ", ".join(map(str, seeds)), "tuned": budget if course.tuned else "no"}
    origin = Origin(experiments, command, perf_counter() - started, failed, facts, searches)
    return result_of(comparison, split, origin), comparison, problems


def times_line(times: Mapping[str, Any]) -> str:
    """How long training, evaluation and the whole run took."""
    from matinee.report.comparison.result import seconds

    fits, searched, evaluated = (times[name] for name in ("fit_seconds", "search_seconds", "evaluate_seconds"))
    share = f" ({evaluated / (fits + searched):.0%} of it)" if fits + searched >= SOME_SECONDS else ""
    training = f"training {seconds(fits)}" + (f" and searches {seconds(searched)}" if searched else "")
    return f"{training}, evaluation {seconds(evaluated)}{share}; this command {seconds(times['wall_seconds'])}"


def _measure_folds(
    common: Experiment, entries: Sequence[Entry], metric: str, course: Course
) -> tuple[list[list["ModelResult"]], "Split"]:
    """The fits of every fold, and the split of the last."""
    from matinee.cli.board import Board
    from matinee.workflow.comparing import Course as Fits
    from matinee.workflow.comparing import forget_all, measure_all
    from matinee.workflow.planned_fits import PlannedFit
    from matinee.workflow.run_folder import RunFolder
    from matinee.workflow.side_by_side import Progress, jobs_for

    seeds = _seeds(common, course)
    jobs = jobs_for(len(entries) * len(seeds), course.jobs)
    of_folds, kept, n_folds = [], [], len(folds(common))
    for one in folds(common):
        split = _prepare(one, course.strict)
        planned = [
            PlannedFit(
                entry.source,
                entry.experiment.model_copy(update={"split": one.split}),
                seeds[0],
                None if entry.fitted is None else Path(entry.source),
                course.tuned and entry.fitted is None,
                course.search_seconds if course.tuned else None,
                course.unseen and entry.fitted is None and n_folds == 1,
            )
            for entry in entries
        ]
        folder = RunFolder(course.folder or DEFAULT_FOLDER, _fingerprint(split))
        board = Board([each.label for each in planned], len(seeds), metric, jobs, (*split.data.notes, *split.notes))
        with board.shown():
            fits = Fits(
                jobs, folder, Progress(board.on_step, board.on_epoch), board.on_plan, board.on_outcome, course.on
            )
            try:
                of_folds.append(measure_all(planned, seeds, split, fits))
            except KeyboardInterrupt:
                warn(f"stopped; repeat the command to go on: what is finished is kept in {folder.path}")
                raise
        kept.append(folder)
    if course.folder is None and not any(each.problems for results in of_folds for each in results):
        for results, folder in zip(of_folds, kept, strict=True):
            forget_all(results, seeds, folder)
    return of_folds, split


def _prepare(experiment: Experiment, strict: bool) -> "Split":
    """The split, whose notes are printed. Raises MatineeError if it leaks and `strict` forbids it."""
    from matinee import workflow
    from matinee.data.audit import require_no_leaks

    with progress() as (on_step, _):
        split = workflow.prepare(experiment, on_step)
    for note in (*split.data.notes, *split.notes):
        warn(note)
    if strict:
        require_no_leaks(split)
    return split


def _one_report(results: Sequence["ModelResult"], seeds: Sequence[int], rng: Any) -> "Report | None":  # noqa: ANN401
    """One report over seeds or folds; None if a fold has none."""
    from matinee.evaluation.cross_validation import pooled

    reports = [result.report(seeds, rng) for result in results]
    found = [report for report in reports if report is not None]
    if len(found) < len(reports):
        return None
    return found[0] if len(found) == 1 else pooled(found, rng)


def _seeds(common: Experiment, course: Course) -> list[int]:
    return [common.split.seed + index for index in range(course.n_seeds)]


def _check_seeds(common: Experiment, course: Course) -> None:
    if course.n_seeds > 1 and len(folds(common)) > 1:
        raise UsageError(
            f"--seeds {course.n_seeds} does not go with folds or --repeats; name a --fold, or leave it out"
        )


def _fingerprint(split: "Split") -> str:
    """Of the data and of the part that each event belongs to."""
    return f"{split.data.fingerprint}-{hashlib.sha256(split.labels.tobytes()).hexdigest()[:8]}"
