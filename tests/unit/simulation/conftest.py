"""Fixtures of the engine's tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from candles import FLAT, Candle, Outcome, by_engine, by_loop
from oracles import make_bars

from backtune.spec import Execution


@pytest.fixture(params=[by_engine, by_loop], ids=["engine", "event loop"])
def run(request: pytest.FixtureRequest) -> Any:
    """Backtests candles after one that is flat; one target may stand for all."""

    def run(
        candles: list[Candle], targets: Any, execution: Mapping[str, Any], funding: Any = None
    ) -> Outcome:
        rows = [FLAT, *candles]
        open_, high, low, close = np.array(rows, dtype=np.float64).T
        if np.isscalar(targets):
            targets = [targets] * len(rows)
        rates = None if funding is None else [0.0, *funding]
        bars = make_bars(open_, close, high=high, low=low, funding=rates)
        return request.param(np.array(targets, dtype=np.float64), bars, Execution(**execution))

    return run
