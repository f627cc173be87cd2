"""The pages, as a browser without JavaScript sees them."""

import re
import socket
from dataclasses import replace
from pathlib import Path

import pytest
from fastapi import FastAPI
from markupsafe import escape
from sqlalchemy import event as sql_event

from matinee.dataset import Dataset
from matinee.errors import MatineeError
from matinee.serve import api, pages
from matinee.serve.accounts.sessions import COOKIE
from matinee.serve.app import create_app, serve
from matinee.serve.http.body import MAX_BODY_BYTES
from matinee.serve.http.middleware import HEADERS
from matinee.serve.http.server import ServerSettings, listen, require_free
from matinee.serve.pages.choices import PICKER
from matinee.serve.pages.home import ENOUGH, FOR_YOU
from matinee.serve.site import Site
from matinee.vocab import Vocab
from site_fixtures import NOW, SiteClient, count_events, note_prepared, routes_of, train
from site_fixtures import SiteClient as TestClient

ALIEN, MATRIX, TOY_STORY = 1214, 2571, 1
PROJECT = Path(__file__).parents[2]


def mark(client: TestClient, item_id: object, what: str, **more: str) -> str:
    answer = client.post("/mark", data={"item_id": str(item_id), "mark": what, **more})
    assert answer.status_code == 200, answer.text
    return answer.text


def section(page: str, name: str) -> str:
    found = re.search(rf'<section[^>]*id="{name}".*?</section>', page, re.DOTALL)
    return found.group(0) if found else ""


def items(page: str) -> list[int]:
    return [int(found) for found in re.findall(r'data-item="(\d+)"', page)]


def test_a_new_visitor_sees_an_invitation_and_popular_movies(client: TestClient) -> None:
    answer = client.get("/")
    assert "max-age" not in answer.headers["set-cookie"].lower()  # for the forms' token; ends with the browser
    assert "Tell us three" in answer.text
    assert len(items(section(answer.text, "start"))) == 12
    assert len(items(section(answer.text, "popular-now"))) == 12
    assert len(items(section(answer.text, "popular"))) == 12
    assert len(re.findall(r'<section id="genre-', answer.text)) == 5
    assert section(answer.text, "for-you") == ""


def test_a_rating_changes_the_list_at_once_and_is_a_reason(client: TestClient) -> None:
    page = mark(client, ALIEN, "5", next="/#for-you")
    first = section(page, "for-you")
    assert len(items(first)) == FOR_YOU
    assert ALIEN not in items(first)
    assert "Because you liked" in first
    assert 'href="/movie/1214">Alien</a>' in first
    assert items(section(page, "recent")) == [ALIEN]
    assert "2 more" in page
    page = mark(client, TOY_STORY, "5")
    assert items(section(page, "for-you")) != items(first)
    page = mark(client, MATRIX, "1")
    assert "Tell us three" not in page
    assert "That’s enough" in section(page, "start")
    assert not {ALIEN, TOY_STORY, MATRIX} & set(items(section(page, "start")))
    assert items(section(page, "recent")) == [MATRIX, TOY_STORY, ALIEN]


def test_low_ratings_and_watches_are_not_called_liked(client: TestClient) -> None:
    for what in ("1", "watched"):
        page = mark(client, ALIEN, what)
        assert "Because you watched" in section(page, "for-you")
        assert "Because you liked" not in page


def test_removed_movies_no_longer_count(client: TestClient) -> None:
    one = items(section(mark(client, ALIEN, "5"), "for-you"))
    mark(client, TOY_STORY, "4")
    page = mark(client, TOY_STORY, "removed")
    assert items(section(page, "for-you")) == one
    page = mark(client, ALIEN, "removed")
    assert "Tell us three" in page


