"""The tables of the event log and of displayed lists. Tables of accounts and imports stand with their code."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Float,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
)

MAX_KEYS_PER_QUERY = 10_000
"""SQLite allows at most 32,766 values in a statement."""

metadata = MetaData()
events_table = Table(
    "events",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("event_id", String(100)),
    Column("user_id", String(200), nullable=False),
    Column("item_id", String(200), nullable=False),
    Column("kind", String(20), nullable=False),
    Column("value", Float, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("model", String(100)),
    Column("list_id", String(100)),
    Column("position", Integer),
    Column("version", String(40)),
    UniqueConstraint("user_id", "event_id"),
    Index("events_by_user", "user_id", "at", "seq"),
    sqlite_autoincrement=True,  # a seq is never reused, even after the last event is deleted
)
lists_table = Table(
    "lists",
    metadata,
    Column("list_id", String(100), primary_key=True),
    Column("user_id", String(200), nullable=False, index=True),
    Column("name", String(40), nullable=False),
    Column("model", String(100), nullable=False),
    Column("version", String(40), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("items", JSON, nullable=False),
)
