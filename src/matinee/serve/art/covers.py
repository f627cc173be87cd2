"""Covers generated from title, year and genres, in place of posters; a movie always gets the same one of two.

The second differs in its drawing, and stands where a neighbour has the drawing of the first.

A cover is SVG without style or script. The genre decides the colours, genre and title the drawing, and the title is
set as large as it fits.
"""

from collections.abc import Iterable
from functools import lru_cache
from hashlib import sha256
from random import Random

from markupsafe import Markup, escape

from matinee.catalogue import Catalogue
from matinee.serve.art.cards import draw_card, shape_of
from matinee.serve.art.drawings import DRAWINGS, WITHOUT_GENRE, Drawing
from matinee.serve.art.lettering import HEIGHT, MARGIN, WIDTH, set_title
from matinee.serve.art.shapes import Colours
from matinee.titles import spoken_title

PALETTES: dict[str, tuple[tuple[str, str, str, str], ...]] = {  # paper, ink, and two more
    "Action": (("#e2382b", "#fff4e6", "#1b1b1e", "#ffb238"), ("#1b1b1e", "#fff4e6", "#e2382b", "#ffb238")),
    "Adventure": (("#f0b03f", "#1f2a44", "#d24e27", "#2f6f73"), ("#1f5d63", "#f7ead0", "#f2b441", "#d9542b")),
    "Animation": (("#ffd23f", "#24202b", "#ee4266", "#2bb596"), ("#3653cf", "#fff7e0", "#ffd23f", "#ff6b6b")),
    "Children": (("#92cbe6", "#14213d", "#f27d0c", "#fffaf0"), ("#ffb5a7", "#3d1f3b", "#e85d5b", "#fefae0")),
    "Comedy": (("#ffcf56", "#2b1d0e", "#e4572e", "#fffaf0"), ("#f590a6", "#2d1128", "#fff3e4", "#d8321c")),
    "Crime": (("#17191e", "#f3efe6", "#c8102e", "#7d8490"), ("#d8d3c4", "#16181d", "#c8102e", "#4a4d55")),
    "Documentary": (("#e6e0d2", "#22211f", "#3c6e71", "#c65f3c"), ("#3a4d46", "#efe9dc", "#d9a05b", "#a8b5a2")),
    "Drama": (
        ("#efe6d6", "#2a2320", "#b5573a", "#2f4858"),
        ("#2b4557", "#f3e9d8", "#e0a458", "#86a5a8"),
        ("#b25034", "#fbf1e3", "#2a2320", "#f0c290"),
    ),
    "Fantasy": (("#2b1e4b", "#f4e9ff", "#b892ff", "#ffd97d"), ("#d8c7f0", "#2b1e4b", "#6c4ab6", "#ff8e66")),
    "Film-Noir": (("#111113", "#f1eee7", "#e9e4d8", "#8d8a83"), ("#d9d5cb", "#121212", "#1b1b1b", "#7c7972")),
    "Horror": (("#0e0b0c", "#f6e7d8", "#b3001b", "#6e0f1b"), ("#a80a1f", "#fbeee0", "#12080a", "#f6c6a8")),
    "IMAX": (("#102a43", "#f0f4f8", "#f6ad55", "#4fb3bf"),),
    "Musical": (("#31255a", "#fff0d9", "#f9a03f", "#f45d9c"), ("#f9a03f", "#31255a", "#d63f7e", "#fff0d9")),
    "Mystery": (("#123c3a", "#eef3e2", "#d7b740", "#3f8078"), ("#cbd5c2", "#122b2a", "#3f8078", "#b8860b")),
    "Romance": (("#f7c9c4", "#4a1230", "#d1345b", "#fff2ea"), ("#7d1538", "#ffe9e0", "#f28482", "#f7c9c4")),
    "Sci-Fi": (("#0b1d3a", "#e8f1ff", "#3ddbd9", "#ff7a59"), ("#d4e1ed", "#0b1d3a", "#2f6fed", "#ff6a45")),
    "Thriller": (("#1d2129", "#f4efe4", "#f2c230", "#5d6b7a"), ("#f2c230", "#17181b", "#17181b", "#c43d1e")),
    "War": (("#4b5320", "#f2ecd6", "#d8b25c", "#23270f"), ("#d6cfb4", "#2b2e18", "#7d2e1f", "#6b7040")),
    "Western": (("#d4752f", "#2b1509", "#f4d6a0", "#7d2e1f"), ("#f0d9ac", "#4a1d0d", "#c4511f", "#6f938f")),
}
PLAIN = (("#d9d4c8", "#23221f", "#8a8577", "#c4511f"),)

SMALL_PRINT, LONGEST_CAPTION = 15, 18
"""Of the year and genres: 11 pixels where a cover is 176 wide; letters beside the year."""


