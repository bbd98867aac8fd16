"""What clients get of a finished job."""

from dataclasses import replace

import pytest
from job_records import BEST, RECORD

from backtune.gateway.jobs.job_record import JobEnd
from backtune.gateway.jobs.result import make_result


def test_the_metrics_are_those_out_of_sample():
    best = {**BEST, "family_p": 0.3, "haircut_sharpe_ratio": 0.2}
    result = make_result(replace(RECORD, end=JobEnd(best)))
    assert (result["strategy_name"], result["asset"], result["sample"]) == (
        "RSIStrategy",
        "AAA",
        "out_of_sample",
    )
    assert (result["sharpe_ratio"], result["total_return"], result["max_drawdown"]) == (0.4, 0.05, 0.35)
    assert (result["family_p"], result["haircut_sharpe_ratio"]) == (0.3, 0.2)
    assert (result["best_parameters"], result["n_trials"]) == ({"period": 14}, 1500)
    assert result["warnings"] == ["few trades", "b", "c", "d"]
    assert result["detailed_metrics"] == {
        "is_sharpe_ratio": 2.0, "is_total_return": 0.5, "is_max_drawdown": 0.1, "oos_sharpe_ratio": 0.4,
        "oos_total_return": 0.05, "oos_max_drawdown": 0.35, "dsr": 0.7,
        "family_p": 0.3, "haircut_sharpe_ratio": 0.2,
    }  # fmt: skip


def test_without_validation_they_are_those_in_sample_and_say_so():
    best = {name: None if name.startswith("oos_") else value for name, value in BEST.items()}
    result = make_result(replace(RECORD, end=JobEnd(best, 60, 60)))
    assert (result["sample"], result["sharpe_ratio"], result["max_drawdown"]) == ("in_sample", 2.0, 0.1)


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
