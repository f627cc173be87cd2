"""Options shared by commands, generated from the configs, which define each name, description and limit once."""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import GenericAlias
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

import typer

from matinee.config import ColumnsConfig, Config, EvaluationConfig, FilterConfig, ItemsConfig, SplitConfig, configure
from matinee.errors import MatineeError, UsageError
from matinee.experiment import Experiment, MachineConfig, parse_settings, read_experiment
from matinee.memory import bounded, parse_size

if TYPE_CHECKING:
    from matinee.models.base import Recommender

SECTIONS: dict[str, type[Config]] = {
    "columns": ColumnsConfig,
    "items": ItemsConfig,
    "filters": FilterConfig,
    "split": SplitConfig,
    "evaluation": EvaluationConfig,
    "machine": MachineConfig,
}
FLAGS = {("split", "at"): "--split-at", ("evaluation", "k"): "-k", ("items", "file"): "--items"}
FLAGS |= {
    ("items", name): f"--items-{'id' if name == 'item' else name}"
    for name in ItemsConfig.model_fields
    if name != "file"
}
"""Options with another name than their field; `--at` is the column of times."""
OMITTED = {("split", "path"), ("evaluation", "explanations")}
"""Fields without an option: the path is in `--split files:PATH`, and `evaluate` has a flag for explanations."""
TITLES = {
    "columns": "Columns of a table",
    "items": "Items",
    "filters": "Filters",
    "split": "Split",
    "evaluation": "Evaluation",
    "machine": "Machine",
}
COLUMN_NAMES = {"at": "time"}
COLUMN_HELP = "Column of the {}; recognised by name if left out."

Json = typer.Option(False, "--json", help="Print only one JSON object.")
Workers = typer.Option(
    None, "--workers", min=1, help="Processes of this machine that work side by side, one core each.", metavar="N"
)
On = typer.Option(
    None, "--on", help="A Ray cluster to work on: HOST:PORT of its head, ray://HOST:PORT, or auto.", metavar="ADDRESS"
)


def chosen_workers(workers: int | None, on: str | None) -> int | str | None:
    """What --workers or --on ask for. Raises UsageError if both are given."""
    if workers is not None and on is not None:
        raise UsageError("--workers and --on were both given: a cluster has the workers of its nodes; give one")
    return workers if on is None else on


def require_one_of(jobs: int | None, on: str | None) -> None:
    """Raises UsageError if both --jobs and --on are given."""
    if jobs is not None and on is not None:
        raise UsageError("--jobs and --on were both given: a cluster runs as many as its nodes have cores; give one")


