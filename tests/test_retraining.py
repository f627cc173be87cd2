"""Retraining from a site's log: new users and items come in, what is worse does not serve."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import matinee as mt
from matinee.dataset import Dataset
from matinee.errors import MatineeError, UsageError
from matinee.histories import Histories, TrainingData
from matinee.models import create
from matinee.scale.local import Processes
from matinee.serve.app import create_app
from matinee.serve.options import SiteOptions
from matinee.store.database import SqlDatabase
from matinee.store.live_items import SqlLiveItems
from matinee.store.protocols import LiveEvent, LiveItem
from matinee.store.sql import SqlEvents
from matinee.store.versions import Pointer, Registry
from matinee.training.run import Run
from matinee.workflow import refitting, retraining
from matinee.workflow.retraining import retrain
from site_fixtures import CHEAP, NOW, SiteClient

NEW = "900001"


@pytest.fixture(scope="module")
def data() -> Dataset:
    """Two groups of 40 people with 20 items each."""
    rng = np.random.default_rng(0)
    users = np.repeat(np.arange(80), 12)
    items = (users % 2) * 20 + rng.integers(20, size=len(users))
    log = {"user": users, "item": items, "value": rng.integers(3, 6, size=len(users)), "time": np.arange(len(users))}
    return mt.events(log)


@pytest.fixture
def registry(data: Dataset, tmp_path: Path) -> Registry:
    registry = Registry.create(tmp_path / "registry")
    registry.add([mt.fit("ease", data, l2=5.0), mt.fit("item-knn", data)])
    registry.promote(1)
    return registry


@pytest.fixture
def db_url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'site.sqlite3'}"


@pytest.fixture
def database(db_url: str) -> Iterator[SqlDatabase]:
    database = SqlDatabase(db_url)
    yield database
    database.close()


def write(database: SqlDatabase, data: Dataset, events: list[tuple[str, str, str, float]]) -> None:
    rows = [LiveEvent(user, item, kind, value, NOW + n) for n, (user, item, kind, value) in enumerate(events)]
    SqlEvents(database, data.items).append(rows)


def some_events(n_users: int = 30) -> list[tuple[str, str, str, float]]:
    """Each new person rates five items of the first group, a new one among them."""
    rng = np.random.default_rng(1)
    chosen = [[*map(str, rng.choice(20, 4, replace=False)), NEW] for _ in range(n_users)]
    return [(f"visitor-{n}", item, "rating", 5.0) for n, items in enumerate(chosen) for item in items]


def test_new_users_and_items_of_the_log_come_into_what_is_served(registry, database, data, db_url) -> None:
    SqlLiveItems(database).put(LiveItem(NEW, {"title": "A New One", "year": 2025, "genres": ["Drama"]}, "", NOW))
    write(database, data, some_events())
    app = create_app((), db_url=db_url, clock=lambda: NOW, hasher=CHEAP, options=SiteOptions(registry=registry.path))
    found = retrain(registry, database)
    assert (found.version, found.promoted, found.new_events, found.new_users, found.new_items) == (2, True, 150, 30, 1)
    app.state.version.follow(app.state.live.serve)
    artefact = registry.load(2)[0]
    row = artefact.items.row(NEW)
    assert artefact.catalogue.titles[row] == "A New One"
    assert len(artefact.known.histories(["visitor-3"]).items) == 5
    browser = SiteClient(app)
    answer = browser.get("/api/v1/recommendations", params={"history": "0,1,2,3", "k": 20}).json()
    assert answer["version"] == artefact.version
    assert NEW in {str(item["item_id"]) for item in answer["items"]}
    assert browser.get("/health").json()["version"] == 2
    assert retrain(registry, database).version is None  # nothing came since
    app.state.site.database.close()


def test_texts_people_and_numbers_of_live_items_come_into_what_is_served(database, data, db_url, tmp_path) -> None:
    """NEW is liked by the first group alone; an unsold item with NEW's words and actor is predicted from it."""
    words = pl.DataFrame(
        {
            "item": [*range(40), 500],
            "title": [f"Film {n}" for n in range(40)] + ["Unsold"],
            "plot": ["a storm at sea" if n < 20 else "a trial in court" for n in range(40)] + ["a robot awakes"],
            "people": [["Ann"] if n < 20 else ["Bob"] for n in range(40)] + [["Zoe"]],
        }
    )
    registry = Registry.create(tmp_path / "described")
    registry.add([mt.fit("ease", data, l2=5.0, items=mt.items(words, text="plot", lists="people"))])
    registry.promote(1)
    fingerprint = registry.load(1)[0].manifest["data"]["fingerprint"]
    about = {
        "texts": {"plot": "a robot awakes"},
        "lists": {"people": ["Zoe"], "studio": ["Elm"]},
        "numbers": {"min": 90},
    }
    live = SqlLiveItems(database)
    live.put(LiveItem(NEW, {"title": "A New One", "link": "https://elm.example/1", "credit": "Elm", **about}, "", NOW))
    live.put(LiveItem("3", {"title": "Film 3 again", "texts": {"plot": "a calm sea"}}, fingerprint, NOW))
    write(database, data, some_events())
    retrain(registry, database)
    found = registry.load(2)[0]
    table, row, unsold = found.item_table, found.items.row(NEW), found.items.row(500)
    assert table.texts["plot"][row] == "a robot awakes"
    assert (table.lists["people"][row], table.lists["studio"][row]) == (("Zoe",), ("Elm",))
    assert (table.numbers["min"][row], table.links[row], table.credits[row]) == (90, "https://elm.example/1", "Elm")
    assert (table.titles[3], table.texts["plot"][3], table.lists["people"][3]) == ("Film 3 again", "a calm sea", ())
    assert found.catalogue.titles[3] == "Film 3 again"
    assert found.manifest["content"]["new_items"] == 1
    column = found.model.weights[:, unsold]
    assert np.corrcoef(column, found.model.weights[:, row])[0, 1] > 0.9
    assert np.abs(column).max() > 0


