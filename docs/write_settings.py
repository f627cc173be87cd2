"""Write docs/settings.md: every setting of the models, the data and the evaluation, from their configs.

A test fails when the page no longer matches.
"""

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args, get_origin

from annotated_types import Ge, Gt, Le, Lt, MinLen
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from matinee.config import (
    ColumnsConfig,
    Config,
    EvaluationConfig,
    FilterConfig,
    ItemsConfig,
    Search,
    SplitConfig,
    ValuesConfig,
)
from matinee.models import MODELS, model_class
from matinee.models.content.config import ContentConfig

PAGE = Path(__file__).with_name("settings.md")
HEAD = """\
# Settings

Every setting with its type, default, range and meaning; written by `docs/write_settings.py` from the code. In Python
they are keywords (`mt.fit("ease", split, l2=200)`), on the command line `--set l2=200`, in a file they stand under
`[settings]`, and those of the data and the evaluation are options of the same name (`--min-user-events 5`). *Searched*
is the range that `matinee tune` draws from; ranges in bold are those of a short search (`--auto`).
"""
OF_DATA = {
    "Columns of a log": ColumnsConfig,
    "Filters": FilterConfig,
    "Splits": SplitConfig,
    "Values": ValuesConfig,
    "Items": ItemsConfig,
    "Content of items": ContentConfig,
    "Evaluation": EvaluationConfig,
}
LIMITS = {Ge: "≥ {0.ge:g}", Gt: "> {0.gt:g}", Le: "≤ {0.le:g}", Lt: "< {0.lt:g}", MinLen: "at least {0.min_length}"}
Kind: TypeAlias = type[Config]
Annotation: TypeAlias = Any


def page() -> str:
    """The whole page."""
    models = {name: model_class(name).Config for name in MODELS}
    shared = _shared(list(models.values()))
    lines = [HEAD, "## Models\n"]
    for name, kind in models.items():
        lines += _section(f"{name}", kind, f"See [{name}](models/{name}.md).", shared)
    lines.append("## Shared by several models\n")
    for kind in shared:
        lines += _section(_title(kind), kind, inspect.getdoc(kind) or "", shared)
    lines.append("## Data and evaluation\n")
    for title, kind in OF_DATA.items():
        lines += _section(title, kind, inspect.getdoc(kind) or "", [])
    return "\n".join(lines).rstrip() + "\n"


def _section(title: str, kind: Kind, about: str, shared: list[Kind]) -> Iterator[str]:
    yield f"### {title}\n"
    bases = [base for base in kind.__mro__[1:] if base in shared]
    also = ", ".join(f"[{_title(base)}](#{_title(base).lower().replace(' ', '-')})" for base in bases)
    yield " ".join(about.split()) + (f" Also the settings of {also}." if also else "") + "\n"
    own = [name for name in kind.model_fields if not any(_same(kind, base, name) for base in bases)]
    if own:
        yield "| setting | type | default | range | searched | meaning |\n|---|---|---|---|---|---|"
    for name in own:
        yield _row(name, kind.model_fields[name])
    yield ""


def _row(name: str, field: FieldInfo) -> str:
    limits = [LIMITS[type(each)].format(each) for each in field.metadata if type(each) in LIMITS]
    searched = next((each for each in field.metadata if isinstance(each, Search)), None)
    default = field.get_default(call_default_factory=True)
    cells = [
        f"`{name}`",
        _written(field.annotation),
        "none, it must be given" if default is PydanticUndefined else f"`{_value(default)}`",
        ", ".join(limits),
        "" if searched is None else _range(searched),
        " ".join((field.description or "").split()),
    ]
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _range(searched: Search) -> str:
    text = f"{searched.low:g} to {searched.high:g}{', log' if searched.log else ''}"
    return f"**{text}**" if searched.first else text


def _value(default: object) -> str:
    if isinstance(default, tuple):
        return ", ".join(map(_value, default)) or "()"
    return f"{default:g}" if isinstance(default, float) else str(default)


def _written(annotation: Annotation) -> str:
    """A type as a reader says it: `float`, `one of random, time`, `int or None`."""
    if get_origin(annotation) is Literal:
        return "one of " + ", ".join(f"`{each}`" for each in get_args(annotation))
    arguments = [each for each in get_args(annotation) if each is not Ellipsis]
    if get_origin(annotation) is tuple:
        return "several of " + _written(arguments[0])
    if hasattr(annotation, "__metadata__"):
        return _written(annotation.__origin__)
    if arguments and get_origin(annotation) is not dict:
        return " or ".join("none" if each is type(None) else _written(each) for each in arguments)
    return getattr(annotation, "__name__", str(annotation))


def _shared(kinds: list[Kind]) -> list[Kind]:
    """The bases that add settings to several models, the most basic first."""
    bases = [base for kind in kinds for base in kind.__mro__[1:] if issubclass(base, Config) and base is not Config]
    found = sorted(dict.fromkeys(bases), key=lambda base: (len(base.__mro__), base.__name__))
    return [base for base in found if base not in kinds and base.model_fields]


def _same(kind: Kind, base: Kind, name: str) -> bool:
    """Whether a setting is the base's, unchanged."""
    return name in base.model_fields and repr(kind.model_fields[name]) == repr(base.model_fields[name])


def _title(kind: Kind) -> str:
    return kind.__name__.removesuffix("Config")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