def test_a_link_switches_the_model(client: TestClient) -> None:
    mark(client, ALIEN, "5")
    lists = {}
    for model, label in (("ease", "EASE"), ("item-knn", "ItemKNN"), ("popularity", "Popularity")):
        page = client.get("/", params={"model": model}).text
        assert f'<a href="/?model={model}" aria-current="true"' in page
        assert label in page
        lists[model] = items(section(page, "for-you"))
    assert len({tuple(found) for found in lists.values()}) == 3
    assert lists["ease"] == items(section(client.get("/").text, "for-you"))


def test_a_mark_is_written_with_its_list(client: TestClient, app: FastAPI) -> None:
    page = mark(client, ALIEN, "5")
    form = re.search(r'<form class="marks".*?</form>', section(page, "for-you"), re.DOTALL)
    assert form is not None
    fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', form.group(0).partition("<span")[0]))
    client.post("/mark", data=fields | {"mark": "4"})
    site: Site = app.state.site
    with site.database.read() as connection:
        row = connection.exec_driver_sql("SELECT * FROM events ORDER BY seq DESC").first()
    assert row is not None
    assert (row.item_id, row.kind, row.value, row.at) == (fields["item_id"], "rating", 4.0, NOW)
    shown = site.impressions.find(fields["list_id"])
    assert shown is not None
    position = [*map(str, shown.item_ids)].index(row.item_id) + 1
    assert position > 1  # the first is for tonight
    assert (row.model, row.list_id, row.position) == ("ease", fields["list_id"], position)


def test_a_movie_page(client: TestClient) -> None:
    page = client.get(f"/movie/{MATRIX}").text
    assert "<h1>The Matrix</h1>" in page
    assert "Matrix, The (1999)" in page
    assert "Action · Sci-Fi · Thriller" in page
    near = items(section(page, "similar"))
    assert len(near) == 12
    assert MATRIX not in near
    assert items(section(client.get(f"/movie/{MATRIX}?model=ease").text, "similar")) != near
    rated = mark(client, MATRIX, "4", next=f"/movie/{MATRIX}")
    assert "You gave it 4 of 5" in rated
    assert 'aria-label="Rate The Matrix 4 of 5" aria-pressed="true"' in rated


def test_my_movies_shows_changes_and_deletes(client: TestClient, app: FastAPI) -> None:
    assert "Nothing yet" in client.get("/my").text
    mark(client, ALIEN, "5")
    page = mark(client, MATRIX, "watched", next="/my")
    assert items(page) == [MATRIX, ALIEN]
    assert "15 June 2025" in page
    assert items(mark(client, ALIEN, "removed", next="/my")) == [MATRIX]
    known = client.cookies[COOKIE]
    assert "Everything is deleted" in client.post("/forget").text
    assert "Tell us three" in client.get("/").text
    assert client.cookies[COOKIE] != known
    site: Site = app.state.site
    assert count_events(site.database) == 0
    with site.database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM visitors").scalar() == 0


def test_search_with_and_without_a_match(client: TestClient) -> None:
    assert items(client.get("/search", params={"q": "the matrx"}).text)[0] == MATRIX
    nothing = client.get("/search", params={"q": "zzzzqqqq"})
    assert "Nothing found" in nothing.text
    assert len(items(nothing.text)) == 6
    assert client.get("/search").status_code == 200
    options = client.get("/search/suggest", params={"q": "alien"}).text
    assert '<a role="option" id="option-1"' in options
    assert "<html" not in options