def test_what_is_fitted_is_what_a_fit_on_all_events_gives(registry, database, data) -> None:
    write(database, data, some_events())  # no live item: its events are left
    retrain(registry, database)
    found = registry.load(2)[1]
    events = [(user, int(item)) for user, item, _, _ in some_events() if item != NEW]
    assert found.manifest["data"]["events"] == len(data.events) + len(events)
    known = found.known.of_rows(np.arange(len(found.users)))
    model = create("item-knn", neighbours=400, shrinkage=500.0)  # its defaults for few events a user
    model.value_map = registry.load(1)[1].model.value_map
    again = model.fit(TrainingData(model.weigh(known), len(found.items)), Run.seeded(42))
    np.testing.assert_allclose(
        found.model.score(found.model.state_of(Histories.of([[0, 3]]))),
        again.score(again.state_of(Histories.of([[0, 3]]))),
        rtol=1e-5,
    )


def test_a_model_that_is_worse_is_kept_but_does_not_serve(registry, database, data, monkeypatch) -> None:
    events = [event for event in some_events(60) if event[1] != NEW]
    write(database, data, [events[n] for n in np.random.default_rng(2).permutation(len(events))])
    real = refitting.fit_again

    def worse(*given, **settings):
        model, counts = real(*given, **settings)
        if model.name == "ease":
            model.weights = -model.weights
        return model, counts

    monkeypatch.setattr(refitting, "fit_again", worse)
    found = retrain(registry, database)
    assert not found.promoted
    assert [verdict.is_worse for verdict in found.verdicts] == [True, False]
    assert registry.pointer() == Pointer(1)
    assert "ease worse" in registry.version(2).note


def test_events_that_the_training_data_have_are_not_learned_twice(registry, database, data) -> None:
    first = data.events
    user, item = data.users.id(int(first.user_rows[0])), data.items.id(int(first.item_rows[0]))
    same = LiveEvent(str(user), str(item), "rating", float(first.values[0]), int(first.times[0]))
    SqlEvents(database, data.items).append([same])
    assert retrain(registry, database).new_events == 0


def test_steering_and_flags_are_not_learned(registry, database, data) -> None:
    write(database, data, [("a", "1", kind, 1.0) for kind in ("more", "less", "dismissed", "click")])
    assert retrain(registry, database).version is None


def test_a_wrong_database_changes_nothing(registry, database, data, tmp_path: Path) -> None:
    write(database, data, [("a", "777", "rating", 5.0)])
    with pytest.raises(MatineeError, match="another site's log"):
        retrain(registry, database)
    registry.add(registry.load(1), log={"offset": 500})
    registry.promote(2)
    with pytest.raises(MatineeError, match="ends at event 1, and version 2 has learned up to 500"):
        retrain(registry, database)
    assert registry.pointer() == Pointer(2, 1)
    assert registry.numbers() == [1, 2]


def test_erasing_who_came_last_is_no_older_copy(registry, database, data) -> None:
    registry.add(registry.load(1), log={"offset": 3})
    registry.promote(2)
    write(database, data, [("a", "1", "rating", 5.0), ("b", "1", "rating", 4.0), ("b", "2", "rating", 4.0)])
    with database.write() as connection:
        connection.exec_driver_sql("DELETE FROM events WHERE user_id = 'b'")
    assert retrain(registry, database).new_events == 0  # all that is there was learned before
    write(database, data, [("c", "1", "rating", 5.0)])
    assert retrain(registry, database).new_events == 1


