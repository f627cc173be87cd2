"""A card's HTML is cached for all visitors: each page still has its own token, list, position, reasons and stars."""

import re

from fastapi import FastAPI

from site_fixtures import SiteClient

ALIEN, STARS = 1214, re.compile(r'value="(\d)"[^>]*aria-pressed="true"')


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


def test_a_path_in_a_query_is_escaped_in_every_card(client: SiteClient) -> None:
    page = client.get("/search", params={"q": 'star"><script>alert(1)</script>'}).text
    page += client.get("/", params={"model": "ease", "x": '"><b>'}).text
    assert "<script>alert" not in page
    assert '"><b>' not in page


def test_no_mark_is_left_on_a_page(client: SiteClient) -> None:
    for path in ("/", "/search?q=star", f"/movie/{ALIEN}", "/my", "/nothing"):
        assert not set("\x01\x02") & set(client.get(path).text)
