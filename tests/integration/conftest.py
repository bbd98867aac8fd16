"""Fixtures of the integration tests."""

from pathlib import Path

import pytest
from sweeps import INLINE, build_market, parsed, rows_of
from tracking_store import make_empty

from backtune.sweep import SweepResult, run_sweep


@pytest.fixture(scope="session")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_market(tmp_path_factory.mktemp("market"))


@pytest.fixture(scope="session")
def undisturbed(market: Path, tmp_path_factory: pytest.TempPathFactory) -> SweepResult:
    """The small sweep, run inline from start to end."""
    return run_sweep(parsed(market), tmp_path_factory.mktemp("runs"), INLINE)


@pytest.fixture(scope="session")
def undisturbed_rows(undisturbed: SweepResult) -> dict:
    return rows_of(undisturbed.run)


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's tables without content, made once."""
    folder = tmp_path_factory.mktemp("empty")
    make_empty(folder / "mlflow.db", folder / "runs")
    return folder / "mlflow.db"
