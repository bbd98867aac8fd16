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
from backtune.simulation.types import EquitySums, SimulationSums, TradeSums

_SECONDS_PER_MONTH = SECONDS_PER_YEAR / 12

# A return, a drawdown or a share of the cash below this is rounding; a ratio of it would be noise.
_ROUNDING = 1e-12


class MetricInputs(NamedTuple):
    """The sums of a simulation, the figures that annualise them, and those that several metrics share.

    Attributes:
        mean: Mean of r.
        deviation: Standard deviation of r with ddof 1; None where all returns are equal up to rounding.
        annual_growth: The :func:`annual_return`.
    """

    equity: EquitySums
    trades: TradeSums
    initial_cash: float
    bars_per_year: float
    elapsed_seconds: float
    mean: float
    deviation: float | None
    annual_growth: float | None

    @classmethod
    def of(
        cls, sums: SimulationSums, initial_cash: float, bars_per_year: float, elapsed_seconds: float
    ) -> MetricInputs:
        """Return the inputs that follow from the sums of a simulation."""
        equity = sums.equity
        return cls(
            equity=equity,
            trades=sums.trades,
            initial_cash=initial_cash,
            bars_per_year=bars_per_year,
            elapsed_seconds=elapsed_seconds,
            mean=equity.sum_return / equity.n_bars,
            deviation=_compute_deviation(equity),
            annual_growth=_compute_annual_growth(equity.final_equity / initial_cash, elapsed_seconds),
        )


def total_return(o: MetricInputs) -> float | None:
    """E_n / initial cash - 1."""
    return o.equity.final_equity / o.initial_cash - 1.0


def annual_return(o: MetricInputs) -> float | None:
    """(E_n / initial cash) ^ (1 / years) - 1, the compound annual growth rate by elapsed time."""
    return o.annual_growth


def volatility(o: MetricInputs) -> float | None:
    """std(r, ddof 1) * sqrt(bpy); 0 where all returns are equal."""
    if o.equity.n_bars < 2:
        return None
    return (o.deviation or 0.0) * math.sqrt(o.bars_per_year)


def sharpe_ratio(o: MetricInputs) -> float | None:
    """mean(r) / std(r, ddof 1) * sqrt(bpy) (Sharpe 1994); None where the deviation is 0."""
    return None if o.deviation is None else o.mean / o.deviation * math.sqrt(o.bars_per_year)


def sortino_ratio(o: MetricInputs) -> float | None:
    """mean(r) / sqrt(mean(min(r, 0)^2)) * sqrt(bpy), the mean square over all n bars (Sortino and Price 1994).

    Dividing by the number of losing bars alone would reward a strategy for having fewer but equal losses.
    None without a loss.
    """
    downside = math.sqrt(o.equity.sum_squared_loss / o.equity.n_bars)
    return o.mean / downside * math.sqrt(o.bars_per_year) if downside > _ROUNDING else None


def max_drawdown(o: MetricInputs) -> float | None:
    """max D_i, positive; the peak starts at initial cash."""
    return o.equity.max_drawdown


def calmar_ratio(o: MetricInputs) -> float | None:
    """annual_return / max_drawdown (Young 1991, over the whole window); None without a drawdown."""
    return _divide(o.annual_growth, _drop_rounding(o.equity.max_drawdown))


def ulcer_index(o: MetricInputs) -> float | None:
    """sqrt(mean((100 D_i)^2)) over all n bars, in percent (Martin and McCann 1989).

    In percent and with divisor n because its authors publish it so: an index of 5 is read as five percent. Every bar
    counts, so that a long shallow drawdown weighs like a short deep one.
    """
    return 100.0 * math.sqrt(o.equity.sum_squared_drawdown / o.equity.n_bars)


