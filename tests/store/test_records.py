"""The records that stores take and give: their defaults, and what they do not print."""

import inspect
from dataclasses import FrozenInstanceError, fields, is_dataclass

import pytest

from matinee.store import protocols
from matinee.store.accounts import SqlAccounts
from matinee.store.protocols import KINDS, LiveEvent, Member, Session
from matinee.store.sql import SqlEvents


def test_an_event_needs_no_list() -> None:
    event = LiveEvent("a", 10, "rating", 4, 5)
    assert {name.name: getattr(event, name.name) for name in fields(event)} == {
        "user_id": "a", "item_id": 10, "kind": "rating", "value": 4, "at": 5, "event_id": None, "model": None,
        "list_id": None, "position": None, "version": None, "is_stamped": False,
    }  # fmt: skip


def test_kinds_of_events() -> None:
    assert KINDS == ("rating", "watched", "more", "less", "click", "dismissed", "restored", "saved", "unsaved")


def test_hashes_are_not_printed() -> None:
    member = Member("u", "Ann", "argon2-secret", 1, 2)
    session = Session("u", "s", "Firefox on Linux", 1, 2, "token-secret")
    assert "secret" not in repr(member) + repr(session)
    assert Session("u", "s", "Firefox on Linux", 1, 2).token_hash == ""


def test_records_are_not_changed() -> None:
    names = [name for name, kind in vars(protocols).items() if is_dataclass(kind)]
    assert {"LiveEvent", "Activity", "Member", "Session"} <= set(names)
    for name in names:
        kind = getattr(protocols, name)
        if kind.__module__ != protocols.__name__:
            continue
        record = object.__new__(kind)
        first = fields(kind)[0].name
        with pytest.raises(FrozenInstanceError):
            setattr(record, first, 1)


@pytest.mark.parametrize(
    ("protocol", "implementation"), [(protocols.EventLog, SqlEvents), (protocols.AccountBook, SqlAccounts)]
)
def test_a_store_has_the_signatures_of_its_protocol(protocol: type, implementation: type) -> None:
    names = [name for name in vars(protocol) if not name.startswith("_")]
    assert len(names) >= 4
    for name in names:
        of_protocol, own = (inspect.signature(getattr(kind, name)).parameters for kind in (protocol, implementation))
        assert [(each.name, each.kind, each.default) for each in own.values()] == [
            (each.name, each.kind, each.default) for each in of_protocol.values()
        ]
