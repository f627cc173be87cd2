"""Import writes each row once; export holds everything that is stored."""

import csv
import io
import json
import random
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi import FastAPI
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import event as sql_event

from matinee.catalogue import Catalogue
from matinee.dataset import Dataset
from matinee.reading.columns import PERSONAL_NAMES
from matinee.serve.pages.i18n import TEXTS
from matinee.serve.pages.mine import PAGE
from matinee.serve.pages.resources import IMPORTS
from matinee.serve.site import Site
from matinee.serve.transfer.export import CSV_COLUMNS, as_cell
from matinee.serve.transfer.importer import EVENTS_A_MOVIE, IN_THE_LOG, Importer, Outcome
from matinee.serve.transfer.read import read_upload
from matinee.serve.transfer.rows import ImportRow, UnreadableError
from matinee.serve.transfer.sites import RECORD_FIELDS
from matinee.store.live_states import MOST_LIVE_EVENTS
from matinee.store.tables import events_table
from matinee.titles import spoken_title, title_key
from matinee.vocab import Vocab
from site_fixtures import NOW, SiteClient, count_events

ALIEN, MATRIX, TOY_STORY = 1214, 2571, 1
DAY = 86_400
LETTERBOXD_RATINGS = """Date,Name,Year,Letterboxd URI,Rating
2024-03-01,The Matrix,1999,https://boxd.it/2a1m,4.5
2024-03-02,Alien,1979,https://boxd.it/29Py,5
2024-03-03,"Crouching Tiger, Hidden Dragon",2000,https://boxd.it/2aYS,3.5
2024-03-04,No Such Movie At All,2001,https://boxd.it/none,4
"""
LETTERBOXD_DIARY = """Date,Name,Year,Letterboxd URI,Rating,Rewatch,Tags,Watched Date
2024-03-05,Toy Story,1995,https://boxd.it/1,4,Yes,"with, the kids",2024-02-10
2024-03-05,Forrest Gump,1994,https://boxd.it/2,,,,2024-02-11
"""
LETTERBOXD_WATCHED = """Date,Name,Year,Letterboxd URI
2024-03-01,The Matrix,1999,https://boxd.it/2a1m
2024-03-09,Pulp Fiction,1994,https://boxd.it/3
"""


@pytest.fixture(scope="module")
def importer(bundled: Dataset) -> Importer:
    """Over the whole bundled catalogue."""
    popularity = np.bincount(bundled.events.item_rows, minlength=len(bundled.items))
    return Importer(bundled.items, bundled.catalogue, popularity)


def read_rows(raw: bytes, name: str = "table.csv") -> list[ImportRow]:
    return [row for file in read_upload([(name, raw)]).files for row in file.rows]


def send(client: SiteClient, *files: tuple[str, str | bytes], **fields: str) -> Any:
    parts = [("files", (name, body.encode() if isinstance(body, str) else body)) for name, body in files]
    return client.post("/my/import", data=fields, files=parts)


def mine(client: SiteClient) -> list[int]:
    """What "My movies" lists, over all its pages."""
    found, path = [], "/my"
    while path:
        page = client.get(path).text
        found += [int(item) for item in re.findall(r'data-item="(\d+)"', page)]
        older = re.search(r'href="([^"]+)" rel="next"', page)
        path = older[1] if older else ""
    return found


def events(client: SiteClient) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = client.get("/my/data.json").json()["events"]
    return found


def reasons(client: SiteClient, *files: tuple[str, str | bytes]) -> list[str]:
    table = list(csv.DictReader(io.StringIO(send(client, *files, report="csv").text)))
    key = {said: name.rpartition(".")[2] for name, said in TEXTS["en"].entries.items() if "transfer.reason" in name}
    return [key[row["outcome"].partition(" (")[0]] for row in table if row["row"]]


