"""API keys, and guests by the time at which they came."""

import sqlalchemy as sa

from matinee.store.migrations.steps import create_index, create_table, drop_index, drop_table
from matinee.store.tables import Text

revision = "5"
down_revision = "4"


def upgrade() -> None:
    """Create the table and the index."""
    create_table(
        "api_keys",
        sa.Column("key_id", Text(16), primary_key=True),
        sa.Column("name", Text(100), nullable=False),
        sa.Column("scopes", Text(100), nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("expires", sa.BigInteger),
        sa.Column("revoked", sa.BigInteger),
        sa.Column("secret_hash", Text(64), nullable=False),
    )
    create_index("ix_visitors_created", "visitors", ["created"])


def downgrade() -> None:
    """Drop them."""
    drop_index("ix_visitors_created", "visitors")
    drop_table("api_keys")
