"""Draw the rooms of the package and the imports between them: `python docs/draw_rooms.py` writes images/rooms.svg.

Rows are the layers of import-linter in pyproject.toml. An arrow is an import of some module of one room by some
module of another; an arrow that two others already imply is left out. A test compares the picture with the code.
"""

import tomllib
from collections.abc import Iterable, Mapping
from functools import cache
from itertools import pairwise
from pathlib import Path

import grimp

PROJECT = Path(__file__).parents[1]
PICTURE = PROJECT / "docs" / "images" / "rooms.svg"
GROUND = "ground"
BOX, ROW, TOP, WIDTH = 46, 92, 20, 940

Edges = set[tuple[str, str]]


def layers() -> list[list[str]]:
    """The rooms from the top, a list for each layer; the modules of the ground are one room, the last."""
    return [row for row in _contract() if not all(map(_is_ground, row))] + [[GROUND]]


def ground() -> list[str]:
    """The modules of the ground, as the layers name them."""
    return sorted(name for row in _contract() for name in row if _is_ground(name))


def _contract() -> list[list[str]]:
    """import-linter's layers from the top, each with its independent siblings."""
    contracts = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"]["contracts"]
    return [row.split(" | ") for row in contracts[0]["layers"]]


def _is_ground(name: str) -> bool:
    return (
        name not in ("__main__", "recommender", "workflow") and (PROJECT / "src" / "matinee" / f"{name}.py").is_file()
    )


@cache
def imports() -> frozenset[tuple[str, str]]:
    """Every import between two rooms: (importer, imported)."""
    graph = grimp.build_graph("matinee", exclude_type_checking_imports=False, cache_dir=None)
    found = set()
    for module in graph.modules - {"matinee"}:
        for imported in graph.find_modules_directly_imported_by(module) - {"matinee"}:
            pair = _room(module), _room(imported)
            if pair[0] != pair[1]:
                found.add(pair)
    return frozenset(found)


def _room(module: str) -> str:
    name = module.split(".")[1]
    return GROUND if _is_ground(name) else name


def reduced(edges: Iterable[tuple[str, str]]) -> Edges:
    """The edges that no path of other edges implies (transitive reduction of an acyclic graph)."""
    edges = set(edges)
    below: dict[str, set[str]] = {}
    for upper, lower in edges:
        below.setdefault(upper, set()).add(lower)

    def reaches(start: str, goal: str) -> bool:
        return any(nxt == goal or reaches(nxt, goal) for nxt in below.get(start, ()))

    return {(a, b) for a, b in edges if not any(c != b and reaches(c, b) for c in below[a])}


def subpackages(room: str) -> list[str]:
    """The folders inside a room; of the ground, its modules."""
    if room == GROUND:
        return ground()
    folder = PROJECT / "src" / "matinee" / room
    return sorted(path.parent.name for path in folder.glob("*/__init__.py"))


def routed(rows: list[list[str]], edges: Edges) -> tuple[list[list[str]], list[list[str]]]:
    """Rows with a point for each edge that passes through them, ordered to cross little, and each edge's path."""
    level = {room: row for row, rooms in enumerate(rows) for room in rooms}
    rows, paths = [list(row) for row in rows], []
    for upper, lower in sorted(edges):
        points = [f"{upper}>{lower}@{row}" for row in range(level[upper] + 1, level[lower])]
        for row, point in enumerate(points, start=level[upper] + 1):
            rows[row].append(point)
        paths.append([upper, *points, lower])
    steps = [pair for path in paths for pair in pairwise(path)]
    best = _crossings(rows, steps)
    improved = True
    while improved:
        improved = False
        for row in rows:
            for left, right in pairwise(range(len(row))):
                row[left], row[right] = row[right], row[left]
                if (now := _crossings(rows, steps)) < best:
                    best, improved = now, True
                else:
                    row[left], row[right] = row[right], row[left]
    return rows, paths


def _crossings(rows: list[list[str]], steps: list[tuple[str, str]]) -> tuple[int, float]:
    """How many pairs of steps between neighbouring rows cross, and how far the steps lean in all."""
    place = {
        name: (row, (index + 1) / (len(names) + 1))
        for row, names in enumerate(rows)
        for index, name in enumerate(names)
    }
    ends = [(place[upper][0], place[upper][1], place[lower][1]) for upper, lower in steps]
    crossing = sum(
        a[0] == b[0] and (a[1] - b[1]) * (a[2] - b[2]) < 0 for index, a in enumerate(ends) for b in ends[:index]
    )
    return crossing, sum(abs(upper - lower) for _, upper, lower in ends)


def positions(rows: list[list[str]]) -> Mapping[str, tuple[float, float, float]]:
    """Middle x, top y and width of each box; width 0 for a point of an edge."""
    found = {}
    for index, row in enumerate(rows):
        widths = [0.0 if "@" in name else _width(name) for name in row]
        gap = (WIDTH - sum(widths)) / (len(row) + 1)
        x = gap
        for name, width in zip(row, widths, strict=True):
            found[name] = (x + width / 2, float(TOP + index * ROW), width)
            x += width + gap
    return found


def _width(room: str) -> float:
    return max(9.5 * len(room), 5.6 * len(" · ".join(subpackages(room)))) + 32


def draw() -> str:
    """The picture as SVG."""
    rows, paths = routed(layers(), reduced(imports()))
    at = positions(rows)
    height = TOP * 2 + ROW * (len(rows) - 1) + BOX
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" '
        'font-family="Helvetica, Arial, sans-serif" aria-label="The rooms of the package and their imports">',
        f'  <rect width="{WIDTH}" height="{height}" fill="#f7f2ea"/>',
        '  <defs><marker id="a" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto">'
        '<path d="M0 0 10 5 0 10z" fill="#78716c"/></marker></defs>',
    ]
    parts += [f'  <path d="{_curve(path, at)}" {_STROKE}/>' for path in paths]
    for name in (name for row in rows for name in row if "@" not in name):
        parts += _box(name, *at[name])
    return "\n".join([*parts, "</svg>", ""])


_STROKE = 'fill="none" stroke="#78716c" stroke-width="1.3" marker-end="url(#a)"'


def _curve(path: list[str], at: Mapping[str, tuple[float, float, float]]) -> str:
    x, y, _ = at[path[0]]
    words = [f"M{x:.0f} {y + BOX:.0f}"]
    for upper, lower in pairwise(path):
        start = at[upper][1] + BOX
        x, y, _ = at[lower]
        bend = (start + y) / 2
        words.append(f"C{at[upper][0]:.0f} {bend:.0f} {x:.0f} {bend:.0f} {x:.0f} {y:.0f}")
        if "@" in lower:
            words.append(f"L{x:.0f} {y + BOX:.0f}")
    return " ".join(words)


def _box(name: str, x: float, y: float, width: float) -> list[str]:
    inside = subpackages(name)
    shape = f'x="{x - width / 2:.0f}" y="{y:.0f}" width="{width:.0f}" height="{BOX}" rx="6"'
    parts = [f'  <rect {shape} fill="#fffdf8" stroke="#1c1917" stroke-width="1.5"/>']
    label = y + (20 if inside else 29)
    parts.append(
        f'  <text x="{x:.0f}" y="{label:.0f}" font-size="16" text-anchor="middle" fill="#1c1917">{name}</text>'
    )
    if inside:
        parts.append(
            f'  <text x="{x:.0f}" y="{y + 37:.0f}" font-size="10.5" text-anchor="middle" fill="#78716c">'
            f"{' · '.join(inside)}</text>"
        )
    return parts


if __name__ == "__main__":
    PICTURE.write_text(draw(), "utf-8")