def test_what_predictions_are_worth_is_measured_on_the_new_fit(data, database, tmp_path: Path) -> None:
    fitted = mt.fit("vbmf", data, dim=2)
    averages = {"item_mean": 9.0, "item_and_user_mean": 9.0}
    stale = {"predicted_values": [{"ratings": 1, "users": 5, "rmse": 9.0, "p": 1.0, "better": False, **averages}]}
    registry = Registry.create(tmp_path / "registry")
    registry.add([fitted.with_manifest(stale)])
    registry.promote(1)
    write(database, data, [event for event in some_events() if event[1] != NEW])
    retrain(registry, database)
    new = registry.load(2)[0]
    users = [one["users"] for one in new.manifest["predicted_values"]]
    assert max(users) > 80  # of those who came since, too
    assert all(one["rmse"] < 3 for one in new.manifest["predicted_values"])


def test_triples_from_a_file_outlive_retraining(data, database, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    heads = [str(item) for item in range(40)]
    triples = mt.graph({"head": heads, "relation": ["directed_by"] * 40, "tail": [f"d{n % 3}" for n in range(40)]})
    registry = Registry.create(tmp_path / "registry")
    registry.add([mt.fit("kprn", data, graph=triples, epochs=1, candidates=10)])
    registry.promote(1)
    SqlLiveItems(database).put(LiveItem(NEW, {"title": "A New One", "year": 2025, "genres": ["Drama"]}, "", NOW))
    write(database, data, some_events())
    retrain(registry, database)
    before, after = registry.load(1)[0], registry.load(2)[0]
    names = ("d0", "d1", "d2")
    assert [
        sum(graph.names.count(name) for name in names) for graph in (before.model.knowledge, after.model.knowledge)
    ] == [3, 3]
    rows = after.items.rows(before.items.ids)
    old, new = before.model.knowledge, after.model.knowledge
    assert {(rows[head], old.names[tail - 40]) for head, tail in zip(old.heads, old.tails, strict=True)} <= {
        (head, new.names[tail - 41]) for head, tail in zip(new.heads, new.tails, strict=True)
    }
    assert after.manifest["graph"] == {"triples": len(new), "fingerprint": new.fingerprint}


def test_a_retraining_that_dies_promotes_nothing(registry, database, data, monkeypatch) -> None:
    write(database, data, some_events())

    def dies(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("matinee.store.versions.registry.self_test_of", dies)
    with pytest.raises(KeyboardInterrupt):
        retrain(registry, database)
    monkeypatch.undo()
    assert (registry.pointer(), registry.numbers()) == (Pointer(1), [1])
    assert retrain(registry, database).promoted


def test_two_retrainings_at_once_are_refused(registry, database) -> None:
    with retraining._alone(registry), pytest.raises(MatineeError, match="another process retrains"):
        retrain(registry, database)


def arrays_of(registry: Registry, number: int) -> list[bytes]:
    """What the models of a version learned, as it is saved."""
    return [file.read_bytes() for file in sorted(registry.path.glob(f"*{number}/**/*.safetensors"))]


def test_by_workers_comes_the_same_version_and_a_killed_one_changes_nothing(
    registry, database, data, tmp_path, monkeypatch
) -> None:
    events = [event for event in some_events(60) if event[1] != NEW]
    write(database, data, [events[n] for n in np.random.default_rng(2).permutation(len(events))])
    shutil.copytree(registry.path, tmp_path / "other")
    other = Registry(tmp_path / "other")

    class Killed(Processes):
        def _start(self):
            pipe = super()._start()
            self._started[-1][0].kill()
            return pipe

    with monkeypatch.context() as patched:
        patched.setattr(refitting, "runner_of", Killed)
        with pytest.raises(MatineeError, match="a worker process was killed"):
            retrain(other, database, workers=2)
    assert (other.pointer(), other.numbers()) == (Pointer(1), [1])
    here, there = retrain(registry, database), retrain(other, database, workers=2)
    assert here == there
    assert len(here.verdicts) == 2
    assert all(verdict.new is not None for verdict in here.verdicts)
    assert len(arrays_of(registry, 2)) >= 4
    assert arrays_of(registry, 2) == arrays_of(other, 2)


def test_workers_that_are_none_are_refused_before_anything_is_read(registry, database) -> None:
    with pytest.raises(UsageError, match="workers = 0"):
        retrain(registry, database, workers=0)
    with pytest.raises(UsageError, match="--on nowhere: a cluster is HOST:PORT"):
        retrain(registry, database, workers="nowhere")
