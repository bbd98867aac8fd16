"""Real databases, SQLite in a file and a PostgreSQL server of our own; a market; and a gateway that asks for keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from postgres_server import postgres_server
from secured import ROLES, Secured, secured

from backtune.data.synthetic import make_market
from backtune.gateway.jobs.job_record import NewJob
from backtune.gateway.jobs.records import JobRecords
from backtune.gateway.sql.database import Database
from backtune.wire.api_key import ApiKey


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


class Clock:
    """Seconds that a test sets."""

    def __init__(self) -> None:
        self.now = 1_700_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="session")
def aaa_market(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = tmp_path_factory.mktemp("market")
    make_market(str(root), assets=["AAA"], timeframe="15m", start="2021-01-01", end="2021-07-01", seed=3)
    return str(root)


@pytest.fixture(scope="module")
def gateway(aaa_market: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    with secured(tmp_path_factory.mktemp("runs"), aaa_market) as opened:
        yield opened


@pytest.fixture(scope="module")
def keys(gateway: Secured) -> dict[str, ApiKey]:
    return {role: gateway.key(role) for role in ROLES}