def test_letterboxds_three_files_are_imported_at_once(client: SiteClient) -> None:
    files = (("ratings.csv", LETTERBOXD_RATINGS), ("diary.csv", LETTERBOXD_DIARY), ("watched.csv", LETTERBOXD_WATCHED))
    page = send(client, *files).text
    assert "6 new events" in page
    assert "No Such Movie At All (2001) · 4 · 2024-03-04" in page
    found = {(event["title"], event["kind"], event["value"], event["at"]) for event in events(client)}
    assert found == {
        ("Matrix, The (1999)", "rating", 4.5, "2024-03-01T12:00:00Z"),
        ("Alien (1979)", "rating", 5.0, "2024-03-02T12:00:00Z"),
        ("Crouching Tiger, Hidden Dragon (Wo hu cang long) (2000)", "rating", 3.5, "2024-03-03T12:00:00Z"),
        ("Toy Story (1995)", "rating", 4.0, "2024-02-10T12:00:00Z"),
        ("Forrest Gump (1994)", "watched", 1.0, "2024-02-11T12:00:00Z"),
        ("Pulp Fiction (1994)", "watched", 1.0, "2024-03-09T12:00:00Z"),
    }
    page = client.get("/my").text
    assert "9 March 2024" in page
    assert reasons(client, *files) == ["known"] * 3 + ["unknown"] + ["known"] * 2 + ["rated", "known"]
    assert len(events(client)) == 6


def test_a_movielens_file_is_imported_by_id_once(client: SiteClient, app: FastAPI) -> None:
    table = f"userId,movieId,rating,timestamp\n7,{ALIEN},5.0,1111111111\n7,{MATRIX},4.5,1111111112\n7,999999,3,5\n"
    assert reasons(client, ("ratings.csv", table)) == ["taken", "taken", "unknown"]
    before = [dict(event) for event in events(client)]
    assert [(event["item_id"], event["value"], event["at"]) for event in before] == [
        (str(ALIEN), 5.0, "2005-03-18T01:58:31Z"),
        (str(MATRIX), 4.5, "2005-03-18T01:58:32Z"),
    ]
    assert 'id="for-you"' in client.get("/").text
    for name in ("ratings.csv", "again.csv"):
        assert reasons(client, (name, table)) == ["known", "known", "unknown"]
    assert events(client) == before
    site: Site = app.state.site
    assert count_events(site.database) == 2


def test_importing_again_as_a_member_repeats_nothing(app: FastAPI) -> None:
    table = ("r.csv", f"movieId,rating,timestamp\n{ALIEN},5.0,1111111111\n")
    one, other = SiteClient(app), SiteClient(app)
    send(one, table)
    one.post("/sign-up", data={"name": "Ada", "password": "correct horse"})
    send(other, table)
    other.post("/log-in", data={"name": "Ada", "password": "correct horse"})
    assert len(events(other)) == 1
    assert reasons(one, table) == ["known"]


