"""Sweeps over simulated markets, and the rows of their leaderboards as programs read them."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from backtune.spec import SweepSpec
from backtune.sweep import Options, run_sweep
from simulations.markets import write_market

Row = dict[str, Any]

STRATEGIES = ("MovingAverageCrossover", "MACDStrategy", "RSIStrategy", "BollingerBandsStrategy")
NO_COSTS = {"fee_bps": 0.0, "slippage_bps": 0.0}
HOLDOUT = {"method": "holdout", "test_fraction": 0.3}
SIGNIFICANT = 0.05
_INLINE = Options(executor="inline", tracking=False)


def sweep_rows(
    returns: Mapping[str, np.ndarray],
    *,
    strategies: Sequence[str] = STRATEGIES,
    timeframes: Sequence[str] = ("1h",),
    stored_timeframe: str = "1h",
    looks_at_all: bool = True,
    **sections: Mapping[str, Any],
) -> list[Row]:
    """Sweep all strategies over a simulated market and return the leaderboard, cells without a winner left out.

    The market and the results live in a temporary folder, which is gone afterwards.

    Args:
        returns: (n_bars,) log returns by asset.
        looks_at_all: Whether the evidence from the trials of a search is wanted of all rows. Else it is read of the first row, and of
            all where a row would pass without a warning: this evidence adds warnings and takes none away.
        sections: The sections of the spec beside data and grid, each as it is in a file; 30 % holdout, 200 trials of tpe
            and the default costs by default.
    """
    with tempfile.TemporaryDirectory(prefix="simulated-") as name:
        folder = Path(name)
        market = write_market(folder / "market", returns, stored_timeframe)
        document = {
            "name": "simulated",
            "data": {"root": str(market)},
            "grid": {
                "strategies": list(strategies),
                "assets": list(returns),
                "timeframes": list(timeframes),
            },
            "search": {"sampler": "tpe", "trials": 200, **sections.get("search", {})},
            "validation": {**HOLDOUT, **sections.get("validation", {})},
            "execution": {**sections.get("execution", {})},
        }
        result = run_sweep(SweepSpec.parse(document), folder / "runs", _INLINE)
        rows = result.rows(top=None if looks_at_all else 1)
        if not looks_at_all and not all(row.warnings for row in rows):
            rows = result.rows()
        return [row.to_json() for row in rows if row.values is not None]


def is_significant(p: float | None) -> bool:
    """Tell whether a test rejects at 5 %; a p-value that is undefined does not."""
    return p is not None and p <= SIGNIFICANT


def is_above_zero(row: Row) -> bool:
    """Tell whether the interval of the Sharpe ratio out of sample lies above 0."""
    low = row["oos_sharpe_low"]
    return low is not None and low > 0.0


def is_without_warning(row: Row) -> bool:
    """Tell whether a row says nothing against its winner."""
    return not row["warnings"]
