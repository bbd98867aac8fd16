"""What clients get of a finished job."""

from dataclasses import replace

import pytest

from backtune.gateway.jobs.job_record import JobEnd, JobRecord
from backtune.gateway.jobs.result import make_result

BEST = {
    "study": "s-1", "strategy": "RSIStrategy", "asset": "AAA", "timeframe": "1h", "params": {"period": 9}, "trial": 4,
    "n_trials": 60, "values": [1.5],
    "is_sharpe_ratio": 1.5, "is_total_return": 0.2, "is_max_drawdown": 0.1,
    "oos_sharpe_ratio": 0.7, "oos_total_return": 0.05, "oos_max_drawdown": 0.12,
    "dsr": 0.4, "family_p": 0.3, "haircut_sharpe_ratio": 0.2, "warnings": ["few trades"],
}  # fmt: skip
RECORD = JobRecord(
    number=1, id="job-1", owner="key", request_id="r", name="n", sweep_id="s", state="completed", attempt=1,
    submission_id="job-1-1", is_cancel_requested=False, n_lost=0, created_at=0.0, not_before=0.0,
    started_at=1.0, ended_at=2.0, message=None, error=None, end=JobEnd(BEST, 60, 60),
)  # fmt: skip


def test_the_metrics_are_those_out_of_sample():
    result = make_result(RECORD)
    assert (result["strategy_name"], result["asset"], result["sample"]) == (
        "RSIStrategy",
        "AAA",
        "out_of_sample",
    )
    assert (result["sharpe_ratio"], result["total_return"], result["max_drawdown"]) == (0.7, 0.05, 0.12)
    assert (result["family_p"], result["haircut_sharpe_ratio"]) == (0.3, 0.2)
    assert (result["best_parameters"], result["n_trials"], result["warnings"]) == (
        {"period": 9},
        60,
        ["few trades"],
    )
    assert result["detailed_metrics"] == {
        "is_sharpe_ratio": 1.5, "is_total_return": 0.2, "is_max_drawdown": 0.1, "oos_sharpe_ratio": 0.7,
        "oos_total_return": 0.05, "oos_max_drawdown": 0.12, "dsr": 0.4,
        "family_p": 0.3, "haircut_sharpe_ratio": 0.2,
    }  # fmt: skip


def test_without_validation_they_are_those_in_sample_and_say_so():
    best = {name: None if name.startswith("oos_") else value for name, value in BEST.items()}
    result = make_result(replace(RECORD, end=JobEnd(best, 60, 60)))
    assert (result["sample"], result["sharpe_ratio"], result["max_drawdown"]) == ("in_sample", 1.5, 0.1)


@pytest.mark.parametrize(
    ("changes", "has_result"),
    [
        ({}, True),
        ({"state": "partial"}, True),
        ({"state": "cancelled"}, False),
        ({"state": "failed"}, False),
        ({"state": "running", "end": None}, False),
        ({"end": JobEnd(None, 60, 60)}, False),
    ],
)
def test_who_has_a_result(changes, has_result):
    assert (make_result(replace(RECORD, **changes)) is not None) is has_result
