"""Patterns: functions from a random generator and four colours to SVG shapes on a field of 240 by 240."""

import math
from random import Random

from matinee.serve.art.shapes import SIZE, Colours, box, circle, half, path, polar, polygon, short, star


def rays(rng: Random, c: Colours) -> list[str]:
    """Rays from one point."""
    x, y, n = rng.uniform(60, 180), rng.uniform(110, 190), rng.choice([12, 16, 20])
    shapes = []
    for beam in range(n):
        start, stop = beam / n, (beam + 0.5) / n
        shapes.append(polygon([(x, y), polar(x, y, 400, start), polar(x, y, 400, stop)], c.one if beam % 2 else c.two))
    return [*shapes, circle(x, y, 42, c.field), circle(x, y, 30, c.three)]


def mosaic(rng: Random, c: Colours) -> list[str]:
    """A grid of quarter circles, discs and squares."""
    side = rng.choice([60, 80])
    steps = range(0, SIZE, side)
    shapes = []
    for x, y in ((column, row) for row in steps for column in steps):
        back, front = rng.sample([c.field, c.one, c.two, c.three], 2)
        shapes.append(box(x, y, side + 0.5, side + 0.5, back))
        match rng.randrange(5):
            case 0:
                shapes.append(circle(x + side / 2, y + side / 2, side * 0.36, front))
            case 1:
                shapes.append(path(f"M{x} {y}h{side}a{side} {side} 0 0 1 -{side} {side}z", front))
            case 2:
                shapes.append(path(f"M{x} {y + side}v-{side}a{side} {side} 0 0 1 {side} {side}z", front))
            case 3:
                shapes.append(path(f"M{x} {y + side // 2}a{side // 2} {side // 2} 0 0 1 {side} 0z", front))
            case _:
                shapes.append(polygon([(x, y + side), (x + side, y), (x + side, y + side)], front))
    return shapes


def bowls(rng: Random, c: Colours) -> list[str]:
    """Half discs, some holding a ball."""
    shapes = []
    for row in range(3):
        for column in range(3):
            x, y, r = 40 + 80 * column, 40 + 80 * row, 34
            turn = rng.choice([0, 0.25, 0.5, 0.75])
            shapes.append(path(half(x, y, r, turn), rng.choice([c.one, c.two, c.three])))
            if rng.random() < 0.35:
                shapes.append(circle(*polar(x, y, 17, turn - 0.25), 7, c.field))
    return shapes


def burst(rng: Random, c: Colours) -> list[str]:
    """Jagged stars inside one another."""
    x, y, n = rng.uniform(100, 140), rng.uniform(105, 135), rng.choice([11, 14, 17])
    shapes = []
    for r, colour in ((128.0, c.two), (96.0, c.one), (58.0, c.three), (28.0, c.field)):
        reach = [r * (rng.uniform(0.9, 1.15) if k % 2 else 0.68) for k in range(2 * n)]
        shapes.append(polygon([polar(x, y, far, k / (2 * n)) for k, far in enumerate(reach)], colour))
    return shapes


def blinds(rng: Random, c: Colours) -> list[str]:
    """A bright disc behind a window blind."""
    x, y, r = rng.uniform(80, 160), rng.uniform(85, 150), rng.uniform(60, 86)
    shapes = [circle(x, y, r, c.one)]
    if rng.random() < 0.5:
        shapes.append(path(f"M{x - r:.0f} 250 q{r:.0f} -{r * 2.1:.0f} {2 * r:.0f} 0z", c.three))
    gap = rng.choice([16, 20, 24])
    slats = [box(-5, n * gap, 250, gap * (0.35 + 0.012 * n), c.field) for n in range(16)]
    return [
        *shapes,
        f'<g transform="rotate({rng.choice([-14, -8, 0, 8, 14])} 120 120) scale(1.2) translate(-20 -30)">',
        *slats,
        "</g>",
    ]


def pair(rng: Random, c: Colours) -> list[str]:
    """Two overlapping discs."""
    gap, r, lean = rng.uniform(30, 42), rng.uniform(64, 74), rng.uniform(-26, 26)
    left, right = (120 - gap, 120 + lean), (120 + gap, 120 - lean)
    shapes = [circle(*left, r, c.one), circle(*right, r, c.two)]
    reach = math.hypot(gap, lean)
    high = math.sqrt(max(r * r - reach * reach, 1))
    dx, dy = lean / reach * high, gap / reach * high
    turn = f"A{short(r)} {short(r)} 0 0 1"
    low, high_end = f"{120 + dx:.1f} {120 + dy:.1f}", f"{120 - dx:.1f} {120 - dy:.1f}"
    return [*shapes, path(f"M{low}{turn} {high_end}{turn} {low}z", c.three)]


def vertigo(rng: Random, c: Colours) -> list[str]:
    """Rings that sink away to one side."""
    dx, dy, n = rng.uniform(-6, 6), rng.uniform(-6, 6), 11
    colours = (c.one, c.field, c.two, c.field)
    return [circle(120 + dx * k, 120 + dy * k, 150 * (1 - k / n) ** 1.1, colours[k % 4]) for k in range(n)]


