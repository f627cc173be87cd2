"""Events and impressions are written once, before the answer; dismissed movies stay out of every list."""

import csv
import io
import re
import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from sqlalchemy import event as sql_event
from starlette.testclient import TestClient

from matinee.errors import MatineeError
from matinee.serve.app import create_app
from matinee.serve.site import DOUBLE_SECONDS, Site
from matinee.store.database import SqlDatabase
from matinee.store.impressions import SqlImpressions
from matinee.store.migrations import newest
from matinee.store.protocols import ListImpression, LiveEvent
from matinee.store.sql import SqlEvents
from matinee.vocab import Vocab
from site_fixtures import CHEAP, NOW, SiteClient, count_events, note_prepared

ALIEN, MATRIX, TOY_STORY, PULP = 1214, 2571, 1, 296
ITEMS = Vocab.of([10, 20, 30])
OLD = """
CREATE TABLE events (seq INTEGER PRIMARY KEY AUTOINCREMENT, event_id VARCHAR(100), user_id VARCHAR(200) NOT NULL,
  item_id VARCHAR(200) NOT NULL, kind VARCHAR(20) NOT NULL, value FLOAT NOT NULL, at BIGINT NOT NULL,
  model VARCHAR(100), list_id VARCHAR(100), position INTEGER, UNIQUE (user_id, event_id));
CREATE INDEX events_by_user ON events (user_id, at, seq);
CREATE TABLE visitors (token_hash VARCHAR(64) NOT NULL PRIMARY KEY, user_id VARCHAR(200) NOT NULL,
  created BIGINT NOT NULL);
INSERT INTO events (user_id, item_id, kind, value, at) VALUES ('a', '10', 'rating', 4, 5);
INSERT INTO events (user_id, item_id, kind, value, at) VALUES ('a', '20', 'hidden', 1, 6);
INSERT INTO events (user_id, item_id, kind, value, at) VALUES ('a', '30', 'hidden', 1, 6);
INSERT INTO events (user_id, item_id, kind, value, at) VALUES ('a', '20', 'shown', 1, 7);
"""
"""The tables of the first site, with events of the old kinds."""


def mark(client: TestClient, item_id: object, what: str, **more: str) -> str:
    answer = client.post("/mark", data={"item_id": str(item_id), "mark": what, **more})
    assert answer.status_code == 200, answer.text
    return answer.text


def table(app: FastAPI, name: str) -> list[Any]:
    site: Site = app.state.site
    site.database.flush()
    with site.database.read() as connection:
        return list(connection.exec_driver_sql(f"SELECT * FROM {name} ORDER BY 1"))


def section(page: str, name: str) -> str:
    found = re.search(rf'<section[^>]*id="{name}".*?</section>', page, re.DOTALL)
    return found.group(0) if found else ""


def items(page: str) -> list[int]:
    return [int(found) for found in re.findall(r'data-item="(\d+)"', page)]


def links(page: str) -> list[str]:
    return [unescape(found) for found in re.findall(r'class="poster" href="([^"]+)"', page)]


# Lists shown ---------------------------------------------------------------


def test_looking_at_pages_stores_nothing(client: TestClient, app: FastAPI) -> None:
    for path in ("/", "/search?q=star", f"/movie/{MATRIX}", f"/why/{MATRIX}"):
        client.get(path)
    assert table(app, "lists") == []
    assert table(app, "events") == []


def test_an_impression_holds_the_displayed_list(client: TestClient, app: FastAPI) -> None:
    whole = mark(client, ALIEN, "5")
    page = section(whole, "for-you")
    site: Site = app.state.site
    list_id = re.search(r'name="list_id" value="([^"]+)"', page).group(1)  # type: ignore[union-attr]
    shown = SqlImpressions(site.database).find(list_id)
    assert shown is not None
    assert (shown.name, shown.model, shown.at) == ("for-you", "ease", NOW)
    assert shown.version == site.engine.artefacts["ease"].version
    assert len(shown.version) == 12
    tonight = items(section(whole, "tonight"))  # large cards of the same list
    assert set(tonight) < set(shown.item_ids)
    assert [each for each in shown.item_ids if each not in tonight] == items(page)
    assert shown.user_id == site.log.activity(shown.user_id).recent[0].user_id


