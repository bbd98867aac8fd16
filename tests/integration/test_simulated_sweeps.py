"""Sweeps over simulated markets: leaderboards without an edge let nothing pass, and those with one let it pass.

The sweeps are small versions of those of ``make bench-evidence``; bounds are as in ``test_simulated_searches.py``.
"""

from __future__ import annotations

import pytest

from simulations.null_sweeps import NullFigures, null_sweep
from simulations.permutations import PermutationFigures, permuted_rows
from simulations.planted_sweeps import PlantedFigures, planted_sweep
from simulations.shares import largest_plausible_hits
from simulations.timing import TimingFigures, timing_rows

SMALL = {"n_trials": 40, "n_bars": 4_000}


@pytest.fixture(scope="module")
def null_boards():
    """Leaderboards of eight sweeps of twelve cells over random walks, without costs."""
    return [null_sweep(seed, with_costs=False, timeframes=["1h"], **SMALL) for seed in range(8)]


def test_leaderboards_of_random_walks_let_nothing_pass(null_boards):
    found = NullFigures.of(null_boards)
    # Of eight tests of the level 5 %.
    assert largest_plausible_hits(0.05, 8) == 4
    assert found.family.n_hits <= 4
    assert found.without_warning.n_hits <= 4
    assert found.first_above_zero.n_hits <= 4


def test_first_rows_of_random_walks_are_not_chosen_by_their_test(null_boards):
    found = NullFigures.of(null_boards)
    # The best of 12 tests of 0.14 years shows 4.4 on average, any one 0 +- 2.7 and the mean of eight 0 +- 1.0.
    assert found.first_sharpe_out < 3.5
    assert found.first_haircut < 1.0


def test_leaderboards_with_an_edge_show_it():
    boards = [planted_sweep(seed, timeframes=["1h", "2h"], n_trials=40) for seed in range(2)]
    found = PlantedFigures.of(boards)
    assert (found.first_is_true.n_hits, found.first_is_true.n_cases) == (2, 2)
    assert found.false.n_hits <= 1
    # Four cells of each sweep follow the trend; half of them are found at full size.
    assert found.power.n_cases == 8
    assert found.power.n_hits >= 2
    assert found.first_haircut > 1.0


def test_the_shift_test_tells_timing_from_drift():
    rows = [row for seed in range(12) for row in timing_rows(seed, is_planted=False, **SMALL)]
    found = TimingFigures.of(rows)
    assert found.significant.n_hits <= largest_plausible_hits(0.05, found.significant.n_cases)
    # A mean of twelve uniform numbers is 0.5 +- 0.083.
    assert 0.17 < found.mean_p < 0.83
    assert found.uniformity > 1e-4
    timed = [row for seed in range(6) for row in timing_rows(seed, is_planted=True, **SMALL)]
    assert TimingFigures.of(timed).mean_p < found.mean_p


@pytest.mark.parametrize("market", ["random walk", "GARCH martingale"])
def test_permuted_bars_are_beaten_by_luck_as_often_as_the_level_says(market):
    small = {"n_trials": 40, "n_bars": 2_000}
    rows = [row for seed in range(6) for row in permuted_rows(seed, market, **small)]
    found = PermutationFigures.of(rows)
    assert found.permutation.n_cases == 12
    assert found.permutation.n_hits <= largest_plausible_hits(0.05, 12)


def test_permuted_bars_show_an_edge():
    small = {"n_trials": 40, "n_bars": 6_000}
    rows = [row for seed in range(3) for row in permuted_rows(seed, "slow drift", **small)]
    assert PermutationFigures.of(rows).permutation.n_hits >= 2