def test_about_names_the_data_and_its_licence(client: TestClient) -> None:
    page = client.get("/about").text
    for words in ("GroupLens", "MovieLens", "Harper", "Konstan", "2015", "non-commercial"):
        assert words in page


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("/movie/99999999", "There is no movie &#39;99999999&#39;"),
        ("/movie/the matrx", "/movie/2571"),
        ("/movie/-1", "Not found"),
        ("/movie/%F0%9F%8E%AC/../x", "Not found"),
        ("/nothing/here", "There is no page"),
        ("/?model=eaze", "popularity, item-knn, ease"),
        ("/movie/1?model=eaze", "There is no model"),
        ("/movie/<script>alert(1)</script>", "Not found"),
        ("/static/none.css", "Not found"),
        ("/static/", "Not found"),
        ("/static/fonts/", "Not found"),
        ("/static/%2e%2e/site.py", "Not found"),
    ],
)
def test_unknown_paths_and_ids_are_404_pages_with_suggestions(client: TestClient, path: str, says: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 404
    assert says in answer.text
    assert len(items(answer.text)) >= 1
    assert "<script>alert" not in answer.text


ODD = [
    "<script>alert(1)</script>",
    "'; DROP TABLE events; --",
    '"><img src=x onerror=alert(1)>',
    "{{ 7*7 }}",
    "한국 🎬",
]
ELSEWHERE = ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "/a\r\nX: y"]
PATHS = ["/", "/movie/1", "/my", "/about", "/search?q=x", "/movie/none", "/api/v1/items", "/static/site.css"]


@pytest.mark.parametrize("text", ODD)
def test_arbitrary_text_in_fields_is_harmless(client: TestClient, app: FastAPI, text: str) -> None:
    pages = [
        client.get("/search", params={"q": text}),
        client.get("/search/suggest", params={"q": text}),
        client.get("/", params={"model": text}),
        *(
            client.post("/mark", data={"item_id": str(ALIEN), "mark": "3"} | {field: text})
            for field in ("item_id", "mark", "next", "model", "list_id", "position")
        ),
    ]
    for page in pages:
        assert page.status_code in {200, 404, 422}
        assert "<script>alert" not in page.text
        assert "<img src=x" not in page.text
    assert str(escape(text)) in pages[0].text
    site: Site = app.state.site
    assert count_events(site.database) <= 3


@pytest.mark.parametrize("field", ["item_id", "mark"])
def test_a_form_with_missing_fields_is_refused(client: TestClient, field: str) -> None:
    fields = {"item_id": str(ALIEN), "mark": "3"}
    del fields[field]
    assert client.post("/mark", data=fields).status_code == 422


@pytest.mark.parametrize("target", ELSEWHERE)
def test_forms_redirect_only_within_the_site(client: TestClient, target: str) -> None:
    answer = client.post("/mark", data={"item_id": str(ALIEN), "mark": "3", "next": target}, follow_redirects=False)
    assert answer.status_code == 303
    assert answer.headers["location"] == "/"


def test_the_cookie_is_random_and_stored_only_as_a_hash(client: TestClient, app: FastAPI) -> None:
    answer = client.post("/mark", data={"item_id": str(ALIEN), "mark": "3"}, follow_redirects=False)
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Secure" not in cookie
    token = client.cookies[COOKIE]
    site: Site = app.state.site
    with site.database.read() as connection:
        rows = connection.exec_driver_sql("SELECT token_hash, user_id FROM visitors").all()
    assert len(rows) == 1
    assert token not in str(rows)
    assert rows[0].user_id not in client.get("/my").text
    secure = TestClient(app, base_url="https://testserver")
    answer = secure.post("/mark", data={"item_id": str(ALIEN), "mark": "3"}, follow_redirects=False)
    assert "Secure" in answer.headers["set-cookie"]


@pytest.mark.parametrize("cookie", ["", "x", "a" * 43, "'; DROP TABLE visitors; --", "a" * 4000, "%00"])
def test_an_unknown_cookie_is_a_new_visitor(app: FastAPI, cookie: str) -> None:
    client = TestClient(app, headers={"cookie": f"{COOKIE}={cookie}"})
    assert "Tell us three" in client.get("/").text
    fresh = client.get("/").headers.get("set-cookie", "")
    assert "Path=/" in fresh or len(cookie) == 43  # a token of the right form is kept until it is used
    assert f"{COOKIE}={cookie};" not in fresh


