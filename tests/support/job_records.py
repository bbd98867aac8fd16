"""The record of a job that has completed, and the first row of its leaderboard."""

from backtune.gateway.jobs.job_record import JobEnd, JobRecord

BEST = {
    "study": "s", "strategy": "RSIStrategy", "asset": "AAA", "timeframe": "1h", "params": {"period": 14},
    "trial": 3, "n_trials": 1500, "values": [1.0], "warnings": ["few trades", "b", "c", "d"],
    "is_sharpe_ratio": 2.0, "is_total_return": 0.5, "is_max_drawdown": 0.1,
    "oos_sharpe_ratio": 0.4, "oos_total_return": 0.05, "oos_max_drawdown": 0.35,
    "dsr": 0.7, "family_p": None, "haircut_sharpe_ratio": None,
}  # fmt: skip
RECORD = JobRecord(
    number=1, id="job-0123456789abcdef01234567", owner="k", request_id="r", name="small", sweep_id="small-1",
    state="completed", attempt=1, submission_id="x", is_cancel_requested=False, n_lost=0, created_at=1.0,
    not_before=0.0, started_at=2.0, ended_at=3.0, message=None, error=None, end=JobEnd(BEST, 1500, 1500),
)  # fmt: skip
