"""The mood of an evening: what it lets through, what is lighter, and that every row obeys; what is kept for later."""

import re

import numpy as np
import pytest
from fastapi import FastAPI
from hypothesis import given
from hypothesis import strategies as st
from starlette.testclient import TestClient

from matinee.catalogue import Catalogue
from matinee.ranking.shared import Shared
from matinee.serve.pages.cards import Card
from matinee.serve.pages.tonight import firsts_of
from matinee.serve.site import Site
from matinee.serve.tonight import Tonight, is_lighter, lengths_of, mask_of, read_tonight, tonight_of
from matinee.titles import MovieTitle

ALIEN, ALIENS, MATRIX, TOY_STORY = "1214", "1200", "2571", "1"
CATALOGUE = Catalogue.of(
    ["Tootsie (1982)", "M*A*S*H (1970)", "Alien (1979)", "Untitled", "Airplane! (1980)"],
    [["Comedy"], ["Comedy", "War"], ["Horror", "Sci-Fi"], [], ["Comedy"]],
)


@pytest.mark.parametrize(
    ("asked", "passes"),
    [
        ({}, None),
        ({"only": ["Comedy"], "never": ["War"], "first": ["1980"], "last": ["1989"]}, [0, 4]),
        ({"never": ["Comedy"]}, [2, 3]),
        ({"only": ["Comedy", "Horror"]}, [0, 1, 2, 4]),
        ({"only": ["War"], "never": ["War"]}, [0, 2, 3, 4]),  # what is never wanted is not wanted
        ({"last": ["1979"]}, [1, 2]),
        ({"longest": ["100"]}, [0, 2, 3, 4]),  # an item of unknown length passes
        ({"only": ["No genre"], "first": ["x"], "last": ["99999"], "longest": ["-3"]}, None),
    ],
)
def test_what_passes(asked: dict[str, list[str]], passes: list[int] | None) -> None:
    mood = tonight_of(asked, CATALOGUE)
    found = mask_of(mood, CATALOGUE, np.array([95.0, 116.0, np.nan]))
    assert (None if found is None else np.flatnonzero(found).tolist()) == passes
    assert read_tonight(mood.as_text(), CATALOGUE) == mood


@given(st.text(max_size=200))
def test_any_cookie_is_read(text: str) -> None:
    mood = read_tonight(text, CATALOGUE)
    assert read_tonight(mood.as_text(), CATALOGUE) == mood


@pytest.mark.parametrize(
    ("genres", "than", "is_it"),
    [
        ("Comedy", "Drama", True),
        ("Comedy|Romance", "Drama|Romance", True),
        ("Action|Adventure", "Action|Sci-Fi", True),
        ("Action|Adventure|Horror", "Action|Sci-Fi|Thriller", False),
        ("Drama", "Drama", False),
        ("Comedy|War", "Drama|War", True),
        ("Comedy|War", "Drama", False),
        ("", "Drama", True),
        ("", "", False),
    ],
)
def test_lighter_is_less_heavy_and_heavy_in_no_new_way(genres: str, than: str, is_it: bool) -> None:
    assert is_lighter(genres.split("|"), than.split("|")) == is_it


@pytest.mark.parametrize(
    ("series", "first"),
    [
        (["", "", "", ""], [0, 1, 2]),
        (["Alien", "Alien", "Star Wars", ""], [0, 2, 3]),
        (["Alien", "Star Wars", "Alien", "Star Wars", ""], [0, 1, 4]),
        (["Alien", "Alien", "Alien", "Star Wars"], [0, 1, 3]),  # there are no three
        (["Alien", "Alien"], [0, 1]),
        ([], []),
    ],
)
def test_of_a_series_one_is_among_the_first_as_far_as_there_are_others(series: list[str], first: list[int]) -> None:
    cards = [
        Card(n, n, MovieTitle("A"), "A", 0, (), "", shared=Shared("series", name) if name else Shared("genres", "War"))
        for n, name in enumerate(series)
    ]
    firsts, others = firsts_of(cards, 3)
    assert [card.item_row for card in firsts] == first
    assert [card.item_row for card in others] == [n for n in range(len(series)) if n not in first]


def test_a_column_of_minutes_is_found_by_its_name() -> None:
    minutes = np.array([90.0])
    assert lengths_of({"price": np.zeros(1), "Runtime": minutes}) is minutes
    assert lengths_of({"price": np.zeros(1)}) is None
    assert not Tonight().on


def rows(page: str, site: Site) -> list[int]:
    """The item rows of all cards of a page, those of the visitor's own movies apart."""
    page = re.sub(r'<section id="(?:recent|later|start)".*?</section>', "", page, flags=re.DOTALL)
    return [site.engine.items.row(int(found)) for found in re.findall(r'data-item="([^"]+)"', page)]