def test_impressions_are_not_history(client: TestClient, app: FastAPI) -> None:
    page = mark(client, ALIEN, "5")
    client.get(links(section(page, "for-you"))[0])
    site: Site = app.state.site
    user_id = table(app, "lists")[0].user_id
    assert len(site.engine.history(user_id).items) == 1
    assert [event.item_id for event in site.log.activity(user_id).recent] == [str(ALIEN)]
    assert site.state_of(user_id).dismissed.tolist() == []


def test_the_impressions_of_a_page_are_one_insert(client: TestClient, app: FastAPI) -> None:
    for item_id in (ALIEN, TOY_STORY, PULP):
        mark(client, item_id, "5")
    site: Site = app.state.site
    before = len(table(app, "lists"))
    written: list[str] = []
    sql_event.listen(site.database._writer, "before_cursor_execute", lambda *call: written.append(call[2]))
    page = client.get("/").text
    site.database.flush()
    assert sum(statement.startswith("INSERT INTO lists") for statement in written) == 1
    names = {row.name for row in table(app, "lists")[before:]} | {row.name for row in table(app, "lists")}
    assert "for-you" in names
    linked = {link.partition("?list=")[2] for link in links(page) if "?list=" in link}
    assert linked <= {row.list_id for row in table(app, "lists")}
    assert len(linked) >= 2


# Clicks --------------------------------------------------------------------


def test_a_click_on_a_list_is_written_once_with_its_position(client: TestClient, app: FastAPI) -> None:
    page = section(mark(client, ALIEN, "5"), "for-you")
    link, third = links(page)[2], items(page)[2]
    client.get(link)
    client.get(link)  # again, perhaps from the browser's history
    clicks = [row for row in table(app, "events") if row.kind == "click"]
    assert len(clicks) == 1
    site: Site = app.state.site
    shown = site.impressions.find(clicks[0].list_id)
    assert shown is not None
    assert (clicks[0].item_id, clicks[0].position, clicks[0].at) == (str(third), 6, NOW)  # after the three for tonight
    assert (clicks[0].model, clicks[0].version) == ("ease", site.engine.version("ease"))
    assert shown.item_ids[5] == third


def test_a_click_without_an_impression_is_not_written(client: TestClient, app: FastAPI) -> None:
    page = section(mark(client, ALIEN, "5"), "for-you")
    list_id = links(page)[0].partition("?list=")[2]
    other = SiteClient(app)
    mark(other, TOY_STORY, "5")
    other.get(links(page)[0])  # another visitor's list
    client.get(f"/movie/{ALIEN}?list={list_id}")  # a movie that is not on it
    client.get(f"/movie/{MATRIX}?list=no-such-list")
    client.get(f"/movie/{MATRIX}")  # without a list
    SiteClient(app).get(links(page)[1])  # without a session
    assert not [row for row in table(app, "events") if row.kind == "click"]
    assert client.get(f"/movie/{MATRIX}?list=" + "x" * 5000).status_code == 200


def test_a_mark_takes_its_position_from_the_impression_not_the_form(client: TestClient, app: FastAPI) -> None:
    page = section(mark(client, ALIEN, "5"), "for-you")
    list_id, second = links(page)[0].partition("?list=")[2], items(page)[1]
    mark(client, second, "4", list_id=list_id, position="999", model="item-knn")
    row = table(app, "events")[-1]
    assert (row.model, row.position, row.list_id) == ("ease", 5, list_id)
    mark(client, MATRIX, "3", list_id="made-up", position="7", model="no such model")
    row = table(app, "events")[-1]
    assert (row.model, row.position, row.list_id, row.version) == (None, None, None, None)


# Twice, and at once --------------------------------------------------------


def test_a_double_click_is_one_event_but_another_mark_is_not(artefact_paths: list[Path], tmp_path: Path) -> None:
    now = [NOW]
    app = create_app(artefact_paths, db_url=f"sqlite:///{tmp_path}/d.db", clock=lambda: now[0], hasher=CHEAP)
    with SiteClient(app) as client:
        for what in ("4", "4", "5", "4", "4", "watched", "watched", "dismissed", "dismissed", "4"):
            mark(client, ALIEN, what)
        marks = [(row.kind, row.value) for row in table(app, "events")]
        assert marks == [
            ("rating", 4), ("rating", 5), ("rating", 4), ("watched", 1), ("dismissed", 1), ("rating", 4),
        ]  # fmt: skip
        now[0] += DOUBLE_SECONDS + 1
        mark(client, ALIEN, "4")
        assert len(table(app, "events")) == 7