def maze(rng: Random, c: Colours) -> list[str]:
    """Rings with gaps."""
    shapes = []
    for k in range(6):
        r = 20 + 17 * k
        length, gap = math.tau * r, 26
        start = rng.randrange(360)
        shapes.append(
            f'<circle cx="120" cy="120" r="{r}" fill="none" stroke="{c.one if k % 3 else c.two}" stroke-width="8" '
            f'stroke-dasharray="{length - gap:.1f} {gap}" transform="rotate({start} 120 120)"/>'
        )
    return [*shapes, circle(120, 120, 7, c.three)]


def bars(rng: Random, c: Colours) -> list[str]:
    """An equaliser."""
    n, phase, pace = 13, rng.random(), rng.uniform(0.8, 2.2)
    shapes = []
    for k in range(n):
        tall = 26 + 90 * abs(math.sin(math.pi * (pace * k / n + phase))) + rng.uniform(0, 40)
        shapes.append(
            f'<rect x="{6 + 18 * k}" y="{short(120 - tall / 2)}" width="11" height="{short(tall)}" rx="5.5" '
            f'fill="{(c.one, c.two, c.three)[k % 3 if rng.random() < 0.4 else 0]}"/>'
        )
    return shapes


def chevrons(rng: Random, c: Colours) -> list[str]:
    """Chevrons on the march."""
    depth, thick, up = rng.uniform(40, 70), rng.choice([18, 22]), rng.choice([-1, 1])
    shapes = []
    for k in range(-2, 9):
        y = k * (thick + 14)
        points = [
            (-5, y),
            (120, y + up * depth),
            (245, y),
            (245, y + thick),
            (120, y + thick + up * depth),
            (-5, y + thick),
        ]
        shapes.append(polygon(points, (c.one, c.one, c.two)[k % 3]))
    return [*shapes, star(120, 120, 30, c.three)]


def halftone(rng: Random, c: Colours) -> list[str]:
    """A halftone screen whose dots grow towards one point."""
    x, y = rng.uniform(40, 200), rng.uniform(40, 200)
    shapes = []
    for row in range(11):
        for column in range(11):
            px, py = 10 + 22 * column + (row % 2) * 11, 10 + 22 * row
            r = 10.5 * math.exp(-(((px - x) ** 2 + (py - y) ** 2) / 14000)) + 1
            shapes.append(circle(px, py, r, c.one if r < 8.8 else c.two))
    return shapes


def slices(rng: Random, c: Colours) -> list[str]:
    """A disc cut into slices, every second one shifted."""
    n, r = rng.choice([5, 7, 9]), 92
    shapes = []
    for k in range(n):
        low, high = -r + 2 * r * k / n, -r + 2 * r * (k + 1) / n
        left, right = math.sqrt(max(r * r - low * low, 0)), math.sqrt(max(r * r - high * high, 0))
        x = 120 + (rng.uniform(-30, 30) if k % 2 else 0)
        west = f"M{x - left:.1f} {120 + low:.1f}A{r} {r} 0 0 0 {x - right:.1f} {120 + high:.1f}"
        east = f"H{x + right:.1f}A{r} {r} 0 0 0 {x + left:.1f} {120 + low:.1f}z"
        shapes.append(path(west + east, c.two if k % 2 else c.one))
    return shapes


def confetti(rng: Random, c: Colours) -> list[str]:
    """Confetti in the air."""
    shapes = []
    for row in range(6):
        for column in range(6):
            x, y = 20 + 40 * column + rng.uniform(-8, 8), 20 + 40 * row + rng.uniform(-8, 8)
            colour = rng.choice([c.one, c.one, c.two, c.three])
            match rng.randrange(4):
                case 0:
                    shapes.append(circle(x, y, rng.uniform(6, 12), colour))
                case 1:
                    shapes.append(path(half(x, y, 14, rng.random()), colour))
                case 2:
                    turn = f' transform="rotate({rng.randrange(180)} {x:.0f} {y:.0f})"'
                    shapes.append(box(x - 14, y - 4, 28, 8, colour).replace("/>", f"{turn}/>"))
                case _:
                    shapes.append(star(x, y, 13, colour))
    return shapes


def speed(rng: Random, c: Colours) -> list[str]:
    """Slanted bars that rush past."""
    shapes = []
    y = -20.0
    while y < 260:
        thick, start = rng.uniform(6, 26), rng.uniform(-40, 150)
        long, colour = rng.uniform(70, 240), rng.choice([c.one, c.one, c.two, c.three])
        shapes.append(
            polygon(
                [(start, y), (start + long, y), (start + long - thick / 2, y + thick), (start - thick / 2, y + thick)],
                colour,
            )
        )
        y += thick + rng.uniform(3, 9)
    return [
        f'<g transform="rotate({rng.choice([-24, -16, 16, 24])} 120 120) scale(1.25) translate(-24 -24)">',
        *shapes,
        "</g>",
    ]
