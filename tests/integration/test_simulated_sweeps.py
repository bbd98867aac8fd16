"""Sweeps over simulated markets: leaderboards without an edge let nothing pass, and those with one let it pass.

The sweeps are small versions of those of ``make bench-evidence``; bounds are as in ``test_simulated_searches.py``.
"""

from __future__ import annotations

import pytest

from simulations.null_sweeps import NullFigures, null_sweep
from simulations.planted_sweeps import PlantedFigures, planted_sweep
from simulations.shares import largest_plausible_hits
from simulations.short_windows import ShortWindowFigures, has_few_trades, merit, short_window_sweep
from simulations.timing import TimingFigures, timing_rows

SMALL = {"n_trials": 40, "n_bars": 4_000}


@pytest.fixture(scope="module")
def null_boards():
    """Leaderboards of three sweeps of twelve cells over random walks, without costs."""
    return [null_sweep(seed, with_costs=False, timeframes=["1h"], **SMALL) for seed in range(3)]


def test_leaderboards_of_random_walks_let_nothing_pass(null_boards):
    found = NullFigures.of(null_boards)
    # Of three tests of the level 5 %.
    assert largest_plausible_hits(0.05, 3, level=1e-3) == 2
    assert found.family.n_hits <= 2
    assert found.without_warning.n_hits <= 2
    assert found.first_above_zero.n_hits <= 2


def test_first_rows_of_random_walks_are_not_chosen_by_their_test(null_boards):
    found = NullFigures.of(null_boards)
    # The best of 12 tests of 0.14 years shows 4.4 on average, any one 0 +- 2.7 and the mean of three 0 +- 1.6.
    assert found.first_sharpe_out < 4.4
    assert found.first_haircut < 1.0


def test_a_leaderboard_with_an_edge_shows_it():
    rows = planted_sweep(1, timeframes=["1h"], n_trials=40)
    found = PlantedFigures.of([rows])
    assert found.first_is_true.n_hits == 1
    assert found.false.n_hits == 0
    # Two cells follow the trend.
    assert (found.power.n_hits, found.power.n_cases) == (2, 2)
    assert found.first_haircut > 1.0
    assert rows[0]["warnings"] == []


def test_the_shift_test_tells_timing_from_drift():
    rows = [row for seed in range(6) for row in timing_rows(seed, is_planted=False, **SMALL)]
    found = TimingFigures.of(rows)
    assert found.significant.n_hits <= largest_plausible_hits(0.05, found.significant.n_cases)
    # A mean of six uniform numbers is 0.5 +- 0.12.
    assert 0.1 < found.mean_p < 0.9
    timed = [row for seed in range(3) for row in timing_rows(seed, is_planted=True, **SMALL)]
    assert TimingFigures.of(timed).mean_p < found.mean_p


def test_short_windows_and_few_trades_do_not_come_first():
    boards = [short_window_sweep(seed, timeframes=["1h"], n_trials=20, scale=0.2) for seed in range(2)]
    for rows in boards:
        assert len(rows) == 18
        order = [(has_few_trades(row), -merit(row)) for row in rows]
        assert order == sorted(order)
    found = ShortWindowFigures.of(boards)
    assert found.first_has_few_trades.n_hits == 0
    # A window of a quarter of the length doubles the error of a Sharpe ratio, and with it what luck shows.
    assert found.short_by_sharpe_in.n_hits == 2


@pytest.mark.slow
def test_most_cells_with_an_edge_pass_and_few_without():
    boards = [planted_sweep(seed, n_trials=100) for seed in range(1, 9)]
    found = PlantedFigures.of(boards)
    # At least 95 and 45 of a hundred; cells of one sweep share their market, so that the bound on the power is a loose one.
    assert found.first_is_true.n_hits >= 6
    assert found.power.value >= 0.3
    assert found.false.n_hits <= largest_plausible_hits(0.05, 8)


@pytest.mark.slow
def test_short_windows_do_not_come_first_more_often_than_long_ones():
    found = ShortWindowFigures.of([short_window_sweep(seed) for seed in range(1, 17)])
    assert found.first_is_short.n_hits <= largest_plausible_hits(0.5, 16) == 15
    # By the plain ratio a short one is nearly always the best.
    assert found.short_by_sharpe_in.n_hits >= 14
    assert found.first_has_few_trades.n_hits == 0


@pytest.mark.slow
def test_the_shift_test_is_uniform_without_timing():
    rows = [row for seed in range(1, 61) for row in timing_rows(seed, is_planted=False, n_trials=100)]
    found = TimingFigures.of(rows)
    assert found.n_undefined <= 3
    assert found.significant.n_hits <= largest_plausible_hits(0.05, found.significant.n_cases)
    assert found.uniformity > 1e-4
