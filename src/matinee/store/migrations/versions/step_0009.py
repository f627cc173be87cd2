"""Lists with the experiment that they are part of, and an index over their time."""

import sqlalchemy as sa

from matinee.store.migrations.steps import add_column, create_index, drop_column, drop_index
from matinee.store.tables import Text

revision = "9"
down_revision = "8"


def upgrade() -> None:
    """Add the columns and the indexes."""
    add_column("lists", sa.Column("experiment", Text(100)))
    add_column("lists", sa.Column("arm", Text(100)))
    create_index("lists_by_experiment", "lists", ["experiment"])
    create_index("lists_by_time", "lists", ["at"])


def downgrade() -> None:
    """Drop them."""
    drop_index("lists_by_time", "lists")
    drop_index("lists_by_experiment", "lists")
    drop_column("lists", "arm")
    drop_column("lists", "experiment")
