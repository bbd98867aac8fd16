"""The stress of a row of the leaderboard."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from backtune.errors import BacktuneError, ResultsError
from backtune.results.leaderboard.row import Row
from backtune.results.stored_sweep import StoredSweep
from backtune.results.stress.break_even import BreakEven, find_break_even
from backtune.results.stress.conditions import Condition, score_conditions
from backtune.results.stress.other_cells import OtherCell, score_other_cells
from backtune.results.stress.winner_backtest import build_winner_backtest, check_winner_metrics
from backtune.results.study_context import StudyContextLoader
from backtune.results.trial import Metrics


@dataclass(frozen=True)
class Stress:
    """The result of a winner under conditions that it was not searched under.

    Attributes:
        study: The id of the row's study.
        asset, timeframe: The row's own.
        is_tested: True where the numbers are of the row's test, False where they are of its search for lack of validation.
        metrics: The row's own: out of sample, in sample without validation.
        conditions: The winner on the same window under each condition.
        break_even: The costs at which its gain is gone.
        elsewhere: Its parameters on the grid's other assets and timeframes.
    """

    study: str
    asset: str
    timeframe: str
    is_tested: bool
    metrics: Metrics
    conditions: tuple[Condition, ...]
    break_even: BreakEven
    elsewhere: tuple[OtherCell, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain data, with the conditions by name."""
        content = asdict(self)
        content["conditions"] = {one.pop("name"): one for one in content["conditions"]}
        content["elsewhere"] = list(content["elsewhere"])
        return content


def stress_winner(run: StoredSweep, row: Row, contexts: StudyContextLoader | None = None) -> Stress:
    """Backtest the winner of a row again, under conditions that it was not searched under.

    Every number is of the window that the row is judged by: its test, of a walk-forward the folds' tests as one backtest, without
    validation that of the search. Draws are seeded by the spec's ``search.seed``, so the same row has the same stress.

    Args:
        run: The sweep's folder.
        row: One of its leaderboard, or a fold of one.
        contexts: Those of the run, where several rows are asked for.

    Raises:
        ResultsError: The row has no winner; or the bars or the strategy are not there, or give other numbers than the sweep
            has. What is missing of other cells is said in ``elsewhere``.
    """
    if row.values is None:
        raise ResultsError(f"{row.study}: has no winner")
    try:
        return _backtest_conditions(run, row, contexts or StudyContextLoader(run))
    except ResultsError:
        raise
    except (BacktuneError, OSError) as error:
        raise ResultsError(str(error)) from error


def _backtest_conditions(run: StoredSweep, row: Row, contexts: StudyContextLoader) -> Stress:
    entries = {entry.id: entry for entry in run.studies}
    folds = [(fold, contexts.load(entries[fold.study])) for fold in row.folds or (row,)]
    check_winner_metrics(folds)
    winner = build_winner_backtest(folds)
    search = run.spec.search
    return Stress(
        study=row.study,
        asset=row.asset,
        timeframe=row.timeframe,
        is_tested=folds[0][1].fold.test is not None,
        metrics=winner.score(),
        conditions=score_conditions(winner, search.objectives, search.seed),
        break_even=find_break_even(winner),
        elsewhere=score_other_cells(run, row, contexts),
    )
