"""The parameters of a winner on the grid's other assets and timeframes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from backtune.errors import BacktuneError
from backtune.results.leaderboard.row import Row
from backtune.results.stored_sweep import StoredStudy, StoredSweep
from backtune.results.stress.winner_backtest import build_winner_backtest
from backtune.results.study_context import StudyContextLoader
from backtune.results.trial import Metrics
from backtune.simulation.metrics import METRICS


@dataclass(frozen=True)
class OtherCell:
    """A winner's parameters on the test window of another cell, without validation on the window of its search.

    Attributes:
        asset, timeframe: The cell's.
        metrics: Its metrics there, None where they are undefined or cannot be had.
        is_known_time: True where this window begins before the end of the bars that the parameters were found on.
        problem: The reason why there are no metrics, else empty.
    """

    asset: str
    timeframe: str
    metrics: Metrics
    is_known_time: bool = False
    problem: str = ""


def score_other_cells(run: StoredSweep, row: Row, contexts: StudyContextLoader) -> tuple[OtherCell, ...]:
    """Return the winner of a row on the grid's other assets in its timeframe, and on its asset in the other timeframes.

    Of a walk-forward, the winner of each fold is on the other cell's fold of the same name.
    """
    cells: dict[tuple[str, str], dict[str, StoredStudy]] = {}
    for entry in _other_entries(run, row):
        # Islands have the same bars and windows.
        cells.setdefault((entry.asset, entry.timeframe), {}).setdefault(entry.fold.name, entry)
    return tuple(_score_cell(row, cell, entries, contexts) for cell, entries in cells.items())


def _other_entries(run: StoredSweep, row: Row) -> Iterator[StoredStudy]:
    for entry in run.studies:
        has_one_in_common = (entry.asset == row.asset) != (entry.timeframe == row.timeframe)
        if entry.strategy == row.strategy and has_one_in_common:
            yield entry


def _score_cell(
    row: Row, cell: tuple[str, str], entries: dict[str, StoredStudy], contexts: StudyContextLoader
) -> OtherCell:
    own = row.folds or (row,)
    missing = [fold.fold for fold in own if fold.fold not in entries]
    if missing:
        problem = f"the cell has no fold {', '.join(missing)}"
        return OtherCell(*cell, dict.fromkeys(METRICS), problem=problem)
    try:
        folds = [(fold, contexts.load(entries[fold.fold])) for fold in own]
        is_known = any(
            fold.train is not None and (context.fold.test or context.fold.train).start < fold.train.end
            for fold, context in folds
        )
        return OtherCell(*cell, build_winner_backtest(folds).score(), is_known_time=is_known)
    except (BacktuneError, OSError) as error:
        return OtherCell(*cell, dict.fromkeys(METRICS), problem=str(error))
