"""Drawings for covers: each a function from chance and four colours to SVG shapes on a field of 240 by 240.

A long file with a reason: many short drawings of one kind, none of which knows another.
"""

import math
from collections.abc import Callable
from random import Random

from matinee.serve.art.shapes import SIZE, Colours, box, circle, half, path, polar, polygon, ring, star

Drawing = Callable[[Random, Colours], list[str]]


def orbits(chance: Random, c: Colours) -> list[str]:
    """A planet among its orbits."""
    x, y, r = chance.uniform(85, 155), chance.uniform(95, 145), chance.uniform(36, 56)
    shapes = [ring(x, y, r + 20 * n, c.two if n % 2 else c.three, 1.5) for n in range(1, 9)]
    shapes += [circle(x, y, r, c.one), path(half(x, y, r, chance.choice([0.05, 0.3])), c.field, ' fill-opacity=".35"')]
    for n in (1, 3, 5):
        shapes.append(circle(*polar(x, y, r + 20 * n, chance.random()), 4 + n, chance.choice([c.one, c.two])))
    return shapes


def rays(chance: Random, c: Colours) -> list[str]:
    """Beams from one point."""
    x, y, n = chance.uniform(60, 180), chance.uniform(110, 190), chance.choice([12, 16, 20])
    shapes = []
    for beam in range(n):
        start, stop = beam / n, (beam + 0.5) / n
        shapes.append(polygon([(x, y), polar(x, y, 400, start), polar(x, y, 400, stop)], c.one if beam % 2 else c.two))
    return [*shapes, circle(x, y, 42, c.field), circle(x, y, 30, c.three)]


def horizon(chance: Random, c: Colours) -> list[str]:
    """A low sun behind ranges of hills."""
    x, r = chance.uniform(70, 170), chance.uniform(38, 58)
    shapes = [circle(x, chance.uniform(80, 105), r, c.one)]
    for level, colour in enumerate((c.two, c.three, c.one)):
        base = 118 + 40 * level
        steps = [(-10 + 52 * n, base + chance.uniform(-26, 26)) for n in range(6)]
        shapes.append(polygon([(-10, 250), *steps, (250, 250)], colour))
    return shapes


def mosaic(chance: Random, c: Colours) -> list[str]:
    """A grid of quarter circles, discs and squares."""
    n = chance.choice([3, 4])
    side = SIZE / n
    shapes = []
    for x, y in ((side * column, side * row) for row in range(n) for column in range(n)):
        back, front = chance.sample([c.field, c.one, c.two, c.three], 2)
        shapes.append(box(x, y, side + 0.5, side + 0.5, back))
        match chance.randrange(5):
            case 0:
                shapes.append(circle(x + side / 2, y + side / 2, side * 0.36, front))
            case 1:
                shapes.append(
                    path(f"M{x:.1f} {y:.1f}h{side:.1f}a{side:.1f} {side:.1f} 0 0 1 -{side:.1f} {side:.1f}z", front)
                )
            case 2:
                shapes.append(
                    path(
                        f"M{x:.1f} {y + side:.1f}v-{side:.1f}a{side:.1f} {side:.1f} 0 0 1 {side:.1f} {side:.1f}z", front
                    )
                )
            case 3:
                shapes.append(
                    path(f"M{x:.1f} {y + side / 2:.1f}a{side / 2:.1f} {side / 2:.1f} 0 0 1 {side:.1f} 0z", front)
                )
            case _:
                shapes.append(polygon([(x, y + side), (x + side, y), (x + side, y + side)], front))
    return shapes


def bowls(chance: Random, c: Colours) -> list[str]:
    """Half discs that bounce."""
    shapes = []
    for row in range(3):
        for column in range(3):
            x, y, r = 40 + 80 * column, 40 + 80 * row, 34
            turn = chance.choice([0, 0.25, 0.5, 0.75])
            shapes.append(path(half(x, y, r, turn), chance.choice([c.one, c.two, c.three])))
            if chance.random() < 0.35:
                shapes.append(circle(*polar(x, y, 17, turn - 0.25), 7, c.field))
    return shapes


def smile(chance: Random, c: Colours) -> list[str]:
    """One broad grin under two dots."""
    tilt = chance.uniform(-0.05, 0.05)
    eyes = [polar(120, 120, 48, 0.635 + tilt), polar(120, 120, 48, 0.865 + tilt)]
    shapes = [circle(120, 120, 104, c.one), path(half(120, 126, 68, tilt), c.field)]
    shapes += [circle(*eyes[0], 14, c.field), circle(*eyes[1], 14, c.field)]
    return [*shapes, circle(*polar(120, 126, 42, 0.25 + tilt), 22, c.two)]


