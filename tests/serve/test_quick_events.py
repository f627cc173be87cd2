"""The quick way to write events answers as FastAPI's does, and keeps the same; what waits is written together."""

import asyncio
import json
import threading
from collections.abc import Sequence
from typing import Any

import pytest
from fastapi import FastAPI, HTTPException
from sqlalchemy import Row, delete, select
from sqlalchemy import event as sql_event
from starlette.testclient import TestClient

from matinee.serve.api import events, gathered_writes
from matinee.serve.api.gathered_writes import GatheredWrites
from matinee.serve.http import access
from matinee.store.protocols import NotKept
from matinee.store.tables import events_table
from site_fixtures import NOW, key_headers

ALIEN, PATH = 1214, "/api/v1/events"
RATED = {"item_id": ALIEN, "kind": "rating", "value": 4.5, "user_id": "ann"}
USUAL = [
    RATED,
    [RATED],
    [],
    RATED | {"user_id": 7},
    RATED | {"user_id": "tom "},
    RATED | {"value": 4.0},
    RATED | {"value": None},
    RATED | {"kind": "click"},
    RATED | {"kind": "no-such-kind"},
    RATED | {"item_id": "1214"},
    RATED | {"item_id": "no such item"},
    RATED | {"at": NOW - 60},
    RATED | {"at": NOW + 301},
    RATED | {"event_id": "e1", "list_id": "l", "position": 3, "model": "ease"},
    [RATED | {"event_id": "e2"}] * 2,
    [RATED | {"event_id": "e3"}, RATED | {"event_id": "e3", "value": 1.0}],
    RATED | {"user_id": "no\0one"},
]
"""Bodies that are read quickly, with what is wrong in some of them."""
UNUSUAL = [
    {"item_id": ALIEN, "kind": "click"},
    [RATED, {"item_id": ALIEN, "kind": "click"}],
    RATED | {"value": 4.2},
    RATED | {"value": "4"},
    RATED | {"user_id": ""},
    RATED | {"unknown": 1},
    RATED | {"position": 0},
    {},
    None,
    "text",
    7,
]
"""Bodies that are left to FastAPI."""


def post_both(
    client: TestClient, app: FastAPI, patch: pytest.MonkeyPatch, body: bytes, headers: dict[str, str]
) -> tuple[int, list[Row[Any]]]:
    """Post by both ways, each to an empty log. The status of both, and the rows that they kept."""
    found, database = [], app.state.site.database
    for read in (READ, _none):
        patch.setattr(events, "read_usual", read)
        client.cookies.clear()
        answer = client.post(PATH, content=body, headers=headers)
        with database.write() as connection:
            columns = [column for column in events_table.c if column.name not in ("seq", "user_id")]
            users = [row[0] for row in connection.execute(select(events_table.c.user_id))]
            kept = connection.execute(select(*columns).order_by(events_table.c.seq)).all()
            connection.execute(delete(events_table))
        visitors = ["visitor" if user.startswith("visitor-") else user for user in users]
        sent = [pair for pair in answer.headers.multi_items() if pair[0] != "set-cookie"]
        found.append((answer.status_code, sent, answer.content, visitors, kept))
    assert found[0] == found[1], body[:200]
    return found[0][0], found[0][4]


READ = events.read_usual


async def _none(request: object) -> None:
    return None


