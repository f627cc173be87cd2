"""The tables of a site's database, as its newest version has them.

Changing one takes a step in `store/migrations/versions/` as well (docs/databases.md says how); a test compares the two
on every kind of database.
"""

import re
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Double,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.exc import DontWrapMixin
from sqlalchemy.types import TypeEngine

from matinee.errors import MatineeError


class UnstorableText(MatineeError, DontWrapMixin):
    """Text that not every database can hold: refused by all, in writing and in looking up."""


class Text(TypeDecorator[str]):
    """Text that is compared by its bytes, trailing blanks and case included, whatever the database's default is."""

    impl = String
    cache_ok = True

    def __init__(self, length: int) -> None:
        super().__init__(length)
        self._length = length

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """The text as it is. Raises UnstorableText for a NUL character (PostgreSQL) or half of a surrogate pair."""
        if value is not None and not is_storable(value):
            raise UnstorableText("a text has a character that no database can hold (NUL, or half of a surrogate pair)")
        return value

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """VARCHAR, with the binary collation of the server."""
        return dialect.type_descriptor(String(self._length, collation=binary_collation(dialect)))


def is_storable(text: str) -> bool:
    """Whether every database can hold a text."""
    return text.isprintable() or not _UNSTORABLE.search(text)


_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def binary_collation(dialect: Dialect) -> str | None:
    """The collation that compares bytes and pads nothing; None for SQLite, whose default it is."""
    if dialect.name == "postgresql":
        return "C"
    if dialect.name in ("mysql", "mariadb"):
        return "utf8mb4_nopad_bin" if getattr(dialect, "is_mariadb", False) else "utf8mb4_0900_bin"
    return None


MAX_KEYS_PER_QUERY = 10_000
"""SQLite allows at most 32,766 values in a statement."""

metadata = MetaData()
events_table = Table(
    "events",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("event_id", Text(100)),
    Column("user_id", Text(200), nullable=False),
    Column("item_id", Text(200), nullable=False),
    Column("kind", Text(20), nullable=False),
    Column("value", Float().with_variant(Double(), "mysql", "mariadb"), nullable=False),  # FLOAT has 4 bytes there
    Column("at", BigInteger, nullable=False),
    Column("model", Text(100)),
    Column("list_id", Text(100)),
    Column("position", Integer),
    Column("version", Text(40)),
    UniqueConstraint("user_id", "event_id"),
    Index("events_by_user", "user_id", "at", "seq"),
    sqlite_autoincrement=True,  # a seq is never reused, even after the last event is deleted
)
lists_table = Table(
    "lists",
    metadata,
    Column("list_id", Text(100), primary_key=True),
    Column("user_id", Text(200), nullable=False, index=True),
    Column("name", Text(40), nullable=False),
    Column("model", Text(100), nullable=False),
    Column("version", Text(40), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("items", JSON, nullable=False),
    Column("experiment", Text(100)),
    Column("arm", Text(100)),
    Index("lists_by_experiment", "experiment"),
    Index("lists_by_time", "at"),
)
visitors_table = Table(
    "visitors",
    metadata,
    Column("token_hash", Text(64), primary_key=True),
    Column("user_id", Text(200), nullable=False, index=True),
    Column("created", BigInteger, nullable=False, index=True),
)
members_table = Table(
    "members",
    metadata,
    Column("user_id", Text(200), primary_key=True),
    Column("name", Text(200), nullable=False),
    Column("name_key", Text(64), nullable=False, unique=True),
    Column("password", Text(200), nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("changed", BigInteger, nullable=False),
)
sessions_table = Table(
    "sessions",
    metadata,
    Column("token_hash", Text(64), primary_key=True),
    Column("session_id", Text(32), nullable=False, unique=True),
    Column("user_id", Text(200), nullable=False, index=True),
    Column("device", Text(60), nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("seen", BigInteger, nullable=False),
)
moved_table = Table(
    "moved_guests",
    metadata,
    Column("token_hash", Text(64), primary_key=True),
    Column("at", BigInteger, nullable=False, index=True),
)
live_items_table = Table(
    "live_items",
    metadata,
    Column("item_id", Text(200), primary_key=True),
    Column("changes", BigInteger, nullable=False),
    Column("withdrawn", Boolean, nullable=False),
    Column("about", JSON, nullable=False),
    Column("fingerprint", Text(40), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("arrival", BigInteger, nullable=False, server_default="0"),
)
imports_table = Table(
    "imports",
    metadata,
    Column("import_id", Text(40), primary_key=True),
    Column("user_id", Text(200), nullable=False, index=True),
    Column("at", BigInteger, nullable=False, index=True),
    Column("names", JSON, nullable=False),
)
imported_table = Table(
    "imported_events",
    metadata,
    Column("import_id", Text(40), primary_key=True),
    Column("seq", BigInteger, primary_key=True, index=True, autoincrement=False),
)
api_keys_table = Table(
    "api_keys",
    metadata,
    Column("key_id", Text(16), primary_key=True),
    Column("name", Text(100), nullable=False),
    Column("scopes", Text(100), nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("expires", BigInteger),
    Column("revoked", BigInteger),
    Column("secret_hash", Text(64), nullable=False),
)
stream_offsets_table = Table(
    "stream_offsets",
    metadata,
    Column("consumer", Text(100), primary_key=True),
    Column("offset", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
)
identity_table = Table(
    "site_identity",
    metadata,
    Column("database_id", Text(32), primary_key=True),
    Column("catalogue", JSON, nullable=False),
)
kept_lists_table = Table(
    "kept_lists",
    metadata,
    Column("list_id", Text(100), primary_key=True),
    Column("user_id", Text(200), nullable=False, index=True),
    Column("expires", BigInteger, nullable=False, index=True),
    Column("about", JSON, nullable=False),
)
erased_table = Table(
    "erased_rows",
    metadata,
    Column("undo_hash", Text(64), primary_key=True),
    Column("part", Integer, primary_key=True, autoincrement=False),
    Column("at", BigInteger, nullable=False, index=True),
    Column("table_name", Text(40), nullable=False),
    Column("content", JSON, nullable=False),
)