def test_removed_movies_can_be_imported_again(client: SiteClient) -> None:
    table = ("r.csv", f"movieId,rating,timestamp\n{ALIEN},5.0,1111111111\n")
    send(client, table)
    client.post("/mark", data={"item_id": str(ALIEN), "mark": "removed"})
    assert events(client) == []
    assert reasons(client, table) == ["taken"]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ("Alien,1979,4,2024-01-01", "taken"),
        ("  alien , 1979 , 4 , 2024-01-01 ", "taken"),
        ("Alien (1979),,4,", "taken"),
        ("ALIEN,1980,4,", "taken"),  # sites may differ by a year
        ("Alien,1985,4,", "year"),
        ("Alien,79,4,", "year"),
        ("Alien,'); DROP TABLE,4,", "year"),
        ("Alien,99999999999999999999,4,", "year"),
        ("Alien,1979,101,", "rating"),
        ("Alien,1979,0,", "rating"),
        ("Alien,1979,-3,", "rating"),
        ("Alien,1979,nan,", "rating"),
        ("Alien,1979,inf,", "rating"),
        ("Alien,1979,1_0,", "rating"),
        ("Alien,1979,1e0,", "rating"),
        ("Alien,1979,five,", "rating"),
        ("Alien,1979,٤,", "rating"),
        ('Alien,1979,"3,5",', "taken"),
        ("Alien,1979,,2024-01-01", "taken"),
        ("Alien,1979,4,2024-13-45", "date"),
        ("Alien,1979,4,31/02/2024", "date"),
        ("Alien,1979,4,2099-01-01", "date"),
        ("Alien,1979,4,1960-01-01", "date"),
        ("Alien,1979,4,99999999999999999999999", "date"),
        ("Alien,1979,4,0000-00-00", "date"),
        ("Alien,1979,4,2024-01-01T10:00:00+09:00", "taken"),
        ("Alien,1979,4,1111111111", "taken"),
        ("Alien,1979,4,1111111111000", "taken"),
        ("Aliens and Cowboys and Toast,,4,", "unknown"),
        (",,4,", "empty"),
        ("<script>alert(1)</script>,1979,4,", "unknown"),
        ('"Alien,1979,4,', "taken"),
        ("\x01\x02,,,", "unknown"),
        ("x" * 200_000, "unknown"),
        ("Hamlet,2000,4,", "taken"),
        ("Hamlet,,4,", "several"),
        ("La cité des enfants perdus,1995,4,", "taken"),
        ("city of lost children,1995,4,", "taken"),
        ("Se7en,1995,4,", "taken"),
        ("Spiderman 2,2004,4,", "taken"),
        ("Fast and the Furious,2001,4,", "taken"),
    ],
)
def test_each_row_has_its_outcome(importer: Importer, row: str, reason: str) -> None:
    rows = read_rows(f"Title,Year,Rating,Date\n{row}\nToy Story,1995,5,2024-01-01\n".encode())
    plan = importer.plan("u", rows, [], NOW)
    assert [outcome.reason for outcome in plan.outcomes] == [reason, "taken"]
    assert len(plan.events) == (reason == "taken") + 1


def test_every_outcome_and_refusal_has_a_text() -> None:
    source = Path(__file__).parents[2] / "src/matinee/serve/transfer"
    code = "".join(path.read_text("utf-8") for path in source.glob("*.py"))
    reasons = set(re.findall(r'(?:return|else|UNKNOWN,|then\(pl\.lit\(|excluded=) ?"(\w{2,})"', code))
    reasons -= {"watched", "trakt"}  # a kind of event, a site
    assert reasons >= set(IN_THE_LOG) | {"unknown", "year", "several", "rating", "date", "no_event", "many"}
    assert reasons >= {"other_kind", "later", "unfinished", "broken"}
    refusals = set(re.findall(r'(?:UnreadableError\(|_as_refusal\(\w+, )"(\w+)"', code))
    assert refusals >= {"no_table", "many_people", "too_long", "too_large", "damaged", "catalogue", "nothing_inside"}
    left = set(re.findall(r'reason = "(\w+)"', code))
    assert left == {"deleted", "not_needed", "no_table", "too_many"}
    fields = {*PERSONAL_NAMES, *RECORD_FIELDS} - {"movie", "show", "season", "episode", "anime", "person", "list"}
    for language in TEXTS.values():
        for kind, keys in (("reason", reasons), ("refused", refusals), ("left", left), ("field", fields)):
            assert [key for key in keys if not language.has(f"transfer.{kind}.{key}")] == []


@pytest.mark.parametrize(
    ("said", "at"),
    [
        ("2024-02-29", 1709208000),  # noon: GNU date -u -d 2024-02-29T12:00Z +%s
        ("2024-02-29T23:30:00Z", 1709249400),
        ("2024-02-29 23:30", 1709249400),
        ("2024-03-01T08:30+09:00", 1709249400),
        ("1709249400", 1709249400),
        ("1709249400123", 1709249400),
    ],
)
def test_dates_and_times_are_read(importer: Importer, said: str, at: int) -> None:
    plan = importer.plan("u", read_rows(f"movieId,date\n{ALIEN},{said}\n".encode()), [], NOW)
    assert [event.at for event in plan.events] == [at]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1252"])
