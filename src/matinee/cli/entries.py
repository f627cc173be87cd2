"""What `evaluate` and `compare` measure: models by name, experiments in files, and artefacts, all on one split."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from matinee.cli.options import check_graph, check_machine, check_model, check_triples, with_model
from matinee.cli.output import OnEpoch, OnStep, warn
from matinee.config import Config, configure
from matinee.errors import MatineeError, UsageError
from matinee.experiment import Experiment, read_experiment

if TYPE_CHECKING:
    from matinee.data.splits import Split
    from matinee.dataset import Dataset
    from matinee.evaluation.report import Report
    from matinee.store.artefact import Artefact

Chosen = frozenset[str]
SHARED = ("data", "columns", "items", "filters", "split", "evaluation")
"""Parts of an experiment that all entries of a comparison must have in common."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One of what is measured. source: as the command line names it. fitted: the artefact, if that is what it is."""

    source: str
    experiment: Experiment
    fitted: "Artefact | None" = None

    @property
    def model(self) -> str:
        """The model's name in the registry."""
        return named(self.experiment)

    @property
    def has_data(self) -> bool:
        """Whether it brings its own data and split: an experiment in a file, or an artefact."""
        return self.fitted is not None or is_file(self.source)


def named(experiment: Experiment) -> str:
    """The experiment's model. Raises UsageError if it has none."""
    if experiment.model is None:
        raise UsageError("no model given; name one, such as ease, or give --config with a model in it")
    return experiment.model


def is_file(argument: str) -> bool:
    """Whether an argument names an experiment in a file."""
    return argument.endswith(".toml")


def entries_of(
    arguments: Sequence[str], experiment: Experiment, chosen: Chosen
) -> tuple[Experiment, tuple[Entry, ...]]:
    """Resolve what `compare` is given: the experiment that all have in common, and an entry for each argument.

    An option wins over what a file or an artefact says. Raises UsageError where they disagree on data, split or what
    is measured and no option decides, for a setting that does not name its model, and for an entry given twice.
    """
    plain = experiment.model_copy(update={"model": None, "settings": {}})
    found = [_entry(argument, plain, chosen - {"set"}) for argument in arguments]
    common = _common(found, experiment)
    settings = _settings(experiment)
    _check_settings(settings, found)
    entries = tuple(_joined(entry, common, settings) for entry in found)
    for entry in entries:
        if entry.fitted is None:
            check_model(entry.experiment, entry.model)
        else:
            _warn_of_targets(entry, common)
    check_triples(common, [entry.model for entry in entries])
    check_machine(experiment, [entry.model for entry in entries if entry.fitted is None])
    for index, entry in enumerate(entries):
        if any(_same(entry, other) for other in entries[:index]):
            raise UsageError(f"compare {' '.join(arguments)}: {entry.source} is named twice; name each once")
    return common, entries


def _entry(argument: str, experiment: Experiment, chosen: Chosen) -> Entry:
    """An argument with its own experiment, in which the options are set."""
    if is_file(argument):
        own = read_experiment(Path(argument))
        if own.model is None:
            raise UsageError(f'{argument} names no model; write, for example, model = "ease" at its top')
        return Entry(argument, overridden(own, experiment, chosen))
    if (Path(argument) / "manifest.json").is_file():
        from matinee.store.artefact import load

        refuse_settings(chosen, argument)
        fitted = load(Path(argument))
        own = _own_experiment(fitted, argument)
        own = own.model_copy(update={"evaluation": Experiment().evaluation, "model": fitted.name})
        check_graph(experiment, fitted.model)
        return Entry(argument, overridden(own, experiment, chosen), fitted)
    _refuse_paths(argument)
    return Entry(argument, experiment.model_copy(update={"model": argument}))


def _own_experiment(fitted: "Artefact", path: str) -> Experiment:
    """The experiment that an artefact was fitted in."""
    return configure(Experiment, fitted.manifest.get("experiment", {}), f"{path}/manifest.json")


def overridden(own: Experiment, given: Experiment, chosen: Chosen) -> Experiment:
    """An experiment with the fields that options set; another split method takes the whole split along."""
    update: dict[str, object] = {}
    for section in Experiment.model_fields:
        value = getattr(given, section)
        fields = [name.partition(".")[2] for name in chosen if name.partition(".")[0] == section]
        if fields and isinstance(value, Config) and "" not in fields and "split" not in fields:
            mine: Config = getattr(own, section)
            update[section] = mine.model_copy(update={field: getattr(value, field) for field in fields})
        elif fields:
            update[section] = value
    return own.model_copy(update=update)


