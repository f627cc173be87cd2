r"""Formulas: from a small part of TeX to MathML, which browsers draw and screen readers read.

Supported: letters, numbers and signs; ^ and _; {groups}; \frac{a}{b}, \sqrt{a}, \hat{a}, \tilde{a}, \sum; Greek letters
and signs by name; any other \name is set upright, such as \ln and \softmax. A comma outside parentheses separates
equations.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

from markupsafe import Markup, escape

GREEK = {"sigma": "σ", "alpha": "α", "beta": "β", "mu": "μ", "lambda": "λ"}
SIGNS = {
    "sum": "∑",
    "in": "∈",
    "notin": "∉",
    "cap": "∩",
    "cdot": "·",
    "odot": "⊙",
    "ldots": "…",
    "sim": "~",
    "le": "≤",
    "top": "⊤",
}
BARS = {"|": "|", "\\norm": "‖"}
WHOLE = (
    {f"\\{name}": f"<mi>{letter}</mi>" for name, letter in GREEK.items()}
    | {f"\\{name}": f"<mo>{sign}</mo>" for name, sign in SIGNS.items()}
    # without a mathematical font, browsers stretch bars too far and move parentheses that carry an exponent
    | {bracket: f'<mo stretchy="false">{bracket}</mo>' for bracket in "()"}
    | {token: f'<mo stretchy="false" lspace="0.1em" rspace="0.1em">{bar}</mo>' for token, bar in BARS.items()}
)
"""Tokens that are drawn the same everywhere."""
ACCENTS = {"hat": "^", "tilde": "~"}
GAP = '<mspace width="1.2em"/>'
KEPT = 512
"""Formulas that are kept as MathML: those of all models."""
_TOKEN = re.compile(r"\\[a-zA-Z]+|[a-zA-Z]|\d+(?:\.\d+)?|\S")


@lru_cache(maxsize=KEPT)
def mathml(formula: str) -> Markup:
    """A formula on a line of its own. Raises ValueError for a group that is not closed."""
    tokens = iter(_TOKEN.findall(formula))
    return Markup(f'<math display="block">{_row(tokens, None)}</math>')


def _row(tokens: Iterator[str], end: str | None) -> str:
    parts: list[str] = []
    depth = 0  # of parentheses
    for token in tokens:
        depth += (token == "(") - (token == ")")
        if token == end:
            return f"<mrow>{''.join(parts)}</mrow>"
        if token in {"^", "_"}:
            base, script = parts.pop(), _atom(next(tokens), tokens)
            parts.append(_scripted(base, token, script))
        else:
            parts.append(_atom(token, tokens))
            if token == "," and end is None and depth == 0:
                parts.append(GAP)
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
    if token in WHOLE:
        return WHOLE[token]
    if token == "{":
        return _row(tokens, "}")
    if name == "frac":
        return f"<mfrac>{_atom(next(tokens), tokens)}{_atom(next(tokens), tokens)}</mfrac>"
    if name == "sqrt":
        return f"<msqrt>{_atom(next(tokens), tokens)}</msqrt>"
    if name in ACCENTS:
        return f'<mover accent="true">{_atom(next(tokens), tokens)}<mo>{ACCENTS[name]}</mo></mover>'
    if name:
        return f'<mo lspace="0" rspace="0.12em">{name}</mo>'
    if token.isalpha():
        return f"<mi>{token}</mi>"
    return f"<mn>{token}</mn>" if token[0].isdigit() else f"<mo>{escape(token.replace('-', '−'))}</mo>"
