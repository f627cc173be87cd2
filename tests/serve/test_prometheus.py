"""What a site counts, and who may read it."""

import asyncio
import threading
from pathlib import Path

import httpx2
import pytest
from fastapi import FastAPI
from prometheus_client.parser import text_string_to_metric_families as parse
from starlette.testclient import TestClient

from matinee.errors import UsageError
from matinee.serve.app import create_app
from matinee.serve.http.server import ServerSettings, listen, server_of
from matinee.serve.metrics import SiteMetrics
from matinee.serve.options import SiteOptions
from matinee.store.streams.protocols import next_offsets
from matinee.store.streams.sql import SqlStream
from site_fixtures import CHEAP, NOW, key_headers

Samples = dict[tuple[str, tuple[str, ...]], float]


def scrape(app: FastAPI, client: TestClient) -> Samples:
    """The samples by name and sorted label values."""
    answer = client.get("/metrics", headers=key_headers(app, "admin"))
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    families = parse(answer.text)
    return {(s.name, tuple(v for _, v in sorted(s.labels.items()))): s.value for f in families for s in f.samples}


def test_requests_are_counted_by_the_template_of_their_route(app: FastAPI, client: TestClient) -> None:
    for item_id in (1, 296, 2571):
        client.get(f"/movie/{item_id}")
    client.head("/about")
    client.get("/static/site.css")
    client.get("/api/v1/items/1/similar")
    found = scrape(app, client)
    assert found["matinee_requests_total", ("GET", "/movie/{item_id:path}", "200")] == 3
    assert found["matinee_requests_total", ("HEAD", "/about", "200")] == 1
    assert found["matinee_requests_total", ("GET", "/api/v1/items/{item_id:path}/similar", "200")] == 1
    assert found["matinee_request_seconds_count", ("/movie/{item_id:path}",)] == 3
    assert ("matinee_requests_total", ("GET", "/static", "200")) in found


def test_what_a_scraper_asks_for_makes_no_label(app: FastAPI, client: TestClient) -> None:
    before = len(scrape(app, client))
    for n in range(50):
        client.get(f"/nowhere/{n}")
        client.request(f"VERB{n}", "/about")
        client.get(f"/movie/{10**9 + n}")
        client.get("/api/v1/recommendations", params={"model": f"model-{n}", "history": "1"})
        client.post("/api/v1/events", content=b"{" * n)
        client.get("/static/" + "x" * n)
    assert len(scrape(app, client)) < before + 120  # a histogram of a route has 14 samples


def test_events_are_accepted_duplicate_or_rejected(app: FastAPI, client: TestClient) -> None:
    event = {"item_id": 1, "kind": "watched", "event_id": "one"}
    for sent in (event, event, event | {"item_id": 296}):
        client.post("/api/v1/events", json=sent)
    found = scrape(app, client)
    kinds = ("accepted", "duplicate", "rejected")
    assert [found["matinee_events_total", (outcome,)] for outcome in kinds] == [1, 1, 1]
    assert found["matinee_newest_event_timestamp_seconds", ()] == NOW


def test_each_event_of_a_batch_is_counted_by_its_own_outcome(app: FastAPI, client: TestClient) -> None:
    event = {"item_id": 1, "kind": "watched", "event_id": "one"}
    rows = [event, event, event | {"item_id": 296}, {"item_id": -7, "kind": "watched"}, "no event", event | {"x": 1}]
    answer = client.post("/api/v1/events/batch", json=rows).json()
    found = scrape(app, client)
    for outcome, n in (("accepted", 1), ("duplicate", 1), ("rejected", 4)):
        assert answer[outcome] == found["matinee_events_total", (outcome,)] == n


def test_the_lag_of_each_consumer_is_counted(app: FastAPI, client: TestClient) -> None:
    for n in range(3):
        client.post("/api/v1/events", json={"item_id": 1, "kind": "watched", "event_id": f"{n}"})
    stream = SqlStream(app.state.site.database, "archive")
    stream.commit(next_offsets({}, stream.read({}, 1, 0)))
    SqlStream(app.state.site.database, "new").commit({})
    found = scrape(app, client)
    assert found["matinee_consumer_lag_events", ("archive",)] == 2
    assert found["matinee_consumer_lag_events", ("new",)] == 3


def test_refusals_of_keys_are_counted(artefact_paths: list[Path], db_url: str) -> None:
    options = SiteOptions(rates={"key": 2, "address": 30}, metrics_from="203.0.113.0/24")
    app = create_app(artefact_paths[:1], db_url=db_url, hasher=CHEAP, options=options)
    with TestClient(app, client=("198.51.100.7", 1), headers=key_headers(app, "read")) as client:
        assert [client.get("/api/v1/items").status_code for _ in range(4)] == [200, 200, 429, 429]
        wrong = {"Authorization": "Bearer nonsense"}
        assert [client.get("/api/v1/items", headers=wrong).status_code for _ in range(3)] == [401, 429, 429]
        with TestClient(app, client=("203.0.113.9", 1)) as scraper:
            text = scraper.get("/metrics").text
    assert 'matinee_refused_total{reason="key"} 2.0' in text
    assert 'matinee_refused_total{reason="address"} 2.0' in text


