"""The values that the compiled parts of a simulation pass to each other."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

N_BLOCKS = 16

# Columns of the trades array.
ENTRY_BAR, EXIT_BAR, SIDE, QUANTITY, ENTRY_PRICE, EXIT_PRICE, PNL, RETURN = range(8)
N_TRADE_COLUMNS = 8


class PriceColumns(NamedTuple):
    """The columns of a window, (n,) each.

    Attributes:
        timestamp: Open times, in microseconds.
        funding: Funding rates, (0,) where there are none.
    """

    timestamp: np.ndarray
    open: np.ndarray
    high: np.ndarray
    low: np.ndarray
    close: np.ndarray
    funding: np.ndarray


class Closes(NamedTuple):
    """The closes of a window, as marking to market reads them.

    Attributes:
        close: (n,) closes.
        block_edges: (N_BLOCKS + 1,) first row of each block, and n.
        ranges: (n_chunks, 2) lowest and highest close of each chunk of bars.
    """

    close: np.ndarray
    block_edges: np.ndarray
    ranges: np.ndarray


class TargetChanges(NamedTuple):
    """The changes of the target, which are all there is to order.

    Attributes:
        bars: (k,) int64 rows, increasing, of the bars at whose open the target becomes another one.
        targets: (k,) float64 target from that open on.
    """

    bars: np.ndarray
    targets: np.ndarray


class OrderTerms(NamedTuple):
    """The terms of an order beside rates: fees in quote currency, whole lots, prices on ticks.

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
    """The costs of fills and the distances of exits, as fractions; a distance that is not used is 0.

    Without ``terms``, the kernel is compiled for rates alone.
    """

    initial_cash: float
    size: float
    fee: float
    maker_fee: float
    slippage: float
    stop_loss: float
    take_profit: float
    trailing_stop: float
    terms: OrderTerms | None = None


class OutputBuffers(NamedTuple):
    """The arrays that a simulation fills for a backtest in full.

    Attributes:
        equity: (n,) equity at every close; (0,) where it is not kept.
        trades: (m, N_TRADE_COLUMNS) closed trades; those beyond m are counted but not kept.
    """

    equity: np.ndarray
    trades: np.ndarray


class Holdings(NamedTuple):
    """The stretches of constant cash and quantity between fills, in the order of time.

    Attributes:
        starts: (k,) first bar of each stretch, which lasts until the next one starts.
        cash: (k,) cash held.
        quantity: (k,) signed quantity held.
    """

    starts: np.ndarray
    cash: np.ndarray
    quantity: np.ndarray


class TradeSums(NamedTuple):
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


class EquitySums(NamedTuple):
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


class SimulationSums(NamedTuple):
    """The sums of one simulation from which every metric follows; ``ruined_bar`` is -1 where there was no ruin."""

    equity: EquitySums
    trades: TradeSums