def test_separators_and_encodings_are_recognised(importer: Importer, separator: str, encoding: str) -> None:
    table = (
        f"Name{separator}Year{separator}Rating\nAmélie{separator}2001{separator}4\nAlien{separator}1979{separator}5\n"
    )
    plan = importer.plan("u", read_rows(table.replace("\n", "\r\n").encode(encoding)), [], NOW)
    assert [outcome.reason for outcome in plan.outcomes] == ["taken", "taken"]


@pytest.mark.parametrize(
    ("body", "key"),
    [
        (b"", "no_table"),
        (b"\n\n\n", "no_table"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 50, "no_text"),
        (b"PK\x03\x04" + b"\x00" * 400, "damaged"),
        (b"hello\nworld\n", "no_table"),
        (b"rating,date\n5,2024-01-01\n", "no_table"),
        (b"userId,movieId,rating\n1,1,5\n2,1,4\n3,1,4\n", "many_people"),
        (b'{"colour": "red"}', "no_table"),
        (b'{"title": "Alien"', "no_table"),
    ],
)
def test_a_file_without_a_table_is_refused(client: SiteClient, body: bytes, key: str) -> None:
    with pytest.raises(UnreadableError, match=key):
        read_rows(body)
    answer = send(client, ("<b>odd.csv", body))
    assert answer.status_code == 422
    assert "<b>" not in answer.text
    assert events(client) == []


def test_the_number_of_rows_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("matinee.serve.transfer.read.MAX_ROWS", 100)
    assert len(read_rows(b"id\n" + b"1\n\n" * 100)) == 100
    with pytest.raises(UnreadableError, match="too_long"):
        read_rows(b"id\n" + b"1\n" * 101)


@settings(max_examples=40, deadline=None)
@given(
    body=st.one_of(
        st.binary(max_size=400), st.text(max_size=400).map(lambda text: ("title,rating,date\n" + text).encode())
    )
)
def test_any_bytes_are_imported_or_refused_with_an_outcome_for_each_row(importer: Importer, body: bytes) -> None:
    try:
        rows = read_rows(body)
    except UnreadableError:
        return
    plan = importer.plan("u", rows, [], NOW)
    assert [outcome.row for outcome in plan.outcomes] == rows
    assert len(plan.events) == plan.counts()["taken"]
    for event in plan.events:
        assert 0.5 <= event.value <= 5
        assert 0 <= event.at <= NOW


def test_every_title_of_the_catalogue_is_found_by_its_spoken_name_and_year(
    importer: Importer, bundled: Dataset
) -> None:
    """As Letterboxd writes it. Of movies that share name and year the better known is found."""
    catalogue = bundled.catalogue
    said = [spoken_title(title).name for title in catalogue.titles]
    rows = [
        ImportRow(n, title=name, year=str(year))
        for n, (name, year) in enumerate(zip(said, catalogue.years, strict=True))
    ]
    outcomes = importer.plan("u", rows, [], NOW).outcomes
    dated = [(n, outcome) for n, outcome in enumerate(outcomes) if catalogue.years[n]]
    assert len(dated) > len(outcomes) - 10
    assert all(outcome.item_row == n or outcome.is_better_known for n, outcome in dated)
    popularity = np.bincount(bundled.events.item_rows, minlength=len(bundled.items))
    chosen = [(n, outcome.item_row) for n, outcome in dated if outcome.item_row != n]
    assert 0 < len(chosen) <= 10
    for n, other in chosen:
        assert other is not None
        assert title_key(said[n]) in {title_key(said[other]), title_key(spoken_title(catalogue.titles[other]).other)}
        assert (catalogue.years[n], popularity[other] >= popularity[n]) == (catalogue.years[other], True)


CATALOGUE = ("Hamlet (2000)", "Hamlet (2000)", "Hamlet (1990)", "Alien (1979)", "Léon: The Professional (1994)")
KNOWN = np.array([3, 40, 90, 5, 1])


