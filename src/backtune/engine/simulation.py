"""Simulations: moves on a window, scored for a search or kept in full. One kernel, so the numbers are the same."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import polars as pl

from backtune.engine import types
from backtune.engine.costs import costs_of
from backtune.engine.marks import mark
from backtune.engine.metrics import Outcome, metrics_of
from backtune.engine.orders import trade
from backtune.engine.types import N_TRADE_COLUMNS, Moves, Record, Tally
from backtune.engine.window import Window
from backtune.spec import Execution

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


def score(moves: Moves, window: Window, execution: Execution) -> Score:
    """Simulate without keeping equity and trades."""
    tally, blocks = _simulate(moves, window, execution, _NOTHING_KEPT)
    return Score(metrics_of(_outcome(tally, window, execution)), blocks, tally.trading.ruined_bar >= 0)


def simulation(moves: Moves, window: Window, execution: Execution) -> Result:
    """Simulate and keep all; the metrics are those of :func:`score`."""
    # Every trade begins with a move.
    record = Record(np.empty(len(window.prices.close)), np.empty((len(moves.bars), N_TRADE_COLUMNS)))
    tally, _ = _simulate(moves, window, execution, record)
    trading = tally.trading
    return Result(
        metrics=metrics_of(_outcome(tally, window, execution)),
        equity=record.equity,
        trades=_trades_frame(record.trades[: int(trading.n_trades)], window.prices.timestamp),
        cash=trading.cash,
        quantity=trading.quantity,
        entry_price=trading.entry_price if trading.quantity != 0.0 else None,
        ruined=trading.ruined_bar >= 0,
    )


def score_positions(positions: np.ndarray, window: Window, execution: Execution) -> Score:
    """:func:`score` of (n_bars,) checked targets for all of ``window.bars``."""
    return score(window.moves(positions, allow_short=execution.allow_short), window, execution)


def result_of(positions: np.ndarray, window: Window, execution: Execution) -> Result:
    """:func:`simulation` of (n_bars,) checked targets for all of ``window.bars``."""
    return simulation(window.moves(positions, allow_short=execution.allow_short), window, execution)


def _simulate(moves: Moves, window: Window, execution: Execution, record: Record) -> tuple[Tally, np.ndarray]:
    """Orders, then marks.

    The two are put together here and not in compiled code: Numba's cache notices a change of a function's own file
    only, so a compiled caller in another file would go on with the old ones.
    """
    prices, closes, costs = window.prices, window.closes, costs_of(execution)
    n = end = len(prices.close)
    trading, segments = trade(prices, moves, costs, n, record.trades)
    if trading.ruined_bar >= 0:
        end = trading.ruined_bar
    marks, blocks = mark(closes, segments, costs.initial_cash, end, record.equity)
    if marks.ruined_bar >= 0:
        # What was traded after the ruin did not happen.
        end = marks.ruined_bar
        trading, segments = trade(prices, moves, costs, end + 1, record.trades)
        marks, blocks = mark(closes, segments, costs.initial_cash, end, record.equity)
    if end < n:
        trading = trading._replace(cash=0.0, quantity=0.0, entry_price=math.nan, ruined_bar=end)
    return Tally(float(n), float(blocks[:, 1].sum()), float(blocks[:, 2].sum()), marks, trading), blocks


def _outcome(tally: Tally, window: Window, execution: Execution) -> Outcome:
    return Outcome(tally, execution.initial_cash, window.bars.bars_per_year, window.elapsed_seconds)


def _trades_frame(trades: np.ndarray, timestamp: np.ndarray) -> pl.DataFrame:
    def times(column: int) -> pl.Series:
        return pl.Series(timestamp[trades[:, column].astype(np.int64)]).cast(pl.Datetime("us", "UTC"))

    sides = trades[:, types.SIDE] > 0
    return pl.DataFrame(
        {
            "entry_time": times(types.ENTRY_BAR),
            "exit_time": times(types.EXIT_BAR),
            "side": pl.Series(np.where(sides, "long", "short"), dtype=pl.String),
            "quantity": trades[:, types.QUANTITY],
            "entry_price": trades[:, types.ENTRY_PRICE],
            "exit_price": trades[:, types.EXIT_PRICE],
            "pnl": trades[:, types.PNL],
            "return": trades[:, types.RETURN],
        }
    )
