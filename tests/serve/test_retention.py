"""Guests who have done nothing for a long time are deleted, and nobody else."""

from matinee.serve.retention import DAY, GuestRetention
from matinee.store.accounts import SqlAccounts
from matinee.store.database import SqlDatabase
from matinee.store.protocols import LiveEvent, Member, Session
from matinee.store.sql import SqlEvents
from matinee.vocab import Vocab
from site_fixtures import NOW, count_events


def test_guests_without_an_event_for_so_many_days_are_deleted(database: SqlDatabase) -> None:
    book, log = SqlAccounts(database), SqlEvents(database, Vocab.of([1, 2, 3]))
    old = NOW - 100 * DAY
    for name, came in (("idle", old), ("silent", old), ("back", old), ("new", NOW - 10)):
        book.open_guest(name, name, came)
    session = Session("member", "s", "", old, old, "m")
    book.add_member(Member("member", "Ada", "-", old, old), "ada", session, None)
    log.append([LiveEvent(user, 1, "rating", 4, old) for user in ("idle", "back", "member", "program")])
    log.append([LiveEvent("back", 2, "rating", 4, NOW - 50 * DAY)])
    retention = GuestRetention(book, lambda: NOW, 60)
    assert sorted(book.idle_guests(NOW - 60 * DAY, 10)) == ["idle", "silent"]
    assert retention.delete() == 2
    assert [book.identity(name) is None for name in ("idle", "silent", "back", "new")] == [True, True, False, False]
    assert count_events(database) == 4
    assert retention.delete() == 0


def test_without_a_number_of_days_nothing_is_started(database: SqlDatabase) -> None:
    with GuestRetention(SqlAccounts(database), lambda: NOW, 0) as retention:
        assert not retention._thread.is_alive()


def test_the_thread_ends_with_the_site(database: SqlDatabase) -> None:
    SqlAccounts(database).open_guest("idle", "idle", 0)
    with GuestRetention(SqlAccounts(database), lambda: NOW, 1) as retention:
        pass
    assert not retention._thread.is_alive()
