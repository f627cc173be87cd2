"""Items that are added, changed and withdrawn while the site runs: found, listed, predicted and kept."""

import threading
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from matinee.histories import Histories
from matinee.item_table import ItemTable
from matinee.models.content.content_map import ContentMap
from matinee.serve.site import Site
from matinee.store.artefact import load
from matinee.store.live_items import SqlLiveItems
from matinee.store.protocols import LiveItem
from matinee.vocab import UNKNOWN, GrownVocab, Vocab
from shop_fixtures import open_shop, shop_data
from site_fixtures import SiteClient, train

KETTLE = {"title": "Copper samovar", "genres": ["Kitchen"]}
HISTORY = "p000,p001,p012,p020"
"""Kitchen things."""


def open_by_admin(paths: list[Path], folder: Path) -> SiteClient:
    client = open_shop(paths, folder)
    _, text = client.app.state.site.api_keys.create("test", ["admin"])  # type: ignore[attr-defined]  # any ASGI app
    client.headers["Authorization"] = f"Bearer {text}"
    return client


@pytest.fixture
def shop(shop_paths: list[Path], tmp_path: Path) -> Iterator[SiteClient]:
    with open_by_admin(shop_paths, tmp_path) as client:
        yield client


def put(client: TestClient, item_id: str, **item: Any) -> Any:
    answer = client.put(f"/api/v1/items/{item_id}", json=item)
    assert answer.status_code in (200, 201), answer.text
    return answer.json()


def listed(client: TestClient, k: int = 100, **query: str) -> list[str]:
    answer = client.get("/api/v1/recommendations", params={"history": HISTORY, "k": k, **query})
    return [item["item_id"] for item in answer.json()["items"]]


def found(client: TestClient, query: str) -> list[str]:
    return [item["item_id"] for item in client.get("/api/v1/items", params={"query": query}).json()]


def test_what_the_first_new_item_waits_for_is_made_ahead_where_a_key_may_add_items(shop: SiteClient) -> None:
    assert shop.app.state.site.api_keys.has("admin")
    content = shop.app.state.live._growth._content
    deadline = time.monotonic() + 20
    while content._prepared is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert content._prepared is not None


def test_a_new_item_is_found_and_listed_at_once(shop: SiteClient) -> None:
    assert found(shop, "samovar") == []
    kept = put(shop, "new-1", **KETTLE)
    assert kept["recommendable"]
    assert kept["notes"] == []
    assert found(shop, "samovar") == ["new-1"]
    assert shop.get("/api/v1/items/new-1").json()["title"] == "Copper samovar"
    assert "Search 241 products" in shop.get("/item/new-1", headers={"Accept-Language": "en"}).text
    for model in ("ease", "item-knn", "ials"):
        assert "new-1" in listed(shop, model=model), model
    assert "new-1" not in listed(shop, model="popularity")


def test_what_is_new_has_a_row_on_the_home_page_and_a_list_of_the_api(shop: SiteClient) -> None:
    english = {"Accept-Language": "en"}
    assert 'id="new"' not in shop.get("/", headers=english).text
    put(shop, "new-1", **KETTLE)
    put(shop, "new-2", title="Copper hammock", genres=["Garden"])
    page = shop.get("/", headers=english).text
    assert "added lately, the newest first" in page
    assert page.index('data-item="new-2"') < page.index('data-item="new-1"')
    assert listed(shop, new="true")[0] == "new-1"  # a kitchen thing for somebody who buys kitchen things
    assert set(listed(shop, new="true")) == {"new-1", "new-2"}
    assert listed(shop, new="true", without="new-1") == ["new-2"]
    for item in ("p000", "p012"):
        shop.post("/mark", data={"item_id": item, "mark": "purchase"})
    assert "what fits you first" in shop.get("/", headers=english).text
    shop.delete("/api/v1/items/new-1")
    assert listed(shop, new="true") == ["new-2"]
    assert 'data-item="new-1"' not in shop.get("/", headers=english).text


