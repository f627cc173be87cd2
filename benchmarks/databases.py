"""The store and the API on SQLite, PostgreSQL and MariaDB: no error, and nothing twice, with three writing processes.

    python benchmarks/databases.py [writers] [store] [serve] [--databases mariadb] [--out benchmarks/databases.json]
    python benchmarks/databases.py store serve --few

For each database, empty at first:

writers: two sites (`matinee serve`) start over it at the same moment. Three processes then send the same events through
the API to one or the other, each in an order of its own, of users whose ids differ in a blank, a case, an accent or
their last of 191 characters. errors: answers other than 201, but for 503, which are sent again (refused). doubled,
lost: of the rows in the end; mixed: users whose export is not their own events. Then the schema goes down to version 1
and up again with these rows; as_they_were: how many came back so.
store, serve: every test of tests/store and of tests/serve that uses a database and is not about SQLite itself; with
--few those alone that run on every kind of database in each run of the tests (tests/server_fixtures.py).
"""

import argparse
import http.client
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import xml.etree.ElementTree as ElementTree
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import select

from faults_database import SERVERS, Site
from matinee import workflow
from matinee.data.synthetic import two_groups
from matinee.serve.accounts.api_keys import ApiKeys
from matinee.store.api_keys import SqlApiKeys
from matinee.store.artefact import save
from matinee.store.database import SqlDatabase
from matinee.store.migrations import downgrade, upgrade
from matinee.store.tables import events_table
from server_fixtures import EVERY_TEST, SUITES

ROOT = Path(__file__).parents[1]
USERS = (
    *(
        "tom",
        "tom ",
        " tom",
        "TOM",
        "tóm",
        "to\u0301m",
        "tom\t",
        "ｔｏｍ",
        "t_m",
        "t%m",
        "🎬🍿",
        "🎬🍿 ",
        "ß",
        "ss",
        "한국",
    ),
    *("a" * 191, "a" * 190 + "b", "A" * 191, "a" * 191 + " ", "😀" * 191, "x" * 200, "'; DROP TABLE events; --", "\\"),
)
"""Ids that a database may take for one another."""
WRITERS, EVENTS, BATCH = 3, 40, 20
ROWS = ("user_id", "event_id", "item_id", "kind", "value", "at")


def try_writers(artefact: Path, url: str) -> dict[str, Any]:
    """Two sites and three writers over an empty database, counted."""
    sites = [Site(artefact, url), Site(artefact, url)]
    begin = time.monotonic()
    try:
        for site in sites:
            site.start()
        ready = [site.wait_until_ready() for site in sites]
        database = SqlDatabase(url)
        _, key = ApiKeys(SqlApiKeys(database), time.time).create("writers", ("read", "write", "admin"))
        addresses = [f"127.0.0.1:{sites[number % 2].port}" for number in range(WRITERS)]
        command = [sys.executable, __file__, "--write"]
        writers = [
            subprocess.Popen([*command, where, key, str(number)], stdout=subprocess.PIPE)
            for number, where in enumerate(addresses)
        ]
        answers = sum((Counter(json.loads(writer.communicate(timeout=250)[0])) for writer in writers), Counter[str]())
        mixed = sum(_is_mixed(addresses[0], key, user) for user in USERS)
        with database.read() as connection:
            rows = connection.execute(select(events_table.c.user_id, events_table.c.event_id))
            stored = Counter((user, _sent_id(event_id)) for user, event_id in rows)
        database.close()
    finally:
        for site in sites:
            site.kill()
    sent = {(user, f"event {n}") for user in USERS for n in range(EVENTS)}
    return {
        "sites_ready": sum(seconds < float("inf") for seconds in ready),
        "writers": WRITERS,
        "users": len(USERS),
        "events": len(sent),
        "answers": dict(sorted(answers.items())),
        "errors": sum(n for status, n in answers.items() if status not in ("201", "503")),
        "refused": answers["503"],
        "lost": len(sent - stored.keys()),
        "doubled": sum(n > 1 for n in stored.values()) + len(stored.keys() - sent),
        "mixed": mixed,
        "seconds": round(time.monotonic() - begin, 1),
    }


