"""How far the consumers of the event log are."""

import sqlalchemy as sa

from matinee.store.migrations.steps import create_table, drop_table
from matinee.store.tables import Text

revision = "7"
down_revision = "6"


def upgrade() -> None:
    """Create the table."""
    create_table(
        "stream_offsets",
        sa.Column("consumer", Text(100), primary_key=True),
        sa.Column("offset", sa.BigInteger, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    """Drop the table."""
    drop_table("stream_offsets")