def matched(links: dict[str, int] | None = None, **cells: str) -> Outcome:
    small = Importer(Vocab.of(range(100, 105)), Catalogue.of(CATALOGUE), KNOWN, links)
    (outcome,) = small.plan("u", [ImportRow(1, **cells)], [], NOW).outcomes
    return outcome


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        ({"title": "Hamlet", "year": "2000"}, ("taken", 1, True)),
        ({"title": "Hamlet", "year": "1999"}, ("taken", 1, True)),
        ({"title": "Hamlet", "year": "1990"}, ("taken", 2, False)),
        ({"title": "Hamlet"}, ("several", None, False)),
        ({"title": "Hamlet", "year": "2000", "item_id": "100"}, ("taken", 0, False)),
        ({"title": "Alien", "year": "1979.0"}, ("taken", 3, False)),
        ({"title": "Alien", "year": "1979-05-25"}, ("taken", 3, False)),
        ({"title": "Der Profi", "original": "Léon: The Professional", "year": "1994"}, ("taken", 4, False)),
        ({"title": "Alien", "original": "Hamlet", "year": "1979"}, ("taken", 3, False)),
        ({"imdb": "tt0078748"}, ("unknown", None, False)),
        ({}, ("empty", None, False)),
    ],
)
def test_a_movie_is_found_by_its_titles_and_year(cells: dict[str, str], expected: tuple[str, int | None, bool]) -> None:
    outcome = matched(**cells)
    assert (outcome.reason, outcome.item_row, outcome.is_better_known) == expected


def test_where_the_catalogue_has_other_sites_ids_they_decide() -> None:
    links = {"imdb:78748": 3, "tmdb:348": 4}
    assert matched(links, title="Hamlet", year="2000", imdb="tt0078748").item_row == 3
    assert matched(links, imdb="78748", tmdb="348").item_row == 3
    assert matched(links, title="Nothing here", tmdb="348").item_row == 4
    assert matched(links, title="Hamlet", year="1990", imdb="tt1").item_row == 2


def test_a_watch_is_not_dropped_for_a_rating_that_is_not_read() -> None:
    small = Importer(Vocab.of(range(100, 105)), Catalogue.of(CATALOGUE), KNOWN)
    rating = ImportRow(1, item_id="103", rating="4", stars=4.0, date="soon", kind="rating")
    watch = ImportRow(2, item_id="103", date="2020-01-01", at=1_577_880_000, kind="watched")
    assert [one.reason for one in small.plan("u", [rating, watch], [], NOW).outcomes] == ["date", "taken"]


def test_watching_a_movie_does_not_replace_its_rating(client: SiteClient) -> None:
    send(client, ("w.csv", "movieId,date\n1214,2024-05-01\n"))
    assert reasons(client, ("r.csv", "movieId,rating,date\n1214,4,2024-04-01\n")) == ["taken"]
    assert 'aria-label="Rate Alien 4 of 5" aria-pressed="true"' in client.get("/my").text
    assert reasons(client, ("r.csv", "movieId,rating,date\n1214,4,2024-04-01\n")) == ["known"]
    assert reasons(client, ("w.csv", "movieId,date\n1214,2024-06-01\n")) == ["rated"]
    assert 'aria-label="Rate Alien 4 of 5" aria-pressed="true"' in client.get("/my").text


def test_a_newer_rating_on_the_site_keeps_counting(client: SiteClient) -> None:
    client.post("/mark", data={"item_id": str(ALIEN), "mark": "1"})
    send(client, ("r.csv", f"movieId,rating,date\n{ALIEN},5,2020-01-01\n"))
    assert 'aria-label="Rate Alien 1 of 5" aria-pressed="true"' in client.get("/my").text


def test_imports_of_the_same_movie_are_limited(importer: Importer) -> None:
    row = ImportRow(1, item_id=str(ALIEN), rating="4", stars=4.0, kind="rating")
    rows = [row._replace(date=str(n), at=10_000 + n) for n in range(50)]
    assert importer.plan("u", rows, [], NOW).counts() == {"taken": EVENTS_A_MOVIE, "many": 50 - EVENTS_A_MOVIE}


