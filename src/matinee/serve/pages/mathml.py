r"""Formulas: from the small part of TeX that ours need to MathML, which browsers draw and screen readers read.

Known: letters, numbers and signs; ^ and _; {groups}; \frac{a}{b}, \sqrt{a}, \hat{a}, \tilde{a}, \sum; Greek letters and
signs by name; any other \name is set upright, as \ln and \softmax are.
"""

import re
from collections.abc import Iterator

from markupsafe import Markup, escape

SIGNS = {
    "sigma": "σ", "alpha": "α", "beta": "β", "mu": "μ", "lambda": "λ", "in": "∈", "cap": "∩", "cdot": "·", "odot": "⊙",
    "ldots": "…", "sim": "~", "norm": "‖", "le": "≤",
}  # fmt: skip
GREEK = {"sigma", "alpha", "beta", "mu", "lambda"}
ACCENTS = {"hat": "^", "tilde": "~"}
_TOKEN = re.compile(r"\\[a-zA-Z]+|[a-zA-Z]|\d+(?:\.\d+)?|\S")


def mathml(formula: str) -> Markup:
    """A formula on a line of its own. Raises ValueError for a group that is not closed."""
    tokens = iter(_TOKEN.findall(formula))
    return Markup(f'<math display="block">{_row(tokens, None)}</math>')


def _row(tokens: Iterator[str], end: str | None) -> str:
    parts: list[str] = []
    for token in tokens:
        if token == end:
            return f"<mrow>{''.join(parts)}</mrow>"
        if token in {"^", "_"}:
            base, script = parts.pop(), _atom(next(tokens), tokens)
            parts.append(_scripted(base, token, script))
        else:
            parts.append(_atom(token, tokens))
    if end is not None:
        raise ValueError(f"a group of a formula is not closed by {end}")
    return f"<mrow>{''.join(parts)}</mrow>"


def _scripted(base: str, sign: str, script: str) -> str:
    if "∑" in base and base.startswith("<mo>"):
        return f"<munder>{base}{script}</munder>"
    if sign == "^" and base.startswith("<msub>"):
        return f"<msubsup>{base.removeprefix('<msub>').removesuffix('</msub>')}{script}</msubsup>"
    tag = "msup" if sign == "^" else "msub"
    return f"<{tag}>{base}{script}</{tag}>"


def _atom(token: str, tokens: Iterator[str]) -> str:
    name = token.removeprefix("\\") if token.startswith("\\") else ""
    if token == "{":
        return _row(tokens, "}")
    if name == "frac":
        return f"<mfrac>{_atom(next(tokens), tokens)}{_atom(next(tokens), tokens)}</mfrac>"
    if name == "sqrt":
        return f"<msqrt>{_atom(next(tokens), tokens)}</msqrt>"
    if name in ACCENTS:
        return f'<mover accent="true">{_atom(next(tokens), tokens)}<mo>{ACCENTS[name]}</mo></mover>'
    if name == "sum":
        return "<mo>∑</mo>"
    if name in GREEK:
        return f"<mi>{SIGNS[name]}</mi>"
    if name in SIGNS:
        return f"<mo>{SIGNS[name]}</mo>"
    if name:
        return f'<mi mathvariant="normal">{name}</mi>'
    if token.isalpha():
        return f"<mi>{token}</mi>"
    return f"<mn>{token}</mn>" if token[0].isdigit() else f"<mo>{escape(token.replace('-', '−'))}</mo>"
