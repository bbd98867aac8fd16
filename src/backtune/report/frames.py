"""Equity and trades of a study's winner, or of a walk-forward, as frames."""

from __future__ import annotations

import numpy as np
import polars as pl

from backtune.report.backtest_history import build_walk_forward_history
from backtune.report.content import StudyContent
from backtune.report.winner_replay import WinnerReplay
from backtune.results.leaderboard.walk_forward_oos import WalkForwardBacktest

_TIME = pl.Datetime("us", "UTC")


def build_equity_frame(study: StudyContent) -> pl.DataFrame | None:
    """Build a frame with a row for each bar of the winner's windows; None where there is no replay.

    Columns: study, sample (``in`` or ``out``), timestamp (the bar's open, UTC), close (price), equity (at the close; out of
    sample it continues from the equity reached), drawdown (fraction below the peak of the sample), buy_and_hold (without costs).
    """
    replay = study.replay
    if replay is None:
        return None
    close = replay.close
    return pl.DataFrame(
        {
            "study": pl.repeat(study.entry.id, len(close), eager=True),
            "sample": _samples(replay),
            "timestamp": pl.Series(replay.opens).cast(_TIME),
            "close": close,
            "equity": replay.equity,
            "drawdown": replay.drawdown,
            "buy_and_hold": replay.initial_cash * close / close[0],
        }
    )


def build_walk_forward_equity(cell: str, whole: WalkForwardBacktest) -> pl.DataFrame:
    """Build a frame with a row for each bar of a walk-forward's tests as one backtest.

    Columns: cell, fold, timestamp, close, equity, drawdown and buy_and_hold, as in :func:`build_equity_frame`.
    """
    course = build_walk_forward_history(whole)
    starts = [piece.first for piece in whole.pieces]
    lengths = np.diff([*starts, len(course.opens)]).tolist()
    folds = (pl.repeat(piece.fold, n, eager=True) for piece, n in zip(whole.pieces, lengths, strict=True))
    return pl.DataFrame(
        {
            "cell": pl.repeat(cell, len(course.opens), eager=True),
            "fold": pl.concat(folds),
            "timestamp": pl.Series(course.opens).cast(_TIME),
            "close": course.close,
            "equity": course.equity,
            "drawdown": course.drawdown,
            "buy_and_hold": course.hold,
        }
    )


def build_walk_forward_trades(cell: str, whole: WalkForwardBacktest) -> pl.DataFrame:
    """Build a frame with a row for each closed trade of a walk-forward's tests, with the cell as first column."""
    return whole.trades.insert_column(0, pl.lit(cell).alias("cell"))


def build_trades_frame(study: StudyContent) -> pl.DataFrame | None:
    """Build a frame with a row for each closed trade of the winner; None where there is no replay.

    Columns: study, sample, then as :class:`~backtune.simulation.simulate.Result` has them. Money is that of a separate
    backtest of the sample, which starts with the spec's initial cash.
    """
    replay = study.replay
    if replay is None:
        return None
    parts = zip(("in", "out"), replay.parts, strict=False)
    frames = [part.trades.insert_column(0, pl.lit(sample).alias("sample")) for sample, part in parts]
    return pl.concat(frames).insert_column(0, pl.lit(study.entry.id).alias("study"))


def _samples(replay: WinnerReplay) -> pl.Series:
    lengths = [len(part.opens) for part in replay.parts]
    names = (pl.repeat(name, n, eager=True) for name, n in zip(("in", "out"), lengths, strict=False))
    return pl.concat(names)
