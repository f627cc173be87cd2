"""What is refused before a page is asked: hosts, bodies, floods; and a site below a path of its host."""

import asyncio
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from PIL import Image
from starlette.testclient import TestClient

from matinee.errors import UsageError
from matinee.serve import api, pages
from matinee.serve.accounts.rate_limit import RequestRate
from matinee.serve.app import create_app
from matinee.serve.http import admission, body
from matinee.serve.http.admission import Admission
from matinee.serve.http.body import MAX_BODY_BYTES, WholeBodies
from matinee.serve.http.root_path import OWN, read_root_path, with_root
from matinee.serve.http.server import ServerSettings
from matinee.serve.options import SiteOptions
from site_fixtures import CHEAP, NOW, Clock, SiteClient, key_headers, routes_of

ROOT, STRANGER = "/films", ("8.8.8.8", 1)
Open = Callable[..., FastAPI]


@pytest.fixture
def open_site(artefact_paths: list[Path], tmp_path: Path) -> Open:
    """Opens a site with these options."""

    def open_(**options: Any) -> FastAPI:
        url = f"sqlite:///{tmp_path}/gate.db"
        return create_app(artefact_paths, db_url=url, clock=lambda: NOW, hasher=CHEAP, options=SiteOptions(**options))

    return open_


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("films.example.org", 200),
        ("FILMS.example.org:8000", 200),
        ("films.example.org.", 200),
        ("a.example.net", 200),
        ("a.b.example.net", 200),
        ("127.0.0.1:8000", 200),
        ("[::1]:8000", 200),
        ("192.168.1.5", 200),
        ("localhost:1", 200),
        ("example.net", 421),
        ("evil.example", 421),
        ("films.example.org.evil.example", 421),
        ("evilexample.net", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost.evil.example", 421),
        ("films.example.org@evil.example", 400),
        ("films.example.org/", 400),
        ("films.example.org:port", 400),
        ("films.example.org, evil.example", 400),
        ("[::1", 400),
        ("", 400),
        ("http://films.example.org", 400),
        ("films example", 400),
        ("x" * 300, 400),
    ],
)
def test_only_named_hosts_and_addresses_are_answered(open_site: Open, host: str, status: int) -> None:
    client = TestClient(open_site(allowed_hosts=("films.example.org", "*.example.net")))
    for path in ("/about", "/api/v1/items", "/health/live", "/static/site.css"):
        assert client.get(path, headers={"host": host}).status_code == status
    assert client.post("/api/v1/events", json={}, headers={"host": host}).status_code == (
        422 if status == 200 else status
    )


def test_two_hosts_are_refused(open_site: Open) -> None:
    client = TestClient(open_site(allowed_hosts=("a.example",)))
    answer = client.get("/about", headers=[("host", "a.example"), ("host", "b.example")])
    assert answer.status_code == 400


@pytest.mark.parametrize(
    "name", ["https://a.example", "a.example/x", "a example", "", "a.example:80", "*a.example", "*."]
)
def test_a_wrong_allowed_host_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="--allowed-host"):
        SiteOptions(allowed_hosts=(name,))


def test_head_answers_as_get_without_a_body(client: TestClient, app: FastAPI) -> None:
    paths = ["/static/site.css", "/health/live", "/api/openapi.json"]
    paths += [route.path for route in routes_of(app) if "GET" in (route.methods or ()) and "{" not in route.path]
    paths += ["/movie/1", "/movie/none", "/api/v1/items/1", "/api/v1/items/1/similar", "/nothing"]
    assert len(paths) > 20
    for path in paths:
        by_get, by_head = (client.request(method, path, follow_redirects=False) for method in ("GET", "HEAD"))
        assert by_head.status_code == by_get.status_code, path
        assert by_head.content == b""
        assert by_head.headers.get("content-type") == by_get.headers.get("content-type")
    assert client.head("/mark").status_code == client.get("/mark").status_code == 405


