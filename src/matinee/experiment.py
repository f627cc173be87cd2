"""A whole experiment as TOML: data, split, model, settings and evaluation."""

import tomllib
from collections.abc import Sequence
from os.path import isfile
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from matinee.config import (
    ColumnsConfig,
    Config,
    EvaluationConfig,
    FilterConfig,
    ItemsConfig,
    SplitConfig,
    ValuesConfig,
    configure,
)
from matinee.errors import MatineeError
from matinee.memory import parse_size


def _size(text: str) -> str:
    """The text, if it is a size. Raises ValueError."""
    try:
        parse_size(text)
    except MatineeError as error:
        raise ValueError("is " + str(error).partition(" is ")[2]) from None
    return text


class MachineConfig(Config):
    """Where a model is trained. It decides about speed, and about no more than the last digits of what is learned."""

    device: str = "cpu"
    """Where torch trains: `cpu`, `cuda`, `cuda:1`, `mps`, or `auto`: a GPU if there is one. Other models have none."""
    threads: Annotated[int, Field(ge=1)] | None = None
    """Threads of matrix products; by default as many as the processor has cores, or OMP_NUM_THREADS."""
    memory: Annotated[str, AfterValidator(_size)] | None = None
    """Bound of this process's memory, such as `4GB`: long columns lie in files, what does not fit is said early."""


class Experiment(Config):
    """A complete experiment: `matinee evaluate --config FILE` runs it."""

    model: str | None = None
    """The model's name in the registry."""
    data: str = "bundled"
    """`bundled`, the name of a data set, or a path."""
    columns: ColumnsConfig = ColumnsConfig()
    items: ItemsConfig = ItemsConfig()
    filters: FilterConfig = FilterConfig()
    split: SplitConfig = SplitConfig()
    values: ValuesConfig = ValuesConfig()
    graph: str | None = None
    """A file of triples for a model that reads a knowledge graph."""
    settings: dict[str, Any] = Field(default_factory=dict)
    """The model's hyper-parameters."""
    evaluation: EvaluationConfig = EvaluationConfig()
    machine: MachineConfig = MachineConfig()


def read_experiment(path: Path) -> Experiment:
    """Read an experiment from a TOML file. A setting that names a config (`.toml`) means the one found from its folder.

    Where there is none, the path stays as it is, relative to the working folder.
    Raises MatineeError if it is missing, not TOML or has an unknown key.
    """
    try:
        text = path.read_text(encoding="utf-8")
        values = tomllib.loads(text)
        if "settings" in values:
            values["settings"] = _beside(path.parent, values["settings"])
    except FileNotFoundError:
        raise MatineeError(f"no config file {path}; configs/ in the project has one for each model") from None
    except OSError as error:
        raise MatineeError(f"{path} cannot be read: {error.strerror or error}") from None
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise MatineeError(f"{path} cannot be read as TOML: {error}") from None
    except RecursionError:
        raise MatineeError(f"{path} cannot be read as TOML: nested too deeply") from None
    return configure(Experiment, values, str(path))


def _beside(folder: Path, value: object) -> object:
    """A setting, or a table of them, in which configs (`.toml`) that are found from a folder get its path."""
    if isinstance(value, dict):
        return {key: _beside(folder, each) for key, each in value.items()}
    if isinstance(value, str) and value.endswith(".toml") and isfile(folder / value):
        return str(folder / value)
    return value


def parse_settings(pairs: Sequence[str]) -> dict[str, object]:
    """`["l2=200", "weighting=bm25"]` -> `{"l2": 200, "weighting": "bm25"}`.

    Raises MatineeError without `=`, and for a key that is given twice.
    """
    settings: dict[str, object] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals or not key.strip():
            raise MatineeError(f"--set {pair!r} is not key=value; for example --set l2=200")
        name = key.strip().replace("-", "_")
        if name in settings:
            raise MatineeError(f"--set {name} is given twice; give it once")
        settings[name] = _parse_value(text.strip())
    return settings


def _parse_value(text: str) -> object:
    """A value as TOML writes it, else the text itself."""
    try:
        return tomllib.loads(f"value = {text}")["value"] if text.isprintable() else text
    except (tomllib.TOMLDecodeError, RecursionError):
        return text
