"""Simulations: moves on a window, scored for a search or kept in full, and several as one. One kernel, so the numbers
are the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl

from backtune.simulation import types
from backtune.simulation.costs import costs_of
from backtune.simulation.marks import mark
from backtune.simulation.metrics import Outcome, metrics_of
from backtune.simulation.orders import trade
from backtune.simulation.types import N_TRADE_COLUMNS, Costs, Holdings, Moves, Record, Tally, Trading
from backtune.simulation.window import BarWindow
from backtune.spec import Execution

_NOTHING_KEPT = Record(np.empty(0), np.empty((0, N_TRADE_COLUMNS)))


class Score(NamedTuple):
    """What a search needs of one candidate.

    Attributes:
        metrics: every metric of :data:`~backtune.simulation.metrics.METRICS`, None where undefined.
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
        metrics: every metric of :data:`~backtune.simulation.metrics.METRICS`, None where undefined.
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


def score(moves: Moves, window: BarWindow, costs: Costs) -> Score:
    """Simulate without keeping equity and trades."""
    run = _simulate(moves, window, costs, _NOTHING_KEPT)
    return Score(_metrics(run.tally, window, costs), run.blocks, run.tally.trading.ruined_bar >= 0)


def simulation(moves: Moves, window: BarWindow, costs: Costs) -> Result:
    """Simulate and keep all; the metrics are those of :func:`score`."""
    record = _room(moves, window)
    run = _simulate(moves, window, costs, record)
    trades = record.trades[: int(run.tally.trading.n_trades)]
    return _result(run.tally, window, costs, record.equity, trades)


def equity(moves: Moves, window: BarWindow, costs: Costs) -> np.ndarray:
    """(n_bars,) equity at every close, as :func:`simulation` has it."""
    record = Record(np.empty(len(window.prices.close)), _NOTHING_KEPT.trades)
    _simulate(moves, window, costs, record)
    return record.equity


def chained(pieces: Sequence[tuple[Moves, BarWindow, Costs]]) -> Result:
    """Simulations on windows side by side, as one, from the first one's initial cash.

    Every piece begins flat with the equity that the one before ended with: a position that is open there is handed over at
    the last close, free of cost, and is not a closed trade. What follows on a ruin is not simulated.

    Args:
        pieces: moves, window and costs of each, in order; a window's bars end where the next one starts.

    Raises:
        ValueError: there is none, or windows are not side by side.
    """
    starts = [window.start for _, window, _ in pieces[1:]]
    if not pieces or starts != [len(window.bars) for _, window, _ in pieces[:-1]]:
        raise ValueError("the windows are not side by side")
    first, initial_cash = pieces[0][1], pieces[0][2].initial_cash
    runs: list[_Run] = []
    trades: list[np.ndarray] = []
    cash, n_bars = initial_cash, 0
    for moves, window, costs in pieces:
        record = _room(moves, window)
        run = _simulate(moves, window, costs._replace(initial_cash=cash), record)
        closed = record.trades[: int(run.tally.trading.n_trades)]
        closed[:, [types.ENTRY_BAR, types.EXIT_BAR]] += n_bars
        trades.append(closed)
        runs.append(
            run._replace(
                segments=run.segments._replace(starts=run.segments.starts + n_bars), end=run.end + n_bars
            )
        )
        cash, n_bars = run.tally.marks.final_equity, n_bars + len(window.prices.close)
        if run.tally.trading.ruined_bar >= 0:
            break
    whole = BarWindow.of(pieces[-1][1].bars, first.start)
    levels = np.empty(len(whole.prices.close))
    segments = Holdings(
        *(np.concatenate(parts) for parts in zip(*(run.segments for run in runs), strict=True))
    )
    marks, _ = mark(whole.closes, segments, initial_cash, runs[-1].end, levels)
    trading = _sum_of([run.tally.trading for run in runs])
    return _result(Tally(marks, trading), whole, pieces[0][2], levels, np.concatenate(trades))


def _sum_of(parts: Sequence[Trading]) -> Trading:
    """The trading of pieces as one; the position is that of the last."""
    sums = np.array([part[:6] for part in parts]).sum(axis=0).tolist()
    wins, losses = (
        np.array([getattr(part, name) for part in parts]) for name in ("largest_win", "largest_loss")
    )
    return parts[-1]._replace(
        **dict(zip(Trading._fields[:6], sums, strict=True)),
        # NaN where a piece has none.
        largest_win=float(np.fmax.reduce(wins)),
        largest_loss=float(np.fmin.reduce(losses)),
        sum_trade_microseconds=sum(part.sum_trade_microseconds for part in parts),
        traded_notional=sum(part.traded_notional for part in parts),
    )


def _room(moves: Moves, window: BarWindow) -> Record:
    # Every trade begins with a move.
    return Record(np.empty(len(window.prices.close)), np.empty((len(moves.bars), N_TRADE_COLUMNS)))


def _result(tally: Tally, window: BarWindow, costs: Costs, levels: np.ndarray, trades: np.ndarray) -> Result:
    trading = tally.trading
    return Result(
        metrics=_metrics(tally, window, costs),
        equity=levels,
        trades=_trades_frame(trades, window.prices.timestamp),
        cash=trading.cash,
        quantity=trading.quantity,
        entry_price=trading.entry_price if trading.quantity != 0.0 else None,
        ruined=trading.ruined_bar >= 0,
    )


def score_positions(positions: np.ndarray, window: BarWindow, execution: Execution) -> Score:
    """:func:`score` of (n_bars,) checked targets for all of ``window.bars``."""
    moves = window.moves(positions, allow_short=execution.allow_short)
    return score(moves, window, costs_of(execution))


def result_of(positions: np.ndarray, window: BarWindow, execution: Execution) -> Result:
    """:func:`simulation` of (n_bars,) checked targets for all of ``window.bars``."""
    moves = window.moves(positions, allow_short=execution.allow_short)
    return simulation(moves, window, costs_of(execution))


class _Run(NamedTuple):
    """A simulation's sums, segments and block moments; from bar ``end`` on equity is zero."""

    tally: Tally
    segments: Holdings
    blocks: np.ndarray
    end: int


def _simulate(moves: Moves, window: BarWindow, costs: Costs, record: Record) -> _Run:
    """Orders, then marks.

    The two are put together here and not in compiled code: Numba's cache notices a change of a function's own file
    only, so a compiled caller in another file would go on with the old ones.
    """
    prices, closes = window.prices, window.closes
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
    return _Run(Tally(marks, trading), segments, blocks, end)


def _metrics(tally: Tally, window: BarWindow, costs: Costs) -> dict[str, float | None]:
    outcome = Outcome.of(tally, costs.initial_cash, window.bars.bars_per_year, window.elapsed_seconds)
    return metrics_of(outcome)


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
