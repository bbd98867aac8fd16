"""How often a permutation test of a search is fooled by luck, and how often it sees an edge.

Seeds are fixed and searches run in memory, on small versions of the markets of ``make bench-evidence``. Bounds are as in
``test_simulated_searches.py``.
"""

from __future__ import annotations

import pytest

from simulations.permutations import WITHOUT_EDGE, PermutationFigures, permuted_outcome
from simulations.shares import largest_plausible_hits

SMALL = {"n_trials": 30, "n_bars": 2_000}
N_MARKETS = 12


def figures_of(market: str, n_markets: int, **sizes: int) -> PermutationFigures:
    """The verdicts on so many markets of one kind."""
    outcomes = [permuted_outcome(seed, market, **sizes) for seed in range(1, n_markets + 1)]
    found = PermutationFigures.of(outcome for outcome in outcomes if outcome is not None)
    assert found.permutation.n_cases == n_markets
    return found


@pytest.mark.parametrize("market", WITHOUT_EDGE)
def test_luck_seldom_beats_all_permutations(market):
    assert largest_plausible_hits(0.05, N_MARKETS) == 5
    assert figures_of(market, N_MARKETS, **SMALL).permutation.n_hits <= 5


def test_an_edge_beats_all_permutations():
    found = figures_of("slow drift", 6, n_trials=30, n_bars=4_000)
    assert found.permutation.n_hits >= 3


@pytest.mark.slow
@pytest.mark.parametrize("market", WITHOUT_EDGE)
def test_at_most_8_percent_of_searches_without_an_edge_beat_19_permutations(market):
    assert figures_of(market, 140).permutation.n_hits <= 11


@pytest.mark.slow
def test_permutations_find_no_less_than_the_deflated_sharpe_ratio():
    found = figures_of("switching drift", 40, n_permutations=39)
    assert found.permutation.n_hits >= found.deflated.n_hits