def burke_ratio(o: MetricInputs) -> float | None:
    """annual_return / sqrt(sum of d_j^2), d_j the depth of drawdown episode j from peak to recovery (Burke 1994).

    Episodes, not bars or runs of losing bars, are summed: those would depend on the timeframe. An episode that is open at the end
    counts. None without a drawdown.
    """
    return _divide(o.annual_growth, _drop_rounding(math.sqrt(o.equity.sum_squared_episode)))


def total_trades(o: MetricInputs) -> float | None:
    """Number of closed trades; a trade lasts from flat, or a reversal, to flat or the next reversal."""
    return o.trades.n_trades


def win_rate(o: MetricInputs) -> float | None:
    """Share of closed trades with a profit after fees; None without a trade."""
    return _divide(o.trades.n_wins, o.trades.n_trades)


def profit_factor(o: MetricInputs) -> float | None:
    """Money won by winning trades / money lost by the others; None where nothing was lost."""
    lost = o.trades.gross_loss
    return _divide(o.trades.gross_profit, lost if lost > _ROUNDING * o.initial_cash else 0.0)


def average_win(o: MetricInputs) -> float | None:
    """Mean return of winning trades on the money entered; None without one."""
    return _divide(o.trades.sum_win, o.trades.n_wins)


def average_loss(o: MetricInputs) -> float | None:
    """Mean return of the trades that did not win, zero or negative; None without one."""
    return _divide(o.trades.sum_loss, o.trades.n_trades - o.trades.n_wins)


def largest_win(o: MetricInputs) -> float | None:
    """Largest return of a winning trade; None without one."""
    return o.trades.largest_win


def largest_loss(o: MetricInputs) -> float | None:
    """Lowest return of a trade that did not win; None without one."""
    return o.trades.largest_loss


def average_trade_hours(o: MetricInputs) -> float | None:
    """Mean hours from entry to exit of closed trades; None without one."""
    return _divide(o.trades.sum_trade_microseconds / 3.6e9, o.trades.n_trades)


def trades_per_month(o: MetricInputs) -> float | None:
    """Closed trades per elapsed twelfth of a year."""
    return o.trades.n_trades * _SECONDS_PER_MONTH / o.elapsed_seconds


def exposure(o: MetricInputs) -> float | None:
    """Share of bars that close with a position."""
    return o.equity.n_exposed_bars / o.equity.n_bars


def turnover(o: MetricInputs) -> float | None:
    """Notional of all fills, both sides, per year in multiples of mean equity; None where that is 0."""
    mean_equity = o.equity.sum_equity / o.equity.n_bars
    return _divide(o.trades.traded_notional * SECONDS_PER_YEAR / o.elapsed_seconds, mean_equity)


METRICS: dict[str, Callable[[MetricInputs], float | None]] = {
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


def compute_metrics(inputs: MetricInputs) -> dict[str, float | None]:
    """Compute all metrics; one that is undefined or not finite is None."""
    metrics: dict[str, float | None] = {}
    for name, metric in METRICS.items():
        value = metric(inputs)
        metrics[name] = value if value is not None and math.isfinite(value) else None
    return metrics


def _compute_annual_growth(ratio: float, elapsed_seconds: float) -> float | None:
    if ratio <= 0.0:
        return -1.0
    exponent = math.log(ratio) * SECONDS_PER_YEAR / elapsed_seconds
    return math.expm1(exponent) if exponent < 700.0 else None


def _compute_deviation(equity: EquitySums) -> float | None:
    n, squares = equity.n_bars, equity.sum_squared_return
    if n < 2:
        return None
    spread = squares - equity.sum_return * (equity.sum_return / n)
    return math.sqrt(spread / (n - 1)) if spread > max(1e-14 * squares, n * _ROUNDING**2) else None


def _divide(numerator: float | None, denominator: float) -> float | None:
    """Return a ratio; None where the denominator is zero or negative."""
    return numerator / denominator if numerator is not None and denominator > 0.0 else None


def _drop_rounding(drawdown: float) -> float:
    """Return a drawdown, or 0 where it is rounding."""
    return drawdown if drawdown > _ROUNDING else 0.0
