"""The history of a backtest as it is drawn: of one winner, or of the winners of a walk-forward's folds in sequence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from backtune.report.formatting import format_day
from backtune.report.winner_replay import WinnerReplay
from backtune.results.leaderboard.walk_forward_oos import WalkForwardBacktest


@dataclass(frozen=True)
class Period:
    """A named period of a backtest.

    Attributes:
        name: The name that a figure shows.
        start: The opening time of the first bar, in microseconds since the epoch, UTC.
        is_shaded: True if figures shade the period.
    """

    name: str
    start: int
    is_shaded: bool = False


@dataclass(frozen=True, eq=False)
class BacktestHistory:
    """Prices, equity and trades of a backtest, bar by bar.

    Attributes:
        subject: The words that name whose backtest it is.
        initial_cash: Equity before the first bar.
        opens: (n,) opening times of the bars, in microseconds since the epoch, UTC.
        close: (n,) closing prices.
        equity: (n,) equity at the closes.
        drawdown: (n,) fraction by which equity is below its peak at the closes.
        trades: The closed trades, with the columns of :class:`~backtune.simulation.simulate.Result`.
        periods: Consecutive periods, the first one from the first bar on.
        oos_start: The start of the out-of-sample time, in microseconds since the epoch; None without one.
        sample_note: The sentence that says which bars are out of sample.
    """

    subject: str
    initial_cash: float
    opens: np.ndarray
    close: np.ndarray
    equity: np.ndarray
    drawdown: np.ndarray
    trades: pl.DataFrame
    periods: Sequence[Period]
    oos_start: int | None
    sample_note: str

    @property
    def hold(self) -> np.ndarray:
        """Return the (n,) equity of buying at the first close and holding, without costs."""
        return np.asarray(self.initial_cash * self.close / self.close[0])

    @property
    def deepest_drawdowns(self) -> list[tuple[str, float]]:
        """Return the name and the deepest drawdown of each period."""
        rows = np.searchsorted(self.opens, [stretch.start for stretch in self.periods])
        parts = np.split(self.drawdown, rows[1:])
        return [
            (stretch.name, float(part.max(initial=0.0)))
            for stretch, part in zip(self.periods, parts, strict=True)
        ]


def build_winner_history(replay: WinnerReplay) -> BacktestHistory:
    """Return the history of a study's winner, in sample and then out of sample."""
    test = replay.test
    inside = Period("in sample", replay.train.start)
    return BacktestHistory(
        subject="the winner",
        initial_cash=replay.initial_cash,
        opens=replay.opens,
        close=replay.close,
        equity=replay.equity,
        drawdown=replay.drawdown,
        trades=pl.concat([part.trades for part in replay.parts]),
        periods=(inside,) if test is None else (inside, Period("out of sample", test.start, is_shaded=True)),
        oos_start=None if test is None else test.start,
        sample_note="" if test is None else f"Out of sample from {format_day(test.start)}.",
    )


def build_walk_forward_history(whole: WalkForwardBacktest) -> BacktestHistory:
    """Return the history of the folds' winners, each in its own test window; all of it is out of sample."""
    peak = np.maximum(np.maximum.accumulate(whole.equity), whole.initial_cash)
    periods = [Period(piece.fold, int(whole.opens[piece.first])) for piece in whole.pieces]
    return BacktestHistory(
        subject="the folds' winners, one after the other",
        initial_cash=whole.initial_cash,
        opens=whole.opens,
        close=whole.close,
        equity=whole.equity,
        drawdown=1.0 - whole.equity / peak,
        trades=whole.trades,
        periods=periods,
        oos_start=periods[0].start,
        sample_note=f"{len(periods)} folds, all out of sample.",
    )
