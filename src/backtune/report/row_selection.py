"""The choice of the leaderboard row that an export is about."""

from __future__ import annotations

from backtune.errors import ReportError, SpecError
from backtune.results.leaderboard.ranking import build_leaderboard
from backtune.results.leaderboard.row import Row
from backtune.results.stored_sweep import StoredStudy, StoredSweep


def select_row(run: StoredSweep, study: str | None) -> Row:
    """Return the leaderboard's best row of the named study, or of the sweep.

    Raises:
        SpecError: The sweep has no such study.
        ReportError: There is no winner, because no trial is complete.
    """
    ids = [entry.id for entry in run.studies]
    if study is not None and study not in ids:
        raise SpecError("--study", f"{study!r} is not in this sweep", value=study, allowed=ids)
    rows = build_leaderboard(run, top=1, study=study)
    for row in rows:
        if row.values is not None:
            return row
    reasons = "; ".join(dict.fromkeys(warning for row in rows for warning in row.warnings))
    raise ReportError(f"{study or run.sweep_id}: there is no best yet: {reasons or 'no study has a trial'}")


def find_study(run: StoredSweep, row: Row) -> StoredStudy:
    """Return the study that a row is about."""
    return next(entry for entry in run.studies if entry.id == row.study)