def test_visitors_do_not_see_each_other(app: FastAPI) -> None:
    one, other = TestClient(app), TestClient(app)
    mark(one, ALIEN, "5")
    mark(other, TOY_STORY, "5")
    assert items(one.get("/my").text) == [ALIEN]
    mark(other, ALIEN, "removed")
    assert items(one.get("/my").text) == [ALIEN]


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_has_strict_headers(client: TestClient, path: str) -> None:
    answer = client.get(path)
    for name, value in HEADERS.items():
        assert answer.headers[name] == value
    assert "unsafe" not in answer.headers["content-security-policy"]
    expected = "public" if "static" in path else "no-store" if path == "/my" else "private"
    assert answer.headers["cache-control"].startswith(expected)


@pytest.mark.parametrize("path", ["/", "/movie/1", "/my", "/about", "/search?q=star", "/api/docs"])
def test_pages_load_nothing_from_other_hosts_and_have_no_inline_code(client: TestClient, path: str) -> None:
    mark(client, ALIEN, "5")
    page = client.get(path).text
    assert not re.search(r'(?:src|href|action)="(?:https?:)?//', page)
    assert not re.search(r"<script(?![^>]*src=)|\sstyle=|\son\w+=", page)
    for found in re.findall(r'(?:src|href)="(/static/[^"]+)"', page):
        assert client.get(found).status_code == 200
    css = "".join(re.findall(r"<style>(.*?)</style>", page, re.DOTALL)) + client.get("/static/fonts.css").text
    assert "http" not in css
    for found in re.findall(r"url\(([^)]+)\)", css):
        assert client.get(f"/static/{found}").status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 303),
        ({"origin": "http://testserver"}, 303),
        ({"sec-fetch-site": "same-origin"}, 303),
        ({"sec-fetch-site": "none"}, 303),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site", "origin": "http://testserver"}, 403),
    ],
)
def test_only_pages_of_the_site_may_post(
    client: TestClient, app: FastAPI, headers: dict[str, str], status: int
) -> None:
    fields = {"item_id": str(ALIEN), "mark": "3"}
    assert client.post("/mark", data=fields, headers=headers, follow_redirects=False).status_code == status
    site: Site = app.state.site
    assert count_events(site.database) == (status == 303)


def test_body_sizes_are_limited_with_and_without_content_length(client: TestClient) -> None:
    large = b"x" * (MAX_BODY_BYTES + 1)
    headers = {"content-type": "application/json"}
    assert client.post("/api/v1/events", content=large, headers=headers).status_code == 413
    assert client.post("/api/v1/events", content=iter([large[:1000], large]), headers=headers).status_code == 413