def test_a_history_of_which_the_model_knows_nothing_gets_popular_items_and_is_told(shop: SiteClient) -> None:
    engine = shop.app.state.site.engine  # type: ignore[attr-defined]
    unknown = int(np.flatnonzero(engine.popularity == 0)[0]) if (engine.popularity == 0).any() else 0
    model = engine.artefacts["ease"].model
    weights = model.weights
    model.weights = np.where(np.arange(len(weights))[:, None] == unknown, 0, weights).astype(np.float32)
    history = str(engine.items.id(unknown))
    answer = shop.get("/api/v1/recommendations", params={"history": history, "k": 5, "model": "ease"}).json()
    model.weights = weights
    wanted = [item.item_id for item in engine.popular(6) if item.item_row != unknown][:5]
    assert [item["item_id"] for item in answer["items"]] == wanted
    assert answer["notes"] == ["the model knows nothing that this history likes: the list is by popularity"]


def test_a_new_item_scores_as_its_prediction_from_the_same_features(shop: SiteClient, shop_paths: list[Path]) -> None:
    put(shop, "new-1", **KETTLE)
    put(shop, "new-2", title="Copper hammock", genres=["Garden"])
    engine = shop.app.state.site.engine  # type: ignore[attr-defined]
    history = Histories.of([engine.items.rows(HISTORY.split(",")).tolist()])
    for path in shop_paths[1:]:
        trained, grown = load(path).model, engine.now.models[path.name]
        scores = grown.score(grown.state_of(history))[0]
        near = 1e-2 if path.name == "ials" else 1e-5  # its fold-in reads the vectors of all items
        assert np.allclose(scores[:240], trained.score(trained.state_of(history))[0], atol=near)
        assert scores[240] > scores[241], path.name  # a kitchen thing for somebody who buys kitchen things
        table = ItemTable.of_catalogue(Vocab(np.arange(242)), engine.catalogue)
        mapped = ContentMap.of(table, engine.popularity)  # the same items as a table at training, by the other code
        mixed = np.zeros(240, dtype=np.float32)
        mixed[mapped.known] = mapped.mixing[:, 0]
        if path.name == "ease":
            assert scores[240] == pytest.approx((trained.weights @ mixed)[history.items].sum(), rel=1e-3)


def test_the_same_id_changes_the_item(shop: SiteClient) -> None:
    put(shop, "new-1", **KETTLE)
    before = listed(shop).index("new-1")
    answer = shop.put("/api/v1/items/new-1", json={"title": "Rope ladder", "genres": ["Sport"]})
    assert answer.status_code == 200
    assert found(shop, "samovar") == []
    assert found(shop, "ladder") == ["new-1"]
    assert "new-1" not in listed(shop) or listed(shop).index("new-1") > before
    put(shop, "p001", title="Kettle of another name", genres=["Kitchen"])
    assert "p001" in found(shop, "another name")
    assert "p001" not in found(shop, "oak kettle")


def test_a_withdrawn_item_is_nowhere_but_on_its_page(shop: SiteClient) -> None:
    put(shop, "new-1", **KETTLE)
    popular = shop.get("/api/v1/items").json()[0]["item_id"]
    other = shop.get("/api/v1/items/p001/similar").json()["items"][0]["item_id"]
    for item in ("new-1", popular, other):
        assert shop.delete(f"/api/v1/items/{item}").status_code == 204
        assert shop.delete(f"/api/v1/items/{item}").status_code == 204
        page = shop.get(f"/item/{item}", headers={"Accept-Language": "en"})
        assert page.status_code == 410
        assert "This product was withdrawn" in page.text
        assert shop.get(f"/api/v1/items/{item}").json()["withdrawn"]
        title = shop.get(f"/api/v1/items/{item}").json()["title"]
        assert item not in found(shop, title)
        for model in ("ease", "item-knn", "ials", "popularity"):
            assert item not in listed(shop, model=model)
            assert item not in listed(shop, model=model, rerank="novelty=0.5,diversity=0.3")
        assert item not in [one["item_id"] for one in shop.get("/api/v1/items?k=100").json()]
        assert item not in [one["item_id"] for one in shop.get("/api/v1/items/p001/similar?k=100").json()["items"]]
        for address in ("/", "/?more=1", "/models/popularity", "/compare", f"/search?q={title}"):
            assert f'data-item="{item}"' not in shop.get(address).text
    shop.post("/mark", data={"item_id": "p012", "mark": "purchase"})
    for address in ("/", "/models/ease", "/models/ease?novelty=0.5", "/item/p012"):
        assert f'data-item="{popular}"' not in shop.get(address).text
    put(shop, "new-1", **KETTLE)
    assert found(shop, "samovar") == ["new-1"]


