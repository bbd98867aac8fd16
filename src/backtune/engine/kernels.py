"""The simulation loop, compiled: targets to fills, equity and the sums from which every metric follows.

The rules are those of the execution contract; :mod:`backtune.engine.backtest` states them for users. The loop is
longer than other functions here because a call per bar would cost more than the bar.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

N_BLOCKS = 16

# Columns of the trades array.
ENTRY_BAR, EXIT_BAR, SIDE, QUANTITY, ENTRY_PRICE, EXIT_PRICE, PNL, RETURN = range(8)
N_TRADE_COLUMNS = 8


class Tally(NamedTuple):
    """Raw sums of one simulation, in quote currency and fractions; see :mod:`backtune.engine.metrics`.

    ``ruined_bar`` is -1 where equity stayed above zero. Times are in microseconds.
    """

    n_bars: float
    sum_return: float
    sum_squared_return: float
    sum_squared_loss: float
    final_equity: float
    sum_equity: float
    max_drawdown: float
    sum_squared_drawdown: float
    sum_squared_episode: float
    n_trades: float
    n_wins: float
    gross_profit: float
    gross_loss: float
    sum_win: float
    sum_loss: float
    largest_win: float
    largest_loss: float
    sum_trade_microseconds: float
    n_exposed_bars: float
    traded_notional: float
    cash: float
    quantity: float
    entry_price: float
    ruined_bar: float


class Costs(NamedTuple):
    """What a fill costs, as fractions, and how much of the equity it commits."""

    initial_cash: float
    size: float
    fee: float
    slippage: float
    allow_short: bool


class Prices(NamedTuple):
    """The columns of a window that the simulation reads, (n,) each; open times in microseconds."""

    timestamp: np.ndarray
    open: np.ndarray
    close: np.ndarray


class Record(NamedTuple):
    """Room for what a full backtest keeps: equity at every close, (n,) or (0,), and the closed trades,
    (m, N_TRADE_COLUMNS); trades beyond m are counted but not kept.
    """

    equity: np.ndarray
    trades: np.ndarray


@njit(cache=True, error_model="numpy")
def simulate(  # noqa: PLR0912, PLR0915
    prices: Prices,
    targets: np.ndarray,
    first_target: float,
    block_edges: np.ndarray,
    costs: Costs,
    record: Record,
) -> tuple[Tally, np.ndarray]:
    """Run targets through the bars of a window.

    Args:
        prices: the window's columns.
        targets: (n,) float64; ``targets[i]`` is filled at ``prices.open[i + 1]``.
        first_target: the target decided on the bar before the window, filled at ``prices.open[0]``.
        block_edges: (N_BLOCKS + 1,) int64 first row of each block of the window, and n.
        costs: see :class:`Costs`.
        record: filled in place.

    Returns:
        The sums, and (N_BLOCKS, 3) with count, sum and sum of squares of the bar returns of each block.
    """
    timestamp = prices.timestamp
    open_ = prices.open
    close = prices.close
    blocks = np.zeros((N_BLOCKS, 3))
    cash = costs.initial_cash
    quantity = 0.0
    held_target = 0.0
    pending = first_target
    equity = costs.initial_cash
    peak = equity
    sum_squared_loss = sum_equity = max_drawdown = sum_squared_drawdown = sum_squared_episode = episode = 0.0
    n_trades = n_wins = n_exposed = 0
    gross_profit = gross_loss = sum_win = sum_loss = 0.0
    largest_win = largest_loss = np.nan
    sum_trade_time = traded = 0.0
    entry_bar = -1
    entered = entered_value = exited = exited_value = trade_fees = 0.0
    ruined_bar = -1

    for block in range(N_BLOCKS):
        block_sum = block_squares = 0.0
        for i in range(block_edges[block], block_edges[block + 1]):
            target = pending if costs.allow_short or pending > 0.0 else 0.0
            pending = targets[i]
            if target != held_target and ruined_bar < 0:
                held_target = target
                price = open_[i]
                worth = cash + quantity * price
                if worth <= 0.0:
                    ruined_bar = i
                else:
                    wanted = costs.size * target * worth
                    buys = wanted > quantity * price
                    price *= 1.0 + costs.slippage if buys else 1.0 - costs.slippage
                    new = wanted / price
                    # Slippage can turn a small resize around: then it is not worth an order.
                    if (new > quantity) == buys:
                        change = abs(new - quantity)
                        fee = costs.fee * change * price
                        cash -= (new - quantity) * price + fee
                        traded += change * price
                        if quantity != 0.0 and new * quantity <= 0.0:
                            leaving = abs(quantity)
                            exited += leaving
                            exited_value += leaving * price
                            trade_fees += costs.fee * leaving * price
                            direction = 1.0 if quantity > 0.0 else -1.0
                            pnl = direction * (exited_value - entered_value) - trade_fees
                            gain = pnl / entered_value
                            if n_trades < len(record.trades):
                                row = record.trades[n_trades]
                                row[ENTRY_BAR], row[EXIT_BAR], row[SIDE] = entry_bar, i, direction
                                row[QUANTITY] = entered
                                row[ENTRY_PRICE], row[EXIT_PRICE] = (
                                    entered_value / entered,
                                    exited_value / exited,
                                )
                                row[PNL], row[RETURN] = pnl, gain
                            n_trades += 1
                            sum_trade_time += timestamp[i] - timestamp[entry_bar]
                            if pnl > 0.0:
                                n_wins += 1
                                gross_profit += pnl
                                sum_win += gain
                                largest_win = gain if not gain <= largest_win else largest_win
                            else:
                                gross_loss -= pnl
                                sum_loss += gain
                                largest_loss = gain if not gain >= largest_loss else largest_loss
                            entry_bar = -1
                            entered = entered_value = exited = exited_value = trade_fees = 0.0
                            change = abs(new)
                        if new != 0.0 and change > 0.0:
                            if entry_bar < 0:
                                entry_bar = i
                            if abs(new) > abs(quantity) or new * quantity < 0.0:
                                entered += change
                                entered_value += change * price
                            else:
                                exited += change
                                exited_value += change * price
                            trade_fees += costs.fee * change * price
                        quantity = new
            previous = equity
            equity = cash + quantity * close[i]
            if equity <= 0.0 and ruined_bar < 0:
                ruined_bar = i
            if ruined_bar >= 0:
                equity = cash = quantity = 0.0
            if quantity != 0.0:
                n_exposed += 1
            change_of_equity = equity / previous - 1.0 if previous > 0.0 else 0.0
            block_sum += change_of_equity
            block_squares += change_of_equity * change_of_equity
            if change_of_equity < 0.0:
                sum_squared_loss += change_of_equity * change_of_equity
            sum_equity += equity
            if equity >= peak:
                peak = equity
                sum_squared_episode += episode * episode
                episode = 0.0
            else:
                drawdown = 1.0 - equity / peak
                sum_squared_drawdown += drawdown * drawdown
                episode = max(episode, drawdown)
                max_drawdown = max(max_drawdown, drawdown)
            if len(record.equity) > 0:
                record.equity[i] = equity
        blocks[block, 0] = block_edges[block + 1] - block_edges[block]
        blocks[block, 1] = block_sum
        blocks[block, 2] = block_squares

    tally = Tally(
        float(len(close)), blocks[:, 1].sum(), blocks[:, 2].sum(), sum_squared_loss,
        equity, sum_equity, max_drawdown, sum_squared_drawdown, sum_squared_episode + episode * episode,
        float(n_trades), float(n_wins), gross_profit, gross_loss, sum_win, sum_loss, largest_win, largest_loss,
        sum_trade_time, float(n_exposed), traded, cash, quantity,
        entered_value / entered if quantity != 0.0 else np.nan, float(ruined_bar),
    )  # fmt: skip
    return tally, blocks