@pytest.fixture
def below(open_site: Open) -> Iterator[TestClient]:
    with SiteClient(open_site(root_path=ROOT)) as client:
        yield client


@pytest.mark.parametrize("prefix", ["", ROOT])
def test_every_link_and_redirect_of_a_site_below_a_path_keeps_the_prefix(below: TestClient, prefix: str) -> None:
    """Whether the proxy takes the prefix off or leaves it."""
    for path in ("/", "/about", "/models", "/movie/1", "/search?q=alien", "/my", "/log-in", "/api/docs", "/nothing"):
        page = below.get(prefix + path)
        links = re.findall(r'(?:href|src|action)="(/[^"]*)"', page.text)
        assert len(links) > 5
        assert [link for link in links if not link.startswith(ROOT + "/")] == []
    for link in set(re.findall(r'(?:href|src)="(/[^"#]*)"', below.get(prefix + "/").text)):
        assert below.get(link.replace("&amp;", "&"), follow_redirects=False).status_code in {200, 303}, link


def test_redirects_cookies_and_the_description_know_the_prefix(below: TestClient) -> None:
    first = below.get("/account", follow_redirects=False)
    assert first.headers["location"] == f"{ROOT}/log-in?next=/account"
    page = below.get(f"{ROOT}/about")
    assert f"Path={ROOT};" in page.headers["set-cookie"]
    marked = below.post(f"{ROOT}/mark", data={"item_id": "1", "mark": "5", "next": "/movie/1"}, follow_redirects=False)
    assert marked.headers["location"] == f"{ROOT}/movie/1"
    assert "1" in below.get(f"{ROOT}/my").text
    language = below.get(f"{ROOT}/language?to=ko&next=/my", follow_redirects=False)
    assert language.headers["location"] == f"{ROOT}/my"
    assert f"Path={ROOT};" in language.headers["set-cookie"]
    assert below.get(f"{ROOT}/api/openapi.json").json()["servers"] == [{"url": ROOT}]
    assert below.get(f"{ROOT}/my").headers["cache-control"] == "no-store"
    assert below.get(ROOT).status_code == 200


def test_a_secure_cookie_below_a_path_has_no_host_prefix(open_site: Open) -> None:
    client = TestClient(open_site(root_path=ROOT), base_url="https://testserver")
    assert client.get(f"{ROOT}/about").headers["set-cookie"].startswith("__Secure-matinee_session=")


def test_text_that_looks_like_a_link_is_left_alone() -> None:
    assert with_root('<a href="/my">say &#34; href=&#34;/my</a> href=/x', "/f") == (
        '<a href="/f/my">say &#34; href=&#34;/my</a> href=/x'
    )
    assert with_root('<a href="//other.example/">', "/f") == '<a href="//other.example/">'


def test_the_first_part_of_every_route_is_no_root_path() -> None:
    routes = {route.path.split("/")[1] for part in (pages, api) for route in routes_of(part.router)} - {""}
    assert set(OWN) == routes | {"metrics", "operate", "static"}
    for part in OWN:
        with pytest.raises(UsageError, match="begins like a page of the site"):
            read_root_path(f"/{part}/films")


def test_pictures_below_a_path_are_where_pages_say(open_site: Open, tmp_path: Path) -> None:
    Image.new("RGB", (60, 90), "red").save(tmp_path / "a.png")
    app = open_site(root_path=ROOT, pictures=tmp_path)
    with SiteClient(app) as client:
        sent = {"title": "A new film", "picture": "a.png"}
        assert client.put(f"{ROOT}/api/v1/items/990001", json=sent, headers=key_headers(app, "admin")).is_success
        page = client.get(f"{ROOT}/movie/990001").text
        assert f'src="{ROOT}/picture/990001"' in page
        assert client.get(f"{ROOT}/picture/990001").headers["content-type"] == "image/webp"
        shared = re.search(r'og:image" content="([^"]+)"', page)
        assert shared is not None
        assert shared[1] == f"http://testserver{ROOT}/preview/990001"
        assert client.get(shared[1]).headers["content-type"] == "image/png"
        assert client.get(f"{ROOT}/manifest.webmanifest").json()["start_url"] == f"{ROOT}/"


