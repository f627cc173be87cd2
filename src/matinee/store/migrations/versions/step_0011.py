"""What was erased within the last hour, so that it can be undone."""

import sqlalchemy as sa

from matinee.store.migrations.steps import create_index, create_table, drop_table
from matinee.store.tables import Text

revision = "11"
down_revision = "10"


def upgrade() -> None:
    """Create the table."""
    create_table(
        "erased_rows",
        sa.Column("undo_hash", Text(64), primary_key=True),
        sa.Column("part", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("table_name", Text(40), nullable=False),
        sa.Column("content", sa.JSON, nullable=False),
    )
    create_index("ix_erased_rows_at", "erased_rows", ["at"])


def downgrade() -> None:
    """Drop it."""
    drop_table("erased_rows")
