"""What tells for and against a winner: in numbers, and in words where it is weak."""

from __future__ import annotations

from dataclasses import replace

import pytest

from backtune.results.evidence.evidence import NO_EVIDENCE, Evidence, WinnerSetting, list_metric_warnings
from backtune.results.evidence.family import FamilyResult
from backtune.results.evidence.permutation_test import PermutationTest
from backtune.results.evidence.search_evidence import PlateauEvidence, SearchEvidence
from backtune.results.evidence.trial_count import SearchTrialCount
from backtune.results.log.summary import StudySummary, Winner
from backtune.validation.bootstrap import SharpeInterval
from backtune.validation.deflated_sharpe import (
    ReturnShape,
    TrialCount,
    compute_expected_maximum_sharpe,
    compute_probabilistic_sharpe,
)
from backtune.validation.multiple_tests import BestByLuck
from backtune.validation.timing import TimingTest
from backtune.validation.track_record import TrackRecord

PARAMS = {"period": 7}


def interval(low: float, high: float) -> SharpeInterval:
    return SharpeInterval(low, high, (low + high) / 2, 0.95, 3.0, 0.1)


def winner(**fields: object) -> Winner:
    return Winner(3, PARAMS, (1.5,), {"sharpe_ratio": 1.5}, {"sharpe_ratio": 0.4}, **fields)  # type: ignore[arg-type]


def family(p: float, n_tests: int = 36) -> FamilyResult:
    return FamilyResult(p, 0.0, None, None, BestByLuck(n_tests, 2.1, 3.0))


STRONG = Evidence(
    dsr=0.99, n_independent=41.0, trials=SearchTrialCount(TrialCount(50, 41.0)), pbo=0.1, pbo_loss=0.0,
    plateau=PlateauEvidence(PARAMS, 0.9, PARAMS, 0.95, {"sharpe_ratio": 1.3}), oos_interval=interval(0.2, 1.1),
    family=family(0.01), timing_p=0.02, hold_metrics={"sharpe_ratio": 0.4, "total_return": 0.1, "max_drawdown": 0.3},
    record=TrackRecord(1.5, 1.2),
)  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, {}),
        # What a search of 41 independent trials without skill exceeds once in twenty times is 0.795.
        ({"dsr": 0.80}, {}),
        (
            {"dsr": 0.79},
            {"dsr": "in sample no better than the luck of 1,600 trials (DSR 0.79; luck reaches 0.80)"},
        ),
        (
            {"dsr": 0.79, "trials": SearchTrialCount(None, 1_500, 3)},
            {
                "dsr": "in sample no better than the luck of 1,600 trials and 1,500 more on the same bars in 3 other sweeps (DSR 0.79; luck reaches 0.80)"
            },
        ),
        (
            {"dsr": 0.79, "trials": SearchTrialCount(None, 20, 1)},
            {
                "dsr": "in sample no better than the luck of 1,600 trials and 20 more on the same bars in another sweep (DSR 0.79; luck reaches 0.80)"
            },
        ),
        (
            {"dsr": 0.94, "n_independent": 1.0},
            {"dsr": "in sample no better than the luck of 1,600 trials (DSR 0.94; luck reaches 0.95)"},
        ),
        ({"dsr": 0.7, "n_cells": 6}, {}),
        ({"dsr": 0.7, "n_cells": 6, "family": None}, {"dsr": "may be the luck of one of 6 cells"}),
        ({"family": family(0.05)}, {}),
        ({"family": family(0.55)}, {"family": "its test is no better than the best of 36 by luck (p 0.55)"}),
        (
            {"family": family(0.08)},
            {"family": "its test is not clearly better than the best of 36 by luck (p 0.08)"},
        ),
        ({"family": family(0.6, 1)}, {"family": "its test is no better than luck (p 0.60)"}),
        ({"timing_p": 0.05}, {}),
        ({"timing_p": 0.43}, {"timing_p": "no sign of timing (p 0.43)"}),
        # Two digits would say that it is at the limit.
        ({"timing_p": 10 / 190}, {"timing_p": "no sign of timing (p 0.053)"}),
        (
            {"hold_metrics": {"sharpe_ratio": 1.25}},
            {"hold_metrics": "holding the asset did better (Sharpe 1.25)"},
        ),
        ({"hold_metrics": {"sharpe_ratio": None}}, {}),
        (
            {"pbo_loss": 0.25},
            {"pbo_loss": "the choice by one half of the search loses in the other in 25 of 100 splits"},
        ),
        ({"pbo_loss": 0.24}, {}),
        ({"permutation": PermutationTest(0.05, 199, 199)}, {}),
        (
            # The permutations say it without the assumptions of the deflated Sharpe ratio.
            {"permutation": PermutationTest(0.31, 199, 199), "dsr": 0.1},
            {"permutation": "in sample no better than the same search on shuffled bars (p 0.31)"},
        ),
        # The probability of overfitting is near one half for any search that learns, and is told without a verdict.
        ({"pbo": 0.62}, {}),
        ({"plateau": PlateauEvidence(stability=0.5)}, {}),
        (
            {"plateau": PlateauEvidence(stability=0.2)},
            {"plateau": "its neighbours do much worse (plateau 0.20)"},
        ),
        (
            {"plateau": PlateauEvidence(stability=-0.4)},
            {"plateau": "its neighbours do much worse (plateau -0.40)"},
        ),
        (
            {"oos_interval": interval(-0.41, 1.1)},
            {"oos_interval": "out-of-sample Sharpe could be below 0 (95 %: -0.4 to 1.1)"},
        ),
        (
            {"oos_interval": interval(-2.0, -0.5)},
            {"oos_interval": "out-of-sample Sharpe is below 0 (95 %: -2.0 to -0.5)"},
        ),
        ({"oos_interval": interval(0.0, 0.5)}, {}),
        (
            # Whatever luck shows as well may be below 0.
            {"oos_interval": interval(-0.41, 1.1), "family": family(0.55)},
            {"family": "its test is no better than the best of 36 by luck (p 0.55)"},
        ),
        (vars(NO_EVIDENCE), {}),
    ],
)
def test_words(changes: dict[str, object], expected: dict[str, str]) -> None:
    assert Evidence(**{**vars(STRONG), **changes}).weaknesses(1600, 0.7) == expected