def experiment_options(*sections: str, models: bool = True) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add the options of an experiment to a command: `--data`, `--config`, and those of some sections.

    The command receives `experiment: Experiment` and `chosen`, a frozenset of the "section.field" names set by option
    or file, instead of the options. models: also add `--set`.
    """

    def wrap(command: Callable[..., None]) -> Callable[..., None]:
        own = [p for p in inspect.signature(command).parameters.values() if p.name not in ("experiment", "chosen")]
        shared = [*_common(models), *(option for section in sections for option in _options(section))]
        names = [option.name for option in shared]

        def wrapped(**given: Any) -> None:  # noqa: ANN401 - typer's own values
            options = {name: given.pop(name) for name in names}
            base = read_experiment(options["config"]) if options["config"] is not None else Experiment()
            with wrong_usage():
                experiment = _experiment(base, options)
                if "split" in sections and not given.get("sessions"):  # sessions are cut by options of that split
                    _check_split(experiment, options)
            bound = experiment.machine.memory
            with bounded(None if bound is None else parse_size(bound)):
                command(experiment=experiment, chosen=_chosen(base, options), **given)

        wrapped.__name__, wrapped.__doc__ = command.__name__, command.__doc__
        parameters = [*own, *shared]
        wrapped.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        wrapped.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        return wrapped

    return wrap


def require_search_time(seconds: float) -> None:
    """Raises UsageError for a --tune-seconds that no search can end in."""
    if not 0 < seconds < float("inf"):
        raise UsageError(f"--tune-seconds {seconds:g}: a search needs a time above 0")


@contextmanager
def wrong_usage() -> Iterator[None]:
    """Turn an error into one of usage: what an option or argument says is wrong in itself, before any work."""
    try:
        yield
    except MatineeError as error:
        raise UsageError(str(error)) from None


def check_model(experiment: Experiment, name: str) -> None:
    """Raises UsageError for an unknown model, settings that it does not have, or a graph that it does not have."""
    from matinee.models import create

    with wrong_usage():
        model = create(name, **with_model(experiment, name).settings)
    check_graph(experiment, model)


def check_triples(experiment: Experiment, names: Sequence[str]) -> None:
    """Raises UsageError if triples are given and none of the models reads a knowledge graph."""
    from matinee.models import model_class

    if experiment.graph is not None and not any(model_class(name).reads_graph for name in names):
        what = f"--graph {experiment.graph} has no effect on {', '.join(names)}"
        raise UsageError(f"{what}: a knowledge graph is read by kprn; leave it out")


def check_machine(experiment: Experiment, names: Sequence[str]) -> None:
    """Raises MatineeError for a device that is not there, or where none of the models is trained on a device."""
    from matinee.models import model_class
    from matinee.training.devices import resolve_device

    device = experiment.machine.device
    if "device" in experiment.machine.model_fields_set:
        resolve_device(device)
    if device not in ("cpu", "auto") and not any(model_class(name).trained_by_torch for name in names):
        raise UsageError(
            f"--device {device} has no effect on {', '.join(names)}, which torch does not train; leave it out"
        )


def check_graph(experiment: Experiment, model: "Recommender[Any]") -> None:
    """Raises UsageError if a graph is to be rebuilt that the model does not have."""
    from matinee.models.base import HasGraph

    if experiment.evaluation.rebuild_graph and not isinstance(model, HasGraph):
        raise UsageError(
            f"--rebuild-graph: {model.name} has no graph to rebuild; leave it out, or use lightgcn or ngcf"
        )


def with_model(experiment: Experiment, model: str | None) -> Experiment:
    """The experiment with the model from the command line; settings that a file has for another model are dropped."""
    if model is None or model == experiment.model:
        return experiment
    settings = {} if experiment.model else experiment.settings
    return experiment.model_copy(update={"model": model, "settings": settings})


def _common(models: bool) -> Iterator[inspect.Parameter]:
    yield _parameter("data", "--data", str, "`bundled`, the name of a data set (see `matinee data list`), or a path.")
    yield _parameter("config", "--config", Path, "An experiment as TOML; options override it.")
    if models:
        help = "How an event's value weighs: default, unary, linear, log, or knots such as linear:1=-0.5,3=0.5,5=1."
        yield _parameter("values", "--values", str, help, "MAP")
        help = "Triples (head, relation, tail) for a model that reads a knowledge graph, beside the items' own lists."
        yield _parameter("graph", "--graph", str, help, "FILE")
        yield _parameter("set", "--set", list[str], "A hyper-parameter of the model; repeatable.", "KEY=VALUE")


def _options(section: str) -> Iterator[inspect.Parameter]:
    for name, field in SECTIONS[section].model_fields.items():
        if (section, name) in OMITTED:
            continue
        flag = _flag(section, name)
        default = field.get_default(call_default_factory=True)
        help = field.description or COLUMN_HELP.format(COLUMN_NAMES.get(name, name))
        if default not in (None, ()):
            help += f" Default: {_format(default)}."
        metavar = "files:PATH|" if name == "split" else ""
        yield _parameter(f"{section}_{name}", flag, str, help, metavar + _metavar(field.annotation), TITLES[section])


def _parameter(
    name: str,
    flag: str,
    kind: type | GenericAlias,
    help: str,
    metavar: str | None = None,
    panel: str | None = None,
) -> inspect.Parameter:
    option = typer.Option(None, flag, help=help, metavar=metavar, rich_help_panel=panel, show_default=False)
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=option, annotation=kind | None)


def _is_tuple(annotation: Any) -> bool:  # noqa: ANN401 - any annotation
    """Whether a field is `tuple[...]` or optional `tuple[...]`."""
    return any(get_origin(part) is tuple for part in (annotation, *get_args(annotation)))


def _metavar(annotation: Any) -> str:  # noqa: ANN401 - any annotation
    arguments = [argument for argument in get_args(annotation) if argument is not type(None)]
    if get_origin(annotation) is Literal:
        return "|".join(map(str, arguments))
    if get_origin(annotation) is tuple:
        return ",".join(
            [_metavar(a) for a in arguments if a is not Ellipsis] + ["..." for a in arguments if a is Ellipsis]
        )
    kind = arguments[0] if arguments else annotation
    if get_origin(kind) is tuple:
        return _metavar(kind)
    return {int: "N", float: "X", str: "TEXT", bool: "true|false"}.get(kind, "VALUE")


def _format(value: object) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _chosen(base: Experiment, options: Mapping[str, Any]) -> frozenset[str]:
    """The "section.field" names set by option or file."""
    chosen = {name.replace("_", ".", 1) for name, value in options.items() if value is not None}
    for section in base.model_fields_set:
        value = getattr(base, section)
        chosen |= {f"{section}.{name}" for name in value.model_fields_set} if isinstance(value, Config) else {section}
    return frozenset(chosen)


def _experiment(base: Experiment, options: Mapping[str, Any]) -> Experiment:
    """The experiment of the file, overridden by the options. Raises MatineeError."""
    values = base.model_dump(exclude_unset=True)
    if options["data"] is not None:
        values["data"] = options["data"]
    values |= {name: options[name] for name in ("values", "graph") if options.get(name) is not None}
    if options.get("set"):
        values["settings"] = base.settings | parse_settings(options["set"])
    typed: dict[str, str] = {}
    for section, kind in SECTIONS.items():
        fields = {name: options.get(f"{section}_{name}") for name in kind.model_fields}
        given: dict[str, object] = {name: value for name, value in fields.items() if value is not None}
        method = str(given.get("split", ""))
        if section == "split" and method.startswith("files:"):
            given |= {"split": "files", "path": method.removeprefix("files:")}
        if section == "split" and "split" in given:
            values["split"] = _of_method(values.get("split", {}), str(given["split"]))
        for name, value in given.items():
            typed[f"{section}.{name}"] = f"{_flag(section, name)} {value}"
            if _is_tuple(kind.model_fields[name].annotation):
                given[name] = [part.strip() for part in str(value).split(",")]
        if given:
            values[section] = values.get(section, {}) | given
    typed |= {"values": f"--values {options.get('values')}"}
    return configure(Experiment, values, "options", typed)


def _of_method(settings: Mapping[str, Any], method: str) -> dict[str, Any]:
    """The settings of a file's split that another method, which the command line names, uses too."""
    from matinee.data.split_settings import USES

    return {name: value for name, value in settings.items() if name in ("seed", *USES.get(method, ()))}


def _check_split(experiment: Experiment, options: Mapping[str, Any]) -> None:
    """Raises MatineeError for an option that the split method does not use, by the option's name."""
    from matinee.data.split_settings import check_settings

    try:
        check_settings(experiment.split, experiment.evaluation)
    except MatineeError as error:
        name, equals, rest = str(error).partition(" = ")
        for section in ("split", "evaluation"):
            if equals and options.get(f"{section}_{name}") is not None:
                raise MatineeError(f"{_flag(section, name)} {rest}") from None
        raise


def _flag(section: str, name: str) -> str:
    return FLAGS.get((section, name), "--" + name.replace("_", "-"))
