"""Whose database it is, of which catalogue; and lists that are kept to be read page by page."""

import sqlalchemy as sa

from matinee.store.migrations.steps import create_index, create_table, drop_table
from matinee.store.tables import Text

revision = "10"
down_revision = "9"


def upgrade() -> None:
    """Create the tables."""
    create_table(
        "site_identity",
        sa.Column("database_id", Text(32), primary_key=True),
        sa.Column("catalogue", sa.JSON, nullable=False),
    )
    create_table(
        "kept_lists",
        sa.Column("list_id", Text(100), primary_key=True),
        sa.Column("user_id", Text(200), nullable=False),
        sa.Column("expires", sa.BigInteger, nullable=False),
        sa.Column("about", sa.JSON, nullable=False),
    )
    create_index("ix_kept_lists_user_id", "kept_lists", ["user_id"])
    create_index("ix_kept_lists_expires", "kept_lists", ["expires"])


def downgrade() -> None:
    """Drop the tables."""
    drop_table("kept_lists")
    drop_table("site_identity")
