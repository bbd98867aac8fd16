"""The script that Alembic runs on the connection of :class:`~backtune.gateway.sql.database.Database`.

Jobs and security have a branch of migrations each, so that neither waits for the other.
"""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
context.run_migrations()
