"""Fixtures of the fault tests: one small sweep, its rows when nothing disturbs it, and the same sweep to be disturbed."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sweeps import INLINE, rows_of, written

from backtune.spec import SweepSpec
from backtune.sweep import run_sweep
from faults.disturbed import Disturbed, Rows
from faults.small import make_bars, paced_document


@pytest.fixture(scope="session")
def market(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("market")
    make_bars(str(root))
    return root


@pytest.fixture(scope="session")
def expected(market: Path, tmp_path_factory: pytest.TempPathFactory) -> Rows:
    """The rows of the sweep, run in this process from start to end."""
    spec = SweepSpec.parse(paced_document(market))
    return rows_of(run_sweep(spec, tmp_path_factory.mktemp("undisturbed"), INLINE).run)


@pytest.fixture
def disturbed(tmp_path: Path, market: Path) -> Iterator[Callable[..., Disturbed]]:
    """Makes the sweep, or that of another document, to be run with the given arguments; ends all its processes after
    the test."""
    made: list[Disturbed] = []

    def make(*arguments: str, document: dict[str, Any] | None = None, **changes: Any) -> Disturbed:
        folder = tmp_path / f"sweep-{len(made)}"
        folder.mkdir()
        spec = written(folder / "spec.yaml", document or paced_document(market))
        made.append(Disturbed(folder, spec, arguments, **changes))
        return made[-1]

    yield make
    for sweep in made:
        sweep.end()
        sweep.clear()