def _common(found: Sequence[Entry], experiment: Experiment) -> Experiment:
    """The experiment that all entries have in common. Raises UsageError for two that disagree."""
    brought = [entry for entry in found if entry.has_data]
    if not brought:
        return experiment
    first = next((entry for entry in brought if entry.fitted is None), brought[0])
    for other in brought:
        for section in SHARED:
            measured = section == "evaluation"
            if measured and other.fitted is not None:
                continue  # an artefact is measured as the others are
            mine, its = (_without_refit(getattr(entry.experiment, section)) for entry in (first, other))
            if mine != its:
                what = "evaluation settings" if measured else section
                raise UsageError(
                    f"{first.source} and {other.source} have different {what}: {_difference(mine, its)}; "
                    "give the options that decide"
                )
    shared = {section: getattr(first.experiment, section) for section in SHARED}
    return experiment.model_copy(update=shared)


def _without_refit(section: object) -> object:
    """A section without `refit`, which each entry may have of its own."""
    if isinstance(section, Config) and "refit" in type(section).model_fields:
        return section.model_copy(update={"refit": type(section).model_fields["refit"].default})
    return section


def _difference(one: object, other: object) -> str:
    if not (isinstance(one, Config) and isinstance(other, Config)):
        return f"{one} and {other}"
    name = next(name for name in type(one).model_fields if getattr(one, name) != getattr(other, name))
    return f"{name} is {getattr(one, name)} and {getattr(other, name)}"


def _joined(entry: Entry, common: Experiment, settings: Mapping[str, Mapping[str, object]]) -> Entry:
    """An entry with its model's settings, on what all have in common; a file keeps its own `refit`."""
    own = entry.experiment
    update: dict[str, object] = {section: getattr(common, section) for section in SHARED}
    if entry.fitted is None and is_file(entry.source):
        update["evaluation"] = common.evaluation.model_copy(update={"refit": own.evaluation.refit})
    update["settings"] = own.settings | dict(settings.get(_key(entry.model), {}))
    return Entry(entry.source, own.model_copy(update=update), entry.fitted)


def _key(model: str) -> str:
    """A model's name as `--set` spells it, where hyphens are underscores."""
    return model.replace("-", "_")


def _settings(experiment: Experiment) -> dict[str, dict[str, object]]:
    """Settings by model, from `ease.l2 = 300` (an option) and `[settings.ease]` (a file).

    A file that names its model has settings for that one. Raises UsageError for a setting that names none.
    """
    found: dict[str, dict[str, object]] = {}
    for name, value in experiment.settings.items():
        model, dot, field = name.partition(".")
        if dot:
            found.setdefault(_key(model), {})[field] = value
        elif isinstance(value, dict):
            found.setdefault(_key(model), {}).update(value)
        elif experiment.model is not None:
            found.setdefault(_key(experiment.model), {})[name] = value
        else:
            raise UsageError(
                f"the setting {name} = {value} does not say which model it is for; name the model: "
                f"--set ease.{name}={value}, or [settings.ease] in a file"
            )
    return found


def _check_settings(settings: Mapping[str, Mapping[str, object]], found: Sequence[Entry]) -> None:
    """Raises UsageError for settings of a model that is not compared, or only as an artefact."""
    for model, own in settings.items():
        entries = [entry for entry in found if _key(entry.model) == model]
        first = next(iter(own), "")
        if not entries:
            names = ", ".join(dict.fromkeys(entry.model for entry in found))
            raise UsageError(f"{model}.{first} is set, and {model} is not among the models compared, {names}")
        if all(entry.fitted is not None for entry in entries):
            raise UsageError(f"{model}.{first} is set without effect: {entries[0].source} is fitted already")


def _same(one: Entry, other: Entry) -> bool:
    if one.fitted is not None or other.fitted is not None:
        return Path(one.source).resolve() == Path(other.source).resolve()
    return one.experiment == other.experiment


def _refuse_paths(argument: str) -> None:
    """Raises MatineeError for a path at which there is no artefact."""
    if "/" in argument or Path(argument).exists():
        raise MatineeError(f"{argument} is neither a model nor an artefact: it has no manifest.json")


def _warn_of_targets(entry: Entry, common: Experiment) -> None:
    """Warn if an artefact may have been fitted on the targets of an evaluation."""
    assert entry.fitted is not None
    own = _own_experiment(entry.fitted, entry.source)
    if entry.fitted.manifest.get("split") is None:
        warn(f"{entry.source} was fitted on all of its data, including the targets of this evaluation")
    elif (own.data, own.split, own.filters) != (common.data, common.split, common.filters):
        warn(f"{entry.source} was fitted on another part of the data, which may include the targets of this evaluation")