def test_an_import_is_one_insert_however_long(client: SiteClient, app: FastAPI) -> None:
    site: Site = app.state.site
    client.post("/mark", data={"item_id": str(ALIEN), "mark": "1"})
    asked: list[str] = []
    with site.database.write() as connection:
        writer = connection.engine
    sql_event.listen(writer, "before_cursor_execute", lambda *a: asked.append(a[2]))
    ids = site.engine.items.ids.tolist()
    send(client, ("r.csv", "movieId,rating,timestamp\n" + "".join(f"{item},4,{n}\n" for n, item in enumerate(ids))))
    assert sum(statement.startswith("INSERT INTO events") for statement in asked) == 1
    assert len(events(client)) == len(ids) + 1


@pytest.mark.slow
def test_five_megabytes_are_imported_in_a_few_seconds(client: SiteClient, app: FastAPI) -> None:
    site: Site = app.state.site
    rng = random.Random(7)
    ids = site.engine.items.ids.tolist()
    lines = [f"1,{rng.choice(ids)},{rng.randint(1, 10) / 2},{10**9 + n}\n" for n in range(230_000)]
    body = ("userId,movieId,rating,timestamp\n" + "".join(lines)).encode()
    assert 4.4e6 < len(body) < 5 * 1024 * 1024
    page = send(client, ("ratings.csv", body)).text
    assert len(page) < 500_000  # the page shows the first rows of each kind, the CSV report all of them
    assert len(events(client)) == len(ids) * EVENTS_A_MOVIE
    newest = sorted(events(client), key=lambda event: event["at"])[-MOST_LIVE_EVENTS:]
    listed = mine(client)
    assert len(listed) == len(set(listed)) == len({event["item_id"] for event in newest})


def test_my_movies_has_pages(client: SiteClient, app: FastAPI) -> None:
    site: Site = app.state.site
    ids = site.engine.items.ids.tolist()[: 2 * PAGE + 7]
    rows = "".join(f"{item},4,{n + 1}\n" for n, item in enumerate(ids))
    send(client, ("r.csv", f"movieId,rating,timestamp\n{rows}"))
    assert mine(client) == ids[::-1]  # newest first
    last = client.get("/my?page=3").text
    assert f"{2 * PAGE + 1} to {len(ids)} of {len(ids)}" in last
    assert 'rel="next"' not in last
    assert 'href="/my?page=2" rel="prev"' in last
    assert 'name="next" value="/my?page=3"' in last  # a rating redirects to its page
    assert client.get("/my?page=99").text.count("data-item=") == 7
    assert client.get("/my?page=0").status_code == 422


def test_an_import_without_a_file_is_refused(client: SiteClient) -> None:
    answer = send(client, ("", b""))
    assert answer.status_code == 422
    answer = client.post("/my/import", data={"report": "page"})
    assert answer.status_code == 422


def test_imports_from_one_address_are_limited(client: SiteClient) -> None:
    answers = [send(client, ("r.csv", "title\n")).status_code for _ in range(IMPORTS + 1)]
    assert answers == [422] * IMPORTS + [429]


# Out ------------------------------------------------------------------------


