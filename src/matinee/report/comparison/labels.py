"""Names beside the points of a scatter plot, placed so that they cover neither points nor each other."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.transforms import Bbox

OFFSETS = tuple(
    (dx, dy)
    for radius in (7, 13, 21, 31, 43)
    for dx, dy in (
        (radius, 0),
        (-radius, 0),
        (radius, radius),
        (-radius, radius),
        (radius, -radius),
        (-radius, -radius),
    )
) + tuple((0, dy) for dy in (9, -9, 18, -18, 27, -27))
"""Candidates for the offset of a name from its point, in points; the first that fits is taken."""
SIZE = 7.5
"""Of the letters, in points."""
NEAR = 16
"""From here on a line leads from the point to its name."""


def place_labels(
    axes: Axes, points: Sequence[tuple[float, float]], names: Sequence[str], line: Sequence[tuple[float, float]] = ()
) -> None:
    """Write each name at the first offset where it fits; the last resort is the first offset.

    line: the corners of a line of level and upright pieces that names keep off too.
    """
    figure = axes.figure
    assert isinstance(figure, Figure)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # the names do not move the panel
    scale = figure.dpi / 72
    frame = axes.get_window_extent()
    page = Bbox.from_extents(frame.x0, frame.y0, figure.bbox.x1, frame.y1)  # left of it are the numbers of the axis
    taken = [_around(x, y, 4 * scale, 4 * scale) for x, y in axes.transData.transform(points)]
    corners = axes.transData.transform(np.reshape(line, (-1, 2)))
    taken += [Bbox.from_extents(*np.minimum(one, other), *np.maximum(one, other)) for one, other in pairwise(corners)]
    for point, name in zip(points, names, strict=True):
        x, y = axes.transData.transform(point)
        width, height = _extent(axes, name)
        boxes = [(offset, _box(x, y, offset, (width, height), scale)) for offset in OFFSETS]
        free = (pair for pair in boxes if _fits(pair[1], page, taken))
        (dx, dy), box = next(free, boxes[0])
        taken.append(box)
        far = abs(dx) + abs(dy) > NEAR
        axes.annotate(
            name,
            point,
            (dx, dy),
            textcoords="offset points",
            ha="left" if dx > 0 else "right" if dx < 0 else "center",
            va="center",
            size=SIZE,
            arrowprops={"arrowstyle": "-", "linewidth": 0.5, "color": "#5d6875", "shrinkB": 3} if far else None,
        )


def _extent(axes: Axes, name: str) -> tuple[float, float]:
    """Width and height of a text in pixels."""
    text = axes.text(0.5, 0.5, name, size=SIZE, transform=axes.transAxes)
    box = text.get_window_extent()
    text.remove()
    return box.width, box.height


def _box(x: float, y: float, offset: tuple[int, int], size: tuple[float, float], scale: float) -> Bbox:
    dx, dy = offset[0] * scale, offset[1] * scale
    width, height = size
    left = x + dx if dx > 0 else x + dx - width if dx < 0 else x - width / 2
    return Bbox.from_bounds(left - 1, y + dy - height / 2, width + 2, height)


def _around(x: float, y: float, width: float, height: float) -> Bbox:
    return Bbox.from_bounds(x - width, y - height, 2 * width, 2 * height)


def _fits(box: Bbox, page: Bbox, taken: Sequence[Bbox]) -> bool:
    inside = page.x0 <= box.x0 and box.x1 <= page.x1 and page.y0 <= box.y0 and box.y1 <= page.y1
    return bool(inside) and not any(_overlap(box, other) for other in taken)


def _overlap(one: Bbox, other: Bbox) -> bool:
    return bool(one.x0 < other.x1 and other.x0 < one.x1 and one.y0 < other.y1 and other.y0 < one.y1)
