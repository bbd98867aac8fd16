"""The plain fused loop: what one writes first in Numba, from close to metrics in a single pass, and then leaves alone.

A bar fills at its open what the bar before decided, marks the equity at its close, adds to every metric's sum, and
computes the next target from running sums or levels. One function, compiled once for each strategy.
"""

from collections.abc import Callable
from functools import cache

import numpy as np
from numba import njit

EQUAL = 1e-12  # two prices closer than this, relative to the price, are equal
PARAMETERS = {
    "MovingAverageCrossover": ("fast_period", "slow_period"),
    "RSIStrategy": ("period", "oversold", "overbought"),
    "MACDStrategy": ("fast_period", "slow_period", "signal_period"),
    "BollingerBandsStrategy": ("period", "num_std"),
}
MA, RSI, MACD, BOLLINGER = range(4)


@cache
def plain_loop(strategy: str) -> Callable[..., tuple[float, ...]]:
    """The loop of one strategy.

    Called with the (n,) columns timestamp, open and close, initial cash, size, fee and slippage as fractions, and three
    parameters in the order of ``PARAMETERS``, 0 where there are fewer. Returns final equity, the sums of returns, of
    their squares and of the squares of losses, the largest drawdown, and what the other metrics are made of.
    """
    kind = list(PARAMETERS).index(strategy)

    @njit(cache=True)
    def loop(timestamp, opens, closes, initial_cash, size, fee, slippage, first, second, third):  # noqa: PLR0912
        n = len(closes)
        period, slow, smoothing = int(first), int(second), int(third)
        cash = equity = peak = initial_cash
        quantity = held = target = 0.0
        sum_return = sum_squares = sum_losses = sum_equity = sum_drawdown = sum_episode = episode = 0.0
        max_drawdown = gross_profit = gross_loss = sum_win = sum_loss = largest_win = largest_loss = 0.0
        sum_trade_time = traded = entry_price = entry_time = 0.0
        n_trades = n_wins = n_exposed = since = 0
        fast_sum = slow_sum = mean = squares = 0.0
        gain = loss = fast_level = slow_level = signal = seed = 0.0
        for i in range(n):
            # Fill at the open.
            if target != held:
                price = opens[i]
                worth = cash + quantity * price
                if worth <= 0.0:
                    cash = quantity = worth = 0.0
                wanted = size * target * worth
                price *= 1.0 + slippage if wanted > quantity * price else 1.0 - slippage
                new = wanted / price
                notional = abs(new - quantity) * price
                cash -= (new - quantity) * price + fee * notional
                traded += notional
                if quantity != 0.0:
                    pnl = quantity * (price - entry_price) - fee * abs(quantity) * (price + entry_price)
                    share = pnl / (abs(quantity) * entry_price)
                    n_trades += 1
                    sum_trade_time += timestamp[i] - entry_time
                    if pnl > 0.0:
                        n_wins += 1
                        gross_profit += pnl
                        sum_win += share
                        largest_win = max(largest_win, share)
                    else:
                        gross_loss -= pnl
                        sum_loss += share
                        largest_loss = min(largest_loss, share)
                entry_price, entry_time = price, timestamp[i]
                quantity, held = new, target

            # Mark at the close.
            close = closes[i]
            previous = equity
            equity = cash + quantity * close
            ruined = equity <= 0.0
            if ruined:
                equity = 0.0
            change = equity / previous - 1.0
            sum_return += change
            sum_squares += change * change
            if change < 0.0:
                sum_losses += change * change
            sum_equity += equity
            if quantity != 0.0:
                n_exposed += 1
            if equity >= peak:
                peak = equity
                sum_episode += episode * episode
                episode = 0.0
            else:
                drawdown = 1.0 - equity / peak
                sum_drawdown += drawdown * drawdown
                episode = max(episode, drawdown)
                max_drawdown = max(max_drawdown, drawdown)
            if ruined:
                sum_drawdown += n - 1 - i
                break

            # Decide the next target.
            slack = EQUAL * close
            if kind == MA:
                fast_sum += close
                slow_sum += close
                if i >= period:
                    fast_sum -= closes[i - period]
                if i >= slow:
                    slow_sum -= closes[i - slow]
                if i >= slow - 1:
                    difference = fast_sum / period - slow_sum / slow
                    if difference > slack:
                        target = 1.0
                    elif difference < -slack:
                        target = -1.0
            elif kind == RSI:
                if i > 0:
                    step = close - closes[i - 1]
                    if i <= period:
                        gain += max(step, 0.0) / period
                        loss += max(-step, 0.0) / period
                    else:
                        gain += (max(step, 0.0) - gain) / period
                        loss += (max(-step, 0.0) - loss) / period
                if i >= period:
                    strength = 50.0
                    if loss > 0.0:
                        strength = 100.0 - 100.0 / (1.0 + gain / loss)
                    elif gain > 0.0:
                        strength = 100.0
                    if strength < second:
                        target = 1.0
                    elif strength > third:
                        target = -1.0
            elif kind == MACD:
                if i < period:
                    fast_level += close / period
                else:
                    fast_level += 2.0 / (period + 1.0) * (close - fast_level)
                if i < slow:
                    slow_level += close / slow
                else:
                    slow_level += 2.0 / (slow + 1.0) * (close - slow_level)
                if i >= slow - 1:
                    line = fast_level - slow_level
                    if i < slow - 1 + smoothing:
                        seed += line
                        signal = seed / smoothing
                    else:
                        signal += 2.0 / (smoothing + 1.0) * (line - signal)
                    if i >= slow + smoothing - 2:
                        if line - signal > slack:
                            target = 1.0
                        elif line - signal < -slack:
                            target = -1.0
            else:
                # Welford's update, as a plain sum of squares cancels where the price hardly moves; and summed afresh
                # once a period, as its rounding would add up over a million bars.
                since += 1
                if since == period and i >= period - 1:
                    since = 0
                    mean = closes[i - period + 1 : i + 1].sum() / period
                    squares = 0.0
                    for j in range(i - period + 1, i + 1):
                        squares += (closes[j] - mean) ** 2
                elif i >= period:
                    before, gone = mean, closes[i - period]
                    mean += (close - gone) / period
                    squares += (close - gone) * (close - mean + gone - before)
                if i >= period - 1:
                    width = second * np.sqrt(max(squares, 0.0) / period)
                    distance = close - mean
                    if distance < -width - slack:
                        target = 1.0
                    elif distance > width + slack:
                        target = -1.0
                    elif target * distance >= -slack:
                        target = 0.0
        return (
            equity, sum_return, sum_squares, sum_losses, max_drawdown, float(n_trades), sum_equity, sum_drawdown,
            sum_episode + episode * episode, float(n_wins), gross_profit, gross_loss, sum_win, sum_loss, largest_win,
            largest_loss, sum_trade_time, float(n_exposed), traded,
        )  # fmt: skip

    return loop
