"""SVG shapes that covers and pictures are made of."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

SIZE = 240


def short(number: float) -> str:
    """A length to a tenth of a unit, a third of a pixel on most covers; a page has thousands of them."""
    return f"{number:.1f}".removesuffix(".0")


@dataclass(frozen=True, slots=True)
class Colours:
    """field: the background; one, two, three: colours to draw with, boldest first."""

    field: str
    one: str
    two: str
    three: str


def circle(x: float, y: float, r: float, fill: str, extra: str = "") -> str:
    """A filled circle."""
    return f'<circle cx="{short(x)}" cy="{short(y)}" r="{short(r)}" fill="{fill}"{extra}/>'


def ring(x: float, y: float, r: float, colour: str, width: float) -> str:
    """A circle's outline."""
    drawn = f'<circle cx="{short(x)}" cy="{short(y)}" r="{short(r)}" fill="none" stroke="{colour}" '
    return f'{drawn}stroke-width="{short(width)}"/>'


def box(x: float, y: float, width: float, height: float, fill: str) -> str:
    """A filled rectangle."""
    return f'<rect x="{short(x)}" y="{short(y)}" width="{short(width)}" height="{short(height)}" fill="{fill}"/>'


def polygon(points: Iterable[tuple[float, float]], fill: str) -> str:
    """A filled polygon, its corners on whole units."""
    return f'<polygon points="{" ".join(f"{x:.0f},{y:.0f}" for x, y in points)}" fill="{fill}"/>'


def path(commands: str, fill: str, extra: str = "") -> str:
    """A filled path."""
    return f'<path d="{commands}" fill="{fill}"{extra}/>'


def polar(x: float, y: float, r: float, turn: float) -> tuple[float, float]:
    """The point at distance r and angle `turn` from (x, y); turn in whole turns, clockwise from the right."""
    return x + r * math.cos(math.tau * turn), y + r * math.sin(math.tau * turn)


def half(x: float, y: float, r: float, turn: float) -> str:
    """Path commands of a half disc whose flat side is rotated by `turn`."""
    (x1, y1), (x2, y2) = polar(x, y, r, turn), polar(x, y, r, turn + 0.5)
    return f"M{short(x1)} {short(y1)}A{short(r)} {short(r)} 0 0 1 {short(x2)} {short(y2)}z"


def star(x: float, y: float, r: float, fill: str) -> str:
    """A star of four points."""
    near = r * 0.3
    return polygon([polar(x, y, near if k % 2 else r, k / 8) for k in range(8)], fill)