def test_events_with_new_and_withdrawn_items_are_kept(shop: SiteClient) -> None:
    put(shop, "new-1", **KETTLE)
    for item in ("p000", "p012", "new-1"):
        shop.post("/mark", data={"item_id": item, "mark": "purchase"})
    assert 'data-item="new-1"' in shop.get("/my").text
    mine = [one["item_id"] for one in shop.get("/api/v1/recommendations?k=100").json()["items"]]
    assert "new-1" not in mine
    shop.delete("/api/v1/items/p012")
    assert shop.post("/api/v1/events", json={"item_id": "p012", "kind": "purchase"}).status_code == 201
    assert 'data-item="p012"' in shop.get("/my").text
    shop.post("/mark", data={"item_id": "new-1", "mark": "removed"})
    shop.post("/mark", data={"item_id": "new-1", "mark": "dismissed"})
    assert "new-1" not in [one["item_id"] for one in shop.get("/api/v1/recommendations?k=100").json()["items"]]
    for address in ("/why/new-1?model=ease", "/why/new-1?model=popularity", "/item/new-1?model=ials", "/item/new-1"):
        assert shop.get(address).status_code == 200, address


def test_changes_survive_a_restart_and_reach_other_processes(shop_paths: list[Path], tmp_path: Path) -> None:
    with open_by_admin(shop_paths, tmp_path) as first, open_by_admin(shop_paths, tmp_path) as second:
        put(first, "new-1", **KETTLE)
        first.delete("/api/v1/items/p001")
        deadline = time.monotonic() + 5
        while found(second, "samovar") != ["new-1"] and time.monotonic() < deadline:
            time.sleep(0.05)
        assert found(second, "samovar") == ["new-1"]
        assert "p001" not in found(second, "oak kettle")
        put(second, "new-1", title="Tea urn", genres=["Kitchen"])
        put(first, "new-2", title="Second urn", genres=["Kitchen"])
        assert set(found(first, "urn")) == {"new-1", "new-2"}
    with open_by_admin(shop_paths, tmp_path) as again:
        assert set(found(again, "urn")) == {"new-1", "new-2"}
        assert "new-1" in listed(again)
        assert again.get("/item/p001").status_code == 410


def newest(client: TestClient) -> list[str]:
    return [one["item_id"] for one in client.get("/api/v1/recommendations?new=true").json()["items"]]


def test_what_is_newest_stays_so_after_a_change_and_a_restart(shop_paths: list[Path], tmp_path: Path) -> None:
    with open_by_admin(shop_paths, tmp_path) as client:
        for item in ("zinc", "apple", "milk"):
            put(client, item, **KETTLE)
        put(client, "zinc", title="Zinc kettle", genres=["Kitchen"])
        client.delete("/api/v1/items/apple")
        put(client, "apple", **KETTLE)
        assert newest(client) == ["milk", "apple", "zinc"]
    with open_by_admin(shop_paths, tmp_path) as again:
        assert newest(again) == ["milk", "apple", "zinc"]


