"""Backtests: positions through bars under the execution rules.

1. A target is decided at a bar's close and filled at the next bar's open.
2. Orders arise only where the target changes. A fill sizes the position at ``size * |target| * equity`` worth at the
   fill price, equity taken at that open before the fill's own fee; between fills the quantity is constant.
3. Every fill pays the fee on its notional; slippage moves its price against the order.
4. Equity is marked at every close. A position that is open at the end is marked and is not a closed trade.
5. Equity that reaches zero, at a close or at the open of a fill, ends the run: it stays zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from backtune.data.bars import Bars
from backtune.engine import kernels
from backtune.engine.costs import as_execution, costs_of
from backtune.engine.kernels import N_BLOCKS, N_TRADE_COLUMNS, Prices, Record, simulate
from backtune.engine.metrics import Outcome, metrics_of
from backtune.errors import BacktuneError, BarsError, StrategyError
from backtune.spec import Execution
from backtune.strategy.base import BaseStrategy, check_positions
from backtune.strategy.registry import StrategyFactory, as_strategy

_NOTHING_KEPT = Record(np.empty(0), np.empty((0, N_TRADE_COLUMNS)))


@dataclass(frozen=True)
class Score:
    """What a search needs of one candidate.

    Attributes:
        metrics: every metric of :data:`~backtune.engine.metrics.METRICS`, None where undefined.
        blocks: (16, 3) count, sum and sum of squares of the bar returns in 16 equal blocks of time.
        ruined: whether equity reached zero.
    """

    metrics: dict[str, float | None]
    blocks: np.ndarray
    ruined: bool


@dataclass(frozen=True)
class Result:
    """A backtest in full.

    Attributes:
        metrics: every metric of :data:`~backtune.engine.metrics.METRICS`, None where undefined.
        equity: (n_bars,) equity at every close.
        trades: closed trades: entry_time, exit_time, side, quantity, entry_price, exit_price, pnl, return. Prices
            are averages of the fills, slippage included; pnl is after fees, return is pnl on the money entered.
        cash: what is left beside the position at the end.
        quantity: signed quantity held at the end.
        entry_price: average entry price of that position, None when flat.
        ruined: whether equity reached zero.
    """

    metrics: dict[str, float | None]
    equity: np.ndarray
    trades: pl.DataFrame
    cash: float
    quantity: float
    entry_price: float | None
    ruined: bool


@dataclass(frozen=True)
class Window:
    """Bars to trade on, with what every simulation on them shares.

    Attributes:
        bars: the bars that positions are computed on: those of the window and the ones before it.
        start: row of the first bar that is traded and scored.
        block_edges: (17,) rows, relative to ``start``, that cut the window in 16 equal blocks of time.
        elapsed_seconds: from the first open to the last close of the window.
    """

    bars: Bars
    start: int
    block_edges: np.ndarray
    elapsed_seconds: float

    @classmethod
    def of(cls, bars: Bars, start: int = 0) -> Window:
        """The window from row ``start`` to the end of ``bars``.

        Raises:
            BarsError: there is no bar in it.
        """
        if start >= len(bars):
            raise BarsError("there is no bar to trade on", source=bars.asset or "bars")
        times = bars.timestamp[start:]
        elapsed = int(times[-1] - times[0]) + bars.timeframe.microseconds
        cuts = times[0] + (np.arange(1, N_BLOCKS) * elapsed) // N_BLOCKS
        edges = np.concatenate([[0], np.searchsorted(times, cuts), [len(times)]]).astype(np.int64)
        return cls(bars, start, edges, elapsed / 1e6)


def score_positions(positions: np.ndarray, window: Window, execution: Execution) -> Score:
    """Score targets on a window without keeping equity and trades.

    Args:
        positions: (n_bars,) checked targets for all bars of ``window.bars``; the one before the window is filled
            at its first open.
    """
    tally, blocks = _simulate(positions, window, execution, _NOTHING_KEPT)
    return Score(metrics_of(_outcome(tally, window, execution)), blocks, tally.ruined_bar >= 0)


def backtest_positions(
    positions: Any,
    bars: Any,
    execution: Execution | Mapping[str, Any] | None = None,
) -> Result:
    """Backtest targets that were decided elsewhere.

    Args:
        positions: (n_bars,) target exposures in [-1, 1], each decided at its bar's close.
        bars: a :class:`Bars`, or a Polars or pandas frame with the columns timestamp, open, high, low, close, volume.
        execution: an :class:`Execution`, a mapping with the spec's keys, or None for the defaults.

    Raises:
        StrategyError: the positions are not usable.
        BarsError: a bar breaks the schema, or there is none.
        SpecError: an execution key is unknown or a value impossible.
    """
    table = bars if isinstance(bars, Bars) else Bars.from_frame(bars)
    targets = check_positions(positions, len(table), "positions")
    return result_of(targets, Window.of(table), as_execution(execution))


def backtest(
    strategy: str | type | BaseStrategy,
    params: Mapping[str, Any] | None,
    bars: Any,
    execution: Execution | Mapping[str, Any] | None = None,
) -> Result:
    """Backtest a strategy with given parameters on bars.

    Args:
        strategy: a registered name, a class (of either form), or a strategy object, which is used as it is.
        params: values by name; those left out take their defaults. They may lie outside the space's ranges.
        bars: as in :func:`backtest_positions`.
        execution: as in :func:`backtest_positions`.

    Raises:
        SpecError: the strategy or a parameter is unknown.
        StrategyError: the strategy fails or its positions are not usable.
    """
    table = bars if isinstance(bars, Bars) else Bars.from_frame(bars)
    targets = _positions(strategy, params or {}, table)
    return result_of(targets, Window.of(table), as_execution(execution))


def result_of(positions: np.ndarray, window: Window, execution: Execution) -> Result:
    """The full result of checked targets on a window; its metrics are those of :func:`score_positions`."""
    n_bars = len(window.bars) - window.start
    equity = np.empty(n_bars)
    # A trade needs a change of target, and no more than every bar can bring one.
    room = int(np.count_nonzero(np.diff(positions[window.start :]))) + 2
    trades = np.empty((min(room, n_bars + 1), N_TRADE_COLUMNS))
    tally, _ = _simulate(positions, window, execution, Record(equity, trades))
    return Result(
        metrics=metrics_of(_outcome(tally, window, execution)),
        equity=equity,
        trades=_trades_frame(trades[: int(tally.n_trades)], window.bars.timestamp[window.start :]),
        cash=tally.cash,
        quantity=tally.quantity,
        entry_price=tally.entry_price if tally.quantity != 0.0 else None,
        ruined=tally.ruined_bar >= 0,
    )


def _positions(strategy: str | type | BaseStrategy, params: Mapping[str, Any], bars: Bars) -> np.ndarray:
    kind = type(strategy) if isinstance(strategy, BaseStrategy) else _class_of(strategy)
    try:
        built = strategy if isinstance(strategy, BaseStrategy) else kind(**kind.space().complete(params))
        return check_positions(built.positions(bars), len(bars), kind.name)
    except BacktuneError:
        raise
    except Exception as error:
        raise StrategyError(f"{kind.name}: {type(error).__name__}: {error}") from error


def _class_of(strategy: str | type) -> type[BaseStrategy]:
    if isinstance(strategy, str):
        return StrategyFactory.get(strategy)
    return as_strategy(getattr(strategy, "__name__", repr(strategy)), strategy)


def _simulate(
    positions: np.ndarray, window: Window, execution: Execution, record: Record
) -> tuple[kernels.Tally, np.ndarray]:
    bars, start = window.bars, window.start
    prices = Prices(bars.timestamp[start:], bars.open[start:], bars.close[start:])
    first_target = float(positions[start - 1]) if start > 0 else 0.0
    tally, blocks = simulate(
        prices, positions[start:], first_target, window.block_edges, costs_of(execution), record
    )
    return tally, blocks


def _outcome(tally: kernels.Tally, window: Window, execution: Execution) -> Outcome:
    return Outcome(tally, execution.initial_cash, window.bars.bars_per_year, window.elapsed_seconds)


def _trades_frame(trades: np.ndarray, timestamp: np.ndarray) -> pl.DataFrame:
    def times(column: int) -> pl.Series:
        return pl.Series(timestamp[trades[:, column].astype(np.int64)]).cast(pl.Datetime("us", "UTC"))

    sides = trades[:, kernels.SIDE] > 0
    return pl.DataFrame(
        {
            "entry_time": times(kernels.ENTRY_BAR),
            "exit_time": times(kernels.EXIT_BAR),
            "side": pl.Series(np.where(sides, "long", "short"), dtype=pl.String),
            "quantity": trades[:, kernels.QUANTITY],
            "entry_price": trades[:, kernels.ENTRY_PRICE],
            "exit_price": trades[:, kernels.EXIT_PRICE],
            "pnl": trades[:, kernels.PNL],
            "return": trades[:, kernels.RETURN],
        }
    )
