"""An experiment as TOML, with every setting that decides about its result, also those that are defaults."""

import json
import re
from collections.abc import Mapping
from typing import Any

from matinee.data.split_settings import settings_of
from matinee.experiment import Experiment


def experiment_toml(experiment: Experiment, settings: Mapping[str, Any]) -> str:
    """The experiment as TOML. settings: all of the model's, as its config has them after the fit."""
    values = experiment.model_dump(mode="json", exclude_unset=True, exclude_none=True)
    split = {"split": experiment.split.split, "seed": experiment.split.seed} | settings_of(experiment.split)
    values |= {"data": experiment.data, "settings": dict(settings), "split": split}
    if experiment.split.split == "files":
        del values["data"]
    plain = {name: value for name, value in values.items() if not isinstance(value, Mapping)}
    lines = _pairs(plain)
    for name, table in values.items():
        if isinstance(table, Mapping) and table:
            lines += ["", f"[{name}]", *_pairs(table)]
    return "\n".join(lines) + "\n"


def _pairs(values: Mapping[str, Any]) -> list[str]:
    return [f"{_key(name)} = {_value(value)}" for name, value in values.items() if value is not None]


def _value(value: Any) -> str:  # noqa: ANN401 - any JSON value
    if isinstance(value, Mapping):
        return f"{{ {', '.join(_pairs(value))} }}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, str):  # JSON escapes all that TOML does, but for one control character
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    return json.dumps(value)


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _value(name)
