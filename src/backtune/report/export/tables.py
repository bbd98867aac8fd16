"""The results of a sweep as CSV or Parquet files: leaderboard, trials, equity and trades."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO

import numpy as np
import polars as pl

from backtune.report.backtest_history import build_walk_forward_history
from backtune.report.content import ReportContent, StudyContent
from backtune.report.winner_replay import WinnerReplay
from backtune.results.leaderboard.row import Row, build_leaderboard_frame
from backtune.results.leaderboard.walk_forward_oos import WalkForwardBacktest
from backtune.storage.files import write_atomically
from backtune.storage.location import Location

# A spreadsheet takes a text that starts like this for a formula.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n")
_TIMESTAMP = pl.Datetime("us", "UTC")
_TIME_FORMAT = "%Y-%m-%dT%H:%M:%S%.fZ"


@dataclass(frozen=True)
class ExportedFiles:
    """The outcome of an export.

    Attributes:
        files: Paths of the written files, in the order of writing.
        gaps: Reasons by study or walk-forward for missing equity and trades.
    """

    files: tuple[Location, ...]
    gaps: dict[str, str]


def export_tables(content: ReportContent, export_format: str, folder: Location) -> ExportedFiles:
    """Write ``leaderboard``, in a folder for each study ``trials``, ``equity`` and ``trades``, and in one for each walk-forward
    ``equity`` and ``trades`` of its tests as one, as far as there are any.

    Args:
        content: The content of the report.
        export_format: A key of :data:`TABLE_FORMATS`.
        folder: The folder to write to.

    Raises:
        ResultsError: A log cannot be read, or a file cannot be written.
    """
    files: list[Location] = []
    gaps: dict[str, str] = {}
    write = TABLE_FORMATS[export_format]

    def put(frame: pl.DataFrame, name: str) -> None:
        files.append(folder / f"{name}.{export_format}")
        write_atomically(files[-1], lambda file: write(frame, file))

    put(
        build_leaderboard_frame([row for row in content.rows if content.study in (None, row.study)]),
        "leaderboard",
    )
    for row in content.rows:
        for name, frame in _of_tests(content, row, gaps):
            put(frame, f"{content.section_of(row)}/{name}")
    for study_id in content.ids:
        for name, frame in _frames(content, study_id, gaps):
            put(frame, f"{study_id}/{name}")
    return ExportedFiles(tuple(files), gaps)


def _of_tests(content: ReportContent, row: Row, gaps: dict[str, str]) -> Iterator[tuple[str, pl.DataFrame]]:
    """Yield the tables of a walk-forward that has a winner."""
    if not row.folds or row.values is None:
        return
    cell = content.section_of(row)
    whole, gap = content.stitched(row)
    if whole is None:
        gaps[cell] = gap
    else:
        yield "equity", build_walk_forward_equity(cell, whole)
        yield "trades", build_walk_forward_trades(cell, whole)


def _frames(
    content: ReportContent, study_id: str, gaps: dict[str, str]
) -> Iterator[tuple[str, pl.DataFrame]]:
    trials = content.run.read_trials(study_id)
    if trials is not None:
        yield "trials", trials
    study = content.of_study(study_id)
    if study.gap:
        gaps[study_id] = study.gap
    for name, frame in (("equity", build_equity_frame(study)), ("trades", build_trades_frame(study))):
        if frame is not None:
            yield name, frame


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
            "timestamp": pl.Series(replay.opens).cast(_TIMESTAMP),
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
            "timestamp": pl.Series(course.opens).cast(_TIMESTAMP),
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


def _write_parquet(frame: pl.DataFrame, file: IO[bytes]) -> None:
    frame.write_parquet(file, compression="zstd")


def _write_csv(frame: pl.DataFrame, file: IO[bytes]) -> None:
    """Write scalar columns only; texts that a spreadsheet would take for a formula get an apostrophe before them."""
    flat = frame.select(name for name, kind in frame.schema.items() if not kind.is_nested())
    texts = [_harmless(name) for name, kind in flat.schema.items() if kind == pl.String]
    flat.with_columns(texts).write_csv(file, datetime_format=_TIME_FORMAT)


def _harmless(name: str) -> pl.Expr:
    starts = pl.any_horizontal(pl.col(name).str.starts_with(start) for start in _FORMULA_STARTS)
    return pl.when(starts).then(pl.lit("'") + pl.col(name)).otherwise(pl.col(name)).alias(name)


TABLE_FORMATS: dict[str, Callable[[pl.DataFrame, IO[bytes]], None]] = {
    "csv": _write_csv,
    "parquet": _write_parquet,
}
