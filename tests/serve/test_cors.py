"""Pages of other sites that call the API from a browser: named origins with cookies, any without, nobody by default."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from matinee.errors import UsageError
from matinee.serve.app import create_app
from matinee.serve.http.cors import read_origins
from matinee.serve.options import SiteOptions
from site_fixtures import CHEAP, NOW, key_headers

SHOP, OTHER = "https://shop.example.org", "https://evil.example"
WATCHED = {"item_id": 1214, "kind": "watched"}
ALLOWED, CREDENTIALS = "access-control-allow-origin", "access-control-allow-credentials"
Open = Callable[..., FastAPI]


@pytest.fixture
def open_site(artefact_paths: list[Path], tmp_path: Path) -> Iterator[Open]:
    """Opens a site whose API these origins may call."""
    opened: list[FastAPI] = []

    def open_(*origins: str, **options: str) -> FastAPI:
        url = f"sqlite:///{tmp_path}/cors.db"
        found = SiteOptions(cors_origins=origins, **options)
        opened.append(create_app(artefact_paths, db_url=url, clock=lambda: NOW, hasher=CHEAP, options=found))
        return opened[-1]

    yield open_
    for app in opened:
        app.state.site.database.close()


@contextmanager
def browser(app: FastAPI, origin: str, cookie: str = "") -> Iterator[TestClient]:
    """A page of another origin, which sends what a browser sends for it."""
    headers = {"origin": origin, "sec-fetch-site": "cross-site"} | ({"cookie": cookie} if cookie else {})
    yield TestClient(app, headers=headers)


def preflight(client: TestClient, path: str, method: str, *headers: str) -> dict[str, str]:
    asked = {"access-control-request-method": method, "access-control-request-headers": ", ".join(headers)}
    answer = client.options(path, headers={name: value for name, value in asked.items() if value})
    return dict(answer.headers) | {"status": str(answer.status_code)}


def test_by_default_no_page_of_another_site_reads_or_writes(client: TestClient, app: FastAPI) -> None:
    with browser(app, SHOP) as page:
        assert ALLOWED not in page.get("/api/v1/items").headers
        assert page.post("/api/v1/events", json=WATCHED).status_code == 403
        assert ALLOWED not in preflight(page, "/api/v1/events", "POST")


def test_a_named_origin_reads_writes_and_sends_cookies(open_site: Open) -> None:
    app = open_site(SHOP, "http://localhost:5173")
    for origin in (SHOP, "http://localhost:5173"):
        with browser(app, origin) as page:
            asked = preflight(page, "/api/v1/events", "POST", "content-type", "authorization", "x-client-id")
            assert (asked["status"], asked[ALLOWED], asked[CREDENTIALS]) == ("200", origin, "true")
            assert "X-Client-Id" in asked["access-control-allow-headers"]
            answer = page.post("/api/v1/events", json=WATCHED)
            assert (answer.status_code, answer.headers[ALLOWED], answer.headers[CREDENTIALS]) == (201, origin, "true")
            assert "Origin" in answer.headers["vary"]
            assert "X-Request-ID" in answer.headers["access-control-expose-headers"]


def test_errors_can_be_read_by_a_named_origin(open_site: Open) -> None:
    with browser(open_site(SHOP), SHOP) as page:
        for path, status in (("/api/v1/recommendations?k=0", 422), ("/api/v1/users/7", 401), ("/api/v1/nothing", 404)):
            answer = page.get(path)
            assert (answer.status_code, answer.headers[ALLOWED]) == (status, SHOP), path


def test_other_origins_are_refused_beside_a_named_one(open_site: Open) -> None:
    app = open_site(SHOP)
    more = ["null", "http://shop.example.org", f"{SHOP}:8443", f"{SHOP}.evil.example", "https://a.shop.example.org", ""]
    for origin in (OTHER, *more):
        with browser(app, origin) as page:
            assert page.post("/api/v1/events", json=WATCHED).status_code == 403, origin
            answer = page.get("/api/v1/items")
            assert not {ALLOWED, CREDENTIALS} & set(answer.headers), origin
            assert not {ALLOWED, CREDENTIALS} & set(preflight(page, "/api/v1/events", "POST")), origin


def test_any_origin_may_call_without_cookies_only(open_site: Open) -> None:
    app = open_site("*")
    with browser(app, OTHER) as page:
        assert preflight(page, "/api/v1/events", "POST", "authorization")[ALLOWED] == "*"
        headers = key_headers(app, "write")
        answer = page.post("/api/v1/events", json=WATCHED | {"user_id": "u"}, headers=headers)
        assert (answer.status_code, answer.headers[ALLOWED]) == (201, "*")
        assert CREDENTIALS not in answer.headers
    with browser(app, OTHER, cookie="matinee_session=abc") as page:
        assert page.post("/api/v1/events", json=WATCHED).status_code == 403
        assert not {ALLOWED, CREDENTIALS} & set(page.get("/api/v1/recommendations").headers)


@pytest.mark.parametrize("origins", [("*",), (SHOP,)])
def test_pages_and_forms_stay_closed(open_site: Open, origins: tuple[str, ...]) -> None:
    with browser(open_site(*origins), SHOP) as page:
        assert page.post("/mark", data={"item_id": 1, "mark": "5"}).status_code == 403
        for path in ("/", "/my/data.json", "/api/docs", "/health", "/api/v1"):
            assert ALLOWED not in page.get(path).headers, path


def test_a_preflight_of_another_method_or_header_is_refused(open_site: Open) -> None:
    with browser(open_site(SHOP), SHOP) as page:
        assert preflight(page, "/api/v1/events", "PATCH")["status"] == "400"
        assert preflight(page, "/api/v1/events", "POST", "x-secret")["status"] == "400"


def test_it_works_below_a_root_path(open_site: Open) -> None:
    with browser(open_site(SHOP, root_path="/films"), SHOP) as page:
        assert preflight(page, "/films/api/v1/events", "POST")[ALLOWED] == SHOP
        assert page.post("/films/api/v1/events", json=WATCHED).status_code == 201


def test_origins_are_read_as_browsers_write_them() -> None:
    assert read_origins(["HTTPS://Shop.Example.org:443", "http://[::1]:08080", "https://shop.example.org"]) == (
        "https://shop.example.org",
        "http://[::1]:8080",
    )


@pytest.mark.parametrize(
    "origins",
    [
        ["shop.example.org"],
        ["https://shop.example.org/"],
        ["https://shop.example.org/path"],
        ["https://*.example.org"],
        ["https://user@shop.example.org"],
        ["ftp://shop.example.org"],
        ["https://shop.example.org:0"],
        ["https://shop.example.org:70000"],
        ["https://가게.example"],
        ["null"],
        [""],
        ["*", SHOP],
    ],
)
def test_a_wrong_origin_is_refused(origins: list[str]) -> None:
    with pytest.raises(UsageError, match="--cors-origin"):
        SiteOptions(cors_origins=tuple(origins))
