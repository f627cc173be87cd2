"""Members, sessions and guests in a SQL database, by the hashes of their session tokens.

A guest is a session without a member: a row of `visitors`. When a guest becomes a member, one transaction moves their
events to the member's user id and deletes the guest, so that no event is moved twice or left behind.
"""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Table,
    bindparam,
    delete,
    insert,
    null,
    select,
    tuple_,
    union_all,
    update,
)
from sqlalchemy.exc import IntegrityError

from matinee.histories import Instant, UserId
from matinee.store.database import SqlDatabase
from matinee.store.imports import forget_imports
from matinee.store.prepared import PARAMETER, PreparedQuery
from matinee.store.protocols import Identity, Member, NotKept, Session
from matinee.store.tables import (
    events_table,
    imports_table,
    kept_lists_table,
    lists_table,
    members_table,
    moved_table,
    sessions_table,
    visitors_table,
)

MOVED_SECONDS = 86_400
"""How long to remember the token of a guest who became a member."""
PAGE = 1000
"""Rows read at a time in a full export, so that no connection is held while they are sent."""

_event, _list, _visitor = events_table.c, lists_table.c, visitors_table.c
_member, _session, _moved = members_table.c, sessions_table.c, moved_table.c
_TOUCH = update(sessions_table).where(_session.session_id == bindparam("touched")).values(seen=bindparam("now"))

_guest_identity = select(
    _visitor.user_id,
    null().label("name"),
    null().label("session_id"),
    _visitor.created.label("seen"),
    _visitor.created,
)
_member_identity = select(_session.user_id, _member.name, _session.session_id, _session.seen, _session.created)
_IDENTITY = PreparedQuery(
    union_all(
        _guest_identity.where(_visitor.token_hash == bindparam(PARAMETER)),
        _member_identity.join(members_table, _member.user_id == _session.user_id).where(
            _session.token_hash == bindparam(PARAMETER)
        ),
    )
)
"""Whose session it is. Every request asks."""


class SqlAccounts:
    """An AccountBook in SQL."""

    def __init__(self, database: SqlDatabase) -> None:
        self._database = database

    def identity(self, token_hash: str) -> Identity | None:
        """See AccountBook."""
        (found,) = self._database.rows(_IDENTITY, asked=token_hash)
        return Identity(*found[0]) if found else None

    def open_guest(self, token_hash: str, user_id: UserId, at: Instant) -> str:
        """See AccountBook."""
        query = select(_visitor.user_id).where(_visitor.token_hash == token_hash)
        new = insert(visitors_table).values(token_hash=token_hash, user_id=str(user_id), created=at)
        try:
            with self._database.write() as connection:
                found = connection.execute(query).scalar()
                if found is None:
                    connection.execute(new)
        except IntegrityError:  # another process inserted it between the two statements
            with self._database.read() as connection:
                found = connection.execute(query).scalar()
        return str(user_id if found is None else found)

    def was_moved(self, token_hash: str, since: Instant) -> bool:
        """See AccountBook."""
        query = select(_moved.at).where(_moved.token_hash == token_hash, _moved.at >= since)
        with self._database.read() as connection:
            return connection.execute(query).first() is not None

    def member_named(self, name_key: str) -> Member | None:
        """See AccountBook."""
        return self._member(_member.name_key == name_key)

    def member(self, user_id: UserId) -> Member | None:
        """See AccountBook."""
        return self._member(_member.user_id == str(user_id))

    def add_member(self, member: Member, name_key: str, session: Session, guest_hash: str | None) -> bool:
        """See AccountBook."""
        row = {
            "user_id": member.user_id,
            "name": member.name,
            "name_key": name_key,
            "password": member.password,
            "created": member.created,
            "changed": member.changed,
        }
        try:
            with self._database.write() as connection:
                connection.execute(insert(members_table).values(row))
                _open(connection, session, guest_hash)
        except IntegrityError:
            return False
        return True

    def open_session(self, session: Session, guest_hash: str | None, expired: Instant) -> None:
        """See AccountBook."""
        with self._database.write() as connection:
            connection.execute(delete(sessions_table).where(_session.seen < expired))
            connection.execute(delete(moved_table).where(_moved.at < session.created - MOVED_SECONDS))
            _open(connection, session, guest_hash)

    def touch(self, session_id: str, at: Instant) -> None:
        """See AccountBook."""
        self._database.later.add(_TOUCH, [{"touched": session_id, "now": at}])

    def sessions(self, user_id: UserId) -> list[Session]:
        """See AccountBook."""
        columns = (_session.user_id, _session.session_id, _session.device, _session.created, _session.seen)
        query = (
            select(*columns).where(_session.user_id == str(user_id)).order_by(_session.seen.desc(), _session.created)
        )
        with self._database.read() as connection:
            return [Session(*row) for row in connection.execute(query)]

    def close_sessions(self, user_id: UserId, *, only: str | None = None, but: str | None = None) -> int:
        """See AccountBook."""
        statement = delete(sessions_table).where(_session.user_id == str(user_id))
        if only is not None:
            statement = statement.where(_session.session_id == only)
        if but is not None:
            statement = statement.where(_session.session_id != but)
        with self._database.write() as connection:
            return connection.execute(statement).rowcount

    def set_password(self, user_id: UserId, password: str, at: Instant | None = None) -> None:
        """See AccountBook."""
        new = update(members_table).where(_member.user_id == str(user_id)).values(password=password)
        with self._database.write() as connection:
            connection.execute(new if at is None else new.values(changed=at))

    def idle_guests(self, before: Instant, limit: int) -> list[str]:
        """See AccountBook."""
        later = select(_event.seq).where(_event.user_id == _visitor.user_id, _event.at >= before)
        query = select(_visitor.user_id).where(_visitor.created < before, ~later.exists())
        with self._database.read() as connection:
            return list(connection.execute(query.order_by(_visitor.created).limit(limit)).scalars())

    def forget(self, user_id: UserId) -> int:
        """See AccountBook."""
        with self._database.write() as connection:
            return erase_rows(connection, user_id)

    def all_events(self, user_id: UserId) -> Iterator[dict[str, Any]]:
        """See AccountBook."""
        for row in self._all(events_table, str(user_id), (_event.seq,)):
            yield {name: value for name, value in row.items() if name not in ("seq", "user_id")}

    def lists(self, user_id: UserId) -> Iterator[dict[str, Any]]:
        """See AccountBook."""
        with suppress(NotKept):
            self._database.flush()
        for row in self._all(lists_table, str(user_id), (_list.at, _list.list_id)):
            yield {name: value for name, value in row.items() if name != "user_id"}

    def _all(self, table: Table, user_id: str, order: tuple[Column[Any], ...]) -> Iterator[dict[str, Any]]:
        """A user's rows of a table, read by keyset pagination; order: columns that identify a row."""
        query = select(table).where(table.c.user_id == user_id).order_by(*order).limit(PAGE)
        page = query
        while True:
            with self._database.read() as connection:
                rows = [dict(row) for row in connection.execute(page).mappings()]
            yield from rows
            if len(rows) < PAGE:
                return
            page = query.where(tuple_(*order) > tuple_(*(rows[-1][column.name] for column in order)))

    def _member(self, condition: Any) -> Member | None:  # noqa: ANN401 - SQLAlchemy's own expression
        columns = (_member.user_id, _member.name, _member.password, _member.created, _member.changed)
        with self._database.read() as connection:
            found = connection.execute(select(*columns).where(condition)).first()
        return None if found is None else Member(*found)