class Covers:
    """The covers of a catalogue, each drawn on first use and cached; what is no movie gets a card instead."""

    def __init__(self, catalogue: Catalogue, *, is_movies: bool = True) -> None:
        self._catalogue, self._is_movies = catalogue, is_movies
        self.draw = lru_cache(maxsize=4096)(self._draw)
        self.drawing = lru_cache(maxsize=8192)(self._drawing)

    def _draw(
        self, item_row: int, names: tuple[str, ...] | None = None, name: str = "", *, second: bool = False
    ) -> Markup:
        """The cover of an item as inline SVG, hidden from screen readers because the page names the movie beside it.

        names: its genres in the visitor's language; name: its title there, empty for that of the data;
        second: the one beside a neighbour with the drawing of the first.
        """
        catalogue = self._catalogue
        title, year, genres = catalogue.titles[item_row], catalogue.years[item_row], catalogue.genres[item_row]
        if self._is_movies:
            return draw_cover(title, year, genres, names, name, second=second)
        colours = catalogue.genre_names.index(genres[0]) if genres else item_row
        return draw_card(title, (names or genres or ("",))[0], colours, second=second)

    def _drawing(self, item_row: int, second: bool = False) -> str:
        """The name of what is drawn on the cover of an item."""
        title, genres = self._catalogue.titles[item_row], self._catalogue.genres[item_row]
        drawing = drawing_of(random_of(title), genres, second) if self._is_movies else shape_of(title, second)
        return drawing.__name__

    def seconds(self, item_rows: Iterable[int]) -> list[bool]:
        """Whether each item of a row needs its second cover, so that no drawing stands twice side by side."""
        found, before = [], ""
        for row in item_rows:
            found.append(self.drawing(row) == before)
            before = self.drawing(row, found[-1])
        return found


def random_of(title: str) -> Random:
    """A generator that draws the same for the same title."""
    return Random(int.from_bytes(sha256(title.encode()).digest()[:8]))


def drawing_of(rng: Random, genres: tuple[str, ...], second: bool = False) -> Drawing:
    """The drawing of a movie: one of its genre's, the second another one of its genres'."""
    known = [genre for genre in genres if genre in PALETTES]
    chosen = rng.choice(DRAWINGS[rng.choice(known[:3])] if known else WITHOUT_GENRE)
    others = [drawing for genre in known[:3] for drawing in DRAWINGS[genre] if drawing is not chosen]
    return others[len(others) // 2] if second and others else chosen


def draw_cover(
    title: str,
    year: int,
    genres: tuple[str, ...],
    names: tuple[str, ...] | None = None,
    name: str = "",
    *,
    second: bool = False,
) -> Markup:
    """One cover, 240 by 360 units.

    names, name: genres and title in the visitor's language, if not as in the data, whose title is then below.
    """
    rng = random_of(title)
    drawing = drawing_of(rng, genres, second)
    known = [genre for genre in genres if genre in PALETTES]
    paper, ink, one, two = rng.choice(PALETTES[rng.choice(known[:2])] if known else PLAIN)
    swap = rng.random() < 0.4
    colours = Colours(one, paper, two, ink) if swap else Colours(paper, one, two, ink)
    spoken = spoken_title(title).name
    text, panel = set_title(name, ink, below=spoken) if name else set_title(spoken, ink)
    layout = "framed" if swap and panel < 130 and rng.random() < 0.5 else rng.choice(["below", "below", "above"])
    small = f"{year or ''}", _caption(names or genres)
    shapes = "".join(drawing(rng, colours))
    x, y, width, height = {
        "below": (-1, -1, WIDTH + 2, HEIGHT - panel + 1),
        "above": (-1, panel, WIDTH + 2, HEIGHT - panel + 1),
        "framed": (MARGIN, MARGIN, WIDTH - 2 * MARGIN, HEIGHT - panel - MARGIN),
    }[layout]
    top = 0 if layout == "above" else HEIGHT - panel
    # the paper goes past the edges, for a screen's pixels may cut a cover in between
    return Markup(
        f'<svg class="cover" viewBox="0 0 {WIDTH} {HEIGHT}" aria-hidden="true" focusable="false">'
        f'<rect x="-2" y="-2" width="{WIDTH + 4}" height="{HEIGHT + 4}" fill="{paper}"/>'
        f'<svg x="{x}" y="{y}" width="{width}" height="{height}" viewBox="0 0 240 240" '
        'preserveAspectRatio="xMidYMid slice">'
        f'<rect x="-120" y="-120" width="480" height="480" fill="{colours.field}"/>{shapes}</svg>'
        f'<g transform="translate({MARGIN} {top})">{text}'
        f'<text class="cover-small" y="{panel - 13}" font-size="{SMALL_PRINT}" fill="{ink}">{escape(small[0])}</text>'
        f'<text class="cover-small" x="{WIDTH - 2 * MARGIN}" y="{panel - 13}" font-size="{SMALL_PRINT}" fill="{ink}" '
        f'text-anchor="end">{escape(small[1])}</text></g></svg>'
    )


def _caption(genres: tuple[str, ...]) -> str:
    """One or two genres, as many as fit beside the year; a Korean letter is as wide as two Latin ones."""
    two = " / ".join(genres[:2])
    return two if len(two) + sum(letter > "\u1100" for letter in two) <= LONGEST_CAPTION else genres[0]