@pytest.mark.parametrize(
    ("proxies", "forwarded", "status"),
    [
        ("192.0.2.1", "10.9.8.7", 401),  # no proxy is trusted: the header says nothing
        ("127.0.0.1", "10.9.8.7, 198.51.100.7", 401),  # what the proxy adds is last; the visitor wrote the first
        ("127.0.0.1", "198.51.100.7", 401),
        ("127.0.0.1", "198.51.100.7, 10.9.8.7", 200),
    ],
)
def test_a_forged_forwarded_address_does_not_read_them(
    artefact_paths: list[Path], db_url: str, proxies: str, forwarded: str, status: int
) -> None:
    app = create_app(artefact_paths[:1], db_url=db_url, options=SiteOptions(metrics_from="10.9.8.7"))
    ready = threading.Event()
    server = server_of(app, ServerSettings(forwarded_allow_ips=proxies), ready.set)
    with listen("127.0.0.1", 0) as listener:
        thread = threading.Thread(target=lambda: asyncio.run(server._serve([listener])))
        thread.start()
        try:
            assert ready.wait(20)
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/metrics"
            assert httpx2.get(url, headers={"X-Forwarded-For": forwarded}).status_code == status
        finally:
            server.stop()
            thread.join()


def test_stages_and_lists_are_counted_by_model(app: FastAPI, client: TestClient) -> None:
    client.get("/api/v1/recommendations", params={"history": "1,296", "explain": "true"})
    client.get("/api/v1/recommendations", params={"history": "1,296", "model": "item-knn"})
    found = scrape(app, client)
    assert found["matinee_stage_seconds_count", ("ease", "rank")] == 1
    assert found["matinee_stage_seconds_count", ("ease", "reasons")] == 1
    assert found["matinee_stage_seconds_count", ("item-knn", "rank")] == 1
    assert found["matinee_lists_total", ("ease", "api")] == 1
    assert [value for (name, _), value in found.items() if name == "matinee_model_info"] == [1, 1, 1]


def test_refusals_are_counted_by_their_limit(artefact_paths: list[Path], db_url: str) -> None:
    options = SiteOptions(rates={"address": 2}, metrics_from="203.0.113.0/24")
    app = create_app(artefact_paths, db_url=db_url, hasher=CHEAP, options=options)
    with TestClient(app, client=("198.51.100.7", 1)) as client:
        assert [client.get("/about").status_code for _ in range(4)] == [200, 200, 429, 429]
        with TestClient(app, client=("203.0.113.9", 1)) as scraper:
            text = scraper.get("/metrics").text
    assert 'matinee_refused_total{reason="address"} 2.0' in text


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "198.51.100.7", "testclient"])
def test_without_a_key_nobody_reads_them_by_default(app: FastAPI, address: str) -> None:
    with TestClient(app, client=(address, 1)) as client:
        assert client.get("/metrics").status_code == 401
        assert client.get("/metrics", headers=key_headers(app, "read", "write")).status_code == 403
        assert client.get("/metrics", headers={"Authorization": "Bearer nonsense"}).status_code == 401
        assert client.get("/metrics", headers={"X-Forwarded-For": "127.0.0.1"}).status_code == 401
        assert client.get("/metrics", headers=key_headers(app, "admin")).status_code == 200


@pytest.mark.parametrize(
    ("networks", "address", "status"),
    [
        ("127.0.0.1", "127.0.0.1", 200),
        ("127.0.0.0/8, ::1", "::1", 200),
        ("10.0.0.0/8", "::ffff:10.1.2.3", 200),
        ("fe80::/10", "fe80::1%eth0", 200),
        ("10.0.0.0/8", "11.0.0.1", 401),
        ("10.0.0.0/8", "not an address", 401),
    ],
)
def test_addresses_that_the_operator_names_read_them(
    artefact_paths: list[Path], db_url: str, networks: str, address: str, status: int
) -> None:
    app = create_app(artefact_paths[:1], db_url=db_url, options=SiteOptions(metrics_from=networks))
    with TestClient(app, client=(address, 1)) as client:
        assert client.get("/metrics").status_code == status


def test_a_wrong_network_is_refused_by_name() -> None:
    with pytest.raises(UsageError, match="--metrics-from 'everyone' is not an address or a network"):
        SiteOptions(metrics_from="127.0.0.1, everyone")


def test_a_version_that_is_no_longer_served_becomes_0() -> None:
    metrics = SiteMetrics()
    metrics.note_versions([("ease", "1")])
    metrics.note_versions([("ease", "2")])
    assert 'matinee_model_info{model="ease",version="1"} 0.0' in metrics.text().decode()
    assert 'matinee_model_info{model="ease",version="2"} 1.0' in metrics.text().decode()


def test_dropped_lists_are_counted_once() -> None:
    metrics = SiteMetrics()
    for n_dropped in (0, 3, 3, 5):
        metrics.note_log_of_lists(7, n_dropped)
    assert "matinee_lists_dropped_total 5.0" in metrics.text().decode()


def test_a_database_that_fails_breaks_no_scrape() -> None:
    def fail() -> None:
        raise OSError("gone")

    assert b"matinee_database_readable 0.0" in SiteMetrics().text(fail)  # type: ignore[arg-type]
