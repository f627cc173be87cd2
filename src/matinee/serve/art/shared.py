"""Pictures of covers that are shared: SVG that needs no other file."""

from collections.abc import Sequence

from markupsafe import escape

from matinee.serve.art.lettering import HEIGHT, WIDTH, set_title

GAP, EDGE, HEAD = 16, 40, 96
ACROSS = 3
PAPER, INK, SOFT, ACCENT = "#f7f2e9", "#1b1714", "#675f56", "#c5301a"
FONTS = "Archivo, 'Matinee Hangul', 'Arial Narrow', 'Noto Sans CJK KR', Arial, sans-serif"
PREVIEW_WIDTH, PREVIEW_HEIGHT = 1200, 630
"""What programs that preview links ask for."""
SHOWN = 5
"""Covers of a preview of the site."""
LONGEST_WORDS = 60


def draw_nine(covers: Sequence[str], title: str, site: str) -> str:
    """Up to nine covers, three by three, under a title. covers: of `Covers.draw`; title, site: as printed."""
    rows = max(1, -(-len(covers) // ACROSS))
    width = 2 * EDGE + ACROSS * WIDTH + (ACROSS - 1) * GAP
    height = HEAD + rows * (HEIGHT + GAP) - GAP + 72
    placed = "".join(
        _placed(cover, EDGE + n % ACROSS * (WIDTH + GAP), HEAD + n // ACROSS * (HEIGHT + GAP))
        for n, cover in enumerate(covers[: ACROSS * ACROSS])
    )
    return _sheet(
        width,
        height,
        f'<text x="{EDGE}" y="64" font-size="44" fill="{INK}">{escape(title)}</text>{placed}'
        f'<text x="{width - EDGE}" y="{height - 26}" font-size="22" fill="{ACCENT}" text-anchor="end">'
        f"{escape(site)}</text>",
    )


def draw_item_preview(cover: str, name: str, words: str, site: str) -> str:
    """The cover of an item, large, beside its name. words: its year and genres, as printed."""
    lines, panel = set_title(name, INK)
    scale = 3.0
    return _sheet(
        PREVIEW_WIDTH,
        PREVIEW_HEIGHT,
        f'{_placed(cover, 60, 45, 1.5)}<g transform="translate(480 60) scale({scale})">{lines}</g>'
        f'<text x="480" y="{60 + scale * (panel - 18) + 20:.0f}" font-size="32" fill="{SOFT}">{_cut(words)}</text>'
        f'<text x="{PREVIEW_WIDTH - 60}" y="{PREVIEW_HEIGHT - 50}" font-size="34" fill="{ACCENT}" text-anchor="end">'
        f"{escape(site)}</text>",
    )


def draw_site_preview(covers: Sequence[str], site: str, words: str) -> str:
    """A row of covers under the site's name and what it is."""
    scale = (PREVIEW_WIDTH - 120 - (SHOWN - 1) * 2 * GAP) / SHOWN / WIDTH
    placed = "".join(_placed(cover, 60 + n * (scale * WIDTH + 2 * GAP), 270, scale) for n, cover in enumerate(covers))
    return _sheet(
        PREVIEW_WIDTH,
        PREVIEW_HEIGHT,
        f'<text class="cover-title" x="60" y="140" font-size="112" fill="{INK}">{escape(site.upper())}</text>'
        f'<text x="60" y="215" font-size="34" fill="{SOFT}">{_cut(words)}</text>{placed}',
    )


def _placed(cover: str, x: float, y: float, scale: float = 1.0) -> str:
    return f'<svg x="{x:g}" y="{y:g}" width="{scale * WIDTH:g}" height="{scale * HEIGHT:g}">{cover}</svg>'


def _sheet(width: int, height: int, drawn: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'font-family="{escape(FONTS)}" font-weight="800"><rect width="{width}" height="{height}" fill="{PAPER}"/>'
        f"{drawn}</svg>"
    )


def _cut(words: str) -> str:
    return str(escape(words if len(words) <= LONGEST_WORDS else words[: LONGEST_WORDS - 1].rstrip() + "…"))
