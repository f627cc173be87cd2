"""The store and the API on SQLite, PostgreSQL and MariaDB: no error, and nothing twice, with three writing processes.

    python benchmarks/databases.py [PART...] [--databases mariadb] [--out benchmarks/databases.json]
    python benchmarks/databases.py store serve --few

For each database, empty at first:

writers: two sites (`matinee serve`) start over it at the same moment. Three processes then send the same events through
the API to one or the other, each in an order of its own, of users whose ids differ in a blank, a case, an accent or
their last of 191 characters. errors: answers other than 201, but for 503, which are sent again (refused). doubled,
lost: of the rows in the end; mixed: users whose export is not their own events. Then the schema goes down to version 1
and up again with these rows; as_they_were: how many came back so.
first: the two sites get the first event of a program without key and cookie, with its secret client id, eight times at
the same moment, for 25 programs: visitors and events of each are to be one.
store, serve: every test of tests/store and of tests/serve that uses a database and is not about SQLite itself; with
--few those alone that run on every kind of database in each run of the tests (tests/server_fixtures.py). With --out a
run goes on where the one before it was stopped; take its result out of the file to run all of them.
"""

import argparse
import http.client
import json
import os
import random
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import func, select

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
PROGRAMS, SENDERS = 25, 8
FILES_AT_ONCE = 10
"""Files of tests, before their outcome is stored."""
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


def try_first_events(artefact: Path, url: str) -> dict[str, Any]:
    """The first event of each of PROGRAMS programs, sent SENDERS times at once to two sites over a database."""
    sites = [Site(artefact, url), Site(artefact, url)]
    statuses: Counter[int] = Counter()
    try:
        for site in sites:
            site.start()
        ready = [site.wait_until_ready() for site in sites]
        addresses = [f"127.0.0.1:{sites[sender % 2].port}" for sender in range(SENDERS)]
        for number in range(PROGRAMS):
            headers = {"X-Client-Id": secrets.token_urlsafe(20), "Content-Type": "application/json"}
            event = {"item_id": number, "kind": "click", "event_id": f"first {number}"}
            together = threading.Barrier(SENDERS)
            with ThreadPoolExecutor(SENDERS) as pool:
                statuses.update(pool.map(partial(_send_together, together, headers, event), addresses))
        with closing(SqlDatabase(url)) as database, database.read() as connection:
            count = select(func.count(), func.count(events_table.c.user_id.distinct()))
            n_events, n_users = connection.execute(count.select_from(events_table)).one()
    finally:
        for site in sites:
            site.kill()
    return {
        "sites_ready": sum(seconds < float("inf") for seconds in ready),
        "programs": PROGRAMS,
        "answers": {str(status): n for status, n in sorted(statuses.items())},
        "visitors": n_users,
        "events": n_events,
    }


def _send_together(together: threading.Barrier, headers: dict[str, str], event: object, address: str) -> int:
    """Send an event once all others are about to; the status of the answer."""
    together.wait()
    return _ask(address, headers, "POST", "/api/v1/events", event)[0]


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
        while (status := _ask(address, _with_key(key), "POST", "/api/v1/events", batch)[0]) == 503:
            statuses["503"] += 1
        statuses[str(status)] += 1
    print(json.dumps(statuses))


def _is_mixed(address: str, key: str, user: str) -> bool:
    """Whether the export of a user has other events than the user's own."""
    status, found = _ask(address, _with_key(key), "GET", f"/api/v1/users/{quote(user, safe='')}")
    stored = sorted(_sent_id(event["event_id"]) for event in found.get("events", ()))
    return status != 200 or stored != sorted(f"event {n}" for n in range(EVENTS))


def _sent_id(event_id: str) -> str:
    """The id that was sent, of one that is stored with its sender."""
    return event_id.rpartition(":")[2]


def _with_key(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}


def _ask(address: str, headers: dict[str, str], method: str, path: str, body: object = None) -> tuple[int, Any]:
    connection = http.client.HTTPConnection(address, timeout=60)
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