def test_every_weakness_is_an_attribute() -> None:
    weak = Evidence(
        dsr=0.1, n_independent=9.0, pbo_loss=0.9, plateau=PlateauEvidence(stability=0.0), oos_interval=interval(-1, 1), family=family(0.01),
        timing_p=0.9, hold_metrics={"sharpe_ratio": 2.0},
    )  # fmt: skip
    found = [
        *weak.weaknesses(2, 1.0),
        *replace(weak, family=family(0.9), permutation=PermutationTest(0.9, 1, 1)).weaknesses(2, 1.0),
    ]
    assert found == [
        "oos_interval", "hold_metrics", "timing_p", "dsr", "pbo_loss", "plateau",
        "family", "hold_metrics", "timing_p", "permutation", "pbo_loss", "plateau",
    ]  # fmt: skip
    assert set(found) < set(vars(weak))


def setting(**fields: object) -> WinnerSetting:
    return WinnerSetting(**{"sampler": "tpe", "bars_per_year": 250.0, "family": None, **fields})  # type: ignore[arg-type]


def test_deflated_sharpe_is_held_against_what_luck_alone_shows() -> None:
    # The example of Bailey and Lopez de Prado 2014, but for its spread of trials, which is taken for that of luck there.
    shape = ReturnShape(1250, 2.5 / 250**0.5, -3.0, 10.0)
    found = Evidence.of(
        winner(is_shape=shape), SearchEvidence(120, SearchTrialCount(TrialCount(100, 70.0))), setting()
    )
    benchmark = compute_expected_maximum_sharpe(100, 1 / 1249**0.5)
    assert benchmark * 250**0.5 == pytest.approx(1.1322, abs=5e-5)
    assert found.dsr == pytest.approx(compute_probabilistic_sharpe(shape, benchmark))
    assert (found.n_independent, found.dsr_level) == (100.0, pytest.approx(0.7742, abs=5e-5))


def test_trials_of_a_search_that_learns_are_all_chances_of_luck() -> None:
    shape = ReturnShape(1250, 0.1, 0.0, 3.0)
    tried = SearchEvidence(120, SearchTrialCount(TrialCount(100, 40.0)))
    found = {
        name: Evidence.of(winner(is_shape=shape), tried, setting(sampler=name)) for name in ("tpe", "random")
    }
    assert (found["tpe"].n_independent, found["random"].n_independent) == (100.0, 40.0)
    assert found["tpe"].dsr < found["random"].dsr


@pytest.mark.parametrize(
    ("sampler", "shown"),
    [
        ("tpe", None),
        ("cma-es", None),
        ("nsga2", None),
        ("gp", None),
        ("random", 0.4),
        ("qmc", 0.4),
        ("grid", 0.4),
    ],
)
def test_the_probability_of_overfitting_is_shown_where_it_informs(sampler: str, shown: float | None) -> None:
    found = Evidence.of(winner(), SearchEvidence(100, pbo=0.4, pbo_loss=0.1), setting(sampler=sampler))
    assert (found.pbo, found.pbo_loss) == (shown, 0.1)


