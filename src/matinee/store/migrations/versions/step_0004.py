"""The tables of accounts, lists and imports, which older versions create where they miss them; text by its bytes.

From here on Alembic keeps the number. Older versions read it in a table of their own, and refuse this one.
"""

import sqlalchemy as sa
from alembic import op

from matinee.store.migrations.steps import create_index, create_table
from matinee.store.tables import Text, binary_collation

revision = "4"
down_revision = "3"

_number = sa.table("schema_version", sa.column("version", sa.Integer))


def upgrade() -> None:
    """Create what is missing; an older database of MariaDB gets the collation that keeps trailing blanks."""
    _create_tables()
    _create_indexes()
    _compare_by_bytes()
    create_table("schema_version", sa.Column("version", sa.Integer, nullable=False))
    op.execute(_number.delete())
    op.execute(_number.insert().values(version=4))


def downgrade() -> None:
    """Version 3 has the same tables."""
    op.execute(_number.update().values(version=3))


def _create_tables() -> None:
    create_table(
        "lists",
        sa.Column("list_id", Text(100), primary_key=True),
        sa.Column("user_id", Text(200), nullable=False),
        sa.Column("name", Text(40), nullable=False),
        sa.Column("model", Text(100), nullable=False),
        sa.Column("version", Text(40), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("items", sa.JSON, nullable=False),
    )
    create_table(
        "visitors",
        sa.Column("token_hash", Text(64), primary_key=True),
        sa.Column("user_id", Text(200), nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
    )
    create_table(
        "members",
        sa.Column("user_id", Text(200), primary_key=True),
        sa.Column("name", Text(200), nullable=False),
        sa.Column("name_key", Text(64), nullable=False, unique=True),
        sa.Column("password", Text(200), nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("changed", sa.BigInteger, nullable=False),
    )
    create_table(
        "sessions",
        sa.Column("token_hash", Text(64), primary_key=True),
        sa.Column("session_id", Text(32), nullable=False, unique=True),
        sa.Column("user_id", Text(200), nullable=False),
        sa.Column("device", Text(60), nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("seen", sa.BigInteger, nullable=False),
    )
    create_table(
        "moved_guests",
        sa.Column("token_hash", Text(64), primary_key=True),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
    create_table(
        "imports",
        sa.Column("import_id", Text(40), primary_key=True),
        sa.Column("user_id", Text(200), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("names", sa.JSON, nullable=False),
    )
    create_table(
        "imported_events",
        sa.Column("import_id", Text(40), primary_key=True),
        sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    )


def _create_indexes() -> None:
    for table in ("lists", "visitors", "sessions", "imports"):
        create_index(f"ix_{table}_user_id", table, ["user_id"])
    for table in ("moved_guests", "imports"):
        create_index(f"ix_{table}_at", table, ["at"])
    create_index("ix_imported_events_seq", "imported_events", ["seq"])


def _compare_by_bytes() -> None:
    dialect = op.get_bind().dialect
    if dialect.name not in ("mysql", "mariadb"):
        return
    for name in ("events", "lists", "visitors", "members", "sessions", "moved_guests", "imports", "imported_events"):
        op.execute(f"ALTER TABLE {name} CONVERT TO CHARACTER SET utf8mb4 COLLATE {binary_collation(dialect)}")
    op.alter_column("events", "value", type_=sa.Double(), existing_nullable=False)