def try_tests(kind: str, part: str, done: dict[str, Any], *, few: bool) -> Iterator[dict[str, Any]]:
    """The outcome of the tests of a kind of database, of the store or of the API, after every FILES_AT_ONCE files.

    done: of an earlier run that was stopped, empty for none.
    """
    files = [suite for suite in SUITES if suite.startswith(part)]
    if not few:
        files = sorted(f"{part}/{path.name}" for path in (ROOT / "tests" / part).glob("test_*.py"))
    counts = Counter(done)
    while counts["files"] < len(files):
        begin = time.monotonic()
        chosen = files[counts["files"] : counts["files"] + FILES_AT_ONCE]
        counts.update(_outcome(kind, chosen, few=few))
        counts["files"] += len(chosen)
        counts["seconds"] += round(time.monotonic() - begin)
        print(kind, f"{counts['files']} of {len(files)} files", dict(counts), file=sys.stderr, flush=True)
        yield dict(counts)


def _outcome(kind: str, files: Sequence[str], *, few: bool) -> dict[str, int]:
    """How many tests of these files there are for a kind of database, and how many of them failed."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", "-k", f"[{kind}"]
        command += [f"--junit-xml={report}", *(str(ROOT / "tests" / name) for name in files)]
        environment = os.environ if few else os.environ | {EVERY_TEST: "1"}
        done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True)
        if not report.exists():
            raise SystemExit(done.stdout[-3000:])
        found = ElementTree.parse(report).getroot().find("testsuite")
        assert found is not None
        counts = {name: int(found.attrib[name]) for name in ("tests", "failures", "errors", "skipped")}
    if counts["failures"] + counts["errors"]:
        print(done.stdout[-20_000:], file=sys.stderr)
    return counts


def main() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is ended
    if sys.argv[1:2] == ["--write"]:
        write(sys.argv[2], sys.argv[3], int(sys.argv[4]))
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--databases", nargs="+", default=["sqlite", *SERVERS], choices=["sqlite", *SERVERS])
    parser.add_argument("--few", action="store_true", help="of the tests, those that every run has")
    parser.add_argument("parts", nargs="*", metavar="PART", help="writers, first, store or serve; default: all")
    parser.add_argument("--out", type=Path, help="a JSON file to add to")
    options = parser.parse_args()
    parts = options.parts or ["writers", "first", "store", "serve"]
    found: dict[str, Any] = json.loads(options.out.read_text()) if options.out and options.out.exists() else {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save(workflow.fit("ease", two_groups(200, 400)), folder / "ease")
        for kind in options.databases:
            of_kind = found.setdefault(kind, {})
            for name, result in results(kind, parts, folder, of_kind, few=options.few):
                of_kind |= {"date": datetime.now(UTC).date().isoformat(), name: result}
                if options.out:
                    options.out.write_text(json.dumps(found, indent=2) + "\n")
    print(json.dumps(found, indent=2))


def results(
    kind: str, parts: Sequence[str], folder: Path, before: dict[str, Any], *, few: bool
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The results of a kind of database by name, each as soon as it is there. before: those of an earlier run."""
    if "writers" in parts:
        with new_database(kind, folder) as url:
            yield "writers", try_writers(folder / "ease", url)
            yield "migrations", try_migrations(url)
    if "first" in parts:
        with new_database(kind, folder) as url:
            yield "first events", try_first_events(folder / "ease", url)
    for part in ("store", "serve"):
        if part in parts:
            done = before.get(f"tests of {part}", {})
            for counts in try_tests(kind, part, done if done.get("files") else {}, few=few):
                yield f"tests of {part}", counts


@contextmanager
def new_database(kind: str, folder: Path) -> Iterator[str]:
    """The URL of an empty database of a kind, whose server ends with it."""
    if kind not in SERVERS:
        with tempfile.TemporaryDirectory(dir=folder) as name:
            yield f"sqlite:///{name}/site.db"
        return
    with SERVERS[kind]() as server:
        yield server.create("site")


if __name__ == "__main__":
    main()
