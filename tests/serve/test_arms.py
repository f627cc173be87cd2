"""Versions of a registry as the arms of an experiment: each visitor's whole site is of the version of their arm."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI
from sqlalchemy.exc import OperationalError

import matinee as mt
from matinee.cli.running import run
from matinee.dataset import Dataset
from matinee.errors import MatineeError, UsageError
from matinee.experiments.plan import Plan, read_split
from matinee.histories import Histories
from matinee.ranking.rank import rank
from matinee.serve.app import create_app
from matinee.serve.options import SiteOptions
from matinee.store.artefact import Artefact
from matinee.store.protocols import LiveItem
from matinee.store.versions import Registry
from site_fixtures import CHEAP, NOW, SiteClient, key_headers, note_prepared

SPLIT = "v1=0.5,v2=0.5"
PLAN = read_split(SPLIT)
Open = Callable[..., FastAPI]


@pytest.fixture(scope="module")
def fitted(known_movies: Dataset) -> list[Artefact]:
    """Three versions whose items differ, so that an item has another row in each."""
    events = known_movies.events
    fewer = known_movies.keep(events.item_rows % 5 != 1)
    return [mt.fit("ease", fewer, l2=1.0), mt.fit("ease", known_movies, l2=50.0), mt.fit("ease", fewer, l2=5000.0)]


@pytest.fixture
def registry(fitted: list[Artefact], tmp_path: Path) -> Registry:
    """All of them; the third serves."""
    registry = Registry.create(tmp_path / "registry")
    for artefact in fitted:
        registry.add([artefact])
    registry.promote(3)
    return registry


@pytest.fixture
def open_site(registry: Registry, db_url: str) -> Iterator[Open]:
    """Opens a site over the registry and the same database each time, without threads that follow."""
    opened = []

    def open_it(split: str = SPLIT) -> FastAPI:
        options = SiteOptions(experiment=read_split(split), registry=registry.path)
        opened.append(create_app((), db_url=db_url, clock=lambda: NOW, hasher=CHEAP, options=options))
        return opened[-1]

    yield open_it
    for app in opened:
        close(app)


def close(app: FastAPI) -> None:
    app.state.arms.close()
    app.state.site.database.close()


def users_of(arm: str | None, plan: Plan = PLAN, n: int = 3) -> list[str]:
    """Ids of users of an arm."""
    return [name for name in map("person {}".format, range(1000)) if plan.arm_of(name) == arm][:n]


def guest_of(app: FastAPI, arm: str) -> SiteClient:
    """A browser whose visitor is in an arm, and has rated some movies."""
    while True:
        browser = SiteClient(app)
        for item_id in (1, 260, 2571):
            assert browser.post("/mark", data={"item_id": str(item_id), "mark": "5"}).status_code == 200
        with app.state.site.database.read() as connection:
            newest = "SELECT user_id FROM events ORDER BY seq DESC LIMIT 1"
            user_id = connection.exec_driver_sql(newest).scalar_one()
        if PLAN.arm_of(user_id) == arm:
            return browser


def expected(artefact: Artefact, history: list[int], k: int = 10) -> list[int]:
    rows = rank(artefact.model, Histories.of([artefact.items.rows(history).tolist()], [[5.0] * len(history)]), k).items
    return [artefact.items.id(int(row)) for row in rows[0]]


def logged(app: FastAPI) -> list[dict[str, object]]:
    app.state.site.database.flush()
    with app.state.site.database.read() as connection:
        return [dict(row) for row in connection.exec_driver_sql("SELECT * FROM lists").mappings()]


def only_in(wanted: Artefact, other: Artefact) -> int:
    """An item that another version lacks."""
    return next(int(one) for one in wanted.items.ids.tolist() if other.items.row(one) < 0)


def test_each_user_gets_the_list_of_their_version_and_it_is_logged(open_site: Open, fitted: list[Artefact]) -> None:
    app = open_site("v1=0.3,v2=0.3")
    plan = read_split("v1=0.3,v2=0.3")
    headers = key_headers(app, "read", "write")
    browser = SiteClient(app)
    history = [1, 260, 2571]
    people = {arm: users_of(arm, plan, 2) for arm in ("v1", "v2", None)}
    versions = {"v1": fitted[0], "v2": fitted[1], None: fitted[2]}
    events = [
        {"user_id": one, "item_id": item, "kind": "rating", "value": 5.0}
        for found in people.values()
        for one in found
        for item in history
    ]
    assert browser.post("/api/v1/events", json=events, headers=headers).status_code == 201
    everyone = [one for found in people.values() for one in found]
    many = browser.post("/api/v1/recommendations", json={"user_ids": everyone}, headers=headers).json()["lists"]
    assert [one["user_id"] for one in many] == everyone
    by_user = {one["user_id"]: one for one in many}
    for arm, found in people.items():
        wanted = expected(versions[arm], history)
        for user_id in found:
            one = browser.get("/api/v1/recommendations", params={"user_id": user_id}, headers=headers).json()
            for answer in (one, by_user[user_id]):
                assert [item["item_id"] for item in answer["items"]] == wanted
                assert (answer["model"], answer["version"]) == ("ease", versions[arm].version)
            why = browser.get(f"/api/v1/items/{wanted[0]}/why", params={"user_id": user_id}, headers=headers).json()
            assert why["score"] == pytest.approx(one["items"][0]["score"], rel=1e-4)
    rows = logged(app)
    name = plan.name
    assert {
        (row["user_id"] in people["v1"], row["user_id"] in people["v2"], row["experiment"], row["arm"]) for row in rows
    } == {
        (True, False, name, "v1"),
        (False, True, name, "v2"),
        (False, False, None, None),
    }
    assert all(row["version"] == versions[row["arm"]].version for row in rows)  # type: ignore[index]
    assert len(rows) == 12


def test_an_item_of_one_version_is_there_for_its_visitors_alone(open_site: Open, fitted: list[Artefact]) -> None:
    app = open_site()
    item_id = only_in(fitted[1], fitted[0])
    browsers = {arm: guest_of(app, arm) for arm in ("v1", "v2")}
    for arm, status in (("v1", 404), ("v2", 200)):
        browser = browsers[arm]
        assert browser.get(f"/movie/{item_id}").status_code == status
        assert browser.get(f"/api/v1/items/{item_id}").status_code == status
        event = {"item_id": item_id, "kind": "click"}
        assert browser.post("/api/v1/events", json=event).status_code == (201 if status == 200 else 422)
        page = browser.get("/").text
        answer = browser.get("/api/v1/recommendations").json()
        assert answer["version"] == fitted[0 if arm == "v1" else 1].version
        assert 'id="for-you"' in page
    headers = key_headers(app, "write")
    for arm, kept in (("v1", "rejected"), ("v2", "accepted")):
        event = {"user_id": users_of(arm)[0], "item_id": item_id, "kind": "click"}
        sent = SiteClient(app).post("/api/v1/events/batch", json=[event], headers=headers).json()
        assert [row["status"] for row in sent["rows"]] == [kept]
    mine = {(row["arm"], row["version"]) for row in logged(app) if row["experiment"]}
    assert mine == {("v1", fitted[0].version), ("v2", fitted[1].version)}


def test_a_promotion_changes_nothing_for_the_arms(open_site: Open, registry: Registry, fitted: list[Artefact]) -> None:
    app = open_site("v1=0.3,v2=0.3")
    plan, headers = read_split("v1=0.3,v2=0.3"), key_headers(app, "read")
    browser = SiteClient(app)

    def versions() -> list[str]:
        asked = {"user_ids": [users_of(arm, plan)[0] for arm in ("v1", "v2", None)]}
        answer = browser.post("/api/v1/recommendations", json=asked, headers=headers)
        return [one["version"] for one in answer.json()["lists"]]

    numbers = {artefact.version: number for number, artefact in enumerate(fitted, start=1)}
    assert [numbers[one] for one in versions()] == [1, 2, 3]
    for change, now in ((lambda: registry.promote(2), 2), (lambda: registry.promote(1), 1), (registry.rollback, 2)):
        change()
        app.state.version.follow(app.state.live.serve)
        assert [numbers[one] for one in versions()] == [1, 2, now]
        assert browser.get("/health").json()["version"] == now
    app.state.arms.follow()
    text = app.state.site.metrics.text().decode()
    for artefact in fitted[:2]:
        assert f'matinee_model_info{{model="ease",version="{artefact.version}"}} 1.0' in text


def test_a_version_that_is_an_arm_is_not_pruned_until_the_site_ends(open_site: Open, registry: Registry) -> None:
    app = open_site()
    registry.promote(2)
    registry.promote(3)
    assert registry.prune(keep=1) == []  # 3 serves, 2 did before, 1 is an arm
    assert registry.numbers() == [1, 2, 3]
    close(app)
    assert registry.prune(keep=1) == [1]
    with pytest.raises(MatineeError, match="has no version 1; there are: 2, 3"):
        open_site()


def test_an_item_that_comes_live_is_in_every_arm(open_site: Open) -> None:
    app = open_site()
    live = app.state.live
    live.put(LiveItem("900001", {"title": "A New One", "genres": ["Drama"]}, live.fingerprint, NOW))
    app.state.arms.follow()
    for site in app.state.arms.sites:
        row = site.engine.items.row(900001)
        assert site.catalogue.titles[row] == "A New One"
        assert len(site.engine.items) == site.engine.n_trained + 1


def test_the_report_is_by_version(open_site: Open, db_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    app = open_site()
    for arm in ("v1", "v2"):
        browser = guest_of(app, arm)
        found = browser.get("/api/v1/recommendations").json()
        browser.get(f"/movie/{found['items'][0]['item_id']}?list={found['list_id']}")
    app.state.site.database.flush()
    capsys.readouterr()
    assert run(["experiment", "report", "--db", db_url, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)["experiment"]
    assert [arm["model"] for arm in report["arms"]] == ["v1", "v2"]
    took = [arm["metrics"]["took"] for arm in report["arms"]]
    assert [round(one["mean"] * one["n"]) for one in took] == [1, 1]
    assert report["ratio_p"] is not None


def test_a_visitor_stays_in_a_version_after_a_restart_and_without_a_database(
    open_site: Open, fitted: list[Artefact], monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = guest_of(open_site(), "v1")
    app = open_site()
    again = SiteClient(app, browser.token)
    assert again.get("/api/v1/recommendations").json()["version"] == fitted[0].version
    asked: list[str] = []
    note_prepared(monkeypatch, asked)
    again.get("/api/v1/recommendations")
    assert sum("visitors" in query for query in asked) == 1, asked  # the session is looked up once
    headers = {"X-Client-Id": "a-program-without-cookies"}
    for n in range(3):
        event = {"item_id": 1, "kind": "click", "event_id": f"{n}"}
        assert SiteClient(app).post("/api/v1/events", json=event, headers=headers).status_code == 201
    with app.state.site.database.read() as connection:
        last = connection.exec_driver_sql("SELECT user_id FROM events ORDER BY seq DESC LIMIT 3").scalars().all()
    assert len({*last}) == 1  # a client id is one visitor, also where sites are chosen by visitor
    monkeypatch.setattr(app.state.site.visitors, "identity", fail)
    assert again.get("/health").status_code == 200


def fail(*_: object) -> None:
    raise OperationalError("SELECT", {}, Exception("the database is down"))


def test_versions_that_cannot_be_arms_are_refused_in_one_line(
    open_site: Open, registry: Registry, artefact_paths: list[Path], db_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(MatineeError, match="has no version 9; there are: 1, 2, 3"):
        open_site("v1=0.5,v9=0.5")
    with pytest.raises(UsageError, match="versions are those of a registry"):
        create_app(artefact_paths, db_url=db_url, options=SiteOptions(experiment=PLAN))
    (registry.folder(2) / "ease" / "arrays.safetensors").write_bytes(b"")
    with pytest.raises(MatineeError, match=r"arrays\.safetensors"):
        open_site()
    (registry.folder(2) / "version.json").write_text("{}")
    with pytest.raises(MatineeError, match="version 2 is damaged"):
        open_site()
    capsys.readouterr()
    wrong = ["serve", str(artefact_paths[0]), "--db", db_url, "--split", SPLIT]
    assert run(wrong) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "matinee serve --registry DIR --split v12=0.5,v13=0.5" in said


def test_a_version_of_another_catalogue_is_no_arm(
    open_site: Open, registry: Registry, fitted: list[Artefact], known_movies: Dataset
) -> None:
    others = known_movies.keep(known_movies.events.item_rows % 5 == 1)
    registry.add([mt.fit("popularity", others)])
    with pytest.raises(MatineeError, match="version 4 is of another catalogue than version 3"):
        open_site("v1=0.5,v4=0.5")
