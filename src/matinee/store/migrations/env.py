"""Run by Alembic for each command: it works on the connection that `store/migrations` gives it."""

from alembic import context

context.configure(connection=context.config.attributes["connection"])
with context.begin_transaction():
    context.run_migrations()
