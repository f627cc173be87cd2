"""The operator's page: for an admin key alone, in two languages, true, and there when much is broken."""

import base64
from collections import Counter
from math import inf

import numpy as np
import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from matinee.serve.operate.drawing import ago
from matinee.serve.operate.latency import quantile
from matinee.serve.pages.i18n import TEXTS
from matinee.store.experiments import NOT_TAKEN
from matinee.store.impressions import SqlImpressions
from matinee.store.protocols import ListImpression, LiveEvent
from matinee.store.traffic import ClickThrough, click_through_of, traffic_of
from site_fixtures import NOW, key_headers

HOUR = 3600


def password(app: FastAPI, *scopes: str) -> dict[str, str]:
    """What a browser sends for an API key that was typed as the password."""
    key = key_headers(app, *scopes)["Authorization"].removeprefix("Bearer ")  # type: ignore[arg-type]
    return basic(f"operator:{key}")


def basic(text: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(text.encode()).decode()}


def fill(app: FastAPI) -> None:
    """Four visitors: six lists, of which three are taken from."""
    site = app.state.site
    shown = [
        ListImpression("l1", "ann", "for-you", "ease", "v", NOW - 10, ("1", "2")),
        ListImpression("l2", "ann", "because-12", "item-knn", "v", NOW - 10, ("1", "2")),
        ListImpression("l3", "bob", "because-77", "item-knn", "v", NOW - 2 * HOUR, ("1", "2")),
        ListImpression("l4", "bob", "for-you", "ease", "v", NOW - 2 * HOUR, ("1", "2")),
        ListImpression("l5", "cat", "for-you", "ease", "v", NOW - 30 * HOUR, ("1", "2")),
        ListImpression("l6", "dan", "for-you", "ease", "v", NOW - 30 * 24 * HOUR, ("1", "2")),
    ]
    SqlImpressions(site.database).write(shown)
    site.database.flush()
    taken = (("ann", "l1", "click", 5), ("ann", "l1", "rating", 4), ("bob", "l3", "watched", 2 * HOUR))
    others = (("bob", "l4", "dismissed", 3), ("cat", "l1", "click", 2), ("dan", "l6", "click", 30 * 24 * HOUR))
    for user_id, list_id, kind, before in (*taken, *others):
        site.append([LiveEvent(user_id, "1", kind, 1.0, NOW - before, None, "m", list_id, 1)])


def test_the_page_is_for_an_admin_key_alone(client: TestClient, app: FastAPI) -> None:
    key = key_headers(app, "admin")
    for headers, status in (
        ({}, 401),
        (key_headers(app, "read", "write"), 403),
        (password(app, "read", "write"), 403),
        ({"Authorization": "Bearer matinee_000000000000_" + 43 * "x"}, 401),
        (basic("admin:admin"), 401),
        (basic(""), 401),
        ({"Authorization": "Basic ????"}, 401),
        ({"Authorization": "Basic /////w=="}, 401),
        ({"Authorization": "Basic"}, 401),
        ({"Authorization": "Digest x"}, 401),
        (key, 200),
        (password(app, "admin"), 200),
    ):
        answer = client.get("/operate/", headers=headers)
        assert answer.status_code == status, headers
        assert answer.headers["Cache-Control"] == "no-store"
        assert ("WWW-Authenticate" in answer.headers) == (status in (401, 403))
        if status == 401:
            assert answer.headers["WWW-Authenticate"].startswith("Basic ")
        if status != 200:
            assert "<" not in answer.text  # one line, nothing of the page
    assert client.get("/operate", follow_redirects=False).headers["Location"] == "/operate/"
    assert "/operate" not in client.get("/").text


def test_a_revoked_key_opens_nothing(client: TestClient, app: FastAPI) -> None:
    found, text = app.state.site.api_keys.create("a program", ["admin"])
    assert client.get("/operate/", headers=basic(f"x:{text}")).status_code == 200
    app.state.site.api_keys.revoke(found.key_id)
    assert client.get("/operate/", headers=basic(f"x:{text}")).status_code == 401


