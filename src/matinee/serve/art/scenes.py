"""Drawings of things: functions from a random generator and four colours to SVG shapes on a field of 240 by 240."""

from random import Random

from matinee.serve.art.shapes import SIZE, Colours, box, circle, half, path, polar, polygon, ring, star


def orbits(rng: Random, c: Colours) -> list[str]:
    """A planet and its orbits."""
    x, y, r = rng.uniform(85, 155), rng.uniform(95, 145), rng.uniform(36, 56)
    shapes = [ring(x, y, r + 20 * n, c.two if n % 2 else c.three, 1.5) for n in range(1, 9)]
    shapes += [circle(x, y, r, c.one), path(half(x, y, r, rng.choice([0.05, 0.3])), c.field, ' fill-opacity=".35"')]
    for n in (1, 3, 5):
        shapes.append(circle(*polar(x, y, r + 20 * n, rng.random()), 4 + n, rng.choice([c.one, c.two])))
    return shapes


def horizon(rng: Random, c: Colours) -> list[str]:
    """A low sun behind ranges of hills."""
    x, r = rng.uniform(70, 170), rng.uniform(38, 58)
    shapes = [circle(x, rng.uniform(80, 105), r, c.one)]
    for level, colour in enumerate((c.two, c.three, c.one)):
        base = 118 + 40 * level
        steps = [(-10 + 52 * n, base + rng.uniform(-26, 26)) for n in range(6)]
        shapes.append(polygon([(-10, 250), *steps, (250, 250)], colour))
    return shapes


def smile(rng: Random, c: Colours) -> list[str]:
    """One broad grin under two dots."""
    tilt = rng.uniform(-0.05, 0.05)
    eyes = [polar(120, 120, 48, 0.635 + tilt), polar(120, 120, 48, 0.865 + tilt)]
    shapes = [circle(120, 120, 104, c.one), path(half(120, 126, 68, tilt), c.field)]
    shapes += [circle(*eyes[0], 14, c.field), circle(*eyes[1], 14, c.field)]
    return [*shapes, circle(*polar(120, 126, 42, 0.25 + tilt), 22, c.two)]


def arches(rng: Random, c: Colours) -> list[str]:
    """Nested doorways with a person in the innermost."""
    x = rng.choice([84, 120, 156])
    shapes = []
    for level, colour in enumerate((c.one, c.two, c.three, c.field)):
        half, top = 92 - 22 * level, 22 + 30 * level
        shapes.append(path(f"M{x - half} 250V{top + half}a{half} {half} 0 0 1 {2 * half} 0V250z", colour))
    return [*shapes, circle(x, 192, 6, c.one), path(f"M{x - 8} 250v-38a8 10 0 0 1 16 0v38z", c.one)]


def crescent(rng: Random, c: Colours) -> list[str]:
    """A moon, stars and a hill."""
    x, y, r = rng.uniform(90, 150), rng.uniform(80, 105), rng.uniform(48, 62)
    shapes = [circle(x, y, r, c.two), circle(x + r * 0.42, y - r * 0.16, r * 0.84, c.field)]
    for _ in range(16):
        shapes.append(star(rng.uniform(8, 232), rng.uniform(8, 170), rng.uniform(2.5, 8), c.one))
    for level, colour in enumerate((c.one, c.three)):
        rise = 165 + 34 * level
        left, right = rise + rng.uniform(0, 25), rise + rng.uniform(0, 25)
        crest = f"Q{rng.uniform(50, 190):.0f} {rise - 40} 250 {right:.0f}"
        shapes.append(path(f"M-10 250V{left:.0f}{crest}V250z", colour))
    return shapes


def eye(rng: Random, c: Colours) -> list[str]:
    """An eye that looks back."""
    y, open_ = 120, rng.uniform(70, 105)
    lid = f"M8 {y}Q120 {y - 2 * open_ * 0.8:.0f} 232 {y}Q120 {y + 2 * open_ * 0.8:.0f} 8 {y}z"
    shapes = [path(lid, c.one), circle(120, y, 46, c.three), circle(120, y, 34, c.two), circle(120, y, 18, c.field)]
    if rng.random() < 0.6:
        shapes[-1] = f'<ellipse cx="120" cy="{y}" rx="7" ry="32" fill="{c.field}"/>'
    for n in range(9):
        x = 24 + 24 * n
        shapes.append(box(x - 1.5, 0, 3, rng.uniform(12, 44), c.one))
    return shapes


def teeth(rng: Random, c: Colours) -> list[str]:
    """Two rows of teeth that close."""
    n = rng.choice([5, 6, 8])
    side = SIZE / n
    shapes = [circle(rng.uniform(90, 150), 120, rng.uniform(30, 46), c.two)]
    for k in range(n):
        down, up = rng.uniform(70, 112), rng.uniform(70, 112)
        shapes.append(polygon([(k * side, -1), ((k + 1) * side, -1), ((k + 0.5) * side, down)], c.one))
        shapes.append(polygon([((k - 0.5) * side, 241), ((k + 0.5) * side, 241), (k * side, 240 - up)], c.one))
    return [*shapes, polygon([(235, 241), (275, 241), (255, 150)], c.one)]


def keyhole(rng: Random, c: Colours) -> list[str]:
    """Light through a keyhole."""
    x = rng.uniform(95, 145)
    hole = path(f"M{x - 17:.0f} 118L{x - 34:.0f} 196H{x + 34:.0f}L{x + 17:.0f} 118z", c.one)
    glow = polygon([(x - 34, 196), (x + 34, 196), (x + 90, 250), (x - 90, 250)], c.two)
    return [ring(x, 120, 100, c.three, 2), glow, circle(x, 92, 38, c.one), hole, circle(x, 92, 13, c.two)]


