"""Cards for items that are no movies and have no picture: a large initial, a plain shape, and the title.

Items of one category share their colours; an item always gets the same card.
"""

from collections.abc import Callable
from hashlib import sha256
from random import Random

from markupsafe import Markup, escape

from matinee.serve.art.lettering import HEIGHT, MARGIN, WIDTH, set_title
from matinee.serve.art.shapes import box, circle, half, path, ring

PALETTES = (  # paper, ink, and two more
    ("#f3e9d9", "#2b211c", "#d96f4c", "#e9b44c"),
    ("#dfe8e2", "#17302a", "#2f7d6b", "#e07a5f"),
    ("#e6e1ee", "#2a2140", "#6a55a8", "#f2a65a"),
    ("#dce7f0", "#152a3f", "#2f6fb0", "#f0b547"),
    ("#f6dfd8", "#3f1a1a", "#b8413a", "#8fb3a6"),
    ("#eceadc", "#25270f", "#77803a", "#c9683f"),
    ("#1f2a33", "#f2ece0", "#4f9da6", "#ffad5a"),
    ("#2c2433", "#f6ecdf", "#b97a95", "#f0c36d"),
    ("#23332c", "#f0ecdd", "#7fae86", "#e8a15c"),
    ("#e8e4da", "#22211f", "#4a4a4a", "#c8553d"),
    ("#f2e3c6", "#33230f", "#b07a2a", "#3f6f73"),
    ("#d9e6e8", "#12333a", "#1f8a93", "#f28f6b"),
)
LARGEST_TITLE = 34
FIELD = 226
"""Height of the upper part, which the shape and the initial share."""
Shape = Callable[[Random, str], str]


def shape_of(title: str, second: bool = False) -> Shape:
    """The shape of an item's card, the second the next one."""
    return SHAPES[(_number(title) + second) % len(SHAPES)]


def draw_card(title: str, category: str = "", colours: int = 0, *, second: bool = False) -> Markup:
    """One card as inline SVG, 240 by 360 units. category: as printed; colours: the same for all of a category."""
    paper, ink, one, two = PALETTES[colours % len(PALETTES)]
    rng = Random(_number(title))
    if rng.random() < 0.4:
        one, two = two, one
    shape = shape_of(title, second)(rng, one)
    text, panel = set_title(title[:120], ink, LARGEST_TITLE)
    top = max(HEIGHT - panel + 12, 120)
    initial = next((letter for letter in title if letter.isalnum()), "·").upper()
    return Markup(
        f'<svg class="cover" viewBox="0 0 {WIDTH} {HEIGHT}" aria-hidden="true" focusable="false">'
        f'<rect x="-2" y="-2" width="{WIDTH + 4}" height="{HEIGHT + 4}" fill="{paper}"/>'
        f'<svg y="{top - FIELD}" width="{WIDTH}" height="{FIELD - 4}">{shape}'
        f'<text class="card-initial" x="{MARGIN - 6}" y="{FIELD - 14}" font-size="230" fill="{two}">'
        f"{escape(initial)}</text></svg>"
        f'<text class="cover-small" x="{MARGIN}" y="28" font-size="15" fill="{ink}">{escape(category[:24])}</text>'
        f'<rect x="{MARGIN}" y="{top - 4}" width="{WIDTH - 2 * MARGIN}" height="1.5" fill="{ink}"/>'
        f'<g transform="translate({MARGIN} {top - 2})">{text}</g></svg>'
    )


def _number(text: str) -> int:
    return int.from_bytes(sha256(text.encode("utf-8", "replace")).digest()[:8])


def _disc(rng: Random, fill: str) -> str:
    return circle(rng.uniform(130, 190), rng.uniform(90, 140), rng.uniform(62, 84), fill)


def _half_disc(rng: Random, fill: str) -> str:
    return path(half(rng.uniform(140, 180), rng.uniform(110, 150), 90, rng.choice((0.0, 0.25, 0.5, 0.75))), fill)


def _rings(rng: Random, fill: str) -> str:
    x, y = rng.uniform(150, 190), rng.uniform(100, 140)
    return "".join(ring(x, y, radius, fill, 9) for radius in (22, 46, 70, 94))


def _bars(rng: Random, fill: str) -> str:
    first = rng.randrange(70, 110)
    return "".join(box(first + 30 * n, 44 + 14 * rng.randrange(8), 18, 220, fill) for n in range(6))


def _steps(rng: Random, fill: str) -> str:
    size = rng.choice((36, 44))
    return path(f"M{240 - size} 48" + f"v{size}h-{size}" * 5 + "V240H240V48z", fill)


def _dots(rng: Random, fill: str) -> str:
    step = rng.choice((26, 32))
    rows, columns = range(56, 240, step), range(90, 250, step)
    return "".join(circle(x, y, 2 + (x + y - 130) * 8 / 360, fill) for y in rows for x in columns)


SHAPES: tuple[Shape, ...] = (_disc, _half_disc, _rings, _bars, _steps, _dots)
