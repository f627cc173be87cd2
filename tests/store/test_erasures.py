"""Erasing a user for good after an hour, and until then back to every row as it was."""

import pytest

from matinee.store.accounts import SqlAccounts
from matinee.store.database import SqlDatabase
from matinee.store.erasures import OWN, UNDO_ERASING_SECONDS, SqlErasures
from matinee.store.imports import SqlImports
from matinee.store.impressions import SqlImpressions
from matinee.store.protocols import Import, ListImpression, LiveEvent, Member, Session
from matinee.store.sql import SqlEvents
from matinee.store.tables import imported_table, metadata
from matinee.vocab import Vocab

NOW = 1_750_000_000
ITEMS = Vocab.of([10, 20, 30])


@pytest.fixture
def erasures(database: SqlDatabase) -> SqlErasures:
    return SqlErasures(database)


def fill(database: SqlDatabase, user: str) -> None:
    """A guest with ratings, a bookmark, an import and lists."""
    SqlAccounts(database).open_guest(f"hash of {user}", user, NOW)
    log = SqlEvents(database, ITEMS)
    log.append([LiveEvent(user, 10, "rating", 4.5, NOW), LiveEvent(user, 20, "saved", 1, NOW)])
    log.append([LiveEvent(user, 30, "watched", 1, NOW + n) for n in range(700)])  # two parts
    imported = [LiveEvent(user, 20, "rating", 3, NOW, f"import-{user}")]
    SqlImports(database).write(Import(f"import of {user}", user, NOW, ("a.csv",)), imported)
    SqlImpressions(database).write([ListImpression(f"list of {user}", user, "for-you", "ease", "v", NOW, ("10", "20"))])
    database.flush()


def everything(database: SqlDatabase) -> dict[str, list[tuple[object, ...]]]:
    """All rows of the tables that are restored."""
    with database.read() as connection:
        return {
            table.name: [tuple(row) for row in connection.execute(table.select().order_by(*table.primary_key))]
            for table in (*OWN, imported_table)
        }


def test_what_is_erased_leaves_all_tables_at_once_and_comes_back_as_it_was(
    database: SqlDatabase, erasures: SqlErasures
) -> None:
    fill(database, "ada")
    fill(database, "bob")
    before = everything(database)
    erasures.erase("ada", "token", NOW)
    with database.read() as connection:
        for table in metadata.sorted_tables:
            if "user_id" in table.c:
                assert "ada" not in set(connection.execute(table.select().with_only_columns(table.c.user_id)).scalars())
    found = erasures.find("token", NOW)
    assert found is not None
    assert found.counts["event.rating"] == 2
    assert (found.counts["event.watched"], found.counts["lists"], found.counts["imports"]) == (700, 1, 1)
    assert erasures.find("another", NOW) is None
    assert erasures.restore("another", NOW, None) is None
    assert erasures.restore("token", NOW + UNDO_ERASING_SECONDS, None) == "ada"
    assert everything(database) == before
    assert erasures.restore("token", NOW, None) is None  # a second click


def test_after_an_hour_nothing_is_left(database: SqlDatabase, erasures: SqlErasures) -> None:
    fill(database, "ada")
    erasures.erase("ada", "token", NOW)
    late = NOW + UNDO_ERASING_SECONDS + 1
    assert erasures.find("token", late) is None
    assert erasures.restore("token", late, None) is None
    erasures.delete_expired(NOW + UNDO_ERASING_SECONDS)
    assert erasures.find("token", NOW) is not None
    erasures.delete_expired(late)
    assert erasures.find("token", NOW) is None


def test_a_guest_who_became_somebody_else_since_gets_their_rows_there(
    database: SqlDatabase, erasures: SqlErasures
) -> None:
    fill(database, "ada")
    erasures.erase("ada", "token", NOW)
    SqlAccounts(database).open_guest("new", "eve", NOW)
    SqlEvents(database, ITEMS).append([LiveEvent("eve", 30, "rating", 2, NOW + 900)])
    assert erasures.restore("token", NOW, "eve") == "eve"
    state = SqlEvents(database, ITEMS).activity("eve")
    assert [(event.item_id, event.kind) for event in state.recent] == [
        ("30", "rating"),
        ("20", "rating"),
        ("10", "rating"),
    ]
    assert SqlAccounts(database).identity("new") is not None


def test_a_member_comes_back_with_name_and_password_unless_the_name_was_taken(
    database: SqlDatabase, erasures: SqlErasures
) -> None:
    accounts = SqlAccounts(database)

    def join(user: str, session: str) -> bool:
        opened = Session(user, session, "a device", NOW, NOW, f"hash {session}")
        return accounts.add_member(Member(user, "Ada", f"of {user}", NOW, NOW), "ada", opened, None)

    assert join("m1", "s1")
    SqlEvents(database, ITEMS).append([LiveEvent("m1", 10, "rating", 4, NOW)])
    erasures.erase("m1", "token", NOW)
    assert accounts.member("m1") is None
    assert accounts.identity("hash s1") is None
    assert erasures.restore("token", NOW, None) == "m1"
    found = accounts.member("m1")
    assert found is not None
    assert found.password == "of m1"
    erasures.erase("m1", "again", NOW)
    assert join("m2", "s2")
    assert erasures.restore("again", NOW, None) is None
    assert erasures.find("again", NOW) is not None  # nothing is lost before the hour is over
