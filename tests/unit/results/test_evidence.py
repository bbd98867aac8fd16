"""What tells for and against a winner: in numbers, and in words where it is weak."""

from __future__ import annotations

import json

import pytest

from backtune.results.evidence import NO_EVIDENCE, Evidence, doubts
from backtune.results.searched import Searched
from backtune.results.summary import StudySummary, Winner
from backtune.validation.bootstrap import SharpeInterval
from backtune.validation.deflated_sharpe import ReturnShape, Tried

PARAMS = {"period": 7}


def interval(low: float, high: float) -> SharpeInterval:
    return SharpeInterval(low, high, (low + high) / 2, 0.95, 3.0, 0.1)


def winner(**fields: object) -> Winner:
    return Winner(3, PARAMS, (1.5,), {"sharpe_ratio": 1.5}, {"sharpe_ratio": 0.4}, **fields)  # type: ignore[arg-type]


STRONG = Evidence(
    dsr=0.99, n_independent=41.0, pbo=0.1, pbo_slope=0.8, pbo_loss=0.0, plateau=0.9,
    plateau_centre=PARAMS, centre_plateau=0.95, centre_metrics={"sharpe_ratio": 1.3}, oos_interval=interval(0.2, 1.1),
)  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {}),
        ({"dsr": 0.95}, {}),
        ({"dsr": 0.94}, {"dsr": "the best of 1,600 trials may be luck (deflated Sharpe 0.94)"}),
        ({"dsr": 0.31}, {"dsr": "the best of 1,600 trials is what luck would give (deflated Sharpe 0.31)"}),
        (
            {"dsr": 0.7, "n_cells": 6},
            {"dsr": "as one of 6 cells, its result out of sample may be luck (deflated Sharpe 0.70)"},
        ),
        (
            {"dsr": 0.2, "n_cells": 1},
            {"dsr": "its result out of sample is what luck would give (deflated Sharpe 0.20)"},
        ),
        (
            {"pbo": 0.62, "pbo_loss": 0.5},
            {"pbo": "overfitted in 62 % of the splits (PBO 0.62)"},
        ),
        # Trials that are alike, as those of a sampler that has settled: any of them would have done.
        ({"pbo": 0.62, "pbo_loss": 0.0}, {}),
        ({"pbo": 0.49, "pbo_loss": 0.9}, {}),
        ({"plateau": 0.5}, {}),
        ({"plateau": 0.2}, {"plateau": "its neighbours do much worse (plateau 0.20)"}),
        ({"plateau": -0.4}, {"plateau": "its neighbours do much worse (plateau -0.40)"}),
        (
            {"oos_interval": interval(-0.41, 1.1)},
            {"oos_interval": "out-of-sample Sharpe could be below 0 (95 %: -0.4 to 1.1)"},
        ),
        (
            {"oos_interval": interval(-2.0, -0.5)},
            {"oos_interval": "out-of-sample Sharpe is below 0 (95 %: -2.0 to -0.5)"},
        ),
        ({"oos_interval": interval(0.0, 0.5)}, {}),
        (vars(NO_EVIDENCE), {}),
    ],
)
def test_words(changes: dict[str, object], expected: dict[str, str]) -> None:
    assert Evidence(**{**vars(STRONG), **changes}).weaknesses(1600) == expected


def test_every_weakness_is_an_attribute() -> None:
    weak = Evidence(dsr=0.1, pbo=0.9, pbo_loss=0.9, plateau=0.0, oos_interval=interval(-1, 1))
    assert list(weak.weaknesses(2)) == ["dsr", "pbo", "plateau", "oos_interval"]
    assert set(weak.weaknesses(2)) < set(vars(weak))


def test_deflated_sharpe_is_the_example_of_the_paper() -> None:
    # Bailey and Lopez de Prado 2014: 2.5 a year, 100 trials of variance 1/2, five years of 250 days.
    shape = ReturnShape(1250, 2.5 / 250**0.5, -3.0, 10.0)
    searched = Searched(100, Tried(100, 100.0, (0.5 / 250) ** 0.5))
    found = Evidence.of(winner(is_shape=shape), searched)
    assert found.dsr == pytest.approx(0.9004, abs=5e-5)
    assert found.n_independent == 100.0


def test_the_plateau_is_that_of_the_best_alone() -> None:
    searched = Searched(9, best=PARAMS, plateau=0.7, plateau_centre={"period": 9})
    best = Evidence.of(winner(), searched)
    other = Evidence.of(winner(), Searched(9, best={"period": 8}, plateau=0.7, plateau_centre={"period": 9}))
    assert (best.plateau, best.plateau_centre) == (0.7, {"period": 9})
    assert (other.plateau, other.plateau_centre) == (None, {"period": 9})


def test_nothing_is_known_of_an_old_winner_of_an_empty_search() -> None:
    assert Evidence.of(winner(), Searched(0)) == NO_EVIDENCE
    assert set(NO_EVIDENCE.to_json().values()) == {None}


def test_as_plain_data() -> None:
    assert STRONG.to_json() == {
        "dsr": 0.99, "n_independent": 41.0, "n_cells": None, "pbo": 0.1, "pbo_slope": 0.8, "pbo_loss": 0.0,
        "plateau": 0.9, "plateau_centre": {"period": 7}, "centre_plateau": 0.95,
        "centre_metrics": {"is_sharpe_ratio": 1.3}, "oos_sharpe_low": 0.2, "oos_sharpe_high": 1.1,
    }  # fmt: skip


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"is_shape": ReturnShape(900, 0.02, -0.5, 7.0), "oos_interval": interval(-0.3, 2.0)},
        {"is_shape": ReturnShape(900, 0.02, -0.5, 7.0)},
    ],
)
def test_a_summary_is_read_as_it_was_written(tmp_path, fields) -> None:
    summary = StudySummary("complete", n_trials=9, winners=(winner(**fields),))
    summary.write(tmp_path)
    assert StudySummary.read(tmp_path) == summary


def test_a_summary_of_before_there_was_evidence_is_read(tmp_path) -> None:
    StudySummary("complete", n_trials=9, winners=(winner(),)).write(tmp_path)
    path = tmp_path / "summary.json"
    content = json.loads(path.read_text())
    for entry in content["winners"]:
        del entry["is_shape"], entry["oos_interval"]
    path.write_text(json.dumps(content))
    assert StudySummary.read(tmp_path).winners == (winner(),)


@pytest.mark.parametrize(
    ("inside", "outside", "trades", "expected"),
    [
        (0.5, 0.2, 30, []),
        (0.5, 0.2, 29, ["only 29 trades out of sample"]),
        (0.5, 0.0, 30, ["gains in sample, loses out of sample"]),
        (-0.1, -0.2, 30, []),
        (0.5, -1.0, 30, ["ruined out of sample: all of the money is lost"]),
        (-0.1, -1.0, 0, ["only 0 trades out of sample", "ruined out of sample: all of the money is lost"]),
        (None, None, 30, []),
    ],
)
def test_what_metrics_alone_tell_against_a_winner(inside, outside, trades, expected):
    assert doubts({"total_return": inside}, {"total_return": outside, "total_trades": trades}) == expected
