"""Figures of which each says where it is from: a file of measurements, an assumption, or a formula over others."""

import ast
import json
import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

BENCHMARKS = Path(__file__).parent
_OPERATORS: dict[type, Callable[..., float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.USub: operator.neg,
}
_FUNCTIONS: dict[str, Callable[..., float]] = {"ceil": math.ceil, "max": max, "min": min, "sqrt": math.sqrt}


@dataclass(frozen=True, slots=True)
class Figure:
    """A number of the page. origin: a file and its keys, or a formula, or an option."""

    name: str
    value: float
    unit: str
    origin: str
    about: str = ""


class Sheet:
    """Figures by name, each of which may be used in the formulas of later ones."""

    def __init__(self) -> None:
        self.measured: dict[str, Figure] = {}
        self.assumed: dict[str, Figure] = {}
        self.formulas: dict[str, Figure] = {}
        """Formulas as they are printed; the value is the last one computed."""

    def measure(self, name: str, unit: str, about: str, file: str, *keys: str | int) -> None:
        """Take a figure from a file of benchmarks/. Raises KeyError if it is not there."""
        value: Any = json.loads((BENCHMARKS / file).read_text("utf-8"))
        for key in keys:
            value = value[key]
        self.measured[name] = Figure(name, float(value), unit, f"{file}: {' / '.join(map(str, keys))}", about)

    def assume(self, name: str, value: float, unit: str, about: str) -> None:
        """Take a figure that is not measured; an option of the script has its name."""
        self.assumed[name] = Figure(name, value, unit, f"--{name.replace('_', '-')}", about)

    def compute(self, formulas: Mapping[str, tuple[str, str]], **given: float) -> dict[str, float]:
        """The values of formulas in their order, each over the figures, those given, and the ones before it."""
        known = {name: each.value for name, each in (self.measured | self.assumed).items()} | given
        for name, (formula, unit) in formulas.items():
            known[name] = value_of(formula, known)
            self.formulas[name] = Figure(name, known[name], unit, formula)
        return known


def value_of(formula: str, known: Mapping[str, float]) -> float:
    """The value of an arithmetic formula over names. Raises ValueError for anything else in it, KeyError for a name."""

    def of(node: ast.expr) -> float:
        match node:
            case ast.Constant(value=int() | float() as value):
                return value
            case ast.Name(id=name):
                return known[name]
            case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
                return _OPERATORS[type(op)](of(left), of(right))
            case ast.UnaryOp(op=op, operand=operand) if type(op) in _OPERATORS:
                return _OPERATORS[type(op)](of(operand))
            case ast.Call(func=ast.Name(id=name), args=arguments) if name in _FUNCTIONS:
                return _FUNCTIONS[name](*map(of, arguments))
        raise ValueError(f"not arithmetic: {ast.unparse(node)} in {formula}")

    return of(ast.parse(formula, mode="eval").body)


def text_of(value: float) -> str:
    """A number of three digits or so, for people: 0.00049, 4.92, 168,459, 1.2 million."""
    size = abs(value)
    if value == 0:
        return "0"
    for limit, word in ((1e12, "trillion"), (1e9, "billion"), (1e6, "million")):
        if size >= limit:
            return f"{value / limit:.3g} {word}" if size / limit < 1000 else f"{value / limit:,.0f} {word}"
    if size >= 100:
        return f"{value:,.0f}"
    return f"{float(f'{value:.3g}'):g}" if size >= 0.001 else f"{value:.2g}"
