"""API keys in a SQL database, of which only a hash is stored."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol, get_args

from sqlalchemy import bindparam, insert, select, update

from matinee.histories import Instant
from matinee.store.database import SqlDatabase
from matinee.store.prepared import PARAMETER, PreparedQuery
from matinee.store.tables import api_keys_table

Scope = Literal["read", "write", "admin"]
"""read: lists and histories of any user; write: events of any user; admin: everything, items included."""
SCOPES: tuple[Scope, ...] = get_args(Scope)


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key of a program. key_id: names it, in logs too, but opens nothing; expires, revoked: None if never."""

    key_id: str
    name: str
    scopes: tuple[Scope, ...]
    created: Instant
    expires: Instant | None = None
    revoked: Instant | None = None
    secret_hash: str = field(default="", repr=False)

    def allows(self, scope: Scope) -> bool:
        """Whether the key has a scope; admin includes the others."""
        return scope in self.scopes or "admin" in self.scopes

    def is_valid_at(self, now: Instant) -> bool:
        """Whether the key is neither revoked nor expired."""
        return self.revoked is None and (self.expires is None or now < self.expires)


class ApiKeyBook(Protocol):
    """The API keys of a site."""

    def add(self, key: ApiKey) -> None:
        """Store a new key."""
        ...

    def find(self, key_id: str) -> ApiKey | None:
        """The key with an id, revoked or not; None if there is none."""
        ...

    def all(self) -> Sequence[ApiKey]:
        """Every key, the oldest first, without hashes."""
        ...

    def revoke(self, key_id: str, at: Instant) -> bool:
        """End a key. False if there is no such key, or it was revoked before."""
        ...


_key = api_keys_table.c
_PUBLIC = (_key.key_id, _key.name, _key.scopes, _key.created, _key.expires, _key.revoked)
_BY_ID = PreparedQuery(select(*_PUBLIC, _key.secret_hash).where(_key.key_id == bindparam(PARAMETER)))


class SqlApiKeys:
    """An ApiKeyBook in SQL."""

    def __init__(self, database: SqlDatabase) -> None:
        self._database = database

    def add(self, key: ApiKey) -> None:
        """See ApiKeyBook."""
        row = {
            "key_id": key.key_id,
            "name": key.name,
            "scopes": ",".join(key.scopes),
            "created": key.created,
            "expires": key.expires,
            "revoked": key.revoked,
            "secret_hash": key.secret_hash,
        }
        with self._database.write() as connection:
            connection.execute(insert(api_keys_table).values(row))

    def find(self, key_id: str) -> ApiKey | None:
        """See ApiKeyBook."""
        (found,) = self._database.rows(_BY_ID, asked=key_id)
        return _key_of(*found[0]) if found else None

    def all(self) -> Sequence[ApiKey]:
        """See ApiKeyBook."""
        with self._database.read() as connection:
            rows = connection.execute(select(*_PUBLIC).order_by(_key.created, _key.key_id)).all()
        return [_key_of(*row) for row in rows]

    def revoke(self, key_id: str, at: Instant) -> bool:
        """See ApiKeyBook."""
        statement = update(api_keys_table).where(_key.key_id == key_id, _key.revoked.is_(None)).values(revoked=at)
        with self._database.write() as connection:
            return connection.execute(statement).rowcount > 0


def _key_of(
    key_id: str,
    name: str,
    scopes: str,
    created: Instant,
    expires: Instant | None,
    revoked: Instant | None,
    secret_hash: str = "",
) -> ApiKey:
    known = tuple(scope for scope in SCOPES if scope in scopes.split(","))
    return ApiKey(key_id, name, known, created, expires, revoked, secret_hash)