def record(rng: Random, c: Colours) -> list[str]:
    """A vinyl record with light on its grooves."""
    x, y = rng.choice([(120.0, 120.0), (70.0, 150.0), (170.0, 150.0)])
    shapes = [circle(x, y, 108, c.one)] + [ring(x, y, 100 - 9 * k, c.field, 1) for k in range(7)]
    start = rng.random()
    for turn in (start, start + 0.5):
        shapes.append(polygon([(x, y), polar(x, y, 107, turn), polar(x, y, 107, turn + 0.07)], c.three))
    return [*shapes, circle(x, y, 36, c.two), circle(x, y, 5, c.field)]


def searchlights(rng: Random, c: Colours) -> list[str]:
    """Crossing beams above a dark skyline."""
    shapes = []
    for x in (40, 120, 200):
        aim = rng.uniform(-90, 90)
        beam = f"{x - 5},215 {x + 5},215 {x + aim + 32:.0f},-10 {x + aim - 32:.0f},-10"
        shapes.append(f'<polygon points="{beam}" fill="{rng.choice([c.one, c.two])}" fill-opacity=".8"/>')
    ridge = [(-10 + 20 * k, 205 + rng.uniform(-14, 14)) for k in range(14)]
    return [*shapes, polygon([(-10, 250), *ridge, (250, 250)], c.three)]


def windows(rng: Random, c: Colours) -> list[str]:
    """A house front at night with a few lit windows."""
    columns, rows = rng.choice([(5, 6), (6, 7)])
    shapes = []
    lit = set(rng.sample(range(columns * rows), 5))
    wide, tall = 240 / columns, 240 / rows
    for k in range(columns * rows):
        colour = c.two if k in lit else c.one
        shapes.append(
            box(k % columns * wide + wide * 0.2, k // columns * tall + tall * 0.16, wide * 0.6, tall * 0.68, colour)
        )
    return shapes


def waves(rng: Random, c: Colours) -> list[str]:
    """A sea under a sun."""
    shapes = [circle(rng.uniform(70, 170), 84, rng.uniform(34, 50), c.two)]
    for k in range(6):
        y, half, shift = 108 + 24 * k, 30, rng.uniform(-60, 0)
        humps = "".join(f"q{half / 2:.0f} -{16 - k} {half} 0t{half} 0" for _ in range(6))
        shapes.append(path(f"M{shift:.0f} {y}{humps}V250H{shift:.0f}z", (c.one, c.three, c.field)[k % 3]))
    return shapes


def stairs(rng: Random, c: Colours) -> list[str]:
    """Stairs towards a light, with a person on them."""
    n = rng.choice([6, 8])
    side = SIZE / n
    shapes = [circle(190, 56, 40, c.two)]
    for k in range(n):
        shapes.append(box(k * side, SIZE - (k + 1) * side * 0.8, SIZE, side * 0.8 + 1, c.one if k % 2 else c.three))
    x, y = (n // 2 - 0.5) * side, SIZE - (n // 2) * side * 0.8
    figure = [circle(x, y - 36, 6, c.two), path(f"M{x - 8:.0f} {y + 1:.0f}v-22a8 8 0 0 1 16 0v22z", c.two)]
    if rng.random() < 0.5:
        return [*shapes, *figure]
    return ['<g transform="translate(240 0) scale(-1 1)">', *shapes, *figure, "</g>"]


def petals(rng: Random, c: Colours) -> list[str]:
    """A flower of long petals."""
    n, x, y = rng.choice([6, 8, 10]), rng.uniform(95, 145), rng.uniform(95, 145)
    start = rng.uniform(0, 60)
    shapes = [
        f'<ellipse cx="{x:.0f}" cy="{y - 58:.0f}" rx="{200 / n:.0f}" ry="54" fill="{c.one if k % 2 else c.two}" '
        f'transform="rotate({start + 360 * k / n:.0f} {x:.0f} {y:.0f})"/>'
        for k in range(n)
    ]
    return [*shapes, circle(x, y, 20, c.three)]


def projector(rng: Random, c: Colours) -> list[str]:
    """A beam of light across a dark room."""
    y = rng.uniform(70, 170)
    beam = f'<polygon points="20,{y - 6:.0f} 20,{y + 6:.0f} 245,{y + 84:.0f} 245,{y - 84:.0f}" fill="{c.one}"/>'
    motes = [circle(rng.uniform(90, 230), y + rng.uniform(-30, 30), rng.uniform(1.5, 4), c.field) for _ in range(14)]
    return [beam, *motes, box(-5, y - 26, 28, 52, c.two), circle(20, y, 11, c.three)]


def mesa(rng: Random, c: Colours) -> list[str]:
    """A desert of table mountains under a great sun."""
    shapes = [circle(rng.uniform(90, 150), 104, rng.uniform(56, 72), c.one)]
    for base, colour in ((150, c.three), (176, c.two)):
        x = rng.uniform(-30, 60)
        while x < 240:
            wide, tall = rng.uniform(40, 84), rng.uniform(34, 70)
            shapes.append(
                polygon([(x, base), (x + 10, base - tall), (x + wide - 10, base - tall), (x + wide, base)], colour)
            )
            x += wide + rng.uniform(20, 60)
        shapes.append(box(-5, base - 1, 250, 120, colour))
    return [*shapes, box(-5, 206, 250, 50, c.one)]