def test_the_download_holds_every_column_of_every_event(client: SiteClient) -> None:
    client.post("/mark", data={"item_id": str(ALIEN), "mark": "5"})
    page = client.get("/").text
    form = re.search(r'<section[^>]*id="for-you".*?(<form class="marks".*?</form>)', page, re.DOTALL)
    assert form is not None
    fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', form[1].partition("<span")[0]))
    client.post("/mark", data=fields | {"mark": "4"})
    client.post("/mark", data={"item_id": str(MATRIX), "mark": "watched"})
    client.post("/api/v1/events", json={"item_id": TOY_STORY, "kind": "click", "event_id": "mine-1"})
    client.post("/sign-up", data={"name": "Ada", "password": "correct horse"})
    kept = client.get("/my/data.json").json()
    assert set(kept["events"][0]) == {column.name for column in events_table.columns} - {"user_id", "seq"} | {"title"}
    assert [event["kind"] for event in kept["events"]] == ["rating", "rating", "watched", "click"]
    listed = kept["events"][1]
    shown = next(each for each in kept["lists"] if each["list_id"] == fields["list_id"])
    position = [*map(str, shown["items"])].index(str(listed["item_id"])) + 1
    assert (listed["model"], listed["position"], listed["list_id"]) == ("ease", position, fields["list_id"])
    assert kept["events"][3]["event_id"] == "mine-1"
    assert kept["account"] == {"name": "Ada", "created": "2025-06-15T15:06:40Z", "password_set": "2025-06-15T15:06:40Z"}
    assert [set(session) for session in kept["sessions"]] == [{"session_id", "device", "created", "last_used"}]
    table = list(csv.DictReader(io.StringIO(client.get("/my/data.csv").text)))
    assert Counter(row["record"] for row in table)["event"] == 4
    assert {"account", "password", "session", "list"} <= {row["record"] for row in table}
    assert set(CSV_COLUMNS) >= {column.name for column in events_table.columns} - {"user_id", "seq"}
    for row, event in zip([row for row in table if row["record"] == "event"], kept["events"], strict=True):
        assert {key: row[key] for key in event} == {key: str(as_cell(value)) for key, value in event.items()}


def test_a_download_is_streamed_and_more_than_a_thousand_events_long(app: FastAPI) -> None:
    client = SiteClient(app)
    site: Site = app.state.site
    ids = site.engine.items.ids.tolist()
    sent = [{"item_id": ids[n % len(ids)], "kind": "watched", "at": n} for n in range(1000)]
    for start in range(3):
        client.post("/api/v1/events", json=[event | {"at": event["at"] + start * 1000} for event in sent])
    answer = client.get("/my/data.csv")
    assert "content-length" not in answer.headers
    assert 'filename="matinee.csv"' in answer.headers["content-disposition"]
    assert len(events(client)) == 3000
    assert answer.text.count("\n") == 3001


def test_importing_the_download_restores_ratings_and_watches(app: FastAPI) -> None:
    client = SiteClient(app)
    for item_id, what in ((ALIEN, "5"), (MATRIX, "watched"), (TOY_STORY, "2"), (ALIEN, "3")):
        client.post("/mark", data={"item_id": str(item_id), "mark": what})
    table = client.get("/my/data.csv").text
    assert set(reasons(client, ("matinee.csv", table))) == {"known", "no_event"}  # it is all here already
    before, page = events(client), client.get("/").text
    client.post("/forget")
    assert events(client) == []
    send(client, ("matinee.csv", table))
    keys = ("item_id", "kind", "value", "at", "title")
    assert [[event[key] for key in keys] for event in events(client)] == [
        [event[key] for key in keys] for event in before
    ]
    listed = re.findall(r'data-item="(\d+)"', page)
    assert re.findall(r'data-item="(\d+)"', client.get("/").text) == listed


def test_cells_that_a_spreadsheet_would_compute_are_text(client: SiteClient) -> None:
    client.post("/sign-up", data={"name": "=HYPERLINK(1)", "password": "correct horse"})
    table = list(csv.DictReader(io.StringIO(client.get("/my/data.csv").text)))
    assert table[0]["detail"] == "'=HYPERLINK(1)"
    assert client.get("/my/data.json").json()["account"]["name"] == "=HYPERLINK(1)"
    report = send(client, ("r.csv", "title\n=1+1\n"), report="csv").text
    assert "'=1+1" in report


def test_the_download_is_empty_after_deleting(app: FastAPI) -> None:
    client = SiteClient(app)
    send(client, ("r.csv", LETTERBOXD_RATINGS))
    client.post("/forget")
    assert client.get("/my/data.json").json() == json.loads(SiteClient(app).get("/my/data.json").text)
