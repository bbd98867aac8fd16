"""Permuted bars keep all that is not an order."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import DAY, make_bars

from backtune.data.permutation import Permutation
from backtune.data.schema import PRICES
from backtune.errors import CatalogError

HOUR = 3_600_000_000


def candles(n, seed=0, step=HOUR, timeframe="1h", missing=()):
    """Bars with gaps between a close and the next open, wicks, volumes and funding; some bars may be missing."""
    random = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(random.standard_normal(n) * 0.01))
    open_ = np.concatenate([[100.0], close[:-1]]) * np.exp(random.standard_normal(n) * 0.002)
    high = np.maximum(open_, close) * (1 + np.abs(random.standard_normal(n)) * 0.003)
    low = np.minimum(open_, close) / (1 + np.abs(random.standard_normal(n)) * 0.003)
    bars = make_bars(
        open_, close, np.arange(n) * step, high, low, timeframe=timeframe, funding=random.standard_normal(n)
    )
    bars = replace(bars, volume=random.permutation(n) + 1.0)
    kept = np.setdiff1d(np.arange(n), missing)
    return replace(
        bars, timestamp=bars.timestamp[kept], funding=bars.funding[kept],
        **{name: getattr(bars, name)[kept] for name in (*PRICES, "volume")},
    )  # fmt: skip


def permuted(bars, seed=1, start=None, end=None):
    first = int(bars.timestamp[0]) if start is None else start
    last = int(bars.timestamp[-1]) + 1 if end is None else end
    return Permutation(first, last, seed).permute(bars)


def returns(bars):
    return np.log(bars.close[1:] / bars.close[:-1])


@settings(max_examples=30)
@given(st.integers(2, 200), st.integers(0, 2**32 - 1), st.booleans(), st.data())
def test_what_stays(n, seed, daily, data):
    missing = data.draw(st.lists(st.integers(1, n - 1), max_size=n // 3))
    real = candles(n, seed, DAY, "1d", missing) if daily else candles(n, seed, HOUR, "1h", missing)
    found = permuted(real, seed)
    assert (found.timestamp == real.timestamp).all()
    assert found.bars_per_year == real.bars_per_year
    assert found.close[0] == real.close[0]
    assert found.close[-1] == pytest.approx(real.close[-1], rel=1e-9)
    assert sorted(found.volume) == sorted(real.volume)
    assert np.allclose(np.sort(returns(found)), np.sort(returns(real)), atol=1e-12)
    assert (found.low <= np.minimum(found.open, found.close)).all()
    assert (found.high >= np.maximum(found.open, found.close)).all()
    # The volume names the bar: what belongs to it has come along.
    origin = np.argsort(np.argsort(found.volume)), np.argsort(np.argsort(real.volume))
    place = np.argsort(origin[1])[origin[0]]
    assert (found.funding == real.funding[place]).all()
    for name in ("open", "high", "low"):
        ratio = getattr(real, name) / real.close
        assert np.allclose(getattr(found, name) / found.close, ratio[place], rtol=1e-12)
    gaps = found.open[1:] / found.close[:-1]
    assert np.allclose(gaps, (real.open[1:] / real.close[:-1])[place[1:] - 1], rtol=1e-12)


@pytest.mark.parametrize(
    ("seed", "volumes"), [(1, [0, 3, 5, 8, 6, 1, 7, 4, 2]), (2, [0, 8, 4, 7, 1, 2, 5, 6, 3])]
)
@pytest.mark.parametrize(
    ("timeframe", "step"), [("1m", HOUR // 60), ("8h", 8 * HOUR), ("1d", DAY), ("1w", 7 * DAY)]
)
def test_a_seed_gives_this_order_whatever_the_timeframe(timeframe, step, seed, volumes):
    closes = [100.0, 101.0, 99.0, 102.0, 104.0, 103.0, 107.0, 106.0, 110.0]
    real = make_bars([100.0, *closes[:-1]], closes, 2 * DAY + np.arange(9) * step, timeframe=timeframe)
    real = replace(real, volume=np.arange(9.0))
    assert permuted(real, seed).volume.tolist() == volumes


def test_prices_of_an_order_by_hand():
    real = make_bars([100.0, 101.0, 110.0], [100.0, 110.0, 99.0], high=[100, 120, 111], low=[99, 100, 90])
    found = next(bars for bars in (permuted(real, seed) for seed in range(20)) if bars.close[1] < 100)
    # The moves of -10 % and then of +10 %, the second opening 1 % above the close before it.
    assert found.open.tolist() == pytest.approx([100, 100, 90 * 1.01])
    assert found.high.tolist() == pytest.approx([100, 111 / 1.1, 120 * 0.9])
    assert found.low.tolist() == pytest.approx([99, 90 / 1.1, 90])
    assert found.close.tolist() == pytest.approx([100, 90, 99])


def test_only_the_window_is_there():
    real = candles(24 * 10)
    found = permuted(real, start=2 * DAY, end=5 * DAY)
    assert (found.timestamp == real.timestamp[48:120]).all()
    assert sorted(found.volume) == sorted(real.volume[48:120])
    with pytest.raises(CatalogError, match="holds no bar"):
        permuted(real, start=11 * DAY, end=12 * DAY)


@pytest.mark.parametrize("n", [1, 2])
def test_nothing_to_permute(n):
    real = candles(n)
    assert (permuted(real).close == real.close).all()


def test_the_same_seed_gives_the_same_digits_and_another_one_others():
    real = candles(24 * 30)
    assert (permuted(real, 5).close == permuted(real, 5).close).all()
    assert (permuted(real, 5).close != permuted(real, 6).close).any()


def test_bars_cannot_be_written():
    found = permuted(candles(24 * 3))
    for name in (*PRICES, "volume", "funding"):
        assert not getattr(found, name).flags.writeable