def burst(chance: Random, c: Colours) -> list[str]:
    """Jagged stars, one in the other."""
    x, y, n = chance.uniform(100, 140), chance.uniform(105, 135), chance.choice([11, 14, 17])
    shapes = []
    for r, colour in ((128.0, c.two), (96.0, c.one), (58.0, c.three), (28.0, c.field)):
        reach = [r * (chance.uniform(0.9, 1.15) if k % 2 else 0.68) for k in range(2 * n)]
        shapes.append(polygon([polar(x, y, far, k / (2 * n)) for k, far in enumerate(reach)], colour))
    return shapes


def blinds(chance: Random, c: Colours) -> list[str]:
    """Something bright behind a window blind."""
    x, y, r = chance.uniform(80, 160), chance.uniform(85, 150), chance.uniform(60, 86)
    shapes = [circle(x, y, r, c.one)]
    if chance.random() < 0.5:
        shapes.append(path(f"M{x - r:.0f} 250 q{r:.0f} -{r * 2.1:.0f} {2 * r:.0f} 0z", c.three))
    gap = chance.choice([16, 20, 24])
    slats = [box(-5, n * gap, 250, gap * (0.35 + 0.012 * n), c.field) for n in range(16)]
    return [
        *shapes,
        f'<g transform="rotate({chance.choice([-14, -8, 0, 8, 14])} 120 120) scale(1.2) translate(-20 -30)">',
        *slats,
        "</g>",
    ]


def arches(chance: Random, c: Colours) -> list[str]:
    """Doorways one behind the other, and someone in the last."""
    x = chance.choice([84, 120, 156])
    shapes = []
    for level, colour in enumerate((c.one, c.two, c.three, c.field)):
        half, top = 92 - 22 * level, 22 + 30 * level
        shapes.append(path(f"M{x - half} 250V{top + half}a{half} {half} 0 0 1 {2 * half} 0V250z", colour))
    return [*shapes, circle(x, 192, 6, c.one), path(f"M{x - 8} 250v-38a8 10 0 0 1 16 0v38z", c.one)]


def crescent(chance: Random, c: Colours) -> list[str]:
    """A moon, stars and a hill."""
    x, y, r = chance.uniform(90, 150), chance.uniform(80, 105), chance.uniform(48, 62)
    shapes = [circle(x, y, r, c.two), circle(x + r * 0.42, y - r * 0.16, r * 0.84, c.field)]
    for _ in range(16):
        shapes.append(star(chance.uniform(8, 232), chance.uniform(8, 170), chance.uniform(2.5, 8), c.one))
    for level, colour in enumerate((c.one, c.three)):
        rise = 165 + 34 * level
        left, right = rise + chance.uniform(0, 25), rise + chance.uniform(0, 25)
        crest = f"Q{chance.uniform(50, 190):.0f} {rise - 40} 250 {right:.0f}"
        shapes.append(path(f"M-10 250V{left:.0f}{crest}V250z", colour))
    return shapes


def eye(chance: Random, c: Colours) -> list[str]:
    """An eye that looks back."""
    y, open_ = 120, chance.uniform(70, 105)
    lid = f"M8 {y}Q120 {y - 2 * open_ * 0.8:.0f} 232 {y}Q120 {y + 2 * open_ * 0.8:.0f} 8 {y}z"
    shapes = [path(lid, c.one), circle(120, y, 46, c.three), circle(120, y, 34, c.two), circle(120, y, 18, c.field)]
    if chance.random() < 0.6:
        shapes[-1] = f'<ellipse cx="120" cy="{y}" rx="7" ry="32" fill="{c.field}"/>'
    for n in range(9):
        x = 24 + 24 * n
        shapes.append(box(x - 1.5, 0, 3, chance.uniform(12, 44), c.one))
    return shapes


def teeth(chance: Random, c: Colours) -> list[str]:
    """Two jagged rows that close."""
    n = chance.choice([5, 6, 8])
    side = SIZE / n
    shapes = [circle(chance.uniform(90, 150), 120, chance.uniform(30, 46), c.two)]
    for k in range(n):
        down, up = chance.uniform(70, 112), chance.uniform(70, 112)
        shapes.append(polygon([(k * side, -1), ((k + 1) * side, -1), ((k + 0.5) * side, down)], c.one))
        shapes.append(polygon([((k - 0.5) * side, 241), ((k + 0.5) * side, 241), (k * side, 240 - up)], c.one))
    return [*shapes, polygon([(235, 241), (275, 241), (255, 150)], c.one)]


