"""Every page of a site, and its words, for tests and benchmarks."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any, Protocol

WORDS_OF_MOVIES = re.compile(r"movie|film|영화|movielens|grouplens|imdb|letterboxd", re.IGNORECASE)
"""None of them is on a page of a shop, in either language."""
RANDOM = re.compile(r"(?=[\w-]*[A-Z])(?=[\w-]*[a-z])(?:(?=[\w-]*\d)|(?=(?:[\w-]*?[a-z][A-Z]){3}))[\w-]{16,}")
"""Random names of lists and visitors, whose letters may be those of a word: few of them have no digit."""
PATHS = """
/ /search?q=kettel /search?q=zzzz /search /my /my?page=7 /my/import /my/data.json /my/data.csv /sign-up /log-in /account
/about /api/docs /api/openapi.json /item/nothing /nothing /models /models/nothing /compare?models=ease,ials,popularity
/?genre=x /?model=x /why/ITEM /search/suggest?q=la /search/suggest?q=zzzz /language?to=xx
/health/ready /api/v1/items /api/v1/items/zzz /api/v1/recommendations?explain=true /api/v1/recommendations?model=zzz
/api/v1/items/ITEM /api/v1/items/ITEM/similar /api/v1/items?query=kettel /api/v1/recommendations?new=true
/api/v1/recommendations?history=ITEM&explain=true /static/site.js /static/site.css
"""
MOST_OF_A_KIND = 3
"""So many pages of one path are read: they have the same template."""


class Client(Protocol):
    """What opens pages: that of tests, or one of a network."""

    def get(self, url: str, /) -> Any:
        """An answer with status_code, text and headers."""
        ...


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


def crawl(client: Client, item_id: str) -> Iterator[tuple[str, str]]:
    """Address, and text with headers, of PATHS and of every page that links lead to. item_id: of any item."""
    first = PATHS.replace("ITEM", item_id).split()
    waiting, seen, kinds = list(first), set[str](), dict[str, int]()
    while waiting:
        address = waiting.pop(0)
        kind = re.sub(r"(?<=/item/)[^?]*|(?<=/why/)[^?]*|(?<==)[^&]*", "", address)
        kinds[kind] = kinds.get(kind, 0) + 1
        if address in seen or (kinds[kind] > MOST_OF_A_KIND and address not in first):
            continue
        seen.add(address)
        answer = client.get(address)
        assert answer.status_code < 500, address
        yield address, f"{answer.text}\n{answer.headers}"
        if answer.headers["content-type"].startswith("text/html"):
            waiting += Links(answer.text).found