def test_of_two_tabs_that_rate_at_once_the_last_to_arrive_counts(client: TestClient, app: FastAPI) -> None:
    mark(client, TOY_STORY, "3")
    site: Site = app.state.site
    user_id = table(app, "events")[0].user_id
    row = site.engine.items.row(ALIEN)
    start = threading.Barrier(8)

    def tab(n: int) -> None:
        start.wait()
        for stars in range(1, 6):
            site.record(user_id, row, "rating", float((stars + n) % 5 + 1))

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(tab, range(8)))
    last = [event for event in table(app, "events") if event.item_id == str(ALIEN)][-1]
    assert site.state_of(user_id).watched[row].value == last.value
    assert len(site.state_of(user_id).history.items) == 2


def test_one_event_sent_by_many_threads_is_written_once(tmp_path: Path) -> None:
    database = SqlDatabase(f"sqlite:///{tmp_path}/t.db")
    log = SqlEvents(database, ITEMS)
    lists = SqlImpressions(database)
    start = threading.Barrier(6)

    def send(n: int) -> int:
        start.wait()
        new = 0
        for k in range(30):
            new += log.append([LiveEvent("a", 10, "click", 1, 5, f"e{k}")])
            lists.write([ListImpression(f"{n}-{k}", "a", "for-you", "ease", "v", 5, (10, 20))])
        return new

    with ThreadPoolExecutor(6) as pool:
        assert sum(pool.map(send, range(6))) == 30
    assert count_events(database) == 30
    database.flush()
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM lists").scalar() == 180
    database.close()


def test_the_last_by_time_then_arrival_counts(tmp_path: Path) -> None:
    log = SqlEvents(f"sqlite:///{tmp_path}/o.db", ITEMS)
    log.append(
        [LiveEvent("a", 10, "rating", 5, 9), LiveEvent("a", 10, "rating", 2, 7)]
    )  # the older event arrived later
    log.append(
        [
            LiveEvent("a", 20, "dismissed", 1, 9),
            LiveEvent("a", 20, "restored", 1, 9),
            LiveEvent("a", 30, "dismissed", 1, 3),
        ]
    )
    found = log.activity("a")
    assert found.history.values.tolist() == [5]
    assert [event.value for event in found.recent] == [5]
    assert found.dismissed.tolist() == [2]
    log.close()


# Not interested ------------------------------------------------------------


@pytest.mark.parametrize("model", ["ease", "item-knn", "popularity"])
def test_a_dismissed_movie_is_on_no_list_until_restored(client: TestClient, app: FastAPI, model: str) -> None:
    page = client.get("/", params={"model": model}).text
    mark(client, ALIEN, "5")
    first = items(section(client.get("/", params={"model": model}).text, "for-you"))
    mark(client, first[0], "dismissed")
    page = client.get("/", params={"model": model}).text
    assert first[0] not in items(section(page, "for-you"))
    assert items(section(page, "for-you"))[:5] == first[1:6]
    assert first[0] not in items(section(page, "popular"))
    listed = client.get("/api/v1/recommendations", params={"model": model, "k": 100}).json()["items"]
    assert first[0] not in [item["item_id"] for item in listed]
    assert "You are not interested" in client.get(f"/movie/{first[0]}").text
    assert len(table(app, "events")) == 2
    mark(client, first[0], "restored")
    assert items(section(client.get("/", params={"model": model}).text, "for-you")) == first
    site: Site = app.state.site
    assert len(site.engine.history(table(app, "events")[0].user_id).items) == 1  # never history


def test_dismissing_is_not_rating_and_rating_does_not_dismiss(client: TestClient, app: FastAPI) -> None:
    mark(client, ALIEN, "dismissed")
    site: Site = app.state.site
    seen = site.state_of(table(app, "events")[0].user_id)
    assert (len(seen.history.items), seen.watched) == (0, {})
    assert "Tell us three" in client.get("/").text
    mark(client, ALIEN, "4")
    seen = site.state_of(table(app, "events")[0].user_id)
    assert len(seen.history.items) == 1


# Older and newer databases -------------------------------------------------


