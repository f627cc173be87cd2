"""Covers are well-formed and deterministic, and titles stay inside them."""

import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from matinee.catalogue import Catalogue
from matinee.dataset import Dataset
from matinee.serve.art.covers import MARGIN, PALETTES, WIDTH, Covers, draw_cover
from matinee.serve.art.drawings import DRAWINGS
from matinee.titles import spoken_title


@pytest.mark.parametrize(
    ("title", "name", "other"),
    [
        ("Matrix, The (1999)", "The Matrix", ""),
        ("City of God (Cidade de Deus) (2002)", "City of God", "Cidade de Deus"),
        ("Seven (a.k.a. Se7en) (1995)", "Seven", "Se7en"),
        ("Avventura, L' (Adventure, The) (1960)", "L'Avventura", "The Adventure"),
        ("(500) Days of Summer (2009)", "(500) Days of Summer", ""),
        ("Good, the Bad and the Ugly, The (Buono, il brutto, il cattivo, Il) (1966)",
         "The Good, the Bad and the Ugly", "Il Buono, il brutto, il cattivo"),
        ("2001: A Space Odyssey (1968)", "2001: A Space Odyssey", ""),
        ("", "", ""),
    ],
)  # fmt: skip
def test_titles_are_put_in_spoken_order(title: str, name: str, other: str) -> None:
    assert (spoken_title(title).name, spoken_title(title).other) == (name, other)


def test_every_bundled_movie_has_its_own_cover(bundled: Dataset) -> None:
    catalogue = bundled.catalogue
    drawn = set()
    for row in range(0, len(catalogue), 11):
        cover = draw_cover(catalogue.titles[row], catalogue.years[row], catalogue.genres[row])
        ElementTree.fromstring(cover)
        assert "style=" not in cover
        assert "<script" not in cover
        for width in re.findall(r'textLength="([\d.]+)"', cover):
            assert float(width) <= WIDTH - 2 * MARGIN + 0.1
        drawn.add(str(cover))
    assert len(drawn) == len(range(0, len(catalogue), 11))


def test_a_movie_always_has_the_same_cover() -> None:
    assert draw_cover("Alien (1979)", 1979, ("Horror", "Sci-Fi")) == draw_cover(
        "Alien (1979)", 1979, ("Horror", "Sci-Fi")
    )


@pytest.mark.parametrize("is_movies", [True, False])
def test_no_drawing_stands_twice_side_by_side(bundled: Dataset, is_movies: bool) -> None:
    covers = Covers(bundled.catalogue, is_movies=is_movies)
    rows = list(range(0, len(bundled.catalogue), 7))
    seconds = covers.seconds(rows)
    assert 0.02 < sum(seconds) / len(seconds) < 0.4
    drawings = [covers.drawing(row, second) for row, second in zip(rows, seconds, strict=True)]
    alone = sum(len(bundled.catalogue.genres[row]) == 0 for row in rows)  # one drawing for all of them
    assert sum(one == other for one, other in pairwise(drawings)) <= (alone if is_movies else 0)
    for row in rows[:200]:
        first, second = covers.draw(row), covers.draw(row, second=True)
        assert re.findall(r"<text.*?</text>", first)[-1] == re.findall(r"<text.*?</text>", second)[-1]
        assert (first == second) == (covers.drawing(row) == covers.drawing(row, True))


@pytest.mark.parametrize(
    "title", ["", "<script>alert('x')</script>", '"><img src=x onerror=y>', "가나다 🎬", "x" * 400, "a " * 90]
)
@pytest.mark.parametrize("genres", [(), ("Nonsense",), ("Drama", "<b>")])
def test_titles_and_genres_are_escaped(title: str, genres: tuple[str, ...]) -> None:
    root = ElementTree.fromstring(draw_cover(title, 0, genres))
    assert {element.tag for element in root.iter()} <= {
        "svg",
        "rect",
        "g",
        "text",
        "circle",
        "path",
        "polygon",
        "ellipse",
    }


def test_every_genre_has_colours_and_drawings(bundled: Dataset) -> None:
    assert set(bundled.catalogue.genre_names) <= set(PALETTES) == set(DRAWINGS)
    assert Catalogue.of(["x"]).genre_names == ()
