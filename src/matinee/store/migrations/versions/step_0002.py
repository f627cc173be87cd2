"""The version of the artefact behind an event's list."""

import sqlalchemy as sa

from matinee.store.migrations.steps import add_column, drop_column
from matinee.store.tables import Text

revision = "2"
down_revision = "1"


def upgrade() -> None:
    """Add the column, empty."""
    add_column("events", sa.Column("version", Text(40)))


def downgrade() -> None:
    """Drop the column."""
    drop_column("events", "version")
