"""What the compiled parts of the engine pass to each other."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

N_BLOCKS = 16

# Columns of the trades array.
ENTRY_BAR, EXIT_BAR, SIDE, QUANTITY, ENTRY_PRICE, EXIT_PRICE, PNL, RETURN = range(8)
N_TRADE_COLUMNS = 8


class PriceColumns(NamedTuple):
    """The columns of a window, (n,) each; open times in microseconds. ``funding`` is (0,) where there is none."""

    timestamp: np.ndarray
    open: np.ndarray
    high: np.ndarray
    low: np.ndarray
    close: np.ndarray
    funding: np.ndarray


class Closes(NamedTuple):
    """What marking reads of a window: closes, the first row of each block and n, (N_BLOCKS + 1,), and the lowest and
    highest close of each chunk, (n_chunks, 2).
    """

    close: np.ndarray
    block_edges: np.ndarray
    ranges: np.ndarray


class Moves(NamedTuple):
    """The bars, (k,) int64 increasing, at whose open the target becomes another one, (k,) float64."""

    bars: np.ndarray
    targets: np.ndarray


class Terms(NamedTuple):
    """What an order is subject to beyond rates: fees in quote currency, whole lots, prices on ticks.

    A lot is ``lot_units / lots_per`` and a tick ``tick_units / ticks_per``: a decimal such as 0.01 is no double, but the
    quotient of two whole numbers is the double nearest to it. The units are 0 where any quantity or price will do.
    """

    minimum_fee: float
    fee_per_order: float
    fee_per_share: float
    lot_units: float
    lots_per: float
    tick_units: float
    ticks_per: float


class Costs(NamedTuple):
    """Fills and exits as fractions; a distance that is not used is 0. Without ``terms``, rates are all there is, and the
    kernel is compiled without the rest.
    """

    initial_cash: float
    size: float
    fee: float
    maker_fee: float
    slippage: float
    stop_loss: float
    take_profit: float
    trailing_stop: float
    terms: Terms | None = None


class Record(NamedTuple):
    """Room for what a full backtest keeps: equity at every close, (n,) or (0,), and the closed trades,
    (m, N_TRADE_COLUMNS); trades beyond m are counted but not kept.
    """

    equity: np.ndarray
    trades: np.ndarray


class Holdings(NamedTuple):
    """From which bar on, (k,), cash and quantity are what, until the next segment starts."""

    starts: np.ndarray
    cash: np.ndarray
    quantity: np.ndarray


class Trading(NamedTuple):
    """Sums over closed trades, and the position at the end; money in quote currency, times in microseconds."""

    n_trades: float
    n_wins: float
    gross_profit: float
    gross_loss: float
    sum_win: float
    sum_loss: float
    largest_win: float
    largest_loss: float
    sum_trade_microseconds: float
    traded_notional: float
    cash: float
    quantity: float
    entry_price: float
    ruined_bar: int


class Marks(NamedTuple):
    """Sums over the closes of a window; drawdowns and returns as fractions."""

    n_bars: float
    sum_return: float
    sum_squared_return: float
    sum_squared_loss: float
    final_equity: float
    sum_equity: float
    max_drawdown: float
    sum_squared_drawdown: float
    sum_squared_episode: float
    n_exposed_bars: float
    ruined_bar: int


class Tally(NamedTuple):
    """The sums of one simulation from which every metric follows; ``ruined_bar`` is -1 where there was no ruin."""

    marks: Marks
    trading: Trading
