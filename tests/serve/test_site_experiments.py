"""A split and an interleaving on a site: each visitor's lists by their arm, logged, and named by clicks."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI

from matinee.cli.running import run
from matinee.errors import MatineeError, UsageError
from matinee.experiments.plan import read_plan, read_split
from matinee.serve.app import create_app
from matinee.serve.options import SiteOptions
from matinee.serve.renewal import renew
from site_fixtures import CHEAP, NOW, Clock, SiteClient, key_headers

SPLIT = "ease=0.5,item-knn=0.5"
Open = Callable[..., FastAPI]


@pytest.fixture
def open_site(artefact_paths: list[Path], db_url: str) -> Iterator[Open]:
    """Opens a site with an experiment, over the same database each time."""
    opened = []

    def open_it(split: str = "", interleave: str = "", clock: Callable[[], float] = lambda: NOW) -> FastAPI:
        options = SiteOptions(experiment=read_plan(split, interleave))
        opened.append(create_app(artefact_paths, db_url=db_url, clock=clock, hasher=CHEAP, options=options))
        return opened[-1]

    yield open_it
    for app in opened:
        app.state.site.database.close()


def guest(app: FastAPI, n_rated: int = 3) -> SiteClient:
    """A browser whose visitor has rated some movies."""
    browser = SiteClient(app)
    for item_id in (1, 260, 2571)[:n_rated]:
        assert browser.post("/mark", data={"item_id": str(item_id), "mark": "5"}).status_code == 200
    return browser


def user_of(app: FastAPI, browser: SiteClient) -> str:
    app.state.site.database.flush()
    with app.state.site.database.read() as connection:
        return str(
            connection.exec_driver_sql("SELECT user_id FROM visitors ORDER BY created, user_id").scalars().all()[-1]
        )


def logged(app: FastAPI) -> list[dict[str, object]]:
    app.state.site.database.flush()
    with app.state.site.database.read() as connection:
        return [dict(row) for row in connection.exec_driver_sql("SELECT * FROM lists WHERE name != 'x'").mappings()]


def test_the_site_and_the_api_serve_the_arm_of_a_visitor_and_log_it(open_site: Open) -> None:
    app = open_site(SPLIT)
    arms = set()
    for n in range(12):
        user_id = f"visitor-{n}"
        arm = read_split(SPLIT).arm_of(user_id)
        headers = key_headers(app, "read", "write")
        event = {"user_id": user_id, "item_id": 1, "kind": "rating", "value": 5.0}
        assert app.state.site is not None
        browser = SiteClient(app)
        assert browser.post("/api/v1/events", json=event, headers=headers).status_code == 201
        one = browser.get("/api/v1/recommendations", params={"user_id": user_id}, headers=headers).json()
        many = browser.post("/api/v1/recommendations", json={"user_ids": [user_id]}, headers=headers).json()
        assert (one["model"], many["lists"][0]["model"]) == (arm, arm)
        assert one["version"] == app.state.site.engine.version(arm)
        why = browser.get("/api/v1/items/260/why", params={"user_id": user_id}, headers=headers).json()
        assert why["model"] == arm
        arms.add(arm)
    assert arms == {"ease", "item-knn"}
    rows = logged(app)
    assert {(row["experiment"], row["arm"] == row["model"]) for row in rows} == {(SPLIT, True)}
    assert len(rows) == 24


def test_a_guest_sees_one_model_on_every_page_also_after_a_restart(open_site: Open) -> None:
    app = open_site(SPLIT)
    browser = guest(app)
    page = browser.get("/").text
    arm = read_split(SPLIT).arm_of(user_of(app, browser))
    assert f'class="by" href="/models/{arm}"' in page
    mine = {(row["name"], row["arm"], row["experiment"]) for row in logged(app) if row["experiment"]}
    assert mine == {("for-you", arm, SPLIT)}
    again = SiteClient(open_site(SPLIT), browser.token)
    assert f'class="by" href="/models/{arm}"' in again.get("/").text
    assert browser.get("/api/v1/recommendations").json()["model"] == arm
    other = next(name for name in ("ease", "item-knn") if name != arm)
    chosen = browser.get("/api/v1/recommendations", params={"model": other}).json()
    assert chosen["model"] == other  # who asks for a model is not part of the experiment then
    assert [row["experiment"] for row in logged(app) if row["list_id"] == chosen["list_id"]] == [None]


def test_who_has_no_history_or_is_outside_of_the_shares_is_in_no_experiment(open_site: Open) -> None:
    app = open_site("ease=0.01,item-knn=0.01")
    browser = guest(app)
    assert browser.get("/api/v1/recommendations").json()["model"] == "ease"  # the default
    assert browser.get("/api/v1/recommendations", params={"history": "1,2"}).json()["model"] == "ease"
    assert {row["experiment"] for row in logged(app)} == {None}
    new = SiteClient(open_site(SPLIT))
    new.get("/")
    assert new.get("/api/v1/recommendations").json()["model"] == "popularity"
    assert {row["experiment"] for row in logged(app)} == {None}


def test_a_draft_of_two_models_credits_the_side_that_is_clicked(open_site: Open, db_url: str, capsys) -> None:
    clock = Clock()
    app = open_site("", "item-knn,ease", clock=clock)
    browser = guest(app)
    page = browser.get("/").text
    assert 'href="/models/item-knn"' in page.split('id="for-you"')[1].split("</p>")[0]
    found = browser.get("/api/v1/recommendations", params={"k": 20}).json()
    assert found["model"] == "item-knn+ease"
    assert found["version"] == "+".join(map(app.state.site.engine.version, ("item-knn", "ease")))
    row = next(row for row in logged(app) if row["list_id"] == found["list_id"])
    letters = "".join({"item-knn": "a", "ease": "b"}[item["model"]] for item in found["items"])
    assert row["arm"] == letters
    assert {letters[n : n + 2] for n in range(0, 20, 2)} <= {"ab", "ba"}  # each round has a pick of either
    again = browser.get("/api/v1/recommendations", params={"k": 20}).json()
    assert [item["item_id"] for item in again["items"]] == [item["item_id"] for item in found["items"]]
    own = {}
    for name in ("item-knn", "ease"):
        one = browser.get("/api/v1/recommendations", params={"k": 20, "model": name}).json()
        own[name] = [item["item_id"] for item in one["items"]]
    for name, best in own.items():
        mine = [item["item_id"] for item in found["items"] if item["model"] == name]
        assert mine == [item_id for item_id in best if item_id in mine]  # in the model's own order
    position = letters.index("b")
    browser.get(f"/movie/{found['items'][position]['item_id']}?list={found['list_id']}")
    with app.state.site.database.read() as connection:
        event = connection.exec_driver_sql("SELECT model, version, position FROM events WHERE kind = 'click'").one()
    assert tuple(event) == ("ease", app.state.site.engine.version("ease"), position + 1)
    capsys.readouterr()
    assert run(["experiment", "report", "--db", db_url, "--json"]) == 0  # NOW is long ago: the day is over
    report = json.loads(capsys.readouterr().out)["experiment"]
    assert (report["models"], report["picks"], report["visitors"]) == (["item-knn", "ease"], [0, 1], 1)
    assert run(["experiment", "report", "--db", db_url]) == 0
    assert "undecided" in capsys.readouterr().out


def test_the_report_of_a_split_on_the_command_line(open_site: Open, db_url: str, capsys) -> None:
    app = open_site(SPLIT)
    capsys.readouterr()
    assert run(["experiment", "report", "--db", db_url]) == 0
    assert "no experiment" in capsys.readouterr().out
    for _ in range(3):
        browser = guest(app, 1)
        found = browser.get("/api/v1/recommendations").json()
        browser.get(f"/movie/{found['items'][0]['item_id']}?list={found['list_id']}")
    app.state.site.database.flush()
    assert run(["experiment", "report", "--db", db_url]) == 0
    shown = capsys.readouterr().out
    assert "item-knn - ease, took something" in shown
    assert "it goes on" in shown
    assert run(["experiment", "report", SPLIT, "--db", db_url, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)["experiment"]
    assert sum(arm["visitors"] for arm in report["arms"]) == 3
    assert all(arm["metrics"]["took"]["mean"] == 1.0 for arm in report["arms"] if arm["visitors"])
    for wrong, said in (
        (["nothing"], "no experiment 'nothing'"),
        (["--within", "1y"], "--within '1y' is no time"),
        (["--db", "sqlite:////nowhere/x.db"], "there is no database at /nowhere/x.db"),
    ):
        assert run(["experiment", "report", "--db", db_url, *wrong]) in (1, 2)
        assert said in capsys.readouterr().err


def test_a_model_that_is_not_served_is_refused_at_the_start_and_in_a_new_version(
    open_site: Open, artefact_paths: list[Path]
) -> None:
    with pytest.raises(UsageError, match="no model 'eas' is served; did you mean 'ease'"):
        open_site("eas=0.5,item-knn=0.5")
    app = open_site(SPLIT)
    site = app.state.site
    with pytest.raises(MatineeError, match="no model 'item-knn' is served"):
        renew(app.state, [site.engine.artefacts["ease"]], site.engine.now, {})
    assert app.state.site is site