def write(address: str, key: str, number: int) -> None:
    """Send all events in an order of this writer's own, and print how often each status came."""
    events = [(user, n) for user in USERS for n in range(EVENTS)]
    random.Random(number).shuffle(events)
    statuses = Counter[str]()
    for start in range(0, len(events), BATCH):
        batch = [
            {"user_id": user, "item_id": n % 400, "kind": "click", "event_id": f"event {n}", "at": 1_700_000_000 + n}
            for user, n in events[start : start + BATCH]
        ]
        while (status := _ask(address, key, "POST", "/api/v1/events", batch)[0]) == 503:
            statuses["503"] += 1
        statuses[str(status)] += 1
    print(json.dumps(statuses))


def _is_mixed(address: str, key: str, user: str) -> bool:
    """Whether the export of a user has other events than the user's own."""
    status, found = _ask(address, key, "GET", f"/api/v1/users/{quote(user, safe='')}")
    stored = sorted(_sent_id(event["event_id"]) for event in found.get("events", ()))
    return status != 200 or stored != sorted(f"event {n}" for n in range(EVENTS))


def _sent_id(event_id: str) -> str:
    """The id that was sent, of one that is stored with its sender."""
    return event_id.rpartition(":")[2]


def _ask(address: str, key: str, method: str, path: str, body: object = None) -> tuple[int, Any]:
    connection = http.client.HTTPConnection(address, timeout=60)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    connection.request(method, path, None if body is None else json.dumps(body), headers)
    answer = connection.getresponse()
    found = json.loads(answer.read() or b"null")
    connection.close()
    return answer.status, found


def try_migrations(url: str) -> dict[str, int]:
    """Down to version 1 and up again: rows before, and rows that came back as they were."""
    database = SqlDatabase(url)
    query = select(*(events_table.c[name] for name in ROWS)).order_by(events_table.c.seq)
    with database.write() as connection:
        before = [tuple(row) for row in connection.execute(query)]
        downgrade(connection, 1)
        upgrade(connection)
        after = [tuple(row) for row in connection.execute(query)]
    database.close()
    return {"rows": len(before), "as_they_were": sum(one == other for one, other in zip(before, after, strict=True))}


def try_tests(kind: str, part: str, *, few: bool) -> dict[str, Any]:
    """The outcome of the tests of a kind of database, of the store or of the API."""
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        suites = [suite for suite in SUITES if suite.startswith(part)] if few else [part]
        command = [sys.executable, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", "-k", kind]
        command += [f"--junit-xml={report}", *(str(ROOT / "tests" / suite) for suite in suites)]
        environment = os.environ if few else os.environ | {EVERY_TEST: "1"}
        done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
        if not report.exists():
            raise SystemExit(done.stdout[-3000:])
        found = ElementTree.parse(report).getroot().find("testsuite")
        assert found is not None
        counts = {name: int(found.attrib[name]) for name in ("tests", "failures", "errors", "skipped")}
    if counts["failures"] + counts["errors"] or not counts["tests"]:
        print(done.stdout[-20_000:], file=sys.stderr)
    return counts | {"seconds": round(time.monotonic() - begin, 1)}


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    if sys.argv[1:2] == ["--write"]:
        write(sys.argv[2], sys.argv[3], int(sys.argv[4]))
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--databases", nargs="+", default=["sqlite", *SERVERS], choices=["sqlite", *SERVERS])
    parser.add_argument("--few", action="store_true", help="of the tests, those that every run has")
    parser.add_argument("parts", nargs="*", metavar="PART", help="writers, store or serve; default: all")
    parser.add_argument("--out", type=Path, help="a JSON file to add to")
    options = parser.parse_args()
    parts = options.parts or ["writers", "store", "serve"]
    found: dict[str, Any] = json.loads(options.out.read_text()) if options.out and options.out.exists() else {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save(workflow.fit("ease", two_groups(200, 400)), folder / "ease")
        for kind in options.databases:
            result = {}
            if "writers" in parts:
                result = _with_database(kind, folder)
            for part in ("store", "serve"):
                if part in parts:
                    result[f"tests of {part}"] = try_tests(kind, part, few=options.few)
            print(kind, result, file=sys.stderr, flush=True)
            found[kind] = found.get(kind, {}) | {"date": datetime.now(UTC).date().isoformat()} | result
            if options.out:
                options.out.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found, indent=2))


def _with_database(kind: str, folder: Path) -> dict[str, Any]:
    server = SERVERS[kind]().start() if kind in SERVERS else None
    try:
        url = server.create("site") if server else f"sqlite:///{folder}/site.db"
        return {"writers": try_writers(folder / "ease", url), "migrations": try_migrations(url)}
    finally:
        if server:
            server.stop()


if __name__ == "__main__":
    main()
