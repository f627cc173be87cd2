"""Pictures as PNG, for programs that show no SVG: those that preview a link, and people's albums.

The library holds Python's lock while it draws, which would stop the site for as long: it draws in a process of its own,
which this file is too.
"""

import subprocess
import sys
from functools import lru_cache
from pathlib import Path
from threading import Lock

import resvg_py

FONTS = sorted(str(path) for path in (Path(__file__).parent / "fonts").glob("*.ttf"))
STYLE = (
    "text { font-family: 'Matinee Text', 'Matinee Hangul' } "
    ".cover-title, .card-initial { font-family: 'Matinee Title', 'Matinee Hangul' } "
    ".cover-title { word-spacing: 0.08em }"
)
"""The fonts of the site's pages, cut for pictures by docs/make_picture_fonts.py."""
KEPT = 64
"""Pictures that are kept, 150 kB each."""
SECONDS = 30
_one_at_a_time = Lock()


@lru_cache(maxsize=KEPT)
def draw_png(svg: str, width: int) -> bytes:
    """An SVG drawing, which needs no other file, as PNG of a width in pixels.

    Raises subprocess.SubprocessError if it cannot be drawn.
    """
    command = [sys.executable, "-I", __file__, str(width)]
    with _one_at_a_time:
        return subprocess.run(command, input=svg.encode(), capture_output=True, check=True, timeout=SECONDS).stdout


def main() -> None:
    """Draw what comes in."""
    drawn = resvg_py.svg_to_bytes(
        svg_string=sys.stdin.buffer.read().decode(),
        width=int(sys.argv[1]),
        font_files=FONTS,
        style_sheet=STYLE,
        skip_system_fonts=True,
    )
    sys.stdout.buffer.write(drawn)


if __name__ == "__main__":
    main()
