"""backtesting.py with fractions of a unit: one candidate a run, its targets computed ahead, so that a bar only compares."""

# The clock starts before the imports that it counts.
from contender import STARTED, Measured, Task, report, timed  # isort: skip

import platform
import time
import warnings

import backtesting
import numpy as np
import pandas as pd
from backtesting import Strategy
from backtesting.lib import FractionalBacktest
from signals import targets

# Small enough that rounding to whole units does not show.
UNIT = 1e-10


class Following(Strategy):
    """Takes ``size`` of the equity on the side of the target, from the open after it changes."""

    strategy, params, size = "", None, 1.0

    def init(self) -> None:
        self.targets = targets(self.strategy, pd.Series(np.asarray(self.data.Close)) / UNIT, self.params)
        self.held = 0.0

    def next(self) -> None:
        target = self.targets[len(self.data) - 1]
        if target != self.held:
            self.held = target
            if target > 0:
                self.buy(size=self.size)
            elif target < 0:
                self.sell(size=self.size)
            else:
                self.position.close()


def main() -> None:
    warnings.simplefilter("ignore")
    backtesting.backtesting._tqdm = lambda sequence, **_: sequence
    task = Task.from_stdin()
    reading, frame = timed(lambda: _frame(task.bars))
    first_seconds = None
    measured = Measured()
    for _ in range(task.repetitions):
        for params in task.candidates:
            seconds, stats = timed(lambda params=params: _run(task, frame, params))
            if first_seconds is None:
                first_seconds = time.perf_counter() - STARTED - reading
            measured.seconds.append(seconds)
            measured.results.append(_figures(stats, task))
    report({"backtesting.py": measured}, first_seconds, {
        "Python": platform.python_version(), "backtesting": backtesting.__version__, "pandas": pd.__version__,
    })  # fmt: skip


def _frame(path: str) -> pd.DataFrame:
    frame = pd.read_parquet(path).rename(columns=str.capitalize)
    return frame.set_index(pd.DatetimeIndex(frame.pop("Timestamp")).tz_localize(None))


def _run(task: Task, frame: pd.DataFrame, params: dict) -> pd.Series:
    backtest = FractionalBacktest(
        frame,
        Following,
        cash=task.execution["initial_cash"],
        commission=task.execution["fee_bps"] / 10_000,
        spread=0.0,
        trade_on_close=False,
        exclusive_orders=True,
        fractional_unit=UNIT,
    )
    return backtest.run(strategy=task.strategy, params=params, size=task.execution["size"])


def _figures(stats: pd.Series, task: Task) -> tuple[float, ...]:
    """Its Sharpe ratio is of daily returns: ours is computed here from its equity, outside the clock."""
    equity = np.concatenate([[task.execution["initial_cash"]], stats["_equity_curve"]["Equity"].to_numpy()])
    returns = np.diff(equity) / equity[:-1]
    sharpe = returns.mean() / returns.std(ddof=1) * np.sqrt(task.bars_per_year)
    drawdown = (1.0 - equity / np.maximum.accumulate(equity)).max()
    return float(equity[-1] / equity[0] - 1.0), float(sharpe), float(drawdown), float(stats["# Trades"])


if __name__ == "__main__":
    main()
