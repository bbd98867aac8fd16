"""Run by Alembic on the connection that :class:`~backtune.gateway.records.database.Database` gives it.

Each part of the gateway has a branch of migrations of its own, so that none waits for another's.
"""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
context.run_migrations()
