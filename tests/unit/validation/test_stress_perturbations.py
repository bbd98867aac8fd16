"""Changes of targets and bars: what they do, by hand, and what they leave."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import EXAMPLES, make_bars

from backtune.data.bars import Bars
from backtune.data.schema import PRICES, check_bars
from backtune.validation.stress_perturbations import add_noise, delay_targets, skip_trades


def seeded(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


class Scripted:
    """A generator whose uniform numbers are given."""

    def __init__(self, numbers: list[float]) -> None:
        self.numbers = numbers

    def random(self, n: int) -> np.ndarray:
        assert n == len(self.numbers)
        return np.array(self.numbers)


def walk(seed: int, n: int, spread: float = 0.01) -> Bars:
    random = seeded(seed)
    close = 100 * np.exp(np.cumsum(random.standard_normal(n) * spread))
    open_ = np.concatenate([[100.0], close[:-1]])
    high = np.maximum(open_, close) * (1 + spread * random.random(n))
    low = np.minimum(open_, close) * (1 - spread / 2 * random.random(n))
    return make_bars(open_, close, high=high, low=low, funding=random.standard_normal(n))


@pytest.mark.parametrize(
    ("targets", "n_bars", "expected"),
    [
        ([1, 0, -1, 0.5], 1, [0, 1, 0, -1]),
        ([1, 0, -1, 0.5], 0, [1, 0, -1, 0.5]),
        ([1, 0, -1, 0.5], 3, [0, 0, 0, 1]),
        ([1], 1, [0]),
    ],
)
def test_delayed_targets(targets: list[float], n_bars: int, expected: list[float]) -> None:
    assert delay_targets(np.array(targets, dtype=np.float64), n_bars).tolist() == expected


@pytest.mark.parametrize(
    ("targets", "numbers", "expected"),
    [
        # Stretches: 0 0 | 1 1 1 | -1 | 0 | 0.5 0.5
        ([0, 0, 1, 1, 1, -1, 0, 0.5, 0.5], [0.9, 0.005, 0.9, 0.9, 0.9], [0, 0, 0, 0, 0, -1, 0, 0.5, 0.5]),
        ([0, 0, 1, 1, 1, -1, 0, 0.5, 0.5], [0.9, 0.9, 0.0, 0.9, 0.009], [0, 0, 1, 1, 1, 0, 0, 0, 0]),
        ([0, 0, 1, 1, 1, -1, 0, 0.5, 0.5], [0.0, 0.01, 0.01, 0.0, 0.01], [0, 0, 1, 1, 1, -1, 0, 0.5, 0.5]),
        ([1, 1], [0.005], [0, 0]),
    ],
)
def test_skipped_trades(targets: list[float], numbers: list[float], expected: list[float]) -> None:
    random: Any = Scripted(numbers)
    assert skip_trades(np.array(targets, dtype=np.float64), 0.01, random).tolist() == expected


def test_about_one_trade_in_a_hundred_is_skipped() -> None:
    targets = np.tile([1.0, 0.0], 100_000)
    n_skipped = 100_000 - np.count_nonzero(skip_trades(targets, 0.01, seeded(1)))
    # Four standard errors of the binomial count.
    assert abs(n_skipped - 1_000) < 4 * np.sqrt(1_000 * 0.99)


@settings(max_examples=EXAMPLES // 4)
@given(st.integers(0, 2**32 - 1), st.integers(1, 80), st.floats(0, 3), st.floats(1e-4, 0.3))
def test_noisy_bars_are_bars(seed: int, n: int, size: float, spread: float) -> None:
    bars = walk(seed, n, spread)
    noisy = add_noise(bars, size, seeded(seed))
    check_bars(noisy.to_frame(), source="noise")
    assert noisy.timestamp is bars.timestamp
    assert noisy.funding is bars.funding
    assert noisy.volume is bars.volume
    assert all(getattr(noisy, name).flags.c_contiguous for name in PRICES)


@pytest.mark.parametrize("n", [1, 14, 15, 300])
def test_no_noise_leaves_the_digits(n: int) -> None:
    bars = walk(3, n)
    noisy = add_noise(bars, 0.0, seeded(0))
    for name in PRICES:
        assert np.array_equal(getattr(noisy, name), getattr(bars, name))


@settings(max_examples=EXAMPLES // 8)
@given(st.integers(0, 2**32 - 1), st.integers(1, 100))
def test_the_first_bars_of_a_longer_series_get_the_same_noise(seed: int, n: int) -> None:
    bars = walk(seed, 100)
    whole, start = add_noise(bars, 0.1, seeded(seed)), add_noise(bars[:n], 0.1, seeded(seed))
    for name in PRICES:
        np.testing.assert_allclose(getattr(whole, name)[:n], getattr(start, name), rtol=1e-14)


def test_the_noise_is_a_tenth_of_the_average_true_range() -> None:
    n = 40_000
    # Each bar is 2 wide, and so is its true range.
    bars = make_bars(np.full(n, 100.0), np.full(n, 100.0), high=np.full(n, 101.0), low=np.full(n, 99.0))
    noise = add_noise(bars, 0.1, seeded(5))
    for prices in (noise.open, noise.close):
        assert (prices - 100).mean() == pytest.approx(0, abs=4 * 0.2 / np.sqrt(n))
        assert prices.std() == pytest.approx(0.2, rel=0.02)
    assert np.corrcoef(noise.open, noise.close)[0, 1] == pytest.approx(0, abs=0.02)