def pair(chance: Random, c: Colours) -> list[str]:
    """Two discs that share a part."""
    gap, r, lean = chance.uniform(30, 42), chance.uniform(64, 74), chance.uniform(-26, 26)
    left, right = (120 - gap, 120 + lean), (120 + gap, 120 - lean)
    shapes = [circle(*left, r, c.one), circle(*right, r, c.two)]
    reach = math.hypot(gap, lean)
    high = math.sqrt(max(r * r - reach * reach, 1))
    dx, dy = lean / reach * high, gap / reach * high
    turn = f"A{r:.1f} {r:.1f} 0 0 1"
    low, high_end = f"{120 + dx:.1f} {120 + dy:.1f}", f"{120 - dx:.1f} {120 - dy:.1f}"
    return [*shapes, path(f"M{low}{turn} {high_end}{turn} {low}z", c.three)]


def vertigo(chance: Random, c: Colours) -> list[str]:
    """Rings that sink away to one side."""
    dx, dy, n = chance.uniform(-6, 6), chance.uniform(-6, 6), 11
    colours = (c.one, c.field, c.two, c.field)
    return [circle(120 + dx * k, 120 + dy * k, 150 * (1 - k / n) ** 1.1, colours[k % 4]) for k in range(n)]


def maze(chance: Random, c: Colours) -> list[str]:
    """Rings with gaps, and a way in."""
    shapes = []
    for k in range(6):
        r = 20 + 17 * k
        length, gap = math.tau * r, 26
        start = chance.randrange(360)
        shapes.append(
            f'<circle cx="120" cy="120" r="{r}" fill="none" stroke="{c.one if k % 3 else c.two}" stroke-width="8" '
            f'stroke-dasharray="{length - gap:.1f} {gap}" transform="rotate({start} 120 120)"/>'
        )
    return [*shapes, circle(120, 120, 7, c.three)]


def keyhole(chance: Random, c: Colours) -> list[str]:
    """Light through a keyhole."""
    x = chance.uniform(95, 145)
    hole = path(f"M{x - 17:.0f} 118L{x - 34:.0f} 196H{x + 34:.0f}L{x + 17:.0f} 118z", c.field)
    glow = polygon([(x - 34, 196), (x + 34, 196), (x + 90, 250), (x - 90, 250)], c.two)
    return [
        box(-5, -5, 250, 250, c.one),
        ring(x, 120, 100, c.three, 2),
        glow,
        circle(x, 92, 38, c.field),
        hole,
        circle(x, 92, 13, c.two),
    ]


def bars(chance: Random, c: Colours) -> list[str]:
    """A melody as bars."""
    n, phase, pace = 13, chance.random(), chance.uniform(0.8, 2.2)
    shapes = []
    for k in range(n):
        tall = 26 + 90 * abs(math.sin(math.pi * (pace * k / n + phase))) + chance.uniform(0, 40)
        shapes.append(
            f'<rect x="{6 + 17.8 * k:.1f}" y="{120 - tall / 2:.1f}" width="11" height="{tall:.1f}" rx="5.5" '
            f'fill="{(c.one, c.two, c.three)[k % 3 if chance.random() < 0.4 else 0]}"/>'
        )
    return shapes


def record(chance: Random, c: Colours) -> list[str]:
    """A record with light on its grooves."""
    x, y = chance.choice([(120.0, 120.0), (70.0, 150.0), (170.0, 150.0)])
    shapes = [circle(x, y, 108, c.one)] + [ring(x, y, 100 - 9 * k, c.field, 1) for k in range(7)]
    start = chance.random()
    for turn in (start, start + 0.5):
        shapes.append(polygon([(x, y), polar(x, y, 107, turn), polar(x, y, 107, turn + 0.07)], c.three))
    return [*shapes, circle(x, y, 36, c.two), circle(x, y, 5, c.field)]


def chevrons(chance: Random, c: Colours) -> list[str]:
    """Marching chevrons."""
    depth, thick, up = chance.uniform(40, 70), chance.choice([18, 22]), chance.choice([-1, 1])
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


