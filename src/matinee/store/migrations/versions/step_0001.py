"""The event log of the first site."""

import sqlalchemy as sa
from alembic import op

from matinee.store.tables import Text

revision = "1"
down_revision = None


def upgrade() -> None:
    """Create the log."""
    op.create_table(
        "events",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("event_id", Text(100)),
        sa.Column("user_id", Text(200), nullable=False),
        sa.Column("item_id", Text(200), nullable=False),
        sa.Column("kind", Text(20), nullable=False),
        sa.Column("value", sa.Float().with_variant(sa.Double(), "mysql", "mariadb"), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("model", Text(100)),
        sa.Column("list_id", Text(100)),
        sa.Column("position", sa.Integer),
        sa.UniqueConstraint("user_id", "event_id"),
        sa.Index("events_by_user", "user_id", "at", "seq"),
        sqlite_autoincrement=True,
        if_not_exists=True,
    )
