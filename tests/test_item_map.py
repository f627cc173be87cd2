"""The map of movies, and the reasons for similar ones."""

from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import matinee as mt
from matinee.data.synthetic import two_groups
from matinee.errors import MatineeError
from matinee.report.item_map import item_map
from matinee.report.map_plot import draw_map
from matinee.workflow import similar


def test_two_tastes_are_separated_on_the_first_axis() -> None:
    fitted = mt.fit("ials", two_groups(24, 12), dim=4, l2=0.05)
    drawn = item_map(fitted)
    groups = np.array([int(title.split()[1]) % 2 for title in drawn.titles])
    first = drawn.positions[:, 0]
    assert {
        first[groups == 0].max() < first[groups == 1].min(),
        first[groups == 1].max() < first[groups == 0].min(),
    } == {
        True,
        False,
    }
    assert len(drawn.colours) == 2


class Sources(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [value or "" for name, value in attrs if name in {"src", "href"}]


def test_the_page_is_self_contained_and_the_picture_is_a_png(tmp_path: Path) -> None:
    drawn = item_map(mt.fit("ials", mt.load("bundled"), epochs=2, dim=8), 200)
    draw_map(drawn, tmp_path / "map.html")
    page = (tmp_path / "map.html").read_text("utf-8")
    sources = Sources()
    sources.feed(page)
    assert sources.found == []
    assert "http" not in page.replace("http-equiv", "")
    assert drawn.titles[0] in page
    draw_map(drawn, tmp_path / "map.png")
    assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(MatineeError, match=r"end its name in one of: html, htm, png, svg, pdf"):
        draw_map(drawn, tmp_path / "map.nothing")


def test_item_bias_does_not_change_the_map() -> None:
    fitted = mt.fit("bpr", two_groups(24, 12), dim=4, epochs=1)
    before = item_map(fitted).positions
    fitted.model.bias = fitted.model.bias + np.arange(len(fitted.model.bias), dtype=np.float32)
    np.testing.assert_array_equal(item_map(fitted).positions, before)


def test_a_model_without_vectors_raises() -> None:
    with pytest.raises(MatineeError, match="item-knn has no vectors to draw"):
        item_map(mt.fit("item-knn", two_groups()))


def test_similar_movies_report_shared_users() -> None:
    data = two_groups(24, 12)
    fitted = mt.fit("ials", data, dim=4)
    found = similar(fitted, item=0, k=3, explain=True)
    events = data.events
    people = {item: set(events.user_rows[events.item_rows == item].tolist()) for item in range(12)}
    for movie in found:
        have, both = movie.because
        assert have[1] == len(people[movie.item_id])
        assert both[1] == len(people[movie.item_id] & people[0])