def resolve(model: str | None, experiment: Experiment, chosen: Chosen) -> tuple["Artefact | None", Experiment]:
    """Resolve the argument of `evaluate`: an artefact, by default with its own experiment, or a model."""
    if model is None or not (Path(model) / "manifest.json").is_file():
        experiment = with_model(experiment, model)
        if model is not None:
            _refuse_paths(model)
        check_model(experiment, named(experiment))
        check_triples(experiment, [named(experiment)])
        check_machine(experiment, [named(experiment)])
        return None, experiment
    refuse_settings(chosen, model)
    from matinee.store.artefact import load

    fitted = load(Path(model))
    own = _own_experiment(fitted, model)
    check_graph(experiment, fitted.model)
    given = {field.split(".")[0] for field in chosen}
    if not given & {"data", "columns", "items", "filters", "split", "config"}:
        if fitted.manifest.get("split") is None:
            warn(f"{model} was fitted on all of its data, including the targets of this evaluation")
        return fitted, own.model_copy(update={"evaluation": experiment.evaluation, "model": fitted.name})
    if not given & {"data", "config"} and experiment.split.split != "files":
        experiment = experiment.model_copy(update={"data": own.data, "columns": own.columns, "items": own.items})
    if (experiment.split, experiment.filters) != (own.split, own.filters) or fitted.manifest.get("split") is None:
        warn(f"{model} was fitted on another part of the data, which may include the targets of this evaluation")
    return fitted, experiment.model_copy(update={"model": fitted.name})


def refuse_settings(chosen: Chosen, path: str) -> None:
    """Raises UsageError for an option that decides how a model is fitted, beside an artefact, which is fitted."""
    for field, option in (
        ("set", "--set"),
        ("values", "--values"),
        ("graph", "--graph"),
        ("evaluation.refit", "--refit"),
        ("machine.device", "--device"),
        ("machine.threads", "--threads"),
        ("machine.memory", "--memory"),
    ):
        if field in chosen and "config" not in chosen:
            raise UsageError(f"{option} has no effect on {path}, which is fitted already; leave it out")


def measure(
    experiment: Experiment, entries: Sequence[Entry], hooks: tuple[OnStep, OnEpoch], *, auto: bool = False
) -> list["Report"]:
    """One report per entry, on the same split; k-fold runs every fold and pools users over folds.

    auto: settings come from a short search on the valid part of each split.
    """
    import numpy as np

    from matinee import workflow
    from matinee.evaluation.cross_validation import pooled

    on_step, on_epoch = hooks
    measured: list[list[Report]] = [[] for _ in entries]
    for one in folds(experiment):
        split = workflow.prepare(one, on_step)
        for note in _notes(split):
            warn(note)
        for reports, entry in zip(measured, entries, strict=True):
            own = entry.experiment.model_copy(update={"split": one.split})
            if entry.fitted is not None:
                on_step(f"evaluating {entry.source}")
                k, settings = own.evaluation.k, own.evaluation.model_dump(exclude={"k"})
                reports.append(workflow.evaluate(entry.fitted, split, k, seed=one.split.seed, **settings))
            else:
                if auto:
                    own = searched(own, split, on_step)
                trained, report = workflow.run(own, split, on_step, on_epoch)
                for note in trained.manifest.get("notes", ()):
                    warn(note)
                reports.append(report)
    rng = np.random.default_rng
    return [each[0] if len(each) == 1 else pooled(each, rng(experiment.split.seed)) for each in measured]


def searched(experiment: Experiment, on: "Split | Dataset", on_step: OnStep) -> Experiment:
    """The experiment with the settings of a short search, which a note names."""
    from matinee import workflow

    on_step(f"choosing settings of {experiment.model}")
    chosen, found = workflow.short_search(
        experiment, on, lambda trial, trials: on_step(f"choosing settings of {experiment.model}: {len(trials)} tried")
    )
    warn(f"--auto: {found}")
    return chosen


def _notes(split: "Split") -> Iterator[str]:
    yield from (*split.data.notes, *split.notes)


def folds(experiment: Experiment) -> list[Experiment]:
    """The experiment once for each fold or repeated split that it runs; once where there are none."""
    split = experiment.split
    if split.repeats > 1:
        drawn = [split.model_copy(update={"seed": split.seed + index, "repeats": 1}) for index in range(split.repeats)]
        return [experiment.model_copy(update={"split": each}) for each in drawn]
    if split.split != "k-fold" or "fold" in split.model_fields_set:
        return [experiment]
    return [
        experiment.model_copy(update={"split": split.model_copy(update={"fold": fold})}) for fold in range(split.folds)
    ]
