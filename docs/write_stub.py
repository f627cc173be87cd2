"""Write src/matinee/__init__.pyi, by which editors complete every function and the settings of each model.

A test fails when the file no longer matches the functions and models.
"""

import ast
import inspect
import subprocess
import sys
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Literal, TypeAlias, Union, get_args, get_origin

import matinee
from matinee.config import ColumnsConfig, Config, EvaluationConfig, FilterConfig, SplitConfig
from matinee.models import MODELS, model_class

STUB = Path(matinee.__file__).with_suffix(".pyi")
SETTINGS = {
    "load": ColumnsConfig,
    "events": ColumnsConfig,
    "keep": FilterConfig,
    "split": SplitConfig,
    "evaluate": EvaluationConfig,
    "compare": EvaluationConfig,
}
"""The configs whose fields a function takes as keywords; those of `fit` are the model's."""
ARGUMENTS = ("split", "k")
HEAD = '''"""What `import matinee as mt` gives, with the settings of each function and model; see docs/write_stub.py."""

from typing import Any, Literal, TypedDict, Unpack, overload
'''
ClassOrFunction: TypeAlias = Any
Annotation: TypeAlias = Any


def stub() -> str:
    """The whole file, formatted."""
    classes = [model_class(name) for name in MODELS]
    configs = [*SETTINGS.values(), *(each.Config for each in classes)]
    imports = {f"from {each.__module__} import {each.__name__} as _{each.__name__}" for each in classes}
    functions = [_public(name, imports) for name in matinee.FUNCTIONS]
    lines = [
        HEAD,
        *sorted(imports),
        "__version__: str",
        *dict.fromkeys(_typed_dict(config) for config in configs),
        *functions,
        "def models(model: str | None = None) -> pl.DataFrame: ...",
        *map(_class, classes),
    ]
    return _formatted("\n".join(lines))


def _public(name: str, imports: set[str]) -> str:
    """A function with its signature, or a class by its import; adds what it needs to the imports."""
    found: ClassOrFunction = inspect.unwrap(getattr(matinee, name))
    if isinstance(found, type):
        imports.add(f"from {found.__module__} import {found.__name__} as {name}")
        return ""
    module = ast.parse(Path(inspect.getsourcefile(found) or "").read_text("utf-8"))
    node = next(each for each in module.body if isinstance(each, ast.FunctionDef) and each.name == found.__name__)
    node.name, node.body, node.decorator_list = name, [ast.Expr(ast.Constant(...))], []
    _shorten_defaults(node)
    imports |= _imports_of(node, module, found.__module__)
    if name != "fit":
        return _with_settings(node, SETTINGS.get(name))
    overloads = [_of_model(node, each) for each in MODELS]
    return "\n".join(f"@overload\n{each}" for each in (*overloads, _with_settings(node, None)))


def _with_settings(node: ast.FunctionDef, config: type[Config] | None) -> str:
    if config is not None and node.args.kwarg is not None:
        node.args.kwarg.annotation = ast.parse(f"Unpack[_{config.__name__}]", mode="eval").body
    return ast.unparse(node)


def _of_model(node: ast.FunctionDef, name: str) -> str:
    """`fit` for one model."""
    node = ast.parse(ast.unparse(node)).body[0]  # type: ignore[assignment]
    node.args.args[0].annotation = ast.parse(f"Literal[{name!r}]", mode="eval").body
    return _with_settings(node, model_class(name).Config)


def _shorten_defaults(node: ast.FunctionDef) -> None:
    """Defaults that are no constants as dots."""
    both = (node.args.defaults, node.args.kw_defaults)
    for defaults in both:
        defaults[:] = [each if each is None or _is_plain(each) else ast.Constant(...) for each in defaults]


def _is_plain(node: ast.AST) -> bool:
    return all(
        isinstance(each, ast.Constant | ast.Tuple | ast.Load | ast.UnaryOp | ast.USub) for each in ast.walk(node)
    )


def _imports_of(node: ast.FunctionDef, module: ast.Module, where: str) -> set[str]:
    """The imports that a signature needs, from the module's own."""
    used = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
    found = set()
    for statement in module.body:
        if isinstance(statement, ast.Import | ast.ImportFrom):
            for alias in statement.names:
                if (alias.asname or alias.name) in used:
                    found.add(ast.unparse(type(statement)(**{**vars(statement), "names": [alias]})))
        elif (name := _defined(statement)) in used:
            found.add(f"from {where} import {name}")
    return {each for each in found if not each.startswith("from typing import")} | {"import polars as pl"}


def _defined(statement: ast.stmt) -> str:
    """The name that a class or an assignment defines."""
    if isinstance(statement, ast.ClassDef):
        return statement.name
    target = {ast.Assign: lambda: statement.targets[0], ast.AnnAssign: lambda: statement.target}.get(type(statement))
    return ast.unparse(target()) if target is not None else ""


def _typed_dict(config: type[Config]) -> str:
    """The fields of a config as keywords, without those that are arguments of their own."""
    fields = [
        f"    {name}: {_type(field.annotation)}" for name, field in config.model_fields.items() if name not in ARGUMENTS
    ]
    return "\n".join([f"class _{config.__name__}(TypedDict, total=False):", *(fields or ["    ..."])])


def _class(model: ClassOrFunction) -> str:
    name, settings = model.__name__, model.Config.__name__
    return f"class {name}(_{name}):\n    def __init__(self, **settings: Unpack[_{settings}]) -> None: ..."


def _type(annotation: Annotation) -> str:
    """A type without its bounds."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(inner[0])
    if origin in (Union, UnionType):
        return " | ".join(dict.fromkeys(map(_type, inner)))
    if origin is Literal:
        return f"Literal[{', '.join(map(repr, inner))}]"
    if origin is tuple:
        return f"tuple[{', '.join('...' if each is ... else _type(each) for each in inner)}]"
    if annotation is type(None):
        return "None"
    return str(annotation.__name__) if annotation in (int, float, str, bool) else "Any"


def _formatted(text: str) -> str:
    for command in (["check", "--select", "I,F401", "--fix", "--quiet"], ["format", "--quiet"]):
        ruff = [sys.executable, "-m", "ruff", *command, "--stdin-filename", str(STUB), "-"]
        text = subprocess.run(ruff, input=text, capture_output=True, text=True, check=True).stdout
    return text


if __name__ == "__main__":
    STUB.write_text(stub(), "utf-8")
