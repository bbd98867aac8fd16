"""A study's winner once more, in full: the equity, the trades and the prices that a sweep does not keep."""

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
    """The winner on one window.

    Attributes:
        opens: (n,) microseconds since the epoch, UTC, at which the bars open.
        close: (n,) prices at the closes.
        equity: (n,) at the closes, from the spec's initial cash, as the metrics of this window have it.
        trades: the closed trades, see :class:`~backtune.simulation.simulate.Result`.
        regimes: a row a regime, see :func:`~backtune.simulation.regimes.measure_performance_by_regime`.
    """

    opens: np.ndarray
    close: np.ndarray
    equity: np.ndarray
    trades: pl.DataFrame
    regimes: pl.DataFrame

    @property
    def start(self) -> int:
        """When the first bar opens."""
        return int(self.opens[0])


@dataclass(frozen=True, eq=False)
class WinnerReplay:
    """The winner on what the search saw and on what it did not.

    Attributes:
        initial_cash: equity before the first bar.
        train: in-sample.
        test: out-of-sample; None without validation.
    """

    initial_cash: float
    train: WindowReplay
    test: WindowReplay | None

    @property
    def parts(self) -> tuple[WindowReplay, ...]:
        return (self.train,) if self.test is None else (self.train, self.test)

    @property
    def opens(self) -> np.ndarray:
        """(n,) of both parts."""
        return np.concatenate([part.opens for part in self.parts])

    @property
    def close(self) -> np.ndarray:
        """(n,) of both parts."""
        return np.concatenate([part.close for part in self.parts])

    @property
    def equity(self) -> np.ndarray:
        """(n,) the test's going on from where the search's window ended: it starts flat, with the equity of then."""
        linked = [self.train.equity]
        if self.test is not None:
            linked.append(self.test.equity * (self.train.equity[-1] / self.initial_cash))
        return np.concatenate(linked)

    @property
    def drawdown(self) -> np.ndarray:
        """(n,) fractions below the peak, which is counted anew in the test, as its metrics are."""
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
