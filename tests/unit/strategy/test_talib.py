"""Indicators against TA-Lib's C code.

TA-Lib starts all EMAs of its MACD together, at the slow period, and so the fast one later than ours, which starts as
soon as it has its values. The two lines differ by what is left of the fast EMA's seed, a factor 1 - 2 / (fast + 1) a
bar; they are compared from where that is below the tolerance, and each EMA is compared from its first value.
"""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from oracles import SHARED, backtrader_bars, stock_closes

from backtune.strategy.indicators import atr, bollinger_bands, ema, macd, rolling_std, rsi, sma

talib = pytest.importorskip("talib", reason="needs TA-Lib, of the dev extra")

PERIODS = [2, 3, 14, 50, 200]


def walk(seed: int, n: int = 3_000, size: float = 0.01) -> np.ndarray:
    random = np.random.default_rng(seed)
    return 100 * np.exp(np.cumsum(random.normal(0, size, n)))


def bitcoin_closes() -> np.ndarray:
    """5,000 minutes in the middle of 2018."""
    path = SHARED / "market/bars_1m/BTCUSD_1m_2018_2019.parquet"
    if not path.exists():
        pytest.skip(f"needs {path}, which is not part of the repository")
    return pl.read_parquet(path)["close"].to_numpy()[250_000:255_000].astype(np.float64)


SERIES = {
    "calm walk": lambda: walk(1, size=0.001),
    "walk": lambda: walk(2),
    "wild walk": lambda: walk(3, size=0.1),
    "small prices": lambda: walk(4) * 1e-6,
    "stock": stock_closes,
    "index": lambda: backtrader_bars().close,
    "bitcoin": bitcoin_closes,
}


@pytest.fixture(params=SERIES.values(), ids=SERIES, name="closes")
def closes_of(request: pytest.FixtureRequest) -> np.ndarray:
    return np.ascontiguousarray(request.param())


def assert_equal(ours: np.ndarray, theirs: np.ndarray, scale: np.ndarray | float = 0.0) -> None:
    """Undefined in the same places, and equal to 1e-9 of themselves or of ``scale``, what they are differences of."""
    defined = ~np.isnan(theirs)
    assert (~np.isnan(ours) == defined).all()
    bound = 1e-9 * np.maximum(np.abs(theirs), scale)
    assert (np.abs(ours - theirs)[defined] <= bound[defined]).all()


@pytest.mark.parametrize("period", PERIODS)
def test_sma(closes: np.ndarray, period: int) -> None:
    assert_equal(sma(closes, period), talib.SMA(closes, period))


@pytest.mark.parametrize("period", PERIODS)
def test_ema(closes: np.ndarray, period: int) -> None:
    assert_equal(ema(closes, period), talib.EMA(closes, period))


@pytest.mark.parametrize("period", PERIODS)
def test_atr(closes: np.ndarray, period: int) -> None:
    high, low = 1.01 * closes, 0.98 * closes
    assert_equal(atr(high, low, closes, period), talib.ATR(high, low, closes, period), scale=high)


@pytest.mark.parametrize("period", PERIODS)
def test_rsi(closes: np.ndarray, period: int) -> None:
    assert_equal(rsi(closes, period), talib.RSI(closes, period), scale=100)


@pytest.mark.parametrize("width", [1.0, 2.0, 3.3])
@pytest.mark.parametrize("period", PERIODS)
def test_bollinger_bands(closes: np.ndarray, period: int, width: float) -> None:
    upper, middle, lower = talib.BBANDS(closes, period, width, width, matype=0)
    ours = bollinger_bands(closes, period, width)
    assert_equal(ours[1], middle)
    # Our running sum of squares leaves rounding where the last prices are all equal, and its root is 1e-9 of the price.
    moving = ~(rolling_std(closes, middle, period) < 1e-6 * closes)
    assert moving.mean() > 0.8
    for band, theirs in ((ours[0], lower), (ours[2], upper)):
        assert_equal(band[moving], theirs[moving], scale=closes[moving])
        np.testing.assert_allclose(band[~moving], theirs[~moving], rtol=1e-8)


@pytest.mark.parametrize("period", PERIODS)
def test_rolling_deviation(closes: np.ndarray, period: int) -> None:
    # Squared, for the same reason.
    ours = rolling_std(closes, sma(closes, period), period) ** 2
    assert_equal(ours, talib.STDDEV(closes, period, 1.0) ** 2, scale=closes**2)


MACDS = [(12, 26, 9), (5, 35, 5), (3, 10, 16)]


@pytest.mark.parametrize(("fast", "slow", "smooth"), MACDS)
def test_macd(closes: np.ndarray, fast: int, slow: int, smooth: int) -> None:
    line, signal = macd(closes, fast, slow, smooth)
    their_line, their_signal, _ = talib.MACD(closes, fast, slow, smooth)
    # TA-Lib gives no line before its signal; both signals start on the same bar.
    first = slow + smooth - 2
    assert np.flatnonzero(~np.isnan(signal))[0] == np.flatnonzero(~np.isnan(their_signal))[0] == first
    assert np.flatnonzero(~np.isnan(line))[0] == slow - 1
    # The slower of the decays, of the fast EMA's seed and of that in the signal.
    forgotten = 1 - 2 / (max(fast, smooth) + 1)
    same = first + int(np.ceil(np.log(1e-10) / np.log(forgotten)))
    assert same < len(closes) - 40
    assert_equal(line[same:], their_line[same:], scale=closes[same:])
    assert_equal(signal[same:], their_signal[same:], scale=closes[same:])


@pytest.mark.parametrize(("fast", "slow", "smooth"), MACDS)
def test_macd_from_the_emas_of_talib(closes: np.ndarray, fast: int, slow: int, smooth: int) -> None:
    line, signal = macd(closes, fast, slow, smooth)
    theirs = talib.EMA(closes, fast) - talib.EMA(closes, slow)
    assert_equal(line, theirs, scale=closes)
    assert_equal(signal[slow - 1 :], talib.EMA(theirs[slow - 1 :], smooth), scale=closes[slow - 1 :])


@pytest.mark.parametrize(("fast", "slow", "smooth"), MACDS)
def test_macd_that_starts_its_emas_together(closes: np.ndarray, fast: int, slow: int, smooth: int) -> None:
    # What TA-Lib does, from our own EMAs: the fast one without the first slow - fast closes.
    line = ema(closes, fast, slow - fast) - ema(closes, slow)
    signal = ema(line, smooth, slow - 1)
    their_line, their_signal, _ = talib.MACD(closes, fast, slow, smooth)
    given = ~np.isnan(their_line)
    assert_equal(line[given], their_line[given], scale=closes[given])
    assert_equal(signal, their_signal, scale=closes)


def test_a_series_without_change() -> None:
    # The one place where the two part: no gain and no loss is 50 to us and 0 to TA-Lib.
    flat = np.full(40, 3.25)
    assert (rsi(flat, 14)[14:] == 50).all()
    assert (talib.RSI(flat, 14)[14:] == 0).all()
