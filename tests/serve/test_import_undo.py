"""The report of an import, and undoing it: on the pages, as a visitor does."""

import csv
import io
import re
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from matinee.serve.app import create_app
from matinee.store.protocols import UNDO_SECONDS
from site_fixtures import CHEAP, Clock, SiteClient

ALIEN, MATRIX, TOY_STORY = 1214, 2571, 1
TABLE = "Title,Year,Rating,Date,Colour,=cmd()\nAlien,1979,9,2024-03-01,red,1\nThe Matrix,1999,7,2024-03-02,blue,1\n"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def app(artefact_paths: list[Path], tmp_path: Path, clock: Clock) -> FastAPI:
    return create_app(artefact_paths, db_url=f"sqlite:///{tmp_path}/site.db", clock=clock, hasher=CHEAP)


def send(client: SiteClient, *files: tuple[str, str], **fields: str) -> str:
    parts = [("files", (name, text.encode())) for name, text in files or (("mine.csv", TABLE),)]
    return str(client.post("/my/import", data=fields, files=parts).text)


def import_id(page: str) -> str:
    found = re.search(r'action="/my/import/undo".*?name="import_id" value="([^"]+)"', page, re.DOTALL)
    return found[1] if found else ""


def undo(client: SiteClient, one: str) -> str:
    answer = client.post("/my/import/undo", data={"import_id": one})
    assert (answer.status_code, answer.url.path) == (200, "/my")
    return str(answer.text)


def stored(client: SiteClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get("/my/data.json").json()["events"]
    return found


def test_an_import_is_undone_from_its_report(app: FastAPI) -> None:
    client = SiteClient(app)
    client.post("/mark", data={"item_id": str(ALIEN), "mark": "2"})
    before, home = stored(client), client.get("/").text
    report = send(client)
    assert len(stored(client)) == 3
    page = undo(client, import_id(report))
    assert "The import was undone" in page
    assert stored(client) == before
    lists = [re.findall(r'data-item="(\d+)"', text) for text in (home, client.get("/").text)]
    assert lists[0] == lists[1]


def test_an_import_is_undone_from_my_movies_which_names_its_files(app: FastAPI) -> None:
    client = SiteClient(app)
    send(client, ("<mine>.csv", TABLE), ("watched.csv", "Title\nToy Story\n"))
    page = client.get("/my").text
    assert "<b>&lt;mine&gt;.csv, watched.csv</b>" in page
    assert "3 events" in page
    assert import_id(undo(client, import_id(page))) == ""
    assert stored(client) == []


def test_a_second_click_says_so_and_keeps_what_was_rated_since(app: FastAPI) -> None:
    client = SiteClient(app)
    one = import_id(send(client))
    undo(client, one)
    client.post("/mark", data={"item_id": str(ALIEN), "mark": "4"})
    assert "There is nothing to undo" in undo(client, one)
    assert [event["value"] for event in stored(client)] == [4.0]


def test_ratings_since_the_import_stay(app: FastAPI, clock: Clock) -> None:
    client = SiteClient(app)
    one = import_id(send(client))
    clock.now += 60
    client.post("/mark", data={"item_id": str(ALIEN), "mark": "1"})
    undo(client, one)
    assert [(event["item_id"], event["value"]) for event in stored(client)] == [(str(ALIEN), 1.0)]
    assert 'aria-label="Rate Alien 1 of 5" aria-pressed="true"' in client.get("/my").text


def test_nobody_undoes_another_visitors_import(app: FastAPI) -> None:
    ada, bob, nobody = SiteClient(app), SiteClient(app), SiteClient(app)
    one = import_id(send(ada))
    send(bob, ("r.csv", "Title\nToy Story\n"))
    for client in (bob, nobody):
        assert "There is nothing to undo" in undo(client, one)
    assert (len(stored(ada)), len(stored(bob))) == (2, 1)


def test_an_import_of_the_day_before_cannot_be_undone(app: FastAPI, clock: Clock) -> None:
    client = SiteClient(app)
    one = import_id(send(client))
    clock.now += UNDO_SECONDS
    assert import_id(client.get("/my").text) == one
    clock.now += 1
    assert import_id(client.get("/my").text) == ""
    assert "There is nothing to undo" in undo(client, one)
    assert len(stored(client)) == 2


def test_a_guest_who_becomes_a_member_can_still_undo(app: FastAPI) -> None:
    client = SiteClient(app)
    one = import_id(send(client))
    client.post("/sign-up", data={"name": "Ada", "password": "correct horse"})
    undo(client, one)
    assert stored(client) == []


def test_undoing_needs_the_form_of_this_site(app: FastAPI) -> None:
    client = SiteClient(app)
    one = import_id(send(client))
    answer = client.post("/my/import/undo", data={"import_id": one, "csrf": "wrong"})
    assert answer.status_code == 403
    assert len(stored(client)) == 2


def test_the_same_file_twice_leaves_one_import_to_undo(app: FastAPI) -> None:
    client = SiteClient(app)
    one = import_id(send(client))
    assert import_id(send(client)) == ""  # nothing new, nothing to undo
    undo(client, one)
    assert stored(client) == []


def test_a_file_that_a_later_import_holds_too_stays_with_it(app: FastAPI) -> None:
    client = SiteClient(app)
    one = import_id(send(client))
    other = import_id(send(client, ("more.csv", f"{TABLE}Toy Story,1995,8,2024-03-03,red,1\n")))
    both = stored(client)
    undo(client, one)
    assert stored(client) == both
    undo(client, other)
    assert stored(client) == []


def test_the_report_says_what_was_read_and_what_was_not(app: FastAPI) -> None:
    page = send(SiteClient(app))
    assert "title (Title), year (Year), rating (Rating), date (Date)" in page
    assert "2 columns are not used: Colour, =cmd()." in page
    assert "out of 10, because the highest is 9 (row 2)" in page
    korean = SiteClient(app, headers={"accept-language": "ko"})
    page = send(korean)
    assert "쓰지 않은 열 2개: Colour, =cmd()." in page
    assert "10점 만점" in page


def test_the_csv_report_says_the_same_before_its_rows(app: FastAPI) -> None:
    table = list(csv.DictReader(io.StringIO(send(SiteClient(app), report="csv"))))
    notes = [row for row in table if not row["row"]]
    assert len(notes) == 3
    assert {row["file"] for row in table} == {"mine.csv"}
    assert [row["row"] for row in table[3:]] == ["2", "3"]


def test_imports_are_in_the_download_for_a_day(app: FastAPI, clock: Clock) -> None:
    client = SiteClient(app)
    one = import_id(send(client))
    kept = client.get("/my/data.json").json()["imports"]
    assert kept == [{"import_id": one, "at": "2025-06-15T15:06:40Z", "files": ["mine.csv"]}]
    assert f"import,2025-06-15T15:06:40Z,,,,,,,,,{one},mine.csv" in client.get("/my/data.csv").text.replace("'", "")
    clock.now += UNDO_SECONDS + 1
    assert client.get("/my/data.json").json()["imports"] == []
