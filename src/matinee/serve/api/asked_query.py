"""The usual queries of GET /api/v1/recommendations, read without FastAPI."""

import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import parse_qsl

from matinee.ranking.allowed import ALL, Allowed
from matinee.serve.api.paging import Paging

LONGEST = {"model": 100, "user_id": 200, "history": 20_000}
"""Letters of a text, as the route says."""
KEPT, KEPT_BYTES = 512, 200
"""Queries that are kept as they were read, and the longest of them: many requests have the same."""
_LENGTH = re.compile("[1-9][0-9]?|100")


@dataclass(frozen=True, slots=True)
class AskedList:
    """What is asked for beside whom it is for. rerank: as in the query; paging: None for a list that is not kept."""

    k: int = 10
    model: str | None = None
    explain: bool = False
    new: bool = False
    rerank: str = ""
    allowed: Allowed = ALL
    paging: Paging | None = None


@dataclass(frozen=True, slots=True)
class AskedQuery:
    """A whole query."""

    asked: AskedList
    user_id: str | None
    history: str | None


def read_query(query: bytes) -> AskedQuery | None:
    """What a query asks for; None if it has anything but k, model, explain, user_id and history in their usual form."""
    return _read_kept(query) if len(query) <= KEPT_BYTES else _read(query)


def _read(query: bytes) -> AskedQuery | None:
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True)
    given = dict(pairs)
    if len(given) < len(pairs) or not all(given.values()):
        return None
    k, explain = given.pop("k", "10"), given.pop("explain", "false")
    texts = {name: given.pop(name, None) for name in LONGEST}
    is_usual = not given and _LENGTH.fullmatch(k) and explain in ("true", "false")
    if not is_usual or any(len(text or "") > LONGEST[name] for name, text in texts.items()):
        return None
    return AskedQuery(AskedList(int(k), texts["model"], explain == "true"), texts["user_id"], texts["history"])


_read_kept = lru_cache(maxsize=KEPT)(_read)
