"""A site of products: not a word of movies on any page, in any attribute or answer, in both languages."""

import re
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from shop_fixtures import open_shop, shop_data
from site_crawl import RANDOM, WORDS_OF_MOVIES, crawl
from site_fixtures import SiteClient, train

UPLOADS = (
    b"id,title,date,rating\np005,x,2024-01-02,4\nzz,Kettel,2024-01-02,\n,,,9\np006,,2099-01-01,\np006,,x,3\n",
    b"movieId,title,genres\n1,a,b\n",
    b"Const,Your Rating\np008,8\n",
    b"nothing\n",
)


@pytest.fixture(scope="module", params=["click", "rating"])
def shop(
    request: pytest.FixtureRequest, shop_paths: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SiteClient]:
    """A shop of products whose data are purchases without stars, and one whose data are ratings."""
    folder = tmp_path_factory.mktemp(request.param)
    paths = shop_paths
    if request.param == "rating":
        paths = [train(name, shop_data(kind="rating"), folder) for name in ("item-knn", "ease")]
    token = secrets.token_urlsafe
    with pytest.MonkeyPatch.context() as patch:  # short random names, those of lists, have no letters of a word
        patch.setattr("secrets.token_urlsafe", lambda n=32: secrets.token_hex(n) if n < 12 else token(n))
        with open_shop(paths, folder) as client:
            yield client


def gesture(client: SiteClient) -> str:
    """The mark that stands for having bought a product."""
    found = re.search(r'class="seen[^"]*" name="mark" value="([^"]+)"', client.get("/item/p001").text)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("language", ["en", "ko"])
def test_no_page_of_a_shop_has_a_word_of_movies(shop: SiteClient, language: str) -> None:
    shop.get("/language", params={"to": language, "next": "/"})
    shop.post("/sign-up", data={"name": f"Kim {language}", "password": "a long password"})
    before = dict(crawl(shop, "p001"))
    for item in ("p001", "p010", "p020", "p130"):
        shop.post("/mark", data={"item_id": item, "mark": gesture(shop)})
    shop.post("/mark", data={"item_id": "p040", "mark": "dismissed"})
    shop.post("/mark", data={"item_id": "p041", "mark": "4"})
    pages = {}
    for text in UPLOADS:
        pages[f"import {text!r}"] = shop.post("/my/import", files={"files": ("a.csv", text)}).text
    after = pages | dict(crawl(shop, "p001"))
    assert len(before) > 45
    assert len(after) > 45
    wrong = {
        address: found[0]
        for pages in (before, after)
        for address, text in pages.items()
        if (found := WORDS_OF_MOVIES.search(RANDOM.sub("", text)))
    }
    assert wrong == {}


def test_a_shop_searches_products_and_gives_no_credit_to_others(shop: SiteClient) -> None:
    page = shop.get("/language?to=en&next=/").text
    assert 'placeholder="Search 240 products"' in page
    assert "<title>Matinee</title>" in page
    korean = shop.get("/language?to=ko&next=/").text
    assert 'placeholder="상품 240개 검색"' in korean


def test_the_description_of_the_api_names_the_kinds_of_events_of_the_shop(shop: SiteClient) -> None:
    kind = shop.get("/api/openapi.json").json()["components"]["schemas"]["EventIn"]["properties"]["kind"]
    sent = {"item_id": "p001", "kind": "nothing"}
    assert ("purchase" in kind["enum"]) == ("purchase" in shop.post("/api/v1/events", json=sent).text)
    assert {"click", "dismissed"} <= set(kind["enum"])
