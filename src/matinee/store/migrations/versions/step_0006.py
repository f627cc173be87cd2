"""Items that were added, changed or withdrawn while the site runs."""

import sqlalchemy as sa

from matinee.store.migrations.steps import create_table, drop_table
from matinee.store.tables import Text

revision = "6"
down_revision = "5"


def upgrade() -> None:
    """Create the table."""
    create_table(
        "live_items",
        sa.Column("item_id", Text(200), primary_key=True),
        sa.Column("changes", sa.BigInteger, nullable=False),
        sa.Column("withdrawn", sa.Boolean, nullable=False),
        sa.Column("about", sa.JSON, nullable=False),
        sa.Column("fingerprint", Text(40), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    """Drop the table."""
    drop_table("live_items")
