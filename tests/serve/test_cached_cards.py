"""A card's HTML is cached for all visitors: each page still has its own token, list, position, reasons and stars."""

import re

from fastapi import FastAPI

from site_fixtures import SiteClient

ALIEN, MATRIX = 1214, 2571
STARS = re.compile(r'value="(\d)"[^>]*aria-pressed="true"')
SCORE, WIDTH = re.compile(r"</span>(-?[\d.]+)</span>"), re.compile(r'class="bar" width="([\d.]+)"')


def section(page: str, name: str) -> str:
    found = re.search(rf'<section[^>]*id="{name}".*?</section>', page, re.DOTALL)
    assert found is not None
    return found.group(0)


def fields(html: str, name: str) -> list[str]:
    return re.findall(rf'name="{name}" value="([^"]*)"', html)


def test_two_pages_share_cards_and_nothing_else(app: FastAPI) -> None:
    ada, eve = SiteClient(app), SiteClient(app)
    first, second = (section(client.get("/").text, "popular") for client in (ada, eve))
    assert fields(first, "item_id") == fields(second, "item_id")
    for name in ("csrf", "list_id"):
        assert len(set(fields(first, name))) == len(set(fields(second, name))) == 1
        assert fields(first, name)[0] != fields(second, name)[0]
        assert fields(first, name)[0]
    assert fields(first, "position") == [str(n) for n in range(1, 13)]
    assert set(fields(first, "next")) == {"/#popular"}
    assert f"?list={fields(first, 'list_id')[0]}" in first


def test_a_visitors_stars_and_reasons_are_on_no_other_page(app: FastAPI) -> None:
    ada, eve = SiteClient(app), SiteClient(app)
    for client, stars in ((ada, "5"), (eve, "2")):
        client.get("/")
        client.post("/mark", data={"item_id": str(ALIEN), "mark": stars})
    for _ in range(2):
        for client, stars in ((ada, "5"), (eve, "2")):
            assert STARS.findall(section(client.get("/").text, "recent")) == [stars]
    assert "Alien" in section(ada.get("/").text, "for-you")
    assert "because" not in section(eve.get("/").text, "recent")


def test_places_of_a_models_list_have_the_scores_and_reasons_of_each_visitor(app: FastAPI) -> None:
    """Against the list as JSON; the second page of each visitor is made from what is cached."""
    clients = {ALIEN: SiteClient(app), MATRIX: SiteClient(app)}
    for item, client in clients.items():
        client.get("/")
        client.post("/mark", data={"item_id": str(item), "mark": "5"})
    for _ in range(2):
        for item, client in clients.items():
            page = section(client.get("/models/ease").text, "list")
            items = client.get("/api/v1/recommendations?model=ease&k=20&explain=true").json()["items"]
            scores = [one["score"] for one in items]
            assert fields(page, "item_id") == [str(one["item_id"]) for one in items]
            assert fields(page, "position") == [str(n) for n in range(1, 21)]
            assert SCORE.findall(page) == [f"{score:.3f}" for score in scores]
            assert WIDTH.findall(page) == [f"{100 * score / scores[0]:.1f}" for score in scores]
            assert f'href="/movie/{item}"' in page
            assert len(set(fields(page, "list_id"))) == 1


def test_places_side_by_side_say_how_many_lists_hold_them(client: SiteClient) -> None:
    client.get("/")
    client.post("/mark", data={"item_id": str(ALIEN), "mark": "5"})
    lists = []
    for name in ("ease", "item-knn"):
        asked = f"/api/v1/recommendations?model={name}&k=12"
        lists.append([str(one["item_id"]) for one in client.get(asked).json()["items"]])
    both = [len([1 for one in lists if item in one]) for items in lists for item in items]
    for _ in range(2):
        page = client.get("/compare?models=ease,item-knn").text
        assert re.findall(r'class="place( shared)?" data-item="([^"]*)"', page) == [
            (" shared" if n == 2 else "", item) for n, item in zip(both, [*lists[0], *lists[1]], strict=True)
        ]


def test_a_path_in_a_query_is_escaped_in_every_card(client: SiteClient) -> None:
    page = client.get("/search", params={"q": 'star"><script>alert(1)</script>'}).text
    page += client.get("/", params={"model": "ease", "x": '"><b>'}).text
    assert "<script>alert" not in page
    assert '"><b>' not in page


def test_no_mark_is_left_on_a_page(client: SiteClient) -> None:
    for path in ("/", "/search?q=star", f"/movie/{ALIEN}", "/my", "/models/ease", "/compare", "/nothing"):
        assert not set("\x01\x02") & set(client.get(path).text)
