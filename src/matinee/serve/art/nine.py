"""One picture of nine covers, three by three, to be shared: an SVG that needs no other file."""

from collections.abc import Sequence

from markupsafe import escape

from matinee.serve.art.lettering import HEIGHT, WIDTH

GAP, EDGE, HEAD = 16, 40, 96
ACROSS = 3
PAPER, INK, ACCENT = "#f7f2e9", "#1b1714", "#c5301a"
FONTS = "Archivo, 'Matinee Hangul', 'Arial Narrow', 'Noto Sans CJK KR', Arial, sans-serif"


def draw_nine(covers: Sequence[str], title: str, site: str) -> str:
    """Up to nine covers under a title, the site's name below. covers: of `Covers.draw`; title, site: as printed."""
    rows = max(1, -(-len(covers) // ACROSS))
    width = 2 * EDGE + ACROSS * WIDTH + (ACROSS - 1) * GAP
    height = HEAD + rows * (HEIGHT + GAP) - GAP + 72
    placed = "".join(
        f'<svg x="{EDGE + n % ACROSS * (WIDTH + GAP)}" y="{HEAD + n // ACROSS * (HEIGHT + GAP)}" '
        f'width="{WIDTH}" height="{HEIGHT}">{cover}</svg>'
        for n, cover in enumerate(covers[: ACROSS * ACROSS])
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="{escape(FONTS)}" font-weight="800">'
        f'<rect width="{width}" height="{height}" fill="{PAPER}"/>'
        f'<text x="{EDGE}" y="64" font-size="44" fill="{INK}">{escape(title)}</text>{placed}'
        f'<text x="{width - EDGE}" y="{height - 26}" font-size="22" fill="{ACCENT}" text-anchor="end">'
        f"{escape(site)}</text>"
        "</svg>"
    )