def test_a_change_reads_no_other_item_again(shop: SiteClient, monkeypatch: pytest.MonkeyPatch) -> None:
    for item in ("new-1", "new-2", "new-3"):
        put(shop, item, **KETTLE)
    read: list[list[str]] = []
    some = SqlLiveItems.some

    def spy(self: SqlLiveItems, item_ids: Collection[str]) -> list[LiveItem]:
        read.append(sorted(item_ids))
        return some(self, item_ids)

    monkeypatch.setattr(SqlLiveItems, "some", spy)
    put(shop, "new-2", title="Changed kettle", genres=["Kitchen"])
    assert read == [["new-2"]]
    assert set(found(shop, "samovar")) == {"new-1", "new-3"}


def test_an_artefact_that_knows_the_item_wins(shop_paths: list[Path], tmp_path: Path) -> None:
    with open_by_admin(shop_paths, tmp_path) as client:
        put(client, "p001", title="Put by hand", genres=["Kitchen"])
        client.delete("/api/v1/items/p002")
    newer = train("ease", shop_data(seed=2), tmp_path / "newer")
    with open_by_admin([newer], tmp_path) as client:
        assert client.get("/api/v1/items/p001").json()["title"] == "Oak kettle"
        assert client.get("/item/p002").status_code == 410


BAD_FIELDS: list[tuple[dict[str, Any], str]] = [
    ({}, "title"),
    ({"title": ""}, "title"),
    ({"title": "  "}, "title"),
    ({"title": "x" * 501}, "title"),
    ({"title": 7}, "title"),
    ({"title": "x", "year": 10_000}, "year"),
    ({"title": "x", "year": "soon"}, "year"),
    ({"title": "x", "genres": "Kitchen"}, "genres"),
    ({"title": "x", "genres": [""]}, "genres"),
    ({"title": "x", "genres": ["a"] * 51}, "genres"),
    ({"title": "x", "numbers": {"price": "dear"}}, "price"),
    ({"title": "x", "texts": {"about": ["a"]}}, "about"),
    ({"title": "x", "link": "javascript:alert(1)"}, "link"),
    ({"title": "x", "link": "ftp://x"}, "link"),
    ({"title": "x", "colour": "red"}, "colour"),
    ({"title": "x\u0000y"}, "title"),
    ({"title": "\u200b"}, "title"),
    ({"title": "\u00a0\u3000"}, "title"),
    ({"title": "a\nb"}, "title"),
    ({"title": "a\u2028b"}, "title"),
    ({"title": "a\u001b[31mb"}, "title"),
    ({"title": "x", "genres": [" "]}, "genres"),
    ({"title": "x", "genres": ["a\tb"]}, "genres"),
    ({"title": "x", "genres": ["\ufeff"]}, "genres"),
    ({"title": "x", "lists": {"people": ["Ann", "  "]}}, "lists"),
    ({"title": "x", "lists": {" ": ["Ann"]}}, "lists"),
    ({"title": "x", "lists": {"genres": ["Drama"]}}, "lists"),
    ({"title": "x", "texts": {"\n": "a"}}, "texts"),
    ({"title": "x", "numbers": {" ": 3}}, "numbers"),
    ({"title": "x", "link": "https://a\u202eb"}, "link"),
    ({"title": "x", "link": "https://a\u0001b"}, "link"),
    ({"title": "x", "credit": "one\ntwo"}, "credit"),
    ({"title": "x", "credit": "x" * 501}, "credit"),
]


def test_a_bad_field_is_named(shop: SiteClient) -> None:
    for body, where in BAD_FIELDS:
        answer = shop.put("/api/v1/items/new-1", json=body)
        assert answer.status_code == 422, body
        assert where in [part for problem in answer.json()["errors"] for part in problem["loc"]]
        assert shop.get("/api/v1/items/new-1").status_code == 404


