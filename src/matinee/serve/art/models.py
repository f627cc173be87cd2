"""Pictures of how models work, in the colours of the page, with the visitor on the left. Model cards choose one."""

from collections.abc import Iterator
from functools import cache
from itertools import pairwise

from markupsafe import Markup

from matinee.serve.art.shapes import polar

WIDTH, HEIGHT = 320, 180
NEUTRAL = "list"


@cache
def draw_picture(name: str) -> Markup:
    """One of PICTURES. It is decoration: the words beside it say the same, so that screen readers skip it."""
    shapes = "".join(PICTURES[name]())
    return Markup(
        f'<svg class="art" viewBox="0 0 {WIDTH} {HEIGHT}" aria-hidden="true" focusable="false">{shapes}</svg>'
    )


def _dot(x: float, y: float, r: float, kind: str) -> str:
    return f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="{r:.1f}"/>'


def _line(x1: float, y1: float, x2: float, y2: float, kind: str = "thin", width: float = 1.5) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke-width="{width:.1f}"/>'


def _box(x: float, y: float, w: float, h: float, kind: str) -> str:
    return f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{w:.1f}" height="{h:.1f}" rx="2"/>'


def _bars() -> Iterator[str]:
    for index in range(12):
        height = 140 * 0.78**index
        yield _box(22 + index * 23.5, 160 - height, 17, height, "bold" if index < 3 else "plain")


def _neighbours() -> Iterator[str]:
    mine, others = [(60, 40), (48, 92), (70, 146)], [(250, 34), (268, 88), (246, 146), (180, 66), (172, 130)]
    links = [(0, 3, 4.5), (1, 3, 3), (1, 4, 4), (2, 4, 2), (0, 0, 1.2), (2, 2, 1.6), (1, 1, 1)]
    for mine_index, other, strength in links:
        yield _line(*mine[mine_index], *others[other], "strong" if other > 2 else "thin", strength)
    yield from (_dot(x, y, 13, "mine") for x, y in mine)
    yield from (_dot(x, y, 13, "bold" if index > 2 else "plain") for index, (x, y) in enumerate(others))


def _people() -> Iterator[str]:
    for row in range(5):
        y, similar = 20 + row * 33, row in (1, 2)
        yield _dot(40, y + 8, 7, "mine" if row == 0 else "bold" if similar else "plain")
        for column in range(9):
            both = column in (0, 2, 5) and row in (0, 1, 2)
            new = similar and column == 7
            seen = both or new or (row > 2 and column in (1, 4, row + 3))
            kind = "mine" if both else "bold" if new else "plain" if seen else "hollow"
            yield _box(66 + column * 26, y, 19, 17, kind)


def _weights() -> Iterator[str]:
    for row in range(7):
        for column in range(7):
            near = ((row * 5 + column * 3) % 7 - 1) / 6
            kind = "hollow" if row == column else "bold" if near > 0.6 else "plain" if near > 0.15 else "faint"
            yield _box(116 + column * 22, 14 + row * 22, 19, 19, kind)
    for row in range(7):
        yield _box(58, 14 + row * 22, 19, 19, "mine" if row in (1, 4, 5) else "hollow")


def _space() -> Iterator[str]:
    me = (128, 84)
    yield from (_dot(*me, r, "ring") for r in (34, 66, 100))
    for turn, r in ((0.06, 24), (0.3, 30), (0.62, 20), (0.85, 31)):
        yield _dot(*polar(*me, r, turn), 8, "bold")
    for turn, r in ((0.02, 84), (0.1, 150), (0.97, 165), (0.4, 62), (0.55, 90), (0.04, 120), (0.22, 78), (0.92, 110)):
        x, y = polar(*me, r, turn)
        yield _dot(x, min(168.0, max(12.0, y)), 7, "plain")
    yield _dot(*me, 10, "mine")


def _graph() -> Iterator[str]:
    people, movies = [30, 74, 118, 160], [22, 62, 102, 142, 170]
    edges = [(0, 0), (0, 1), (1, 0), (1, 2), (2, 1), (2, 3), (3, 3), (3, 4), (1, 1), (2, 2)]
    for person, movie in edges:
        strong = (person, movie) in {(0, 0), (1, 0), (1, 2), (0, 1), (2, 1), (2, 3)}
        yield _line(110, people[person], 224, movies[movie], "strong" if strong else "thin", 2.2 if strong else 1.2)
    yield from (_dot(110, y, 9, "mine" if index == 0 else "plain") for index, y in enumerate(people))
    yield from (_box(218, y - 9, 24, 18, "bold" if index in (2, 3) else "plain") for index, y in enumerate(movies))


def _layers(columns: tuple[tuple[float, int, str], ...]) -> Iterator[str]:
    def heights(n: int) -> list[float]:
        return [90 + (index - (n - 1) / 2) * 24 for index in range(n)]

    for (x1, n1, _), (x2, n2, _) in pairwise(columns):
        for a in heights(n1):
            for b in heights(n2):
                yield _line(x1, a, x2, b, "thin", 0.8)
    for x, n, kind in columns:
        yield from (_dot(x, y, 8.5, kind) for y in heights(n))


def _network() -> Iterator[str]:
    return _layers(((48, 6, "mine"), (124, 5, "plain"), (196, 3, "plain"), (268, 1, "bold")))


def _narrow() -> Iterator[str]:
    return _layers(((48, 7, "mine"), (160, 3, "plain"), (272, 7, "bold")))


def _order() -> Iterator[str]:
    for index in range(5):
        x = 34 + index * 62
        yield _box(x - 17, 62, 34, 48, "mine" if index < 3 else "bold" if index == 3 else "hollow")
        if index < 4:
            yield _line(x + 19, 86, x + 43, 86, "strong", 2.5)
            yield f'<path class="tip" d="M{x + 38} 80l7 6-7 6"/>'


def _attention() -> Iterator[str]:
    for index, strength in enumerate((1.0, 5.5, 1.4, 3.6)):
        x = 34 + index * 62
        yield f'<path class="strong" fill="none" stroke-width="{strength}" d="M{x} 98C{x} 10 282 10 282 96"/>'
        yield _box(x - 17, 100, 34, 48, "mine")
    yield _box(265, 100, 34, 48, "bold")


def _list() -> Iterator[str]:
    for row in range(3):
        yield _box(34, 26 + row * 46, 34, 36, "mine")
    yield _line(92, 90, 196, 90, "strong", 2.5)
    yield '<path class="tip" d="M190 84l7 6-7 6"/>'
    for row in range(5):
        yield _box(222, 16 + row * 31, 72 - row * 10, 22, "bold" if row == 0 else "plain")


PICTURES = {
    "list": _list,
    "bars": _bars,
    "neighbours": _neighbours,
    "people": _people,
    "weights": _weights,
    "space": _space,
    "graph": _graph,
    "network": _network,
    "narrow": _narrow,
    "order": _order,
    "attention": _attention,
}
