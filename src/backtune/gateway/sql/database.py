"""The database: SQLite in a file, or PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, Engine, MetaData, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from backtune.errors import RecordsError

METADATA: Final = MetaData()

_MIGRATIONS: Final = Path(__file__).parent / "migrations"
_BUSY_SECONDS: Final = 15
# Any number that nothing else in the database uses as an advisory lock.
_MIGRATION_LOCK: Final = 0x6261636B


class Database:
    """A database that is brought up to date with the migrations. Safe to use from several threads.

    Args:
        url: The SQLAlchemy URL, such as ``sqlite:///jobs.db`` or ``postgresql+psycopg://user@host/name``.

    Raises:
        RecordsError: There is no such database, it is newer than this version of backtune, or it does not answer later.
    """

    def __init__(self, url: str) -> None:
        try:
            self._engine = _open_engine(url)
            self._migrate()
        except (SQLAlchemyError, ArgumentError, ModuleNotFoundError, CommandError) as error:
            raise RecordsError(f"the database cannot be used: {_first_line(error)}") from error

    @contextmanager
    def begin_read(self) -> Iterator[Connection]:
        """Begin a transaction that changes nothing."""
        with _translate_errors(), self._engine.connect() as connection:
            yield connection

    @contextmanager
    def begin_write(self) -> Iterator[Connection]:
        """Begin a transaction, of which everything or nothing happens."""
        with _translate_errors(), self._engine.connect() as opened:
            connection = opened.execution_options(writes=True)
            with connection.begin():
                yield connection

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def _migrate(self) -> None:
        config = Config()
        config.set_main_option("script_location", str(_MIGRATIONS))
        with self.begin_write() as connection:
            if connection.dialect.name == "postgresql":
                # If several gateways start at a time, one migrates and the others wait for it.
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
            config.attributes["connection"] = connection
            command.upgrade(config, "heads")


def _open_engine(url: str) -> Engine:
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite":
        return create_engine(parsed, pool_pre_ping=True, pool_size=10, max_overflow=20)
    if parsed.database and parsed.database != ":memory:":
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(parsed, connect_args={"timeout": _BUSY_SECONDS}, pool_size=10, max_overflow=20)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _: object) -> None:
    # Python's driver must not begin transactions by itself; _begin_sqlite does.
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection) -> None:
    """Take the write lock at the start: two transactions that read first and then write would fail each other."""
    writes = connection.get_execution_options().get("writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@contextmanager
def _translate_errors() -> Iterator[None]:
    try:
        yield
    except SQLAlchemyError as error:
        raise RecordsError(f"the database does not answer: {_first_line(error)}") from error


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
