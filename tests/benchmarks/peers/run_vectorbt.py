"""vectorbt with its Rust engine, one candidate per call and several.

At its best: times without a zone (a zoned index costs it seconds a call, see docs/benchmarks.md), its own moving averages,
garbage collected between calls and not within.
"""

# The clock starts before the imports that it counts.
from contender import STARTED, Measured, Task, in_batches, report, timed  # isort: skip

import gc
import platform
import time
import warnings

import numpy as np
import pandas as pd
import vectorbt as vbt
from signals import side, targets
from vectorbt._engine import is_rust_available

warnings.simplefilter("ignore")


def main() -> None:
    assert is_rust_available()
    task = Task.from_stdin()
    vbt.settings.returns["year_freq"] = "365.25 days"
    reading, (opens, closes) = timed(lambda: _prices(task.bars))
    _lean(_portfolio(task, opens, closes, task.candidates[:1]))
    first_seconds = time.perf_counter() - STARTED - reading
    measured = {name: Measured() for name in task.contenders}
    for _ in range(task.repetitions):
        for batch in in_batches(task.candidates, 1):
            _one(measured, task, opens, closes, batch)
        for batch in in_batches(task.candidates, task.batch):
            _several(measured["vectorbt, batched"], task, opens, closes, batch)
    report(measured, first_seconds, {"Python": platform.python_version(), "vectorbt": vbt.__version__})


def _one(measured, task, opens, closes, batch) -> None:
    """Times the four figures that are compared, and then the rest of ours that it has."""
    gc.collect()
    seconds, (portfolio, figures) = timed(lambda: _with_figures(task, opens, closes, batch))
    more_seconds, _rest = timed(lambda: _rest_of_ours(portfolio))
    measured["vectorbt, 4 metrics"].seconds.append(seconds)
    measured["vectorbt, 4 metrics"].results += _rows(figures)
    measured["vectorbt"].seconds.append(seconds + more_seconds)
    measured["vectorbt"].results += _rows(figures)


def _several(measured: Measured, task, opens, closes, batch) -> None:
    gc.collect()
    seconds, (portfolio, figures) = timed(lambda: _with_figures(task, opens, closes, batch))
    more_seconds, _rest = timed(lambda: _rest_of_ours(portfolio))
    measured.seconds.append((seconds + more_seconds) / len(batch))
    measured.results += _rows(figures)


def _prices(path: str) -> tuple[pd.Series, pd.Series]:
    frame = pd.read_parquet(path)
    index = pd.DatetimeIndex(frame["timestamp"]).tz_localize(None)
    return (pd.Series(frame[name].to_numpy(), index=index) for name in ("open", "close"))


def _with_figures(task, opens, closes, batch):
    portfolio = _portfolio(task, opens, closes, batch)
    return portfolio, _lean(portfolio)


def _portfolio(task: Task, opens: pd.Series, closes: pd.Series, batch: list[dict]) -> vbt.Portfolio:
    """Orders for ``size`` of the equity at the open after each change of target."""
    wanted = _targets(task.strategy, closes, batch)
    orders = np.full(wanted.shape, np.nan)
    before = np.vstack([np.zeros((1, len(batch))), wanted[:-2]])
    orders[1:] = np.where(wanted[:-1] != before, task.execution["size"] * wanted[:-1], np.nan)
    return vbt.Portfolio.from_orders(
        closes,
        size=orders if len(batch) > 1 else orders[:, 0],
        size_type="targetpercent",
        price=opens,
        fees=task.execution["fee_bps"] / 10_000,
        init_cash=task.execution["initial_cash"],
        freq=pd.Timedelta(task.timeframe),
        engine="rust",
    )


def _targets(strategy: str, closes: pd.Series, batch: list[dict]) -> np.ndarray:
    if strategy == "MovingAverageCrossover":
        fast, slow = (
            vbt.MA.run(closes, [params[name] for params in batch]).ma.to_numpy().reshape(len(closes), -1)
            for name in ("fast_period", "slow_period")
        )
        return side(fast - slow, closes.to_numpy()[:, None])
    return np.column_stack([targets(strategy, closes, params) for params in batch])


def _lean(portfolio: vbt.Portfolio) -> tuple:
    return (
        portfolio.total_return(),
        portfolio.sharpe_ratio(),
        -portfolio.max_drawdown(),
        portfolio.trades.closed.count(),
    )


def _rest_of_ours(portfolio: vbt.Portfolio) -> list:
    trades = portfolio.trades.closed
    of_returns = (
        portfolio.annualized_return, portfolio.annualized_volatility, portfolio.sortino_ratio,
        portfolio.calmar_ratio, portfolio.position_coverage,
    )  # fmt: skip
    of_trades = (
        trades.win_rate, trades.profit_factor, trades.winning.returns.mean, trades.losing.returns.mean,
        trades.returns.max, trades.returns.min, trades.duration.mean,
    )  # fmt: skip
    return [metric() for metric in (*of_returns, *of_trades)]


def _rows(figures: tuple) -> list[tuple[float, ...]]:
    return [tuple(map(float, row)) for row in np.column_stack([np.atleast_1d(figure) for figure in figures])]


if __name__ == "__main__":
    main()