def _open(connection: Connection, session: Session, guest_hash: str | None) -> None:
    """Insert a member's session and turn the guest behind guest_hash into the member."""
    connection.execute(
        insert(sessions_table).values(
            token_hash=session.token_hash,
            session_id=session.session_id,
            user_id=session.user_id,
            device=session.device,
            created=session.created,
            seen=session.seen,
        )
    )
    if guest_hash is None:
        return
    query = select(_visitor.user_id).where(_visitor.token_hash == guest_hash).with_for_update()
    guest_id = connection.execute(query).scalar()
    if guest_id is not None:
        connection.execute(delete(visitors_table).where(_visitor.user_id == guest_id))
        connection.execute(insert(moved_table).values(token_hash=guest_hash, at=session.created))
        move_rows(connection, guest_id, session.user_id)


def erase_rows(connection: Connection, user_id: UserId) -> int:
    """Delete all rows of a user. Returns the number of events."""
    n_events = connection.execute(delete(events_table).where(_event.user_id == str(user_id))).rowcount
    forget_imports(connection, user_id)
    for table in (lists_table, kept_lists_table, visitors_table, sessions_table, members_table):
        connection.execute(delete(table).where(table.c.user_id == str(user_id)))
    return n_events


def move_rows(connection: Connection, from_id: str, to_id: str) -> None:
    """Move one user's events, lists and imports to another; of two events with one id, the same event, one is kept."""
    own = select(_event.event_id).where(_event.user_id == to_id, _event.event_id.is_not(None)).subquery()
    duplicates = select(own.c.event_id)  # through a subquery: MariaDB cannot delete from a table that it selects from
    connection.execute(delete(events_table).where(_event.user_id == from_id, _event.event_id.in_(duplicates)))
    connection.execute(update(events_table).where(_event.user_id == from_id).values(user_id=to_id))
    for table in (lists_table, kept_lists_table, imports_table):
        connection.execute(update(table).where(table.c.user_id == from_id).values(user_id=to_id))