def test_what_the_test_says_needs_no_trial() -> None:
    shape = ReturnShape(500, 0.1, 0.0, 3.0)
    tested = winner(
        is_shape=shape,
        oos_shape=shape,
        timing=TimingTest(0.3, 33),
        hold_metrics={"sharpe_ratio": 1.0},
        oos_interval=interval(0, 1),
    )
    found = Evidence.of_test(tested, setting(family=family(0.2)))
    assert found == Evidence(
        oos_interval=interval(0, 1), family=family(0.2), timing_p=0.3, hold_metrics={"sharpe_ratio": 1.0},
        record=TrackRecord.of(shape, 250.0),
    )  # fmt: skip
    assert found.record == TrackRecord(2.0, pytest.approx(1.0916, abs=5e-5))


def test_the_plateau_is_that_of_the_best_alone() -> None:
    plateau = PlateauEvidence(PARAMS, 0.7, {"period": 9})
    best = Evidence.of(winner(), SearchEvidence(9, plateau=plateau), setting())
    plateau_of_another = replace(plateau, best={"period": 8})
    other = Evidence.of(winner(), SearchEvidence(9, plateau=plateau_of_another), setting())
    assert (best.plateau.stability, best.plateau.centre) == (0.7, {"period": 9})
    assert (other.plateau.stability, other.plateau.centre) == (None, {"period": 9})


def test_an_empty_search_gives_no_evidence() -> None:
    assert Evidence.of(winner(), SearchEvidence(0), setting()) == NO_EVIDENCE
    assert set(NO_EVIDENCE.to_json().values()) == {None}


def test_as_plain_data() -> None:
    assert STRONG.to_json() == {
        "dsr": 0.99, "dsr_level": pytest.approx(0.7950, abs=5e-5), "n_independent": 41.0, "n_cells": None,
        "n_elsewhere": 0, "n_other_sweeps": 0,
        "family_p": 0.01, "haircut_sharpe_ratio": 0.0, "q_value": None, "share_with_edge": None,
        "n_tests": 36, "luck_sharpe_mean": 2.1, "luck_sharpe_upper": 3.0,
        "timing_p": 0.02, "permutation_p": None, "n_permutations": None, "hold_total_return": 0.1, "hold_sharpe_ratio": 0.4, "hold_max_drawdown": 0.3,
        "test_years": 1.5, "min_track_record_years": 1.2, "pbo": 0.1, "pbo_loss": 0.0,
        "plateau": 0.9, "plateau_centre": {"period": 7}, "centre_plateau": 0.95,
        "centre_metrics": {"is_sharpe_ratio": 1.3}, "oos_sharpe_low": 0.2, "oos_sharpe_high": 1.1,
    }  # fmt: skip
    assert set(STRONG.to_json()) == set(NO_EVIDENCE.to_json())


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"is_shape": ReturnShape(900, 0.02, -0.5, 7.0), "oos_interval": interval(-0.3, 2.0)},
        {"is_shape": ReturnShape(900, 0.02, -0.5, 7.0)},
        {
            "oos_shape": ReturnShape(90, 0.01, 0.0, 3.0),
            "timing": TimingTest(0.5, 20),
            "hold_metrics": {"sharpe_ratio": None},
        },
    ],
)
def test_a_summary_is_read_as_it_was_written(tmp_path, fields) -> None:
    summary = StudySummary("complete", n_trials=9, winners=(winner(**fields),))
    summary.write(tmp_path)
    assert StudySummary.read(tmp_path) == summary


@pytest.mark.parametrize(
    ("inside", "outside", "trades", "expected"),
    [
        (0.5, 0.2, 30, []),
        (0.5, 0.2, 29, ["only 29 trades out of sample"]),
        (0.5, 0.0, 30, []),
        (0.5, -0.035, 30, ["loses 3.5 % out of sample"]),
        (-0.1, -0.2, 30, ["loses 20.0 % out of sample"]),
        (0.5, 0.2, 1, ["only 1 trade out of sample"]),
        (0.5, -1.0, 30, ["ruined out of sample: all of the money is lost"]),
        (-0.1, -1.0, 0, ["only 0 trades out of sample", "ruined out of sample: all of the money is lost"]),
        (None, None, 30, []),
    ],
)
def test_what_metrics_alone_tell_against_a_winner(inside, outside, trades, expected):
    in_sample = {"total_return": inside, "total_trades": 30.0}
    assert list_metric_warnings(in_sample, {"total_return": outside, "total_trades": trades}) == expected


def test_few_trades_in_sample_are_told_too():
    few = {"total_return": 0.5, "total_trades": 29.0}
    assert list_metric_warnings(few, few) == ["only 29 trades in sample", "only 29 trades out of sample"]