def test_bodies_that_are_no_items_are_refused(shop: SiteClient) -> None:
    for body in (
        b"",
        b"{",
        b"[]",
        b'"x"',
        b'{"title": "x", "numbers": {"price": NaN}}',
        b'{"title": "\\ud800"}',
        b"\xff",
    ):
        answer = shop.put("/api/v1/items/new-1", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code in (400, 422), body
    assert shop.put("/api/v1/items/new-1", json={"title": "x", "texts": {"a": "y" * 300_000}}).status_code == 413


def test_an_id_that_no_item_can_have_is_refused(shop: SiteClient) -> None:
    for item_id in (" a", "a ", "a%09b", "x" * 201, "%00", "nan", "null", "None", "a%E2%80%8Bb"):
        answer = shop.put(f"/api/v1/items/{item_id}", json={"title": "x"})
        assert answer.status_code == 422, item_id
        assert "item_id" in answer.json()["detail"]


@pytest.mark.parametrize("item_id", ["007", "1_0", "seven", "+7", "1.0", " 7", "99999999999999999999", "٣"])
def test_ids_that_differ_only_by_how_they_are_written_are_refused(
    artefact_paths: list[Path], tmp_path: Path, item_id: str
) -> None:
    with open_by_admin(artefact_paths, tmp_path) as client:
        answer = client.put(f"/api/v1/items/{item_id}", json={"title": "x"})
        assert answer.status_code == 422
        assert "item_id" in answer.json()["detail"]
        assert client.put("/api/v1/items/1", json={"title": "Toys (1995)", "year": 1995}).status_code == 200
        assert client.put("/api/v1/items/900001", json={"title": "New (2026)", "genres": ["Comedy"]}).status_code == 201
        assert client.get("/api/v1/items/900001").json()["item_id"] == 900_001


def test_a_key_with_the_scope_admin_is_needed(shop: SiteClient) -> None:
    site: Site = shop.app.state.site  # type: ignore[attr-defined]
    _, text = site.api_keys.create("reader", ["read", "write"])
    for headers, status in (({"Authorization": f"Bearer {text}"}, 403), ({"Authorization": "Bearer x"}, 401)):
        assert shop.put("/api/v1/items/new-1", json=KETTLE, headers=headers).status_code == status
        assert shop.delete("/api/v1/items/p001", headers=headers).status_code == status
    del shop.headers["Authorization"]
    assert shop.put("/api/v1/items/new-1", json=KETTLE).status_code == 401
    assert shop.delete("/api/v1/items/zzz").status_code == 401


def test_an_unknown_item_cannot_be_withdrawn(shop: SiteClient) -> None:
    assert shop.delete("/api/v1/items/zzz").status_code == 404


def test_columns_that_no_model_knows_are_named(shop: SiteClient) -> None:
    kept = put(shop, "new-1", title="Bare", texts={"story": "A bare thing."}, numbers={"price": 3})
    assert not kept["recommendable"]
    assert [note.split(":")[0] for note in kept["notes"]] == ["texts", "numbers"]
    assert "A bare thing." in shop.get("/item/new-1").text
    assert found(shop, "bare") == ["new-1"]


def test_a_picture_that_is_none_is_said_and_a_card_is_drawn(shop: SiteClient) -> None:
    for name in ("../../etc/passwd", "/etc/passwd", "https://elm.example/x.png", "none.png", ".", "<b>"):
        kept = put(shop, "new-1", title="Bare", picture=name)
        assert [note.split(":")[0] for note in kept["notes"]] == ["picture"]
        assert shop.get("/picture/new-1").headers["Content-Type"].startswith("image/svg")
        assert "Bare" in shop.get("/item/new-1").text


def test_odd_ids_are_put_shown_found_and_withdrawn(shop: SiteClient) -> None:
    for item_id in ("a%2Fb", "%2F", "a%20b", "caf%C3%A9", "%F0%9F%98%80", "007", "a%3Fb%23c", "%E3%81%82" * 200):
        put(shop, item_id, title="Odd one", genres=["Kitchen"])
        assert shop.get(f"/api/v1/items/{item_id}").json()["title"] == "Odd one"
        assert "Odd one" in shop.get(f"/item/{item_id}").text
        assert len(found(shop, "odd one")) == 1
        assert shop.delete(f"/api/v1/items/{item_id}").status_code == 204
        assert found(shop, "odd one") == []


def test_html_in_an_item_is_text(shop: SiteClient) -> None:
    evil = "<script>alert(1)</script><img src=x onerror=alert(2)>\"'&"
    put(
        shop,
        "new-1",
        title=evil,
        genres=[evil],
        texts={evil: evil},
        lists={evil: [evil]},
        link="https://example.org/?a=<b>",
        credit=f"{evil} javascript:alert(1) https://example.org/<b>",
    )
    for address in ("/item/new-1", "/search?q=script", "/search/suggest?q=script", "/picture/new-1"):
        page = shop.get(address).text
        assert "<script>alert" not in page
        assert "<img src=x" not in page


def test_texts_and_people_come_with_whose_they_are(shop: SiteClient) -> None:
    credit = "DBpedia, CC BY-SA 3.0 https://dbpedia.org/page/Urn javascript:alert(1)"
    put(shop, "urn-1", title="Urn", texts={"about": "It holds tea."}, credit=credit)
    put(shop, "urn-2", title="Bare urn", credit=credit)  # says nothing that is somebody's
    page = shop.get("/item/urn-1").text
    link = '<a href="https://dbpedia.org/page/Urn" rel="noopener noreferrer nofollow">dbpedia.org/page/Urn</a>'
    assert f"Source: DBpedia, CC BY-SA 3.0 {link} javascript:alert(1)</p>" in page
    assert 'class="hint credit"' not in shop.get("/item/urn-2").text
    assert 'class="hint credit"' not in shop.get("/item/p000").text
    assert shop.get("/about").text.count(link) == 1
    shop.get("/language?to=ko&next=/")
    assert "출처: DBpedia" in shop.get("/item/urn-1").text


def test_items_may_come_and_go_while_lists_are_made(shop: SiteClient) -> None:
    problems: list[str] = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            for address in ("/", "/search?q=urn", f"/api/v1/recommendations?history={HISTORY}&k=100", "/item/p001"):
                answer = shop.get(address)
                if answer.status_code != 200:
                    problems.append(f"{address}: {answer.status_code}")

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for number in range(12):
        put(shop, f"urn-{number % 8}", title=f"Urn {number}", genres=["Kitchen" if number % 2 else "Garden"])
        if number % 3 == 0:
            shop.delete(f"/api/v1/items/urn-{number % 8}")
            assert f"urn-{number % 8}" not in found(shop, "urn") + listed(shop)
    done.set()
    for reader in readers:
        reader.join()
    assert problems == []


def test_many_items_at_once_are_all_kept(shop: SiteClient) -> None:
    def add(start: int) -> None:
        for number in range(start, start + 5):
            put(shop, f"urn-{number}", title=f"Urn number {number}", genres=["Kitchen"])

    writers = [threading.Thread(target=add, args=(start,)) for start in (0, 5, 10)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert set(found(shop, "urn")) == {f"urn-{number}" for number in range(15)}


def test_a_grown_vocabulary_gives_later_ids_the_later_rows() -> None:
    words, numbers = GrownVocab.grow(Vocab.of(["b", "d"]), ["a", "c"]), GrownVocab.grow(Vocab.of([5, 7]), [1, 9])
    assert words.rows(["a", "b", "c", "d", "e"]).tolist() == [2, 0, 3, 1, UNKNOWN]
    assert [words.id(row) for row in range(4)] == ["b", "d", "a", "c"]
    assert numbers.rows([1, "9", 5, "7", 3]).tolist() == [2, 3, 0, 1, UNKNOWN]
    assert [numbers.id(row) for row in range(4)] == [5, 7, 1, 9]
    assert len(words) == len(numbers) == 4
