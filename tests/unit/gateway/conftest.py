"""Real databases: SQLite in a file, and a PostgreSQL server of our own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from postgres_server import postgres_server

from backtune.gateway.jobs.job_record import NewJob
from backtune.gateway.jobs.records import JobRecords
from backtune.gateway.sql.database import Database


@pytest.fixture(scope="session")
def postgres() -> Iterator[Callable[[], str]]:
    """Gives the address of an empty database at each call."""
    with postgres_server() as database:
        yield database


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
