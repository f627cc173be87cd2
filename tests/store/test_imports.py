"""Undoing an import: what it wrote goes, and nothing else."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from matinee.store import imports as imports_module
from matinee.store.accounts import SqlAccounts
from matinee.store.database import SqlDatabase
from matinee.store.imports import SqlImports
from matinee.store.protocols import UNDO_SECONDS, Import, LiveEvent, Member, Session
from matinee.store.sql import SqlEvents
from matinee.vocab import Vocab

NOW = 1_750_000_000
ITEMS = Vocab.of([10, 20, 30])


@pytest.fixture
def imports(database: SqlDatabase) -> SqlImports:
    return SqlImports(database)


def rated(item: int, value: float, user: str = "ada", at: int = 100) -> LiveEvent:
    return LiveEvent(user, item, "rating", value, at, f"import-{item}-{value:g}")


def bring(imports: SqlImports, name: str, *events: LiveEvent, known: tuple[str, ...] = (), at: int = NOW) -> int:
    user = events[0].user_id if events else "ada"
    return imports.write(Import(name, user, at, (f"{name}.csv",)), events, known)


def stored(database: SqlDatabase) -> list[tuple[object, ...]]:
    """Every column of every event."""
    with database.read() as connection:
        return [tuple(row) for row in connection.exec_driver_sql("SELECT * FROM events ORDER BY seq")]


def n_rows(database: SqlDatabase) -> tuple[int, int]:
    with database.read() as connection:
        tables = ("imports", "imported_events")
        one, two = (connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one() for table in tables)
    return int(one), int(two)


def test_undoing_restores_the_log_as_it_was(database: SqlDatabase, imports: SqlImports) -> None:
    log = SqlEvents(database, ITEMS)
    log.append([LiveEvent("ada", 10, "rating", 2, 50), LiveEvent("bob", 10, "rating", 1, 60)])
    before, history = stored(database), log.histories(["ada", "bob"])
    assert bring(imports, "a", rated(10, 4), rated(20, 5)) == 2
    assert log.histories(["ada"]).values.tolist() == [4, 5]
    assert imports.undo("ada", "a", NOW) == 2
    assert stored(database) == before
    assert log.histories(["ada", "bob"]).values.tolist() == history.values.tolist()
    assert n_rows(database) == (0, 0)


def test_a_second_click_changes_nothing(database: SqlDatabase, imports: SqlImports) -> None:
    bring(imports, "a", rated(10, 4))
    assert imports.undo("ada", "a", NOW) == 1
    SqlEvents(database, ITEMS).append([LiveEvent("ada", 10, "rating", 3, NOW)])
    after = stored(database)
    assert imports.undo("ada", "a", NOW) is None
    assert stored(database) == after


def test_other_peoples_imports_cannot_be_undone(database: SqlDatabase, imports: SqlImports) -> None:
    bring(imports, "a", rated(10, 4))
    bring(imports, "b", rated(10, 4, "bob"))
    assert imports.undo("bob", "a", NOW) is None
    assert imports.undo("ada", "no such import", NOW) is None
    assert [one.import_id for one in imports.recent("ada", NOW)] == ["a"]
    assert len(stored(database)) == 2
    assert imports.undo("bob", "b", NOW) == 1
    assert [row[2] for row in stored(database)] == ["ada"]


@pytest.mark.parametrize(("seconds", "gone"), [(UNDO_SECONDS, 1), (UNDO_SECONDS + 1, None)])
def test_an_import_can_be_undone_for_a_day(
    database: SqlDatabase, imports: SqlImports, seconds: int, gone: int | None
) -> None:
    bring(imports, "a", rated(10, 4))
    assert len(imports.recent("ada", NOW + seconds)) == (gone or 0)
    assert imports.undo("ada", "a", NOW + seconds) == gone
    assert len(stored(database)) == 1 - (gone or 0)


def test_later_events_with_the_same_movies_stay(database: SqlDatabase, imports: SqlImports) -> None:
    log = SqlEvents(database, ITEMS)
    bring(imports, "a", rated(10, 4), rated(20, 5))
    log.append([LiveEvent("ada", 10, "rating", 1, 200), LiveEvent("ada", 20, "dismissed", 1, 201)])
    log.remove("ada", 30)
    assert imports.undo("ada", "a", NOW) == 2
    assert [(row[3], row[4], row[5]) for row in stored(database)] == [("10", "rating", 1.0), ("20", "dismissed", 1.0)]


def test_a_movie_removed_after_the_import_stays_removed(database: SqlDatabase, imports: SqlImports) -> None:
    log = SqlEvents(database, ITEMS)
    log.append([LiveEvent("ada", 10, "rating", 2, 50)])
    bring(imports, "a", rated(10, 4), rated(20, 5))
    log.remove("ada", 10)
    assert imports.recent("ada", NOW)[0].n_events == 1
    assert bring(imports, "b", rated(10, 4)) == 1  # again: another event, of the second import alone
    assert imports.undo("ada", "a", NOW) == 1
    assert [row[3] for row in stored(database)] == ["10"]
    assert imports.undo("ada", "b", NOW) == 1
    assert stored(database) == []


def test_an_event_that_a_later_import_holds_too_stays(database: SqlDatabase, imports: SqlImports) -> None:
    bring(imports, "ratings", rated(10, 4), rated(20, 5))
    bring(imports, "zip", rated(30, 3), known=("import-10-4", "import-20-5"))
    with_both = stored(database)
    assert imports.undo("ada", "ratings", NOW) == 0
    assert stored(database) == with_both
    assert imports.undo("ada", "zip", NOW) == 3
    assert stored(database) == []


def test_undoing_the_later_import_leaves_what_the_earlier_wrote(database: SqlDatabase, imports: SqlImports) -> None:
    bring(imports, "ratings", rated(10, 4))
    before = stored(database)
    bring(imports, "zip", rated(30, 3), known=("import-10-4",))
    assert imports.undo("ada", "zip", NOW) == 1
    assert stored(database) == before


def test_an_event_that_was_there_before_the_day_stays_in_every_case(database: SqlDatabase, imports: SqlImports) -> None:
    bring(imports, "old", rated(10, 4), at=NOW - UNDO_SECONDS + 5)
    bring(imports, "middle", rated(20, 5), known=("import-10-4",))
    bring(imports, "new", rated(30, 3), known=("import-10-4",), at=NOW + 60)  # `old` is over by now
    assert imports.undo("ada", "old", NOW + 60) is None
    assert imports.undo("ada", "middle", NOW + 60) == 1
    assert imports.undo("ada", "new", NOW + 60) == 1
    assert [row[1] for row in stored(database)] == ["import-10-4"]
    assert n_rows(database) == (0, 0)


def test_an_import_of_nothing_new_is_not_kept(database: SqlDatabase, imports: SqlImports) -> None:
    bring(imports, "a", rated(10, 4))
    assert bring(imports, "b", rated(10, 4), known=("import-10-4",)) == 0
    assert [one.import_id for one in imports.recent("ada", NOW)] == ["a"]
    assert imports.undo("ada", "a", NOW) == 1


def test_imports_follow_a_guest_who_becomes_a_member_and_go_with_the_user(
    database: SqlDatabase, imports: SqlImports
) -> None:
    accounts = SqlAccounts(database)
    accounts.open_guest("hash", "guest", NOW)
    bring(imports, "a", rated(10, 4, "guest"), rated(20, 5, "guest"))
    member = Member("ada", "Ada", "secret", NOW, NOW)
    SqlEvents(database, ITEMS).append([rated(20, 5)])  # the member had this one before
    assert accounts.add_member(member, "key", Session("ada", "s", "", NOW, NOW, "token"), "hash")
    assert imports.undo("guest", "a", NOW) is None
    assert [(one.names, one.n_events) for one in imports.recent("ada", NOW)] == [(("a.csv",), 1)]
    assert imports.undo("ada", "a", NOW) == 1
    assert [row[3] for row in stored(database)] == ["20"]
    bring(imports, "b", rated(30, 3))
    accounts.forget("ada")
    assert n_rows(database) == (0, 0)
    assert stored(database) == []


def test_more_events_than_a_query_holds(
    database: SqlDatabase, imports: SqlImports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(imports_module, "MAX_KEYS_PER_QUERY", 2)
    events = [replace(rated(10, 4), event_id=f"e{n}", at=n) for n in range(7)]
    assert bring(imports, "a", *events) == 7
    assert bring(imports, "b", rated(20, 4), known=tuple(f"e{n}" for n in range(5))) == 1
    assert imports.undo("ada", "a", NOW) == 2
    bring(imports, "c", rated(30, 4), at=NOW + UNDO_SECONDS + 1)
    assert n_rows(database) == (1, 1)


STEPS = st.lists(
    st.tuples(st.sampled_from("abc"), st.sets(st.sampled_from([10, 20, 30]), min_size=1), st.booleans()), max_size=8
)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_any_order_of_imports_and_undos_leaves_the_movies_of_the_imports_that_stand(
    tmp_path: Path, steps: list[tuple[str, set[int], bool]]
) -> None:
    """Against sets: a movie is in the log as long as an import that stands names it."""
    database = SqlDatabase(f"sqlite:///{tmp_path}/any.db")
    imports, log = SqlImports(database), SqlEvents(database, ITEMS)
    log.remove("ada")
    for one in imports.recent("ada", NOW):
        imports.undo("ada", one.import_id, NOW)
    standing: dict[str, set[int]] = {}
    for n, (name, items, is_undo) in enumerate(steps):
        there = set().union(*standing.values())
        if is_undo:
            undone = next((key for key in standing if key.startswith(name)), "none")
            imports.undo("ada", undone, NOW)
            standing.pop(undone, None)
        else:
            new, known = items - there, items & there
            one = f"{name}{n}"
            ids = tuple(f"import-{item}-4" for item in known)
            if imports.write(Import(one, "ada", NOW, ()), [rated(item, 4) for item in new], ids):
                standing[one] = items
        assert {int(str(row[3])) for row in stored(database)} == set().union(*standing.values())
    database.close()
