"""The order in which live items came, which a later change leaves as it is."""

import sqlalchemy as sa
from alembic import op

from matinee.store.migrations.steps import add_column, drop_column

revision = "8"
down_revision = "7"


def upgrade() -> None:
    """Add the column; of items that are there, the time of the last change is all that is known."""
    add_column("live_items", sa.Column("arrival", sa.BigInteger, nullable=False, server_default="0"))
    items = sa.table("live_items", sa.column("arrival"), sa.column("at"))
    op.execute(sa.update(items).where(items.c.arrival == 0).values(arrival=items.c["at"]))


def downgrade() -> None:
    """Drop the column."""
    drop_column("live_items", "arrival")
