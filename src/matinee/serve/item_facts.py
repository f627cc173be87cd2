"""What the page of an item says beside its title: texts, lists, numbers and links, cut to a sensible length."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from matinee.item_table import ItemTable

MAX_TEXT, MAX_LINE, MAX_WORDS, MAX_COLUMNS, MAX_CREDIT = 2000, 200, 30, 12, 500
"""Letters of a text and of a word, words of a list, columns of each kind, and letters of a credit that a page shows."""
OF_THE_CARD = ("genres", "tags")


@dataclass(frozen=True, slots=True)
class CreditPart:
    """A stretch of a credit. url: where it leads, if it is an address."""

    text: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class ItemFacts:
    """Names of columns with what they hold for an item; nothing is empty. links: http or https, one to a host.

    credit: whose texts, people and picture these are; empty where there are none of them.
    """

    texts: Sequence[tuple[str, str]] = ()
    lists: Sequence[tuple[str, Sequence[str]]] = ()
    numbers: Sequence[tuple[str, float]] = ()
    links: Sequence[str] = ()
    picture: str = ""
    credit: Sequence[CreditPart] = ()


def facts_of_row(table: ItemTable, row: int) -> ItemFacts:
    """What a table says of a row."""
    return _facts(
        {name: column[row] for name, column in table.texts.items()},
        {name: column[row] for name, column in table.lists.items()},
        {name: float(column[row]) for name, column in table.numbers.items()},
        table.links[row] if table.links else "",
        table.pictures[row] if table.pictures else "",
        table.credits[row] if table.credits else "",
    )


def facts_of(about: Mapping[str, Any]) -> ItemFacts:
    """What is kept of a live item."""
    texts, lists, numbers = (about.get(name, {}) for name in ("texts", "lists", "numbers"))
    return _facts(texts, lists, numbers, *(about.get(name, "") for name in ("link", "picture", "credit")))


def credit_parts(credit: str) -> list[CreditPart]:
    """A credit cut into plain text and addresses: `DBpedia, CC BY-SA https://dbpedia.org/` has two parts."""
    parts: list[CreditPart] = []
    for word in _cut(credit, MAX_CREDIT).split():
        if url := safe_link(word):
            parts.append(CreditPart(word.partition("://")[2].rstrip("/"), url))
        elif parts and not parts[-1].url:
            parts[-1] = CreditPart(f"{parts[-1].text} {word}")
        else:
            parts.append(CreditPart(word))
    return parts


def _facts(
    texts: Mapping[str, str],
    lists: Mapping[str, Sequence[str]],
    numbers: Mapping[str, float],
    link: str,
    picture: str,
    credit: str,
) -> ItemFacts:
    shown = [(name, words) for name, words in lists.items() if words and name not in OF_THE_CARD]
    return ItemFacts(
        [(_cut(name, MAX_LINE), _cut(text, MAX_TEXT)) for name, text in texts.items() if text[:MAX_TEXT].strip()][
            :MAX_COLUMNS
        ],
        [(_cut(name, MAX_LINE), [_cut(word, MAX_LINE) for word in words[:MAX_WORDS]]) for name, words in shown][
            :MAX_COLUMNS
        ],
        [(_cut(name, MAX_LINE), number) for name, number in numbers.items() if math.isfinite(number)][:MAX_COLUMNS],
        _links(link),
        picture,
        credit_parts(credit) if shown or picture or any(map(str.strip, texts.values())) else (),
    )


def _links(text: str) -> list[str]:
    """The links of a text in which blanks separate them, the first to each host."""
    links = [safe_link(part) for part in text[:MAX_TEXT].split()[:MAX_COLUMNS]]
    return list({urlsplit(link).hostname: link for link in reversed(links) if link}.values())[::-1]


def safe_link(link: str) -> str:
    """A link to a page of http or https with a host; empty for anything else, such as javascript:."""
    if len(link) > MAX_TEXT or not link.isprintable() or any(letter.isspace() for letter in link):
        return ""
    try:
        parts = urlsplit(link)
    except ValueError:
        return ""
    return link if parts.scheme.lower() in ("http", "https") and parts.hostname and not parts.username else ""


def _cut(text: str, longest: int) -> str:
    text = text[: longest + 1].strip()
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"
