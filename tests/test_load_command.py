"""matinee load: a log in a site's database, its users as users of the API, and what is refused."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

import matinee as mt
from matinee.cli.commands import app
from matinee.errors import MatineeError
from matinee.serve.app import create_app
from matinee.store.artefact import Artefact, save
from matinee.store.database import SqlDatabase
from matinee.store.log_reading import read_events
from matinee.store.streams.sql import SqlStream
from matinee.workflow.site_log import site_log
from site_fixtures import NOW, key_headers

Rows = dict[str, list]


def ratings(items: range, top: int = 5) -> Rows:
    users = np.repeat(np.arange(30), 8)
    rng = np.random.default_rng(1)
    return {
        "user": [f"u{user}" for user in users],
        "item": [int(item) for _ in range(30) for item in rng.permutation(list(items))[:8]],
        "value": [float(value) for value in rng.integers(1, top + 1, size=len(users))],
        "time": [1_000_000 + n for n in range(len(users))],
    }


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Artefact:
    """An artefact of items 0 to 19."""
    return save(mt.fit("ease", mt.events(ratings(range(20)))), tmp_path_factory.mktemp("load") / "ease")


def write(path: Path, rows: Rows) -> Path:
    pl.DataFrame(rows).write_csv(path)
    return path


def load(*arguments: object, code: int = 0) -> dict | str:
    found = CliRunner().invoke(app, ["load", *map(str, arguments), "--json"])
    if code:
        return str(found.exception)
    assert found.exit_code == 0, found.output
    return json.loads(found.stdout)


def test_the_users_of_a_log_are_users_of_the_api(served: Artefact, tmp_path: Path) -> None:
    rows = ratings(range(20))
    url = f"sqlite:///{tmp_path}/site.db"
    log = write(tmp_path / "log.csv", {**rows, "user": [f"new {user}" for user in rows["user"]]})
    found = load(log, "--db", url, "--artefact", served.path)
    assert (found["users"], found["written"], found["present"], found["unknown_items"]) == (30, 240, 0, 0)
    assert load(log, "--db", url)["present"] == 240
    site = create_app([served.path], db_url=url, clock=lambda: NOW)
    client, headers = TestClient(site), key_headers(site, "read")
    mine = {item for user, item in zip(rows["user"], rows["item"], strict=True) if user == "u3"}
    answer = client.get("/api/v1/recommendations?user_id=new u3&k=20", headers=headers).json()
    assert (answer["model"], answer["history_length"]) == ("ease", len(mine))
    assert not mine & {item["item_id"] for item in answer["items"]}
    stored = client.get("/api/v1/users/new u3", headers=headers).json()
    assert [event["value"] for event in stored["events"]] == [
        value for user, value in zip(rows["user"], rows["value"], strict=True) if user == "u3"
    ]
    site.state.site.database.close()


def test_unknown_items_are_counted_and_kept_skipped_or_refused(served: Artefact, tmp_path: Path) -> None:
    rows = ratings(range(20))
    rows["item"][0], rows["item"][8], rows["item"][16] = 77, 77, 99
    log = write(tmp_path / "log.csv", rows)
    counts = {}
    for unknown in ("keep", "skip"):
        url = f"sqlite:///{tmp_path}/{unknown}.db"
        found = load(log, "--db", url, "--artefact", served.path, "--unknown", unknown)
        counts[unknown] = (found["unknown_items"], found["unknown_events"], found["left_out"], found["written"])
    assert counts == {"keep": (2, 3, 0, 240), "skip": (2, 3, 3, 237)}
    nowhere = tmp_path / "none.db"
    refused = load(log, "--db", f"sqlite:///{nowhere}", "--artefact", served.path, "--unknown", "refuse", code=1)
    assert "2 of the 22 items" in refused
    assert "77, 99" in refused
    assert not nowhere.exists()


def test_a_log_of_another_catalogue_or_kind_is_refused(served: Artefact) -> None:
    with pytest.raises(MatineeError, match="another catalogue"):
        site_log(mt.events(ratings(range(100, 120))), served)
    rows = ratings(range(20))
    del rows["value"]
    with pytest.raises(MatineeError, match="a log of clicks"):
        site_log(mt.events(rows), served)


def test_values_become_stars_and_kinds_stay_kinds() -> None:
    found = site_log(mt.events(ratings(range(20), top=10))).events
    assert found["value"].to_list() == [value / 2 for value in ratings(range(20), top=10)["value"]]
    assert found["kind"].unique().to_list() == ["rating"]
    rows = ratings(range(20))
    del rows["value"]
    rows["event"] = ["buy" if n % 3 else "view" for n in range(240)]
    weighed = site_log(mt.events(rows, kinds=("view=0.2", "buy=1")))
    assert weighed.events["kind"].to_list() == rows["event"]
    assert weighed.events["value"].unique().to_list() == [1.0]
    same_weight = site_log(mt.events(rows))
    assert same_weight.events["kind"].unique().to_list() == ["buy"]
    assert same_weight.notes == ("buy and view weigh the same and are kept as the first of them",)


def test_a_log_without_times_stands_before_what_has_one() -> None:
    rows = ratings(range(20))
    del rows["time"]
    found = site_log(mt.events(rows))
    assert found.events["at"].unique().to_list() == [0]
    assert "no times" in found.notes[0]


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--unknown", "skip"], "takes --artefact"),
        (["--unknown", "drop"], "none of keep, skip, refuse"),
        (["--data", "bundled"], "given twice"),
        (["--db", "nonsense://x"], "--db"),
        (["--artefact", "nowhere"], "nowhere"),
    ],
)
def test_a_wrong_option_is_one_line(tmp_path: Path, options: list[str], why: str) -> None:
    log = write(tmp_path / "log.csv", ratings(range(20)))
    assert why in load(log, "--db", f"sqlite:///{tmp_path}/a.db", *options, code=1)


def test_events_arrive_in_the_order_of_their_times(served: Artefact, tmp_path: Path) -> None:
    rows = ratings(range(20))
    rows["time"].reverse()
    url = f"sqlite:///{tmp_path}/order.db"
    load(write(tmp_path / "log.csv", rows), "--db", url)
    database = SqlDatabase(url)
    assert list(read_events(SqlStream(database, "test"), 0).times) == sorted(rows["time"])
    database.close()