@pytest.mark.parametrize(
    "path", ["films", "/a b", "/films?x", "/films#x", "//films", "/..", "/a/../b", "/é", "/my", "http://h/f", "/a%20"]
)  # fmt: skip
def test_a_wrong_root_path_is_refused(path: str) -> None:
    with pytest.raises(UsageError, match="--root-path"):
        SiteOptions(root_path=path)
    assert [read_root_path(good) for good in ("", "/", "/films/", "/a/b.c~d_e-1")] == ["", "", "/films", "/a/b.c~d_e-1"]


@pytest.mark.parametrize("proxies", ["proxy", "10.0.0.0/33", "*", "1.2.3", "10.0.0.1 10.0.0.2"])
def test_wrong_proxies_are_refused(proxies: str) -> None:
    with pytest.raises(UsageError, match="--forwarded-allow-ips"):
        ServerSettings(forwarded_allow_ips=proxies)


def post_scope(app: FastAPI, path: str = "/api/v1/events", **headers: str) -> dict[str, Any]:
    sent = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return {
        "type": "http",
        "method": "POST",
        "path": path,
        "headers": sent,
        "query_string": b"",
        "app": app,
        "state": {},
    }


async def call(app: Any, scope: dict[str, Any], receive: Any = None) -> tuple[int, dict[str, str]]:
    """Status and headers of an ASGI application's answer."""
    answers: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        answers.append(message)

    async def nothing() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    await app(scope, receive or nothing, send)
    return answers[0]["status"], {name.decode(): value.decode() for name, value in answers[0]["headers"]}


