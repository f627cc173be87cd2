"""Which code a stored figure was measured with: a hash over the sources that it rests on, and over its settings."""

import ast
import hashlib
import json
from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("data", "evaluation", "histories", "models", "nn", "ranking", "recommender", "training")
"""The parts of matinee that change figures; messages, files of artefacts, the site and the command line do not."""


def code_hash(modules: list[str], settings: object) -> str:
    """Twelve hex digits over `modules`, all of matinee that they import, and `settings` (anything that JSON takes).

    Comments, docstrings and layout do not count. Imports inside functions do.
    """
    trees: dict[str, ast.Module] = {}
    waiting = list(modules)
    while waiting:
        name = waiting.pop()
        if name not in trees and (path := _source(name)):
            trees[name] = ast.parse(path.read_text("utf-8"))
            waiting += _imports(trees[name])
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode())
    for name in sorted(trees):
        digest.update(ast.dump(_bare(trees[name])).encode())
    return digest.hexdigest()[:12]


def _source(name: str) -> Path | None:
    """The file of a module of matinee that counts."""
    parts = name.split(".")
    if parts[0] != "matinee" or len(parts) < 2 or parts[1] not in PACKAGES:
        return None
    found = find_spec(name)
    return Path(found.origin) if found and found.origin else None


def _imports(tree: ast.Module) -> list[str]:
    """The modules that a file imports, at the top and inside functions."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append(node.module)
    return found


def _bare(tree: ast.Module) -> ast.Module:
    """The same without docstrings and other strings that stand alone."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            kept = [each for each in body if not (isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant))]
            node.body = kept or [ast.Pass()]  # type: ignore[attr-defined]
    return tree
