"""What a failed validation means, in one line: the field or option, what is wrong with it, and the closest name."""

import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from matinee import renamed
from matinee.elsewhere import key_hint, value_hint

REASONS = {
    "bool_parsing": "is neither true nor false",
    "bool_type": "is neither true nor false",
    "dict_type": "is not a table of settings",
    "finite_number": "is not a finite number",
    "float_parsing": "is not a number",
    "float_type": "is not a number",
    "greater_than": "must be above {gt:.12g}",
    "greater_than_equal": "must be {ge:.12g} or more",
    "int_from_float": "is not a whole number",
    "int_parsing": "is not a whole number",
    "int_parsing_size": "is too large",
    "int_type": "is not a whole number",
    "less_than": "must be below {lt:.12g}",
    "less_than_equal": "must be {le:.12g} or less",
    "list_type": "is not a list",
    "missing": "has too few values",
    "model_type": "is not a table of settings",
    "string_type": "is not a text; put it in quotes",
    "too_long": "has {actual_length} values, which is more than {max_length}",
    "too_short": "has too few values",
    "tuple_type": "is not a list",
}
"""What is wrong, by pydantic's type of error; the braces name its context."""
VERBS = ("is ", "has ", "must ")
"""How a reason begins that follows its subject without a colon."""
Typed = Mapping[str, str]
"""Fields by dotted path, as they were written on the command line."""


def first_problem(kind: type[BaseModel], error: ValidationError, where: str, typed: Typed) -> str:
    """The first problem of a config. where: what the values are; typed: see `configure`."""
    problem = error.errors()[0]
    path, given = [str(part) for part in problem["loc"]], problem.get("input")
    if problem["type"] == "missing" and path and path[-1].isdecimal():
        path, given = path[:-1], None  # the given tuple is known by its option only
    option, rest = _option_of(path, typed)
    prefix = "" if option else f"{where}: "
    if problem["type"] == "extra_forbidden":
        return (f"{option}: " if option else prefix) + _unknown_key(kind, path, ".".join(rest))
    reason = _reason(problem, given)
    if not path:
        return prefix + reason  # a validator of several fields names them itself
    colon = "" if reason.startswith(VERBS) else ":"
    value = "" if given is None else f" = {_shown(given)}"
    if not option:
        return f"{prefix}{_field(path)}{value}{colon} {reason}"
    if rest and not rest[0].isdecimal():
        option = f"{option}: {_field(rest)}{value}"
    elif rest:
        option = f"{option}: {_shown(given)}"
    return f"{option}{colon} {reason}"


def _option_of(path: Sequence[str], typed: Typed) -> tuple[str, list[str]]:
    """The option that set a field, or the one around it, and what of the path is within it."""
    for length in range(len(path), 0, -1):
        if (option := typed.get(".".join(path[:length]))) is not None:
            return option, list(path[length:])
    return "", list(path)


def _field(path: Sequence[str]) -> str:
    return ".".join(part for part in path if not part.isdecimal())


def _unknown_key(kind: type[BaseModel], path: Sequence[str], field: str) -> str:
    fields = _fields_at(kind, path[:-1])
    if (new_name := renamed.SETTINGS.get(path[-1])) in fields:
        return f"{field!r} has been renamed; write {new_name!r}"
    return f"unknown key {field!r}{key_hint(path[-1], fields)}"


def _reason(problem: Any, given: object) -> str:  # noqa: ANN401 - pydantic's dict of an error
    known = re.findall(r"'([^']*)'", problem.get("ctx", {}).get("expected", ""))
    if problem["type"] == "literal_error" and known:
        return f"is unknown{value_hint(str(given), known)}"
    if (reason := REASONS.get(problem["type"])) is not None:
        return reason.format_map(problem.get("ctx", {}))
    message: str = problem["msg"]
    return message.removeprefix("Value error, ")


def _shown(value: object) -> str:
    """A value in a message, as TOML writes the short ones."""
    text = str(value).lower() if isinstance(value, bool) else str(value) if isinstance(value, date) else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _fields_at(kind: type[BaseModel], path: Sequence[str]) -> list[str]:
    for part in path:
        annotation = kind.model_fields[part].annotation if part in kind.model_fields else None
        options = [option for option in (annotation, *get_args(annotation)) if isinstance(option, type)]
        configs = [option for option in options if issubclass(option, BaseModel)]  # of `Rerank | None`, the first
        if not configs:
            return []
        kind = configs[0]
    return list(kind.model_fields)
