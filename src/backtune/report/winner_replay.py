"""The full backtest of a study's winner: the equity, trades and prices that a sweep does not store."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from backtune.results.log.summary import Winner
from backtune.results.study_context import StudyContext
from backtune.results.trial import Metrics
from backtune.simulation.bar_window import BarWindow
from backtune.simulation.regimes import measure_performance_by_regime
from backtune.space import Params


@dataclass(frozen=True, eq=False)
class WindowReplay:
    """The backtest of a winner on one window.

    Attributes:
        opens: (n,) opening times of the bars, in microseconds since the epoch, UTC.
        close: (n,) closing prices.
        equity: (n,) equity at the closes, which starts from the spec's initial cash.
        trades: The closed trades, with the columns of :class:`~backtune.simulation.simulate.Result`.
        regimes: One row a market regime, as :func:`~backtune.simulation.regimes.measure_performance_by_regime` returns it.
    """

    opens: np.ndarray
    close: np.ndarray
    equity: np.ndarray
    trades: pl.DataFrame
    regimes: pl.DataFrame

    @property
    def start(self) -> int:
        """Return the opening time of the first bar."""
        return int(self.opens[0])


@dataclass(frozen=True, eq=False)
class WinnerReplay:
    """The backtests of a winner in sample and out of sample.

    Attributes:
        initial_cash: Equity before the first bar.
        train: The in-sample backtest.
        test: The out-of-sample backtest; None without validation.
    """

    initial_cash: float
    train: WindowReplay
    test: WindowReplay | None

    @property
    def parts(self) -> tuple[WindowReplay, ...]:
        return (self.train,) if self.test is None else (self.train, self.test)

    @property
    def opens(self) -> np.ndarray:
        """Return the (n,) opening times of both samples."""
        return np.concatenate([part.opens for part in self.parts])

    @property
    def close(self) -> np.ndarray:
        """Return the (n,) closing prices of both samples."""
        return np.concatenate([part.close for part in self.parts])

    @property
    def equity(self) -> np.ndarray:
        """Return the (n,) equity of both samples; the test starts flat, with the equity that the search's window ended with."""
        linked = [self.train.equity]
        if self.test is not None:
            linked.append(self.test.equity * (self.train.equity[-1] / self.initial_cash))
        return np.concatenate(linked)

    @property
    def drawdown(self) -> np.ndarray:
        """Return the (n,) fractions below the peak, which starts anew in the test, as in its metrics."""
        found = []
        for part in self.parts:
            peak = np.maximum(np.maximum.accumulate(part.equity), self.initial_cash)
            found.append(1.0 - part.equity / peak)
        return np.concatenate(found)


def replay_winner(context: StudyContext, winner: Winner, study: str) -> WinnerReplay:
    """Backtest the winner of a study again, on the window of the search and in its test.

    Args:
        context: The context of the study.
        winner: The winner.
        study: The id of the study.

    Raises:
        ResultsError: The bars or the strategy give other numbers than the sweep has.
        CatalogError: There is no bar in a window.
        StrategyError: The strategy fails.
    """
    test = context.test_window
    return WinnerReplay(
        initial_cash=context.scorer.execution.initial_cash,
        train=_replay_window(context, context.train_window, winner.params, winner.is_metrics, study),
        test=None
        if test is None
        else _replay_window(context, test, winner.params, winner.oos_metrics or {}, study),
    )


def _replay_window(
    context: StudyContext, window: BarWindow, params: Params, metrics: Metrics, study: str
) -> WindowReplay:
    result = context.backtest_again(params, window, metrics, study)
    return WindowReplay(
        opens=window.prices.timestamp,
        close=window.prices.close,
        equity=result.equity,
        trades=result.trades,
        regimes=measure_performance_by_regime(
            result.equity, window.bars, context.scorer.execution.initial_cash
        ),
    )
