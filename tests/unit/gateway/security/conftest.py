"""A market and a gateway that asks for keys."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from secured import ROLES, Secured, secured

from backtune.data.synthetic import make_market
from backtune.wire.api_key import ApiKey


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


@pytest.fixture
def private(tmp_path: Path) -> Path:
    """A folder for one gateway's files."""
    return tmp_path / ".gateway"
