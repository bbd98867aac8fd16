"""Searches of simulated markets: luck is seldom taken for skill, and a confirmed edge is not taken for luck.

Seeds are fixed. Each bound is the largest number of mistakes that a test of the stated level makes by chance in all but one of
ten thousand runs, so that another seed would do as well.
"""

from __future__ import annotations

from statistics import fmean

import pytest

from simulations.calibration import SAMPLERS, STRATEGIES, Calibration, search_walk
from simulations.confirmed_edge import edge_row
from simulations.shares import largest_plausible_hits

N_WALKS = 5


@pytest.fixture(scope="module")
def outcomes():
    """Winners of 40 searches in random walks, of 200 trials each."""
    found = [
        search_walk(seed, strategy=strategy, sampler=sampler)
        for strategy in STRATEGIES
        for sampler in ("tpe", "random")
        for seed in range(N_WALKS)
    ]
    return [outcome for outcome in found if outcome is not None]


def test_luck_seldom_reaches_the_level_of_luck(outcomes):
    assert len(outcomes) == 40
    # At most seven of a hundred are to do so; strategies share their walks, so that not all forty are independent.
    assert largest_plausible_hits(0.07, 40) == 10
    assert Calibration(outcomes).share_above_luck.n_hits <= 10


def test_winners_of_random_walks_are_as_good_as_luck_makes_them(outcomes):
    # Without deflation all of them look skilled: their mean is more than one error above 0 and its probability near 1.
    assert fmean(outcome.z for outcome in outcomes) > 1.0
    assert 0.1 < Calibration(outcomes).mean_dsr < 0.6
    assert Calibration(outcomes).share_above_fixed_level.n_hits <= largest_plausible_hits(0.02, 40) == 6


@pytest.mark.slow
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_luck_of_many_walks_reaches_the_level_of_luck_as_often_as_it_should(sampler):
    found = Calibration(
        [
            outcome
            for strategy in STRATEGIES
            for seed in range(1, 76)
            if (outcome := search_walk(seed, strategy=strategy, sampler=sampler)) is not None
        ]
    )
    assert found.share_above_luck.n_cases == 300
    assert found.share_above_luck.n_hits <= largest_plausible_hits(0.07, 300)


@pytest.mark.parametrize("sampler", ["random", "tpe"])
def test_a_confirmed_edge_is_not_called_luck(sampler):
    row = edge_row(1, sampler, n_trials=100)
    assert row["oos_sharpe_low"] > 2.0
    assert row["oos_total_trades"] >= 100
    assert row["dsr"] > 0.99
    assert not any("luck" in warning for warning in row["warnings"])
