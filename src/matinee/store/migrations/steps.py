"""Changes that a step may make twice: MariaDB commits each change of a table, so a step that was killed runs again."""

import sqlalchemy as sa
from alembic import op


def add_column(table: str, column: "sa.Column[object]") -> None:
    """Add a column unless it is there."""
    if column.name not in _columns(table):
        op.add_column(table, column)


def drop_column(table: str, name: str) -> None:
    """Drop a column if it is there."""
    if name in _columns(table):
        op.drop_column(table, name)


def create_index(name: str, table: str, columns: list[str], *, unique: bool = False) -> None:
    """Create an index unless one of this name is there."""
    if name not in _indexes(table):
        op.create_index(name, table, columns, unique=unique)


def drop_index(name: str, table: str) -> None:
    """Drop an index if it is there."""
    if name in _indexes(table):
        op.drop_index(name, table)


def create_table(name: str, *parts: "sa.Column[object] | sa.schema.SchemaItem") -> None:
    """Create a table unless it is there."""
    op.create_table(name, *parts, if_not_exists=True)


def drop_table(name: str) -> None:
    """Drop a table if it is there."""
    op.drop_table(name, if_exists=True)


def _columns(table: str) -> set[str]:
    return {column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)}


def _indexes(table: str) -> set[str | None]:
    return {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}
