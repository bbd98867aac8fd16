from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from backtune.data.schema import SCHEMA

MakeFrame = Callable[..., pl.DataFrame]


@pytest.fixture
def make_frame() -> MakeFrame:
    """Coherent bars: opens at ``first`` plus each of ``minutes``; close = open + 1, one unit of volume."""

    def make(minutes: range | list[int], first: str = "2018-01-01", price: float = 100.0) -> pl.DataFrame:
        start = datetime.fromisoformat(first).replace(tzinfo=UTC)
        opens = [price + i for i in range(len(minutes))]
        return pl.DataFrame(
            {
                "timestamp": [start + timedelta(minutes=m) for m in minutes],
                "open": opens,
                "high": [x + 2 for x in opens],
                "low": [x - 1 for x in opens],
                "close": [x + 1 for x in opens],
                "volume": [1.0] * len(opens),
            },
            schema=SCHEMA,
        )

    return make


@pytest.fixture
def write_file(tmp_path: Path) -> Callable[[str, str], Path]:
    """Write text to a file of the given name in a folder of its own, and return its path."""

    def write(name: str, text: str) -> Path:
        path = tmp_path / "sources" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        return path

    return write


@pytest.fixture
def market() -> Path:
    """Real market data beside the repository; it is no part of it."""
    folder = Path(__file__).resolve().parents[3] / ".." / "shared" / "market"
    if not folder.is_dir():
        pytest.skip(f"no market data at {folder}")
    return folder
