"""Backtests of a few bars by the engine and by the event loop, as literal tables compare them.

Every table is held by both, so that the loop can be trusted elsewhere; ``run`` of the engine's tests is either.
Bar 0 is flat at 100; a target given from there on is filled at the open of bar 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest
from oracles import DAY, replay

from backtune.data.bars import Bars
from backtune.simulation.backtest import backtest_positions
from backtune.spec import Execution

Candle = tuple[float, float, float, float]
Numbers = tuple[float, ...]

FLAT: Candle = (100, 100, 100, 100)
QUIET: Candle = (100, 101, 99, 100)
FREE_1000 = {"initial_cash": 1000, "fee_bps": 0, "slippage_bps": 0}


@dataclass(frozen=True)
class Outcome:
    """Trades as (side, entry bar, exit bar, quantity, entry price, exit price, pnl), and what is left."""

    trades: list[Numbers]
    equity: list[float]
    quantity: float
    ruined: bool


def by_engine(targets: Any, bars: Bars, execution: Execution) -> Outcome:
    result = backtest_positions(targets, bars, execution)
    rows = [
        (
            1.0 if row["side"] == "long" else -1.0,
            (row["entry_time"].timestamp() * 1e6) // DAY,
            (row["exit_time"].timestamp() * 1e6) // DAY,
            *(row[name] for name in ("quantity", "entry_price", "exit_price", "pnl")),
        )
        for row in result.trades.to_dicts()
    ]
    return Outcome(rows, result.equity.tolist(), result.quantity, result.ruined)


def by_loop(targets: Any, bars: Bars, execution: Execution) -> Outcome:
    run = replay(bars, targets, execution)
    rows = [
        (t.side, t.entry_bar, t.exit_bar, t.bought, t.entry_price, t.exit_price, t.pnl)
        for t in run.account.closed
    ]
    return Outcome(rows, run.equity, 0.0 if run.ruined else run.account.quantity, run.ruined)


def assert_trades(outcome: Outcome, expected: list[Numbers]) -> None:
    assert outcome.trades == [pytest.approx(row) for row in expected]
