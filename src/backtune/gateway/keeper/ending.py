"""What is kept of a job when it ends."""

from __future__ import annotations

from pathlib import Path

from backtune.errors import ResultsError
from backtune.gateway.records.values import End
from backtune.results.log.segments import count_trials
from backtune.results.start_outcome import StartOutcome
from backtune.results.stored_sweep import StoredSweep


def end_of(folder: Path, start: str) -> End:
    """From a sweep's folder, after the start of that name."""
    outcome = StartOutcome.read(folder, start)
    try:
        run = StoredSweep.open(folder)
    except ResultsError:
        # Refused before there was a folder.
        return End()
    n_trials = sum(count_trials(run.study_folder(study.id)) for study in run.studies)
    planned = max(n_trials, sum(study.budget for study in run.studies))
    if outcome is None:
        return End(None, n_trials, planned)
    return End(outcome.best, n_trials, planned, outcome.problems)
