"""A site that follows a registry: promoted while requests run, each list of one version, broken ones refused."""

import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from anyio.from_thread import start_blocking_portal
from starlette.testclient import TestClient

import matinee as mt
from matinee.dataset import Dataset
from matinee.errors import MatineeError
from matinee.histories import Histories
from matinee.ranking.rank import rank
from matinee.serve.app import create_app
from matinee.serve.options import SiteOptions
from matinee.store.artefact import Artefact
from matinee.store.protocols import LiveItem
from matinee.store.versions import Registry
from site_fixtures import CHEAP, NOW, SiteClient


@pytest.fixture(scope="module")
def fitted(known_movies: Dataset) -> list[Artefact]:
    """EASE twice: with a weak and with a strong ridge, so that lists differ."""
    return [mt.fit("ease", known_movies, l2=1.0), mt.fit("ease", known_movies, l2=5000.0)]


@pytest.fixture
def registry(fitted: list[Artefact], tmp_path: Path) -> Registry:
    """Two versions, of which the first serves."""
    registry = Registry.create(tmp_path / "registry")
    registry.add(fitted[:1])
    registry.promote(1)
    registry.add(fitted[1:])
    return registry


@pytest.fixture
def client(registry: Registry, db_url: str) -> Iterator[TestClient]:
    """A browser of the site, without the thread that polls: tests follow by hand."""
    app = create_app((), db_url=db_url, clock=lambda: NOW, hasher=CHEAP, options=SiteOptions(registry=registry.path))
    yield SiteClient(app)
    app.state.site.database.close()


def follow(client: TestClient) -> None:
    client.app.state.version.follow(client.app.state.live.serve)


def listed(client: TestClient, history: list[int], k: int = 10) -> dict:
    answer = client.get("/api/v1/recommendations", params={"history": ",".join(map(str, history)), "k": k})
    assert answer.status_code == 200, answer.text
    return answer.json()


def expected(artefact: Artefact, history: list[int], k: int = 10) -> list[int]:
    rows = rank(artefact.model, Histories.of([artefact.items.rows(history).tolist()]), k).items[0]
    return [artefact.items.id(int(row)) for row in rows]


def test_promoting_swaps_the_lists_and_rolling_back_swaps_them_again(client, registry, fitted) -> None:
    history = [fitted[0].items.id(row) for row in (3, 40, 7)]
    for step, artefact in (
        (lambda: None, fitted[0]),
        (lambda: registry.promote(2), fitted[1]),
        (registry.rollback, fitted[0]),
    ):
        step()
        follow(client)
        found = listed(client, history)
        assert found["version"] == artefact.version
        assert [item["item_id"] for item in found["items"]] == expected(artefact, history)
    assert client.get("/health").json()["version"] == 1


def test_no_request_fails_and_no_list_is_mixed_while_versions_change(client, registry, fitted) -> None:
    by_version = {artefact.version: artefact for artefact in fitted}
    histories = [
        [fitted[0].items.id(int(row)) for row in np.random.default_rng(n).integers(900, size=5)] for n in range(20)
    ]
    wanted = {version: [expected(each, one) for one in histories] for version, each in by_version.items()}
    ends, seen = [], []

    def ask(worker: int) -> None:
        browser = SiteClient(client.app)
        browser.portal = portal  # all on one event loop, as in a server
        for n in count(worker):
            found = listed(browser, histories[n % 20])
            assert [item["item_id"] for item in found["items"]] == wanted[found["version"]][n % 20]
            seen.append(found["version"])
            assert browser.get("/").status_code == 200
            if ends:
                return

    with start_blocking_portal() as portal, ThreadPoolExecutor(3) as pool:
        asking = [pool.submit(ask, worker) for worker in range(3)]
        for change in (lambda: registry.promote(2), registry.rollback, registry.rollback):
            change()
            follow(client)
            n_seen = len(seen)
            while len(seen) < n_seen + 6 and not any(each.done() for each in asking):
                pass
        ends.append(True)
        for each in asking:
            each.result()
    assert set(seen) == set(by_version)


def test_a_list_under_way_and_its_click_name_the_version_that_made_it(client, registry, fitted) -> None:
    site = client.app.state.site
    registry.promote(2)
    follow(client)
    recorder = site.impression_recorder("somebody")
    list_id = recorder.add("api", "ease", site.engine.popular(3))
    recorder.write()
    site.database.flush()
    assert client.app.state.site.impressions.find(list_id).version == fitted[0].version


def test_a_broken_version_is_refused_said_and_the_old_one_stays(client, registry, fitted, caplog) -> None:
    registry.promote(2)
    arrays = registry.folder(2) / "ease" / "arrays.safetensors"
    whole = arrays.read_bytes()
    arrays.write_bytes(whole[:-8])
    follow(client)
    follow(client)
    health = client.get("/health").json()
    assert (health["status"], health["version"]) == ("degraded", 1)
    assert "version 2 is refused, and version 1 goes on serving" in health["why"][0]
    assert sum("is refused" in record.message for record in caplog.records) == 1
    assert listed(client, [])["version"] == fitted[0].version
    arrays.write_bytes(whole)  # copied to its end
    client.app.state.version._retry_at = 0.0
    follow(client)
    assert client.get("/health").json() | {"status": "ready", "version": 2, "why": []} == client.get("/health").json()


def test_a_damaged_pointer_leaves_the_site_as_it_is(client, registry) -> None:
    pointer = registry.path / "serving.json"
    for text in ("", "{}", '{"current": 77}'):
        pointer.write_text(text)
        follow(client)
        assert client.get("/health").json()["version"] == 1
        assert client.get("/health").json()["status"] == "degraded"
    pointer.unlink()
    follow(client)
    assert "is missing" in client.get("/health").json()["why"][0]


def test_a_site_starts_with_the_version_before_a_broken_one(registry: Registry, db_url: str) -> None:
    registry.promote(2)
    shutil.rmtree(registry.folder(2) / "ease")
    options = SiteOptions(registry=registry.path)
    app = create_app((), db_url=db_url, options=options)
    assert app.state.version.number == 1
    assert "version 2 is refused" in app.state.version.refused
    app.state.site.database.close()
    shutil.rmtree(registry.folder(1) / "ease")
    with pytest.raises(MatineeError, match="no artefact at"):
        create_app((), db_url=db_url, options=options)


def test_items_that_came_live_stay_over_a_change_of_version(client, registry, fitted) -> None:
    live = client.app.state.live
    live.put(LiveItem("900001", {"title": "A New One", "genres": ["Drama"]}, live.fingerprint, NOW))
    live.put(LiveItem("900002", {}, live.fingerprint, NOW, withdrawn=True))
    registry.promote(2)
    follow(client)
    assert client.get("/api/v1/items/900001").json()["title"] == "A New One"
    assert listed(client, [1])["version"] == fitted[1].version
    live.put(LiveItem("900003", {"title": "Another"}, live.fingerprint, NOW))
    assert client.get("/api/v1/items/900003").json()["title"] == "Another"
    assert listed(client, [1])["version"] == fitted[1].version


def test_a_running_site_notices_a_promotion_by_itself(registry: Registry, db_url: str, fitted) -> None:
    import time

    app = create_app((), db_url=db_url, hasher=CHEAP, options=SiteOptions(registry=registry.path))
    with SiteClient(app) as browser:
        registry.promote(2)
        ends = time.monotonic() + 30
        while listed(browser, [1])["version"] != fitted[1].version:
            assert time.monotonic() < ends
            time.sleep(0.1)