@pytest.mark.parametrize("known", [True, False])
def test_every_row_obeys_and_no_item_is_on_the_page_twice(client: TestClient, app: FastAPI, known: bool) -> None:
    site: Site = app.state.site
    for item in (ALIEN, MATRIX, TOY_STORY) if known else ():
        client.post("/mark", data={"item_id": item, "mark": "5"})
    plain = client.get("/").text
    everything = re.findall(r'data-item="([^"]+)"', plain)
    assert len(everything) == len(set(everything)) >= 60
    page = client.post("/tonight", data={"only": "Comedy", "never": "War", "first": "1980", "last": "1995"}).text
    client.post("/picker", data={"state": "closed"})
    page = client.get("/").text
    found = rows(page, site)
    assert len(found) == len(set(found)) >= 30
    for row in found:
        assert "Comedy" in site.catalogue.genres[row]
        assert "War" not in site.catalogue.genres[row]
        assert 1980 <= site.catalogue.years[row] <= 1995
    film = client.get(f"/movie/{ALIENS}").text
    assert all("Comedy" in site.catalogue.genres[row] for row in rows(film, site))
    client.post("/tonight", data={"reset": "1"})
    assert any("Comedy" not in site.catalogue.genres[row] for row in rows(client.get("/").text, site))


def test_something_like_it_but_lighter(client: TestClient, app: FastAPI) -> None:
    site: Site = app.state.site
    page = client.post("/tonight", data={"like": "silence of the lambs", "lighter": "1"}).text
    found = re.search(r'<section id="tonight".*?</section>', page, re.DOTALL)
    assert found is not None
    assert "something like The Silence of the Lambs, but lighter" in found[0]
    crime = site.catalogue.genres[site.search.find("silence of the lambs", 1)[0]]
    listed = rows(found[0], site)
    assert len(listed) == 3
    assert all(is_lighter(site.catalogue.genres[row], crime) for row in listed)
    assert client.post("/tonight", data={"like": "qqqzzz"}).status_code == 422
    assert client.post("/tonight", data={"first": "1990", "last": "1980"}).status_code == 422
    assert "something like Alien<" in client.post("/tonight", data={"item_id": ALIEN}).text
    assert client.post("/tonight", data={"item_id": "none"}).status_code == 404


def test_what_is_kept_for_later_leaves_the_lists_or_stays_as_one_likes(client: TestClient, app: FastAPI) -> None:
    client.post("/mark", data={"item_id": ALIEN, "mark": "5"})
    first = re.findall(r'data-item="([^"]+)"', client.get("/").text.partition('id="tonight"')[2])[:3]
    client.post("/mark", data={"item_id": first[0], "mark": "saved"})
    client.post("/mark", data={"item_id": first[1], "mark": "saved"})
    page = client.get("/my/later").text
    assert re.findall(r'data-item="([^"]+)"', page) == [first[1], first[0]]  # the newest first
    home = client.get("/").text
    assert re.findall(r'data-item="([^"]+)"', home).count(first[0]) == 1  # in its own row alone
    assert first[0] not in home.partition('id="tonight"')[2].partition('id="later"')[0]
    client.post("/my/later", data={"lists": "stay"})
    assert f'data-item="{first[0]}"' in client.get("/").text.partition('id="tonight"')[2].partition('id="later"')[0]
    assert client.post("/my/later", data={"lists": "burn"}).status_code == 422
    client.post("/mark", data={"item_id": first[0], "mark": "unsaved"})
    client.post("/mark", data={"item_id": first[1], "mark": "4"})  # watched: no longer for later
    assert "Nothing yet" in client.get("/my/later").text
    client.post("/mark", data={"item_id": first[1], "mark": "removed"})
    assert f'data-item="{first[1]}"' in client.get("/my/later").text  # the rating is gone, the bookmark is not


def test_a_guests_bookmarks_become_the_members_are_exported_and_erased(client: TestClient, app: FastAPI) -> None:
    client.post("/mark", data={"item_id": ALIEN, "mark": "saved"})
    client.post("/sign-up", data={"name": "Ellen", "password": "a nostromo of one's own"})
    assert f'data-item="{ALIEN}"' in client.get("/my/later").text
    events = client.get("/my/data.json").json()["events"]
    assert [(event["kind"], event["title"]) for event in events] == [("saved", "Alien (1979)")]
    client.post("/account/delete", data={"password": "a nostromo of one's own"})
    site: Site = app.state.site
    with site.database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM events").scalar_one() == 0


@pytest.mark.parametrize(
    ("name", "table"),
    [
        ("watchlist.csv", "Date,Name,Year,Letterboxd URI\n2020-01-02,Alien,1979,https://boxd.it/1\n"),
        (
            "WATCHLIST.csv",
            "Position,Const,Created,Modified,Description,Title,URL,Title Type,IMDb Rating,Runtime (mins),Year,Genres,"
            "Num Votes,Release Date,Directors,Your Rating,Date Rated\n1,tt0078748,2020-01-02,2020-01-02,,Alien,"
            "https://www.imdb.com/title/tt0078748/,Movie,8.5,117,1979,Horror,900000,1979-05-25,Ridley Scott,,\n",
        ),
        ("list.csv", "title,year,status\nAlien,1979,plan to watch\n"),
    ],
)
def test_a_watchlist_of_another_site_is_kept_for_later_and_its_import_undone(
    client: TestClient, name: str, table: str
) -> None:
    client.get("/my/import")
    files = {"files": (name, table.encode(), "text/csv")}
    report = client.post("/my/import", data={"report": "page"}, files=files).text
    assert "kept for later" in report
    assert re.findall(r'data-item="([^"]+)"', client.get("/my/later").text) == [ALIEN]
    again = client.post("/my/import", data={"report": "page"}, files=files).text
    assert "already in your movies" in again
    import_id = re.search(r'name="import_id" value="([^"]+)"', report)
    assert import_id is not None
    client.post("/my/import/undo", data={"import_id": import_id[1]})
    assert "Nothing yet" in client.get("/my/later").text
