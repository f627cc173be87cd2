"""Titles set on covers and cards, as large as they fit.

Letter widths are those of the bundled Archivo at width 62 and weight 800, with wider blanks.
"""

import re
import unicodedata
from functools import lru_cache
from itertools import accumulate, combinations, pairwise

from markupsafe import escape

WIDTH, HEIGHT, MARGIN = 240, 360, 16
LARGEST, SUBTITLE = 58, 16
MAX_LINES = 5
LEADING, CAP = 0.9, 0.69
HANGUL_LEADING, HANGUL_CAP = 1.04, 0.82
"""Line height and height of a capital, in font sizes; of lines with Korean, whose letters reach below the line too."""

# advance widths of the bundled font at width 62 and weight 800, in thousandths of the size (read with fontTools)
_LETTERS = " ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.,:;!?'’&-–()/*$%"
_ADVANCES = (
    "117 500 482 505 503 452 395 532 504 243 426 501 411 677 508 543 472 543 498 454 458 495 473 703 487 480 463 "
    "427 361 417 424 414 426 427 380 415 427 212 212 221 221 258 409 199 198 534 240 310 365 365 271 369 377 704"
)
_BLANKS = re.compile(r"[^\S\u00a0]+")
"""What parts words: any blank but the one that does not break."""
HANGUL = 864
"""Width of a Korean syllable of the bundled font, which is as wide at any weight."""
WORD_SPACING = 80
"""How much wider than the font's a blank is, as `.cover-title` has it: at this width it would all but vanish."""
_WIDTHS = dict(zip(_LETTERS, map(int, _ADVANCES.split()), strict=True))
_WIDTHS[" "] += WORD_SPACING
_WIDTHS["\u00a0"] = _WIDTHS[" "]


def set_title(name: str, ink: str, largest: float = LARGEST, below: str = "") -> tuple[str, int]:
    """The lines of the title as SVG text from y = 0, and the height of the panel including the small print.

    below: a second name, in small letters; without one, the second half of the title is.
    """
    main, rest = (name, below) if below else _halves(name)
    lines, size = _break(main.upper(), largest)
    leading, cap = (HANGUL_LEADING, HANGUL_CAP) if any(map(_is_hangul, main)) else (LEADING, CAP)
    y = float(MARGIN)
    texts: list[str] = []
    for line in lines:
        y += size * (leading if texts else cap)
        texts.append(_text(line, y, size, ink))
    if rest:
        small_lines, small = _break(rest.upper(), min(SUBTITLE, size))
        y += 5
        for line in small_lines:
            y += small * 1.08
            texts.append(_text(line, y, small, ink, "cover-title cover-rest"))
    return "".join(texts), round(y + 34)


def _halves(name: str) -> tuple[str, str]:
    """A title and its long subtitle, empty without one."""
    main, colon, rest = name.partition(": ")
    if not colon:
        main, colon, rest = name.partition(" - ")
    return (main, rest) if len(rest) >= 12 else (name, "")  # Mission: Impossible stays one title


def _text(line: str, y: float, size: float, ink: str, name: str = "cover-title") -> str:
    """One line; textLength keeps it within the cover even in a fallback font."""
    return (
        f'<text class="{name}" y="{y:.1f}" font-size="{size:.1f}" fill="{ink}" '
        f'textLength="{_width(line) * size / 1000:.1f}" lengthAdjust="spacingAndGlyphs">{escape(line)}</text>'
    )


@lru_cache(maxsize=4096)
def _break(text: str, largest: float) -> tuple[tuple[str, ...], float]:
    """The line breaks with the largest font size that fits the width, and that size; fewer lines are preferred."""
    words = _BLANKS.split(text.strip())[:14]
    ends = [0, *accumulate(_width(word) + _WIDTHS[" "] for word in words)]
    room = 1000 * (WIDTH - 2 * MARGIN)
    best: tuple[tuple[str, ...], float] = ((" ".join(words),), 0.0)
    for n_lines in range(1, min(MAX_LINES, len(words)) + 1):
        for cuts in combinations(range(1, len(words)), n_lines - 1):
            edges = (0, *cuts, len(words))
            widest = max(ends[b] - ends[a] for a, b in pairwise(edges)) - _WIDTHS[" "]
            size = min(largest, room / widest, 150 / n_lines)
            if size > best[1] * 1.06:
                best = (tuple(" ".join(words[a:b]) for a, b in pairwise(edges)), size)
    return best[0], max(best[1], 6.0)


def _width(text: str) -> int:
    return sum(_WIDTHS.get(_base(letter)) or _width_of_other(letter) for letter in text) or 1


def _width_of_other(letter: str) -> int:
    """Of a letter that the Latin font lacks, in thousandths of the size."""
    if _is_hangul(letter):
        return HANGUL
    return 1000 if unicodedata.east_asian_width(letter) in "WF" else 500


def _is_hangul(letter: str) -> bool:
    return "가" <= letter <= "힣"


def _base(letter: str) -> str:
    return unicodedata.normalize("NFD", letter)[0]
