"""What a backtest did over time, as it is drawn: of one winner, or of the winners of a walk-forward one after the other."""

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
    """A part of the time.

    Attributes:
        name: of it.
        start: microseconds since the epoch, UTC.
        is_shaded: whether it is set apart from the others.
    """

    name: str
    start: int
    is_shaded: bool = False


@dataclass(frozen=True, eq=False)
class BacktestHistory:
    """Equity bar by bar.

    Attributes:
        whose: in words.
        initial_cash: equity before the first bar.
        opens: (n,) microseconds since the epoch, UTC, at which the bars open.
        close, equity, drawdown: (n,) prices, money and fractions below the peak at the closes.
        trades: the closed trades, see :class:`~backtune.simulation.simulate.Result`.
        stretches: from the first bar on, in order of time.
        outside: when out of sample begins; None where it never does.
        outlook: in words, when what begins.
    """

    whose: str
    initial_cash: float
    opens: np.ndarray
    close: np.ndarray
    equity: np.ndarray
    drawdown: np.ndarray
    trades: pl.DataFrame
    stretches: Sequence[Period]
    outside: int | None
    outlook: str

    @property
    def hold(self) -> np.ndarray:
        """(n,) equity of buying at the first close and holding, without costs."""
        return np.asarray(self.initial_cash * self.close / self.close[0])

    @property
    def depths(self) -> list[tuple[str, float]]:
        """The deepest drawdown of each stretch by its name."""
        rows = np.searchsorted(self.opens, [stretch.start for stretch in self.stretches])
        parts = np.split(self.drawdown, rows[1:])
        return [
            (stretch.name, float(part.max(initial=0.0)))
            for stretch, part in zip(self.stretches, parts, strict=True)
        ]


def build_winner_history(replay: WinnerReplay) -> BacktestHistory:
    """Of a study's winner, in sample and on from there out of sample."""
    test = replay.test
    inside = Period("in sample", replay.train.start)
    return BacktestHistory(
        whose="the winner",
        initial_cash=replay.initial_cash,
        opens=replay.opens,
        close=replay.close,
        equity=replay.equity,
        drawdown=replay.drawdown,
        trades=pl.concat([part.trades for part in replay.parts]),
        stretches=(inside,)
        if test is None
        else (inside, Period("out of sample", test.start, is_shaded=True)),
        outside=None if test is None else test.start,
        outlook="" if test is None else f"Out of sample from {format_day(test.start)}.",
    )


def build_walk_forward_history(whole: WalkForwardBacktest) -> BacktestHistory:
    """Of the folds' winners, each in its own test window; all of it is out of sample."""
    peak = np.maximum(np.maximum.accumulate(whole.equity), whole.initial_cash)
    stretches = [Period(piece.fold, int(whole.opens[piece.first])) for piece in whole.pieces]
    return BacktestHistory(
        whose="the folds' winners, one after the other",
        initial_cash=whole.initial_cash,
        opens=whole.opens,
        close=whole.close,
        equity=whole.equity,
        drawdown=1.0 - whole.equity / peak,
        trades=whole.trades,
        stretches=stretches,
        outside=stretches[0].start,
        outlook=f"{len(stretches)} folds, all out of sample.",
    )