def test_old_pages_and_programs_may_send_the_old_kinds(client: TestClient, app: FastAPI) -> None:
    mark(client, ALIEN, "hidden")
    for kind in ("shown", "hidden"):
        assert client.post("/api/v1/events", json={"item_id": MATRIX, "kind": kind}).status_code == 201
    assert [row.kind for row in table(app, "events")] == ["dismissed", "restored", "dismissed"]


def test_an_old_download_is_imported_as_before(client: TestClient, app: FastAPI) -> None:
    rows = f"record,kind,item_id,value\nevent,rating,{ALIEN},4\nevent,hidden,{MATRIX},1\nevent,shown,{MATRIX},1\n"
    files = [("files", ("matinee.csv", rows.encode(), "text/csv"))]
    report = client.post("/my/import", files=files, data={"report": "csv"}).text
    rows_of_report = [row for row in csv.DictReader(io.StringIO(report)) if row["row"]]
    assert [row["kept"] for row in rows_of_report] == ["yes", "no", "no"]
    assert [row.kind for row in table(app, "events")] == ["rating"]


def test_the_database_of_the_first_site_is_migrated(tmp_path: Path) -> None:
    path = tmp_path / "old.db"
    connection = sqlite3.connect(path)
    connection.executescript(OLD)
    connection.close()
    log = SqlEvents(f"sqlite:///{path}", ITEMS)
    assert log.histories(["a"]).values.tolist() == [4]
    assert log.activity("a").dismissed.tolist() == [2]
    log.append([LiveEvent("a", 20, "rating", 5, 6, version="abc")])
    log.close()
    log = SqlEvents(f"sqlite:///{path}", ITEMS)  # again: nothing to migrate
    assert log.histories(["a"]).values.tolist() == [4, 5]
    log.close()
    connection = sqlite3.connect(path)
    assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [(str(newest()),)]
    found = connection.execute("SELECT kind, version FROM events ORDER BY seq").fetchall()
    assert found == [
        ("rating", None), ("dismissed", None), ("dismissed", None), ("restored", None), ("rating", "abc"),
    ]  # fmt: skip
    connection.close()


def test_a_database_of_a_newer_matinee_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    SqlDatabase(f"sqlite:///{path}").close()
    connection = sqlite3.connect(path)
    connection.execute("UPDATE alembic_version SET version_num = 99")
    connection.commit()
    connection.close()
    with pytest.raises(MatineeError, match=r"schema version 99, this Matinee reads .*update Matinee"):
        SqlDatabase(f"sqlite:///{path}")


def test_clicks_are_history_if_the_data_are_clicks(tmp_path: Path) -> None:
    log = SqlEvents(f"sqlite:///{tmp_path}/c.db", ITEMS, None, ("rating", "watched", "click"))
    log.append([LiveEvent("a", 10, "click", 1, 1)])
    assert log.histories(["a"]).items.tolist() == [0]
    log.close()


# Queries -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "most"),
    [
        ("/", 4), ("/?model=item-knn&novelty=0.5&diversity=0.5&genre=Drama", 4), ("/search?q=star", 3),
        (f"/movie/{MATRIX}", 4), (f"/why/{MATRIX}", 3), ("/my", 4), ("/about", 3), ("/search/suggest?q=st", 0),
        ("/api/v1/recommendations?k=50&explain=true", 4),
    ],
)  # fmt: skip
def test_a_longer_history_needs_no_more_queries(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch, path: str, most: int
) -> None:
    """One query for the session, one that asks whether events came, and one for the events if they did."""
    client = SiteClient(app)  # not started, so that nothing asks in the background
    site: Site = app.state.site
    asked: list[str] = []
    for engine in {site.database._reader, site.database._writer}:
        sql_event.listen(engine, "before_cursor_execute", lambda *call: asked.append(call[2]))
    note_prepared(monkeypatch, asked)

    def count() -> int:
        asked.clear()
        assert client.get(path).status_code == 200
        lists_are_logged_later = "FOR UPDATE"
        return sum(one.startswith("SELECT") and lists_are_logged_later not in one for one in asked)

    rows = site.engine.starters(40)
    mark(client, site.engine.items.id(rows[0]), "5")
    user_id = table(app, "events")[0].user_id
    new = [LiveEvent(user_id, site.engine.items.id(row), "rating", 4, NOW) for row in rows[1:]]
    site.log.append(new[:1])
    few, again = count(), count()
    site.log.append(new[1:])
    assert count() == few <= most
    assert again == few - (few > 0)
