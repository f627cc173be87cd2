"""New names for the kinds of "not interested" and its undo."""

import sqlalchemy as sa
from alembic import op

from matinee.renamed import EVENT_KINDS

revision = "3"
down_revision = "2"


def upgrade() -> None:
    """Write the new names."""
    _rename(EVENT_KINDS)


def downgrade() -> None:
    """Write the old names."""
    _rename({new: old for old, new in EVENT_KINDS.items()})


def _rename(names: dict[str, str]) -> None:
    events = sa.table("events", sa.column("kind", sa.String))
    for old, new in names.items():
        op.execute(events.update().where(events.c.kind == old).values(kind=new))
