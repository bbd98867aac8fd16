"""Exported scripts in PineTS, an independent runtime, and what they should do there.

PineTS fills a market order at the next open, as Pine does. It knows nothing of backtune.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from backtune.data.bars import Bars
from backtune.report.export.pine import PineSource, render_pine_script
from backtune.report.export.pine_signal import read_signal
from backtune.simulation.simulate import Result
from backtune.spec import Execution
from backtune.strategy.registry import BUILT_IN

REPOSITORY = Path(__file__).parents[2]
RUNNER = REPOSITORY / "tests/pine/run.mjs"
# So small that rounding to ticks is beyond the digits compared, and a power of two, so that it is exact.
TICK = 2.0**-30
# Quantities are cut to six decimals in PineTS: with this much money that is beyond them too.
CASH = 1e9


class Trade(NamedTuple):
    """Bars by number; prices without slippage; a trade that is open has no exit."""

    entry_bar: int
    exit_bar: int | None
    side: int
    entry_price: float
    exit_price: float | None


@dataclass(frozen=True)
class PineRun:
    """What a script did.

    Attributes:
        equity: at the last close.
        targets: (n_bars,) at every close.
        trades: closed ones in order, then the open one.
    """

    equity: float
    targets: np.ndarray
    trades: list[Trade]


def pinets() -> str:
    """The folder that PineTS is installed in; the test is skipped where it is not."""
    folder = REPOSITORY / ".pine"
    if shutil.which("node") is None:
        pytest.skip("needs Node")
    if not (folder / "node_modules/pinets").is_dir():
        pytest.skip("needs PineTS: make test-pine installs it")
    return str(folder)


def run_scripts(jobs: Sequence[tuple[Bars, str]]) -> list[PineRun]:
    """Run scripts, each on its bars, in one process."""
    markets = {id(bars): bars for bars, _ in jobs}
    document = {
        "mintick": TICK,
        "bars": {str(key): _columns(bars) for key, bars in markets.items()},
        "jobs": [{"bars": str(id(bars)), "script": script} for bars, script in jobs],
    }
    done = subprocess.run(
        ["node", str(RUNNER)],
        input=json.dumps(document),
        env={**os.environ, "PINETS": pinets()},
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [
        PineRun(
            equity=one["equity"],
            targets=np.array(one["targets"], dtype=float),
            trades=[_trade(row) for row in (*one["closed"], *one["open"])],
        )
        for one in json.loads(done.stdout)
    ]


def script_of(strategy: str, execution: Execution, params: dict[str, Any] | None = None) -> str:
    """The script of a built-in strategy."""
    space = BUILT_IN[strategy].space()
    return render_pine_script(
        PineSource(strategy, strategy, read_signal(strategy), space.complete(params or {}), space, execution)
    )


def gapless(bars: Bars) -> Bars:
    """The same bars, each opening at the close before: there a quantity is the same at both."""
    opens = np.concatenate([bars.open[:1], bars.close[:-1]])
    return replace(bars, open=opens, high=np.maximum(bars.high, opens), low=np.minimum(bars.low, opens))


def trades_of(result: Result, targets: np.ndarray, bars: Bars, rules: Execution) -> list[Trade]:
    """The trades of a backtest of these targets, without slippage, which a fill at a profit target has none of."""
    slip = rules.slippage_bps / 10_000
    trades = []
    columns = ("entry_time", "exit_time", "side", "entry_price", "exit_price")
    for entry_time, exit_time, name, entry, price in result.trades.select(columns).iter_rows():
        side = 1 if name == "long" else -1
        objective = entry * (1 + side * rules.take_profit) if rules.take_profit else side * np.inf
        exit_price = price if side * (price - objective) > -1e-12 * price else price / (1 - side * slip)
        rows = _row(bars, entry_time), _row(bars, exit_time)
        trades.append(Trade(*rows, side, entry / (1 + side * slip), exit_price))
    if result.entry_price is not None:
        side = int(np.sign(result.quantity))
        entered = int(np.flatnonzero(np.diff(targets[:-1], prepend=0.0))[-1]) + 1
        trades.append(Trade(entered, None, side, result.entry_price / (1 + side * slip), None))
    return trades


def with_first_bar_levels(trades: Sequence[Trade], bars: Bars) -> list[Trade]:
    """Trades as Pine has them: an exit in the bar of entry is as far from the fill as it would be from the close before."""

    def adjusted(trade: Trade) -> Trade:
        if trade.exit_bar != trade.entry_bar or trade.exit_price is None:
            return trade
        distance = trade.exit_price - trade.entry_price
        return trade._replace(
            exit_price=trade.entry_price + distance * bars.close[trade.entry_bar - 1] / trade.entry_price
        )

    return [adjusted(trade) for trade in trades]


def pine_equity(trades: Sequence[Trade], bars: Bars, rules: Execution) -> float:
    """The last equity of these trades where a quantity is fixed at the close that decides it, and every fill pays the
    fee and the slippage of its notional.
    """
    cost, slip = (rules.fee_bps + rules.slippage_bps) / 10_000, rules.slippage_bps / 10_000
    equity = rules.initial_cash
    worth = equity
    for trade, after in pairwise([*trades, None]):
        close = bars.close[trade.entry_bar - 1]
        quantity = rules.size * worth / (close * (1 + trade.side * slip))
        equity -= cost * quantity * trade.entry_price
        # What a reversal finds at the close that decides it: this trade, still open.
        marked_at = bars.close[(after.entry_bar if after else len(bars)) - 1]
        open_worth = equity + trade.side * quantity * (marked_at - trade.entry_price)
        if trade.exit_price is None:
            return open_worth
        equity += quantity * (trade.side * (trade.exit_price - trade.entry_price) - cost * trade.exit_price)
        worth = open_worth if after and trade.exit_bar == after.entry_bar else equity
    return equity


def _columns(bars: Bars) -> dict[str, list[float]]:
    names = ("open", "high", "low", "close", "volume")
    return {
        "time": (bars.timestamp // 1_000).tolist(),
        **{name: getattr(bars, name).tolist() for name in names},
    }


def _trade(row: dict[str, Any]) -> Trade:
    side = int(np.sign(row["size"]))
    return Trade(row["entry_bar"], row["exit_bar"], side, row["entry_price"], row["exit_price"])


def _row(bars: Bars, moment: Any) -> int:
    return int(np.searchsorted(bars.timestamp, round(moment.timestamp() * 1e6)))
