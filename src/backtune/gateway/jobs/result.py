"""The result of a job: read from the sweep's folder when the job ends, and shown to clients."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from backtune.errors import ResultsError
from backtune.gateway.jobs.job_record import JobEnd, JobRecord
from backtune.results.log.segments import count_trials
from backtune.results.start_outcome import StartOutcome
from backtune.results.stored_sweep import StoredSweep
from backtune.wire.answers import JobResult

# The members of a leaderboard row that are no metrics and no evidence.
_OTHER_MEMBERS: Final = (
    "study",
    "strategy",
    "asset",
    "timeframe",
    "params",
    "trial",
    "n_trials",
    "values",
    "warnings",
)


def read_job_end(folder: Path, submission_id: str) -> JobEnd:
    """Return the outcome of one start of a sweep, from the sweep's folder."""
    outcome = StartOutcome.read(folder, submission_id)
    try:
        sweep = StoredSweep.open(folder)
    except ResultsError:
        # The sweep was refused before it had a folder.
        return JobEnd()
    n_trials = sum(count_trials(sweep.study_folder(study.id)) for study in sweep.studies)
    n_planned = max(n_trials, sum(study.budget for study in sweep.studies))
    if outcome is None:
        return JobEnd(None, n_trials, n_planned)
    return JobEnd(outcome.best, n_trials, n_planned, outcome.problems)


def make_result(record: JobRecord) -> JobResult | None:
    """Return the result of a completed or partial job; None for any other job, and if no study has a winner."""
    best = record.end.best if record.end is not None else None
    if best is None or record.state not in ("completed", "partial"):
        return None
    # Undefined metrics are null, and a sweep without validation has no metrics out of sample.
    is_validated = any(value is not None for name, value in best.items() if name.startswith("oos_"))
    prefix = "oos_" if is_validated else "is_"
    return JobResult(
        strategy_name=best["strategy"],
        asset=best["asset"],
        timeframe=best["timeframe"],
        study=best["study"],
        sample="out_of_sample" if is_validated else "in_sample",
        sharpe_ratio=best[f"{prefix}sharpe_ratio"],
        total_return=best[f"{prefix}total_return"],
        max_drawdown=best[f"{prefix}max_drawdown"],
        family_p=best["family_p"],
        haircut_sharpe_ratio=best["haircut_sharpe_ratio"],
        best_parameters=best["params"],
        detailed_metrics={name: value for name, value in best.items() if name not in _OTHER_MEMBERS},
        n_trials=best["n_trials"],
        warnings=best["warnings"],
    )