@pytest.mark.parametrize("language", ["en", "ko"])
def test_the_page_says_what_the_logs_and_the_counters_say(client: TestClient, app: FastAPI, language: str) -> None:
    headers = password(app, "admin") | {"Accept-Language": language}
    empty = client.get("/operate/", headers=headers)
    assert TEXTS[language]("operate.no_lists") in empty.text
    fill(app)
    app.state.overviews._until = 0.0
    for _ in range(3):
        client.get("/about")
    page = client.get("/operate/", headers=headers).text
    assert TEXTS[language]("operate.events_figure", total=5, most=4, hours=48) in page
    assert TEXTS[language]("operate.lists_figure", total=5, most=2, hours=48) in page
    assert "/about" in page
    assert app.state.site.engine.version("ease") in page
    assert TEXTS[language]("operate.no_experiment") in page
    assert 'src="http' not in page
    assert " style=" not in page


def test_a_database_that_cannot_be_read_leaves_the_rest(client: TestClient, app: FastAPI, monkeypatch) -> None:
    headers = password(app, "admin")

    def fails(*_: object) -> None:
        from matinee.errors import MatineeError

        raise MatineeError("gone")

    monkeypatch.setattr("matinee.serve.operate.overview.facts_of", fails)
    answer = client.get("/operate/", headers=headers)
    assert answer.status_code == 200
    assert TEXTS["en"]("operate.unreadable") in answer.text
    assert app.state.site.engine.version("ease") in answer.text


def test_traffic_and_click_through_are_those_of_plain_loops(app: FastAPI) -> None:
    fill(app)
    database = app.state.site.database
    found = traffic_of(database, NOW, 48)
    with database.read() as connection:
        events = [dict(row) for row in connection.exec_driver_sql("SELECT * FROM events").mappings()]
        lists = [dict(row) for row in connection.exec_driver_sql("SELECT * FROM lists").mappings()]
    for counts, rows in ((found.events, events), (found.lists, lists)):
        hours = Counter((row["at"] - (NOW - 48 * HOUR)) // HOUR for row in rows)
        np.testing.assert_array_equal(counts, [hours[n] for n in range(48)])
    assert found.visitors == len({row["user_id"] for row in events if row["at"] >= NOW - 48 * HOUR})
    clicked = {(row["user_id"], row["list_id"]) for row in events if row["kind"] not in NOT_TAKEN}
    shown, taken = Counter[tuple[str, str]](), Counter[tuple[str, str]]()
    for row in lists:
        if row["at"] >= NOW - 7 * 24 * HOUR:
            key = (row["name"].partition("-1")[0].partition("-7")[0], row["model"])
            shown[key] += 1
            taken[key] += (row["user_id"], row["list_id"]) in clicked
    rows = click_through_of(database, NOW - 7 * 24 * HOUR)
    assert {(one.row, one.model): (one.lists, one.taken) for one in rows} == {
        key: (n, taken[key]) for key, n in shown.items()
    }
    assert ClickThrough("because", "item-knn", 2, 1) in rows


def test_quantiles_lie_in_their_bucket_as_prometheus_has_them() -> None:
    buckets = [(0.01, 50), (0.1, 90), (1.0, 100), (inf, 100)]
    assert quantile(buckets, 0.5) == pytest.approx(0.01)
    assert quantile(buckets, 0.25) == pytest.approx(0.005)
    assert quantile(buckets, 0.7) == pytest.approx(0.01 + 0.09 * 20 / 40)
    assert quantile([(0.01, 0), (inf, 4)], 0.5) is None
    assert quantile([(0.01, 0), (0.1, 4), (inf, 4)], 0.99) == pytest.approx(0.01 + 0.09 * 0.99)


def test_times_are_said_in_their_largest_unit() -> None:
    english = TEXTS["en"]
    assert [ago(english, n) for n in (0, 1, 59, 60, 7200, 90_000)] == [
        "0 seconds ago", "1 second ago", "59 seconds ago", "1 minute ago", "2 hours ago", "1 day ago",
    ]  # fmt: skip
