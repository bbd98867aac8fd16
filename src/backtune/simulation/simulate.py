"""Simulations of target changes on a window: scored for a search or kept in full, alone or several as one.

All go through one kernel, so their numbers are the same.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl

from backtune.simulation import types
from backtune.simulation.bar_window import BarWindow
from backtune.simulation.costs import build_costs
from backtune.simulation.mark_to_market import mark_to_market
from backtune.simulation.metrics import MetricInputs, compute_metrics
from backtune.simulation.orders import execute_orders
from backtune.simulation.types import (
    N_TRADE_COLUMNS,
    Costs,
    Holdings,
    OutputBuffers,
    SimulationSums,
    TargetChanges,
    TradeSums,
)
from backtune.spec import Execution

_NO_TRADES = np.empty((0, N_TRADE_COLUMNS))
_NO_OUTPUT = OutputBuffers(np.empty(0), _NO_TRADES)


class Score(NamedTuple):
    """The figures of one candidate that a search needs.

    Attributes:
        metrics: Every metric of :data:`~backtune.simulation.metrics.METRICS`, None where undefined.
        blocks: (16, 3) count, sum and sum of squares of the bar returns in 16 equal blocks of time.
        ruined: Flag that equity reached zero.
    """

    metrics: dict[str, float | None]
    blocks: np.ndarray
    ruined: bool


@dataclass(frozen=True)
class Result:
    """A backtest in full.

    Attributes:
        metrics: Every metric of :data:`~backtune.simulation.metrics.METRICS`, None where undefined.
        equity: (n_bars,) equity at every close.
        trades: Closed trades: entry_time, exit_time, side, quantity, entry_price, exit_price, pnl, return. Prices
            are averages of the fills, slippage included; pnl is after fees, return is pnl on the money entered.
        cash: Cash beside the position at the end.
        quantity: Signed quantity held at the end.
        entry_price: Average entry price of that position, None when flat.
        ruined: Flag that equity reached zero.
    """

    metrics: dict[str, float | None]
    equity: np.ndarray
    trades: pl.DataFrame
    cash: float
    quantity: float
    entry_price: float | None
    ruined: bool


def score_target_changes(changes: TargetChanges, window: BarWindow, costs: Costs) -> Score:
    """Simulate without keeping equity and trades."""
    run = _run_kernel(changes, window, costs, _NO_OUTPUT)
    return Score(_compute_metrics(run.sums, window, costs), run.blocks, run.sums.trades.ruined_bar >= 0)


def simulate(changes: TargetChanges, window: BarWindow, costs: Costs) -> Result:
    """Simulate and keep all; the metrics are those of :func:`score_target_changes`."""
    output = _allocate_output(changes, window)
    run = _run_kernel(changes, window, costs, output)
    trades = output.trades[: int(run.sums.trades.n_trades)]
    return _build_result(run.sums, window, costs, output.equity, trades)


def simulate_equity(changes: TargetChanges, window: BarWindow, costs: Costs) -> np.ndarray:
    """Return the (n_bars,) equity at every close, as :func:`simulate` has it."""
    output = OutputBuffers(np.empty(len(window.prices.close)), _NO_TRADES)
    _run_kernel(changes, window, costs, output)
    return output.equity


def score_positions(positions: np.ndarray, window: BarWindow, execution: Execution) -> Score:
    """Simulate (n_bars,) checked targets for all of ``window.bars`` without keeping equity and trades."""
    changes = window.find_target_changes(positions, allow_short=execution.allow_short)
    return score_target_changes(changes, window, build_costs(execution))


def simulate_positions(positions: np.ndarray, window: BarWindow, execution: Execution) -> Result:
    """Simulate (n_bars,) checked targets for all of ``window.bars`` and keep all."""
    changes = window.find_target_changes(positions, allow_short=execution.allow_short)
    return simulate(changes, window, build_costs(execution))


def simulate_in_sequence(pieces: Sequence[tuple[TargetChanges, BarWindow, Costs]]) -> Result:
    """Simulate on windows that follow each other, as one backtest from the first one's initial cash.

    Every piece begins flat with the equity that the one before ended with: a position that is open there is handed over at
    the last close, free of cost, and is not a closed trade. Pieces after a ruin are not simulated.

    Args:
        pieces: Target changes, window and costs of each, in order; a window's bars end where the next one starts.

    Raises:
        ValueError: There is no piece, or windows do not follow each other.
    """
    starts = [window.start for _, window, _ in pieces[1:]]
    if not pieces or starts != [len(window.bars) for _, window, _ in pieces[:-1]]:
        raise ValueError("the windows do not follow each other")
    first, initial_cash = pieces[0][1], pieces[0][2].initial_cash
    runs: list[_KernelRun] = []
    trades: list[np.ndarray] = []
    cash, n_bars = initial_cash, 0
    for changes, window, costs in pieces:
        output = _allocate_output(changes, window)
        run = _run_kernel(changes, window, costs._replace(initial_cash=cash), output)
        closed = output.trades[: int(run.sums.trades.n_trades)]
        closed[:, [types.ENTRY_BAR, types.EXIT_BAR]] += n_bars
        trades.append(closed)
        holdings = run.holdings._replace(starts=run.holdings.starts + n_bars)
        runs.append(run._replace(holdings=holdings, end=run.end + n_bars))
        cash, n_bars = run.sums.equity.final_equity, n_bars + len(window.prices.close)
        if run.sums.trades.ruined_bar >= 0:
            break
    whole = BarWindow.of(pieces[-1][1].bars, first.start)
    equity = np.empty(len(whole.prices.close))
    holdings = Holdings(
        *(np.concatenate(parts) for parts in zip(*(run.holdings for run in runs), strict=True))
    )
    equity_sums, _ = mark_to_market(whole.closes, holdings, initial_cash, runs[-1].end, equity)
    sums = SimulationSums(equity_sums, _add_up_trades([run.sums.trades for run in runs]))
    return _build_result(sums, whole, pieces[0][2], equity, np.concatenate(trades))


class _KernelRun(NamedTuple):
    """One run of the kernel.

    Attributes:
        blocks: (16, 3) count, sum and sum of squares of the bar returns of each block.
        end: First bar from which on equity is zero; the number of bars without a ruin.
    """

    sums: SimulationSums
    holdings: Holdings
    blocks: np.ndarray
    end: int


def _run_kernel(changes: TargetChanges, window: BarWindow, costs: Costs, output: OutputBuffers) -> _KernelRun:
    """Execute the orders, then mark to market.

    The two are put together here and not in compiled code: Numba's cache notices a change of a function's own file
    only, so a compiled caller in another file would go on with the old ones.
    """
    prices, closes = window.prices, window.closes
    n = end = len(prices.close)
    trades, holdings = execute_orders(prices, changes, costs, n, output.trades)
    if trades.ruined_bar >= 0:
        end = trades.ruined_bar
    equity, blocks = mark_to_market(closes, holdings, costs.initial_cash, end, output.equity)
    if equity.ruined_bar >= 0:
        # What was traded after the ruin did not happen.
        end = equity.ruined_bar
        trades, holdings = execute_orders(prices, changes, costs, end + 1, output.trades)
        equity, blocks = mark_to_market(closes, holdings, costs.initial_cash, end, output.equity)
    if end < n:
        trades = trades._replace(cash=0.0, quantity=0.0, entry_price=math.nan, ruined_bar=end)
    return _KernelRun(SimulationSums(equity, trades), holdings, blocks, end)


def _allocate_output(changes: TargetChanges, window: BarWindow) -> OutputBuffers:
    # Every trade begins with a change of the target.
    return OutputBuffers(np.empty(len(window.prices.close)), np.empty((len(changes.bars), N_TRADE_COLUMNS)))


def _add_up_trades(parts: Sequence[TradeSums]) -> TradeSums:
    """Add up the sums of pieces; the position is that of the last one."""
    sums = np.array([part[:6] for part in parts]).sum(axis=0).tolist()
    wins, losses = (
        np.array([getattr(part, name) for part in parts]) for name in ("largest_win", "largest_loss")
    )
    return parts[-1]._replace(
        **dict(zip(TradeSums._fields[:6], sums, strict=True)),
        # NaN where a piece has none.
        largest_win=float(np.fmax.reduce(wins)),
        largest_loss=float(np.fmin.reduce(losses)),
        sum_trade_microseconds=sum(part.sum_trade_microseconds for part in parts),
        traded_notional=sum(part.traded_notional for part in parts),
    )


def _build_result(
    sums: SimulationSums, window: BarWindow, costs: Costs, equity: np.ndarray, trades: np.ndarray
) -> Result:
    end = sums.trades
    return Result(
        metrics=_compute_metrics(sums, window, costs),
        equity=equity,
        trades=_build_trades_frame(trades, window.prices.timestamp),
        cash=end.cash,
        quantity=end.quantity,
        entry_price=end.entry_price if end.quantity != 0.0 else None,
        ruined=end.ruined_bar >= 0,
    )


def _compute_metrics(sums: SimulationSums, window: BarWindow, costs: Costs) -> dict[str, float | None]:
    bars_per_year = window.bars.bars_per_year
    return compute_metrics(MetricInputs.of(sums, costs.initial_cash, bars_per_year, window.elapsed_seconds))


def _build_trades_frame(trades: np.ndarray, timestamp: np.ndarray) -> pl.DataFrame:
    def to_times(column: int) -> pl.Series:
        return pl.Series(timestamp[trades[:, column].astype(np.int64)]).cast(pl.Datetime("us", "UTC"))

    is_long = trades[:, types.SIDE] > 0
    return pl.DataFrame(
        {
            "entry_time": to_times(types.ENTRY_BAR),
            "exit_time": to_times(types.EXIT_BAR),
            "side": pl.Series(np.where(is_long, "long", "short"), dtype=pl.String),
            "quantity": trades[:, types.QUANTITY],
            "entry_price": trades[:, types.ENTRY_PRICE],
            "exit_price": trades[:, types.EXIT_PRICE],
            "pnl": trades[:, types.PNL],
            "return": trades[:, types.RETURN],
        }
    )