def test_both_ways_give_the_same_answer_and_keep_the_same(
    client: TestClient, app: FastAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    key, reader, json_type = key_headers(app, "write"), key_headers(app, "read"), {"Content-Type": "application/json"}
    monkeypatch.setattr(access.secrets, "token_hex", lambda n: "00" * n)
    statuses = set()
    for body in USUAL + UNUSUAL:
        for headers in (key, {}, {"Authorization": "Bearer wrong"}, reader):
            sent = json.dumps(body).encode()
            statuses.add(post_both(client, app, monkeypatch, sent, json_type | headers)[0])
    statuses.add(post_both(client, app, monkeypatch, json.dumps([RATED] * 1001).encode(), json_type | key)[0])
    for sent in (b"", b"{", b"[1e999]", b'{"item_id": NaN}', b"\xff", b"[" * 2000, json.dumps(RATED).encode("utf-16")):
        statuses.add(post_both(client, app, monkeypatch, sent, json_type | key)[0])
    good = json.dumps(RATED).encode()
    for kind in ("application/json; charset=utf-8", "text/plain", "application/ld+json", ""):
        statuses.add(post_both(client, app, monkeypatch, good, {"Content-Type": kind} | key)[0])
    statuses.add(post_both(client, app, monkeypatch, good, json_type | key | {"X-Client-Id": "c" * 22})[0])
    assert statuses == {201, 400, 401, 403, 409, 422}
    (kept,) = post_both(client, app, monkeypatch, good, json_type | key)[1]
    assert (kept.item_id, kept.kind, kept.value, kept.at) == (str(ALIEN), "rating", 4.5, NOW)


def test_writes_that_come_while_another_is_at_work_are_one_call() -> None:
    groups: list[list[int]] = []
    begun, go_on = threading.Event(), threading.Event()

    def write_all(asked: Sequence[int]) -> list[int | Exception]:
        groups.append(list(asked))
        begun.set()
        go_on.wait(10)
        return [HTTPException(409) if number == 3 else 10 * number for number in asked]

    async def run() -> list[object]:
        gathered = GatheredWrites(write_all)
        first = asyncio.create_task(gathered.write(0))
        await asyncio.to_thread(begun.wait, 10)
        others = [asyncio.create_task(gathered.write(number)) for number in range(1, 6)]
        await asyncio.sleep(0)
        go_on.set()
        return await asyncio.gather(first, *others, return_exceptions=True)

    found = asyncio.run(run())
    assert groups == [[0], [1, 2, 3, 4, 5]]
    assert found[:3] + found[4:] == [0, 10, 20, 40, 50]
    assert isinstance(found[3], HTTPException)


def test_a_write_that_fails_as_a_whole_fails_each_and_the_next_is_tried() -> None:
    calls: list[int] = []

    def write_all(asked: Sequence[str]) -> list[str | Exception]:
        calls.append(len(asked))
        if len(calls) == 1:
            raise ValueError("a defect")
        return list(asked)

    async def run() -> list[object]:
        gathered = GatheredWrites(write_all)
        found = await asyncio.gather(gathered.write("a"), gathered.write("b"), return_exceptions=True)
        return [*found, await gathered.write("c")]

    first, second, third = asyncio.run(run())
    assert isinstance(first, ValueError)
    assert second == "b"
    assert third == "c"
    assert calls == [1, 1, 1]


def test_few_requests_wait_behind_writes_that_are_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathered_writes, "STALL_SECONDS", -1)
    monkeypatch.setattr(gathered_writes, "MOST_WHILE_STUCK", 2)
    begun, go_on = threading.Event(), threading.Event()

    def write_all(asked: Sequence[int]) -> list[int | Exception]:
        begun.set()
        go_on.wait(10)
        return list(asked)

    async def run() -> None:
        gathered = GatheredWrites(write_all)
        tasks = [asyncio.create_task(gathered.write(0))]
        await asyncio.to_thread(begun.wait, 10)
        tasks += [asyncio.create_task(gathered.write(number)) for number in (1, 2)]
        await asyncio.sleep(0)
        with pytest.raises(NotKept, match="busy"):
            await gathered.write(3)
        go_on.set()
        assert await asyncio.gather(*tasks) == [0, 1, 2]

    asyncio.run(run())


def test_requests_that_wait_together_share_one_transaction(client: TestClient, app: FastAPI) -> None:
    """Each has its own answer, and one that is refused takes no other with it."""
    site, key = app.state.site, key_headers(app, "write")
    commits: list[object] = []
    sql_event.listen(site.database._writer, "commit", commits.append)
    held, answers = threading.Event(), []

    def post(user: str, item: int) -> None:
        body = {"item_id": item, "kind": "click", "user_id": user}
        answers.append((user, client.post(PATH, json=body, headers=key).status_code))

    with site.database.turn.taken():
        senders = [threading.Thread(target=post, args=(f"u{n}", ALIEN if n != 4 else -1)) for n in range(6)]
        for sender in senders:
            sender.start()
        while not app.state.gathered_events._since or len(app.state.gathered_events._waiting) < 5:
            held.wait(0.01)
    for sender in senders:
        sender.join()
    assert sorted(answers) == [(f"u{n}", 201 if n != 4 else 422) for n in range(6)]
    assert len(commits) == 2  # of the first, and of all that came while it waited