def test_a_page_takes_two_queries_and_its_lists_are_logged_after_it(
    app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = SiteClient(app)  # not started, so that nothing asks in the background each half second
    monkeypatch.setattr("matinee.store.later.GATHER_SECONDS", 60)  # and nothing writes before the flush below
    for item_id in (ALIEN, MATRIX, TOY_STORY):
        mark(client, item_id, "5")
    site: Site = app.state.site
    queries: list[str] = []
    for engine in {site.database._reader, site.database._writer}:  # a server has one for both
        sql_event.listen(engine, "before_cursor_execute", lambda *call: queries.append(call[2]))
    note_prepared(monkeypatch, queries)
    client.get("/")
    asked = [query.split()[0] for query in queries]
    assert asked == ["SELECT", "SELECT"], queries  # the session, the events
    site.database.flush()
    assert sum(query.startswith("INSERT INTO lists") for query in queries) == 1


def test_the_page_of_a_defect_reveals_nothing(app: FastAPI, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*args: object) -> None:
        raise RuntimeError("secret")

    monkeypatch.setattr(Site, "state_of", fail)
    answer = TestClient(app, raise_server_exceptions=False).get("/")
    assert answer.status_code == 500
    assert "secret" not in answer.text
    assert answer.headers["content-security-policy"]


def test_ids_of_any_kind_have_pages(known_movies: Dataset, tmp_path: Path) -> None:
    kinds = ("a/b", "ü &?#", "x")
    names = sorted(f"{kinds[row % 3]} {row:04}" for row in range(len(known_movies.items)))
    path = train("item-knn", replace(known_movies, items=Vocab.of(names)), tmp_path)
    with TestClient(create_app([path], db_url=f"sqlite:///{tmp_path}/ids.db", clock=lambda: NOW)) as client:
        page = client.get("/").text
        links = sorted(set(re.findall(r'href="(/movie/[^"]+)"', page)))
        assert len(links) > 20
        for link in links:
            assert client.get(link).status_code == 200
        assert "more" in mark(client, names[0], "5")
        assert client.get(f"/api/v1/items/{names[0]}/similar").status_code == 200


def test_a_port_in_use_is_an_error_with_the_fix(artefact_paths: list[Path], tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(MatineeError, match=f"127.0.0.1:{port}.*--port"):
            serve(artefact_paths, ServerSettings(port=port), db=f"sqlite:///{tmp_path}/x.db")
        with pytest.raises(MatineeError, match="--port"):
            require_free("127.0.0.1", port)
    require_free("127.0.0.1", port)


def test_the_documentation_lists_every_route() -> None:
    text = (PROJECT / "docs" / "serving.md").read_text("utf-8")
    routes = [route for part in (pages, api) for route in routes_of(part.router)]
    assert len(routes) > 12
    documented = {"GET /api/openapi.json", "GET /metrics", "GET /operate", "GET /operate/", "GET /static"}
    for route in routes:
        documented |= {
            f"{method} {route.path.replace(':path}', '}')}" for method in (route.methods or set()) - {"HEAD"}
        }
    for name in sorted(documented):
        assert f"| `{name}` |" in text
    assert len(re.findall(r"^\| `(?:GET|POST|PUT|DELETE) /", text, re.MULTILINE)) == len(documented)


def test_the_invitation_stays_until_one_closes_it_or_is_known(client: TestClient) -> None:
    for n, item_id in enumerate((ALIEN, MATRIX, TOY_STORY)):
        page = mark(client, item_id, "4")
        assert ("more, or close" in section(page, "start")) == (n + 1 >= ENOUGH)
    closed = client.post("/picker", data={"state": "closed"}).text
    assert section(closed, "start") == ""
    assert section(mark(client, "1200", "4"), "start") == ""
    assert section(client.post("/picker", data={"state": "open"}).text, "start") != ""
    assert client.post("/picker", data={"state": "ajar"}).status_code == 422
    client.cookies.delete(PICKER)
    for row in client.get("/api/v1/items?k=20").json():
        page = mark(client, str(row["item_id"]), "4")
    assert section(page, "start") == ""


def test_a_guest_who_closes_the_invitation_can_open_it_again(client: TestClient) -> None:
    closed = client.post("/picker", data={"state": "closed"}).text
    assert section(closed, "start") == ""
    assert closed.count("<h1") == 1
    assert 'name="state" value="open"' in closed


def test_popular_movies_replace_items_without_evidence(client: TestClient, app: FastAPI) -> None:
    for item_id in (ALIEN, MATRIX):
        mark(client, item_id, "5")
    site: Site = app.state.site
    found = site.for_you(site.state_of(user_of(site)), len(site.engine.items), "item-knn")
    rows = [item.item_row for item in found]
    assert sorted(rows + site.engine.items.rows([ALIEN, MATRIX]).tolist()) == list(range(len(site.engine.items)))
    by_model = [item.model for item in found]
    assert by_model == sorted(by_model)  # item-knn first, then popularity
    assert {"item-knn", "popularity"} == set(by_model)


def user_of(site: Site) -> str:
    with site.database.read() as connection:
        return str(connection.exec_driver_sql("SELECT user_id FROM visitors").scalar_one())


def test_the_server_turns_nagles_algorithm_off() -> None:
    """asyncio turns Nagle's algorithm off only on sockets made with IPPROTO_TCP."""
    with listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()) as _:
        connection, _address = listener.accept()
        with connection:
            assert connection.proto == socket.IPPROTO_TCP
