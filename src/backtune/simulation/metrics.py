"""Performance metrics. A metric is one function of the simulation's sums and one line in ``METRICS``.

Notation: r_i is the return of bar i (n bars, the first from initial cash), E equity at the closes, D_i = 1 - E_i /
peak the drawdown, bpy bars per year, years the elapsed time in years of 365.25 days. Everything is a fraction
unless the docstring says otherwise. A metric that is not defined is None, never a sentinel.

Annualising is by square root of time and without a risk-free rate.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

from backtune.data.calendar import SECONDS_PER_YEAR
from backtune.simulation.types import Marks, Tally, Trading

_SECONDS_PER_MONTH = SECONDS_PER_YEAR / 12

# A return, a drawdown or a share of the cash below this is rounding; a ratio of it would be noise.
_ROUNDING = 1e-12


class Outcome(NamedTuple):
    """A simulation's sums with what annualises them, and what several metrics are made of.

    Attributes:
        mean: of r.
        deviation: standard deviation of r with ddof 1; None where all returns are equal up to rounding.
        growth: what :func:`annual_return` says.
    """

    marks: Marks
    trading: Trading
    initial_cash: float
    bars_per_year: float
    elapsed_seconds: float
    mean: float
    deviation: float | None
    growth: float | None

    @classmethod
    def of(cls, tally: Tally, initial_cash: float, bars_per_year: float, elapsed_seconds: float) -> Outcome:
        """From sums, and what annualises them."""
        marks = tally.marks
        growth = _growth(marks.final_equity / initial_cash, elapsed_seconds)
        return cls(
            marks, tally.trading, initial_cash, bars_per_year, elapsed_seconds,
            marks.sum_return / marks.n_bars, _deviation(marks), growth,
        )  # fmt: skip


def total_return(o: Outcome) -> float | None:
    """E_n / initial cash - 1."""
    return o.marks.final_equity / o.initial_cash - 1.0


def annual_return(o: Outcome) -> float | None:
    """(E_n / initial cash) ^ (1 / years) - 1, the compound annual growth rate by elapsed time."""
    return o.growth


def volatility(o: Outcome) -> float | None:
    """std(r, ddof 1) * sqrt(bpy); 0 where all returns are equal."""
    if o.marks.n_bars < 2:
        return None
    return (o.deviation or 0.0) * math.sqrt(o.bars_per_year)


def sharpe_ratio(o: Outcome) -> float | None:
    """mean(r) / std(r, ddof 1) * sqrt(bpy) (Sharpe 1994); None where the deviation is 0."""
    return None if o.deviation is None else o.mean / o.deviation * math.sqrt(o.bars_per_year)


def sortino_ratio(o: Outcome) -> float | None:
    """mean(r) / sqrt(mean(min(r, 0)^2)) * sqrt(bpy), the mean square over all n bars (Sortino and Price 1994).

    Dividing by the number of losing bars alone would reward a strategy for having fewer but equal losses.
    None without a loss.
    """
    downside = math.sqrt(o.marks.sum_squared_loss / o.marks.n_bars)
    return o.mean / downside * math.sqrt(o.bars_per_year) if downside > _ROUNDING else None


def max_drawdown(o: Outcome) -> float | None:
    """max D_i, positive; the peak starts at initial cash."""
    return o.marks.max_drawdown


def calmar_ratio(o: Outcome) -> float | None:
    """annual_return / max_drawdown (Young 1991, over the whole window); None without a drawdown."""
    return _ratio(o.growth, _depth(o.marks.max_drawdown))


def ulcer_index(o: Outcome) -> float | None:
    """sqrt(mean((100 D_i)^2)) over all n bars, in percent (Martin and McCann 1989).

    In percent and with divisor n because its authors publish it so: an index of 5 is read as five percent. Every bar
    counts, so that a long shallow drawdown weighs like a short deep one.
    """
    return 100.0 * math.sqrt(o.marks.sum_squared_drawdown / o.marks.n_bars)


def burke_ratio(o: Outcome) -> float | None:
    """annual_return / sqrt(sum of d_j^2), d_j the depth of drawdown episode j from peak to recovery (Burke 1994).

    Episodes, not bars or runs of losing bars, are summed: those would depend on the timeframe. An episode that is open at the end
    counts. None without a drawdown.
    """
    return _ratio(o.growth, _depth(math.sqrt(o.marks.sum_squared_episode)))


def total_trades(o: Outcome) -> float | None:
    """Number of closed trades; a trade lasts from flat, or a reversal, to flat or the next reversal."""
    return o.trading.n_trades


def win_rate(o: Outcome) -> float | None:
    """Share of closed trades with a profit after fees; None without a trade."""
    return _ratio(o.trading.n_wins, o.trading.n_trades)


def profit_factor(o: Outcome) -> float | None:
    """Money won by winning trades / money lost by the others; None where nothing was lost."""
    lost = o.trading.gross_loss
    return _ratio(o.trading.gross_profit, lost if lost > _ROUNDING * o.initial_cash else 0.0)


def average_win(o: Outcome) -> float | None:
    """Mean return of winning trades on the money entered; None without one."""
    return _ratio(o.trading.sum_win, o.trading.n_wins)


def average_loss(o: Outcome) -> float | None:
    """Mean return of the trades that did not win, zero or negative; None without one."""
    return _ratio(o.trading.sum_loss, o.trading.n_trades - o.trading.n_wins)


def largest_win(o: Outcome) -> float | None:
    """Largest return of a winning trade; None without one."""
    return o.trading.largest_win


def largest_loss(o: Outcome) -> float | None:
    """Lowest return of a trade that did not win; None without one."""
    return o.trading.largest_loss


def average_trade_hours(o: Outcome) -> float | None:
    """Mean hours from entry to exit of closed trades; None without one."""
    return _ratio(o.trading.sum_trade_microseconds / 3.6e9, o.trading.n_trades)


def trades_per_month(o: Outcome) -> float | None:
    """Closed trades per elapsed twelfth of a year."""
    return o.trading.n_trades * _SECONDS_PER_MONTH / o.elapsed_seconds


def exposure(o: Outcome) -> float | None:
    """Share of bars that close with a position."""
    return o.marks.n_exposed_bars / o.marks.n_bars


def turnover(o: Outcome) -> float | None:
    """Notional of all fills, both sides, per year in multiples of mean equity; None where that is 0."""
    mean_equity = o.marks.sum_equity / o.marks.n_bars
    return _ratio(o.trading.traded_notional * SECONDS_PER_YEAR / o.elapsed_seconds, mean_equity)


METRICS: dict[str, Callable[[Outcome], float | None]] = {
    "total_return": total_return,
    "annual_return": annual_return,
    "volatility": volatility,
    "sharpe_ratio": sharpe_ratio,
    "sortino_ratio": sortino_ratio,
    "calmar_ratio": calmar_ratio,
    "max_drawdown": max_drawdown,
    "ulcer_index": ulcer_index,
    "burke_ratio": burke_ratio,
    "total_trades": total_trades,
    "win_rate": win_rate,
    "profit_factor": profit_factor,
    "average_win": average_win,
    "average_loss": average_loss,
    "largest_win": largest_win,
    "largest_loss": largest_loss,
    "average_trade_hours": average_trade_hours,
    "trades_per_month": trades_per_month,
    "exposure": exposure,
    "turnover": turnover,
}


def metrics_of(outcome: Outcome) -> dict[str, float | None]:
    """All metrics; one that is undefined or not finite is None."""
    found: dict[str, float | None] = {}
    for name, metric in METRICS.items():
        value = metric(outcome)
        found[name] = value if value is not None and math.isfinite(value) else None
    return found


def _growth(ratio: float, elapsed_seconds: float) -> float | None:
    if ratio <= 0.0:
        return -1.0
    exponent = math.log(ratio) * SECONDS_PER_YEAR / elapsed_seconds
    return math.expm1(exponent) if exponent < 700.0 else None


def _deviation(marks: Marks) -> float | None:
    n, squares = marks.n_bars, marks.sum_squared_return
    if n < 2:
        return None
    spread = squares - marks.sum_return * (marks.sum_return / n)
    return math.sqrt(spread / (n - 1)) if spread > max(1e-14 * squares, n * _ROUNDING**2) else None


def _depth(drawdown: float) -> float:
    return drawdown if drawdown > _ROUNDING else 0.0


def _ratio(numerator: float | None, denominator: float) -> float | None:
    return numerator / denominator if numerator is not None and denominator > 0.0 else None
