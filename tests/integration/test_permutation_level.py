"""How often a permutation test of a search is fooled by luck, and how often it sees an edge: seeded, so always the same."""

import argparse

import pytest

from benchmarks.bench_permutations import examine

OPTIONS = argparse.Namespace(
    strategy="MovingAverageCrossover", sampler="tpe", trials=30, permutations=19, markets=20, seed=1,
    timeframe="1h", edge=0.2,
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "fewest", "most"),
    [
        # More than 4 of 20 by luck come once in 400 tries at a level of 5 %.
        ("walk", 0, 4),
        ("garch", 0, 4),
        ("planted", 15, 20),
    ],
)
def test_share_of_markets_at_the_level_of_5_percent(kind, fewest, most):
    p, _ = examine(kind, OPTIONS)
    assert len(p) == 20
    assert fewest <= (p <= 0.05).sum() <= most
