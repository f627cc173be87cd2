"""A database belongs to one catalogue, which may grow; over every kind of database."""

import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import matinee as mt
from matinee.errors import MatineeError
from matinee.store import identity
from matinee.store import sqlite as sqlite_module
from matinee.store.artefact import Artefact
from matinee.store.database import SqlDatabase
from matinee.store.identity import settle
from matinee.store.protocols import LiveEvent
from matinee.store.sql import SqlEvents
from matinee.vocab import Vocab
from server_fixtures import NewDatabase


def artefact_of(items: range | list[str], title: str = "film", values: bool = True) -> Artefact:
    """Popularity on a log of these items, each with a title."""
    names = list(items)
    log = {"user": np.arange(len(names)) % 7, "item": names, "time": np.arange(len(names))}
    data = mt.events(log | ({"value": np.arange(len(names)) % 5 + 1.0} if values else {}))
    catalogue = replace(data.catalogue, titles=tuple(f"{title} {data.items.id(row)}" for row in range(len(data.items))))
    return mt.fit("popularity", replace(data, catalogue=catalogue))


@pytest.mark.parametrize(
    ("other", "why"),
    [
        (artefact_of(range(1000, 1100)), "it has 0 of the 100 items"),
        (artefact_of(range(60, 160)), "it has 40 of the 100 items"),
        (artefact_of(range(100), "book"), "100 of 100 items that have the same id have another title"),
        (artefact_of([f"p{n}" for n in range(100)]), "numbers for ids"),
        (artefact_of(range(100), values=False), "of the kind click, not rating"),
    ],
    ids=["other items", "few of them", "other titles", "other ids", "other events"],
)
def test_a_database_of_another_catalogue_is_refused(database: SqlDatabase, other: Artefact, why: str) -> None:
    mine = artefact_of(range(100))
    settle(database, mine)
    with pytest.raises(MatineeError, match="another catalogue") as refused:
        settle(database, other)
    assert why in str(refused.value)
    assert "--db" in str(refused.value)
    settle(database, mine)  # nothing was changed


@pytest.fixture
def at_once(new_database: NewDatabase, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[SqlDatabase]]:
    """One database as two sites open it; both find it without a note before either writes one."""
    url, together, note = new_database(), threading.Barrier(2), identity._note

    def note_together(database: SqlDatabase, artefact: Artefact) -> str | None:
        together.wait(30)
        return note(database, artefact)

    monkeypatch.setattr(identity, "_note", note_together)
    databases = [SqlDatabase(url), SqlDatabase(url)]
    yield databases
    for database in databases:
        database.close()


def test_sites_that_start_at_the_same_moment_note_one_id(at_once: list[SqlDatabase]) -> None:
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(settle, at_once, [artefact_of(range(100))] * 2))
    for database in at_once:
        database.look()
        assert (database.gone, database.check().is_writable) == (None, True)


def test_of_two_catalogues_at_the_same_moment_one_is_refused(at_once: list[SqlDatabase]) -> None:
    with ThreadPoolExecutor(2) as pool:
        given = zip(at_once, (artefact_of(range(100)), artefact_of(range(1000, 1100))), strict=True)
        errors = [started.exception() for started in [pool.submit(settle, *one) for one in given]]
    assert sorted(type(error).__name__ for error in errors) == ["MatineeError", "NoneType"]


@pytest.mark.sqlite_only
def test_a_database_that_is_locked_at_the_start_is_noted_at_the_next(
    database: SqlDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_module, "BUSY_SECONDS", 0)
    with closing(sqlite3.connect(tmp_path / "log.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        settle(database, artefact_of(range(100)))
    database.look()
    assert (database.gone, database.check().is_writable) == (None, True)
    settle(database, artefact_of(range(100)))
    with pytest.raises(MatineeError, match="another catalogue"):
        settle(database, artefact_of(range(1000, 1100)))


def test_a_catalogue_may_grow_and_shrink_from_start_to_start(database: SqlDatabase) -> None:
    for last in range(100, 400, 40):
        settle(database, artefact_of(range(last - 100, last)))


def test_the_events_of_another_catalogue_are_noticed_without_a_note(database: SqlDatabase) -> None:
    events = SqlEvents(database, Vocab.of([1]))
    events.append([LiveEvent("u", 5000 + n, "rating", 4, n) for n in range(19)])
    settle(database, artefact_of(range(100)))  # too few to say
    with database.write() as connection:
        connection.exec_driver_sql("DELETE FROM site_identity")
    events.append([LiveEvent("u", 6000, "rating", 4, 30)])
    with pytest.raises(MatineeError, match="none of its 20 newest events is of a known item"):
        settle(database, artefact_of(range(100)))
    events.append([LiveEvent("u", 7, "rating", 4, 31)])
    settle(database, artefact_of(range(100)))