def searchlights(chance: Random, c: Colours) -> list[str]:
    """Beams that cross above a dark line."""
    shapes = []
    for x in (40, 120, 200):
        aim = chance.uniform(-90, 90)
        beam = f"{x - 5},215 {x + 5},215 {x + aim + 32:.0f},-10 {x + aim - 32:.0f},-10"
        shapes.append(f'<polygon points="{beam}" fill="{chance.choice([c.one, c.two])}" fill-opacity=".8"/>')
    ridge = [(-10 + 20 * k, 205 + chance.uniform(-14, 14)) for k in range(14)]
    return [*shapes, polygon([(-10, 250), *ridge, (250, 250)], c.three)]


def halftone(chance: Random, c: Colours) -> list[str]:
    """A screen of dots that swell towards one place."""
    x, y = chance.uniform(40, 200), chance.uniform(40, 200)
    shapes = []
    for row in range(11):
        for column in range(11):
            px, py = 11 + 21.8 * column + (row % 2) * 10.9, 11 + 21.8 * row
            r = 10.5 * math.exp(-(((px - x) ** 2 + (py - y) ** 2) / 14000)) + 1
            shapes.append(circle(px, py, r, c.one if r < 8.8 else c.two))
    return shapes


def windows(chance: Random, c: Colours) -> list[str]:
    """A house front at night with a few windows lit."""
    columns, rows = chance.choice([(5, 6), (6, 7)])
    shapes = [box(-5, -5, 250, 250, c.three if chance.random() < 0.5 else c.field)]
    lit = set(chance.sample(range(columns * rows), 5))
    wide, tall = 240 / columns, 240 / rows
    for k in range(columns * rows):
        colour = c.two if k in lit else c.one
        shapes.append(
            box(k % columns * wide + wide * 0.2, k // columns * tall + tall * 0.16, wide * 0.6, tall * 0.68, colour)
        )
    return shapes


def waves(chance: Random, c: Colours) -> list[str]:
    """A sea under a sun."""
    shapes = [circle(chance.uniform(70, 170), 84, chance.uniform(34, 50), c.two)]
    for k in range(6):
        y, half, shift = 108 + 24 * k, 30, chance.uniform(-60, 0)
        humps = "".join(f"q{half / 2:.0f} -{16 - k} {half} 0t{half} 0" for _ in range(6))
        shapes.append(path(f"M{shift:.0f} {y}{humps}V250H{shift:.0f}z", (c.one, c.three, c.field)[k % 3]))
    return shapes


def stairs(chance: Random, c: Colours) -> list[str]:
    """Stairs into the light, and someone on them."""
    n = chance.choice([6, 8])
    side = SIZE / n
    shapes = [circle(190, 56, 40, c.two)]
    for k in range(n):
        shapes.append(box(k * side, SIZE - (k + 1) * side * 0.8, SIZE, side * 0.8 + 1, c.one if k % 2 else c.three))
    x, y = (n // 2 - 0.5) * side, SIZE - (n // 2) * side * 0.8
    figure = [circle(x, y - 36, 6, c.field), path(f"M{x - 8:.1f} {y + 1:.1f}v-22a8 8 0 0 1 16 0v22z", c.field)]
    if chance.random() < 0.5:
        return [*shapes, *figure]
    return ['<g transform="translate(240 0) scale(-1 1)">', *shapes, *figure, "</g>"]


def petals(chance: Random, c: Colours) -> list[str]:
    """A flower of long petals."""
    n, x, y = chance.choice([6, 8, 10]), chance.uniform(95, 145), chance.uniform(95, 145)
    start = chance.uniform(0, 60)
    shapes = [
        f'<ellipse cx="{x:.0f}" cy="{y - 58:.0f}" rx="{200 / n:.0f}" ry="54" fill="{c.one if k % 2 else c.two}" '
        f'transform="rotate({start + 360 * k / n:.0f} {x:.0f} {y:.0f})"/>'
        for k in range(n)
    ]
    return [*shapes, circle(x, y, 20, c.three)]


def slices(chance: Random, c: Colours) -> list[str]:
    """A disc cut in slices that have slipped."""
    n, r = chance.choice([5, 7, 9]), 92
    shapes = []
    for k in range(n):
        low, high = -r + 2 * r * k / n, -r + 2 * r * (k + 1) / n
        left, right = math.sqrt(max(r * r - low * low, 0)), math.sqrt(max(r * r - high * high, 0))
        x = 120 + (chance.uniform(-30, 30) if k % 2 else 0)
        west = f"M{x - left:.1f} {120 + low:.1f}A{r} {r} 0 0 0 {x - right:.1f} {120 + high:.1f}"
        east = f"H{x + right:.1f}A{r} {r} 0 0 0 {x + left:.1f} {120 + low:.1f}z"
        shapes.append(path(west + east, c.two if k % 2 else c.one))
    return shapes


def confetti(chance: Random, c: Colours) -> list[str]:
    """Scraps in the air."""
    shapes = []
    for row in range(6):
        for column in range(6):
            x, y = 20 + 40 * column + chance.uniform(-8, 8), 20 + 40 * row + chance.uniform(-8, 8)
            colour = chance.choice([c.one, c.one, c.two, c.three])
            match chance.randrange(4):
                case 0:
                    shapes.append(circle(x, y, chance.uniform(6, 12), colour))
                case 1:
                    shapes.append(path(half(x, y, 14, chance.random()), colour))
                case 2:
                    turn = f' transform="rotate({chance.randrange(180)} {x:.0f} {y:.0f})"'
                    shapes.append(box(x - 14, y - 4, 28, 8, colour).replace("/>", f"{turn}/>"))
                case _:
                    shapes.append(star(x, y, 13, colour))
    return shapes


def speed(chance: Random, c: Colours) -> list[str]:
    """Slanted bars rushing past."""
    shapes = []
    y = -20.0
    while y < 260:
        thick, start = chance.uniform(6, 26), chance.uniform(-40, 150)
        long, colour = chance.uniform(70, 240), chance.choice([c.one, c.one, c.two, c.three])
        shapes.append(
            polygon(
                [(start, y), (start + long, y), (start + long - thick / 2, y + thick), (start - thick / 2, y + thick)],
                colour,
            )
        )
        y += thick + chance.uniform(3, 9)
    return [
        f'<g transform="rotate({chance.choice([-24, -16, 16, 24])} 120 120) scale(1.25) translate(-24 -24)">',
        *shapes,
        "</g>",
    ]


def projector(chance: Random, c: Colours) -> list[str]:
    """A beam of light across a dark room."""
    y = chance.uniform(70, 170)
    beam = f'<polygon points="20,{y - 6:.0f} 20,{y + 6:.0f} 245,{y + 84:.0f} 245,{y - 84:.0f}" fill="{c.one}"/>'
    motes = [
        circle(chance.uniform(90, 230), y + chance.uniform(-30, 30), chance.uniform(1.5, 4), c.field) for _ in range(14)
    ]
    return [beam, *motes, box(-5, y - 26, 28, 52, c.two), circle(20, y, 11, c.three)]


def mesa(chance: Random, c: Colours) -> list[str]:
    """A desert of table mountains under a great sun."""
    shapes = [circle(chance.uniform(90, 150), 104, chance.uniform(56, 72), c.one)]
    for base, colour in ((150, c.three), (176, c.two)):
        x = chance.uniform(-30, 60)
        while x < 240:
            wide, tall = chance.uniform(40, 84), chance.uniform(34, 70)
            shapes.append(
                polygon([(x, base), (x + 10, base - tall), (x + wide - 10, base - tall), (x + wide, base)], colour)
            )
            x += wide + chance.uniform(20, 60)
        shapes.append(box(-5, base - 1, 250, 120, colour))
    return [*shapes, box(-5, 206, 250, 50, c.one)]


DRAWINGS: dict[str, tuple[Drawing, ...]] = {
    "Action": (rays, speed, burst),
    "Adventure": (horizon, waves, rays),
    "Animation": (mosaic, petals, bowls),
    "Children": (mosaic, confetti, petals),
    "Comedy": (bowls, smile, confetti, record),
    "Crime": (blinds, windows, keyhole),
    "Documentary": (halftone, bars),
    "Drama": (arches, waves, windows, stairs, pair),
    "Fantasy": (crescent, petals, maze),
    "Film-Noir": (blinds, stairs),
    "Horror": (eye, teeth),
    "IMAX": (horizon, orbits),
    "Musical": (bars, record),
    "Mystery": (keyhole, maze, stairs),
    "Romance": (pair, petals, waves),
    "Sci-Fi": (orbits, slices, halftone),
    "Thriller": (vertigo, slices, eye, stairs),
    "War": (chevrons, searchlights),
    "Western": (mesa, horizon),
}
WITHOUT_GENRE: tuple[Drawing, ...] = (projector,)