def test_a_body_that_does_not_end_is_given_up(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(body, "BODY_SECONDS", -MAX_BODY_BYTES / body.BYTES_A_SECOND + 0.05)

    async def trickle() -> dict[str, Any]:
        await asyncio.sleep(0.02)
        return {"type": "http.request", "body": b"x", "more_body": True}

    async def never(scope: object, receive: object, send: object) -> None:
        raise AssertionError("the application was called")

    bodies = WholeBodies(never)
    status, headers = asyncio.run(call(bodies, post_scope(app, transfer_encoding="chunked"), trickle))
    assert status == 408
    assert headers["connection"] == "close"
    assert bodies._held == 0


def test_chunks_beyond_the_limit_are_a_413(client: TestClient) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(20):
            yield b"x" * 20_000

    answer = client.post("/api/v1/events", content=chunks(), headers={"content-type": "application/json"})
    assert answer.status_code == 413


def test_past_the_queue_requests_are_refused_at_once(app: FastAPI) -> None:
    """Reads and writes have a lane each; health has none."""

    async def run() -> None:
        release = asyncio.Event()

        async def slow(scope: Any, receive: Any, send: Any) -> None:
            if scope["path"] != "/health/live":
                await release.wait()
            await send({"type": "http.response.start", "status": 200, "headers": []})

        gate = Admission(slow)
        reads = [asyncio.create_task(call(gate, post_scope(app) | {"method": "GET"})) for _ in range(64)]
        await asyncio.sleep(0)
        for _ in range(3):
            status, headers = await asyncio.wait_for(call(gate, post_scope(app) | {"method": "GET"}), 0.5)
            assert (status, headers["retry-after"]) == (503, "2")
        assert (await call(gate, post_scope(app, "/health/live") | {"method": "GET"}))[0] == 200
        write = asyncio.create_task(call(gate, post_scope(app)))
        await asyncio.sleep(0)
        assert not write.done()
        release.set()
        assert [status for status, _ in await asyncio.gather(*reads, write)] == [200] * 65
        assert (await call(gate, post_scope(app) | {"method": "GET"}))[0] == 200

    asyncio.run(run())


def test_few_reads_are_worked_on_at_a_time_and_writes_apart_from_them(app: FastAPI) -> None:
    """So that threads do not keep the event loop from refusing others."""

    async def run() -> None:
        release, working = asyncio.Event(), []

        async def slow(scope: Any, receive: Any, send: Any) -> None:
            working.append(scope["method"])
            await release.wait()
            await send({"type": "http.response.start", "status": 200, "headers": []})

        gate = Admission(slow)
        asked = [call(gate, post_scope(app) | {"method": method}) for method in ("GET", "HEAD", "POST") * 5]
        tasks = [asyncio.create_task(each) for each in asked]
        await asyncio.sleep(0)
        assert [method for method in working if method != "POST"] == ["GET", "HEAD"]
        assert working.count("POST") == 5
        release.set()
        assert {status for status, _ in await asyncio.gather(*tasks)} == {200}

    asyncio.run(run())


def test_a_request_that_waits_too_long_for_its_turn_is_refused(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admission, "QUEUE_SECONDS", 0.05)

    async def run() -> None:
        release = asyncio.Event()

        async def slow(scope: Any, receive: Any, send: Any) -> None:
            await release.wait()
            await send({"type": "http.response.start", "status": 200, "headers": []})

        gate = Admission(slow)
        first = [asyncio.create_task(call(gate, post_scope(app))) for _ in range(24)]
        await asyncio.sleep(0)
        assert (await call(gate, post_scope(app)))[0] == 503
        release.set()
        assert {status for status, _ in await asyncio.gather(*first)} == {200}
        assert (gate._writing.n, gate._writing.turns._value) == (0, 24)

    asyncio.run(run())


def test_a_rate_allows_a_burst_and_then_so_many_a_minute() -> None:
    clock = Clock()
    rate = RequestRate(clock, per_minute=60)
    assert [rate.take("a") for _ in range(61)] == [0] * 60 + [1]
    assert rate.take("b") == 0
    clock.now += 2
    assert [rate.take("a") for _ in range(3)] == [0, 0, 1]
    clock.now -= 3600  # a clock that is set back gives nothing away
    assert rate.take("a") > 0
    assert RequestRate(clock, 0).take("a") == 0


def test_addresses_visitors_and_keys_have_limits_of_their_own(open_site: Open) -> None:
    clock = Clock()
    app = open_site(rates={"address": 30, "visitor": 10, "key": 5}, ticks=clock)
    visitor = SiteClient(app, token="A" * 43)
    assert [visitor.get("/about").status_code for _ in range(11)] == [200] * 10 + [429]
    refused = visitor.get("/about")
    assert int(refused.headers["retry-after"]) >= 1
    assert visitor.get("/health/live").status_code == 200
    assert visitor.get("/static/site.css").status_code == 200
    stranger = SiteClient(app)
    found = [stranger.get("/health/ready", headers={}).status_code for _ in range(3)]
    assert found == [200] * 3
    statuses = [TestClient(app, client=STRANGER).get("/about").status_code for _ in range(31)]
    assert statuses == [200] * 30 + [429]
    assert TestClient(app, client=("127.0.0.1", 1)).get("/about").status_code == 200
    headers = key_headers(app, "read")
    by_key = [TestClient(app).get("/api/v1/items", headers=headers).status_code for _ in range(6)]
    assert by_key == [200] * 5 + [429]
    clock.now += 60
    assert visitor.get("/about").status_code == 200


def test_wrong_keys_cost_their_address(open_site: Open) -> None:
    app = open_site(rates={"address": 60}, ticks=Clock())
    client = TestClient(app, client=STRANGER)
    wrong = {"Authorization": "Bearer matinee_000000000000_" + "A" * 43}
    statuses = [client.get("/api/v1/items", headers=wrong).status_code for _ in range(5)]
    assert statuses == [401, 401, 401, 429, 429]
    assert client.get("/api/v1/items", headers=key_headers(app, "read")).status_code == 200
