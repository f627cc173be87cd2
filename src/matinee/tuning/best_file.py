"""An experiment as TOML: the file that reproduces what a search found."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matinee.config import Experiment
from matinee.writing import new_file


def write_experiment(path: Path, experiment: Experiment, comment: str) -> None:
    """Write an experiment to a file that `--config` reads, below a comment of one or more lines."""
    with new_file(path, "experiment") as part:
        part.write_text(experiment_text(experiment, comment), encoding="utf-8")


def experiment_text(experiment: Experiment, comment: str) -> str:
    """The experiment as TOML: what is set, and nothing that is a default anyway."""
    values = experiment.model_dump(mode="json", exclude_unset=True, exclude_none=True)
    plain = {name: value for name, value in values.items() if not isinstance(value, dict)}
    tables = {name: value for name, value in values.items() if isinstance(value, dict) and value}
    lines = [*(f"# {line}" for line in comment.splitlines()), *_pairs(plain)]
    for name, table in tables.items():
        lines += ["", f"[{name}]", *_pairs(table)]
    return "\n".join(lines) + "\n"


def _pairs(values: Mapping[str, Any]) -> list[str]:
    return [f"{_key(name)} = {_value(value)}" for name, value in values.items()]


def _value(value: Any) -> str:  # noqa: ANN401 - any JSON value
    if isinstance(value, Mapping):
        return "{ " + ", ".join(_pairs(value)) + " }" if value else "{}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_value, value)) + "]"
    if isinstance(value, str):
        # JSON escapes all that TOML does, but for one control character
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return json.dumps(value)


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _value(name)
