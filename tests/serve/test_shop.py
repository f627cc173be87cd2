"""A site of products: not a word of movies on any page, in any attribute or answer, in both languages."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from matinee.serve.app import create_app
from matinee.serve.options import SiteOptions
from shop_fixtures import shop_data
from site_fixtures import CHEAP, NOW, SiteClient, train

FOREIGN = re.compile(r"movie|film|영화|movielens|grouplens|imdb|letterboxd", re.IGNORECASE)
PATHS = """
/ /search?q=kettel /search?q=zzzz /search /my /my?page=7 /my/import /my/data.json /my/data.csv /sign-up /log-in /account
/about /api/docs /api/openapi.json /item/nothing /nothing /models /models/nothing /compare?models=ease,ials,popularity
/?genre=x /?model=x /why/p001 /search/suggest?q=la /search/suggest?q=zzzz /language?to=xx
/health/ready /api/v1/items /api/v1/items/zzz /api/v1/recommendations?explain=true /api/v1/recommendations?model=zzz
/api/v1/items/p001/similar /static/site.js /static/site.css
"""
UPLOADS = (
    b"id,title,date,rating\np005,x,2024-01-02,4\nzz,Kettel,2024-01-02,\n,,,9\np006,,2099-01-01,\np006,,x,3\n",
    b"movieId,title,genres\n1,a,b\n",
    b"Const,Your Rating\np008,8\n",
    b"nothing\n",
)
MOST_OF_A_KIND = 3
"""So many pages of one path are read: they have the same template."""


class Links(HTMLParser):
    """The addresses of a page's links to this site."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        address = dict(attributes).get("href") or ""
        if tag == "a" and address.startswith("/") and not address.startswith("/language"):
            self.found.append(address.partition("#")[0])


def crawl(client: TestClient) -> Iterator[tuple[str, str]]:
    """Address and text of every page that links lead to, from PATHS on."""
    waiting, seen, kinds = PATHS.split(), set(), {}
    while waiting:
        address = waiting.pop(0)
        kind = re.sub(r"(?<=/item/)[^?]*|(?<=/why/)[^?]*|(?<==)[^&]*", "", address)
        kinds[kind] = kinds.get(kind, 0) + 1
        if address in seen or (kinds[kind] > MOST_OF_A_KIND and address not in PATHS.split()):
            continue
        seen.add(address)
        answer = client.get(address)
        assert answer.status_code < 500, address
        yield address, f"{answer.text}\n{answer.headers}"
        if answer.headers["content-type"].startswith("text/html"):
            waiting += Links(answer.text).found


@pytest.fixture(scope="module", params=["click", "rating"])
def shop(
    request: pytest.FixtureRequest, shop_paths: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SiteClient]:
    """A shop of products whose data are purchases without stars, and one whose data are ratings."""
    folder = tmp_path_factory.mktemp(request.param)
    paths = shop_paths
    if request.param == "rating":
        paths = [train(name, shop_data(kind="rating"), folder) for name in ("item-knn", "ease")]
    app = create_app(
        paths,
        db_url=f"sqlite:///{folder}/site.db",
        clock=lambda: NOW,
        hasher=CHEAP,
        options=SiteOptions(noun="product"),
    )
    with SiteClient(app) as client:
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
    before = dict(crawl(shop))
    for item in ("p001", "p010", "p020", "p130"):
        shop.post("/mark", data={"item_id": item, "mark": gesture(shop)})
    shop.post("/mark", data={"item_id": "p040", "mark": "dismissed"})
    shop.post("/mark", data={"item_id": "p041", "mark": "4"})
    pages = {}
    for text in UPLOADS:
        pages[f"import {text!r}"] = shop.post("/my/import", files={"files": ("a.csv", text)}).text
    after = pages | dict(crawl(shop))
    assert len(before) > 45
    assert len(after) > 45
    wrong = {
        address: found[0]
        for pages in (before, after)
        for address, text in pages.items()
        if (found := FOREIGN.search(text))
    }
    assert wrong == {}


def test_a_shop_searches_products_and_gives_no_credit_to_others(shop: SiteClient) -> None:
    page = shop.get("/language?to=en&next=/").text
    assert 'placeholder="Search 240 products"' in page
    assert "<title>Matinee</title>" in page
    korean = shop.get("/language?to=ko&next=/").text
    assert 'placeholder="상품 240개 검색"' in korean
