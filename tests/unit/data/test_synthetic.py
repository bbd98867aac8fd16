from __future__ import annotations

import hashlib

import numpy as np
import pytest

from backtune.data.bars import Bars
from backtune.data.check import check_catalog
from backtune.data.load import load_bars
from backtune.data.schema import PRICES
from backtune.data.synthetic import make_market, synthetic_bars
from backtune.errors import BarsError, SpecError


@pytest.fixture(scope="module")
def year() -> Bars:
    return synthetic_bars("BTCUSD", "15m", "2018-01-01", "2019-01-01", seed=7)


def _digest(bars: Bars) -> str:
    columns = [getattr(bars, name) for name in ("timestamp", *PRICES, "volume")]
    return hashlib.sha256(b"".join(column.tobytes() for column in columns)).hexdigest()


def test_same_bars_on_every_machine():
    """Fails where a change, a library or a processor gives other bars: then all saved results change."""
    bars = synthetic_bars("BTCUSD", "1h", "2018-01-01", "2018-03-01", seed=7)
    assert _digest(bars) == "48cc39460e9ecaa0f022b447ee33c74b56b95140237f529afa700b361a3184ab"


def test_no_gaps_and_whole_bars_only():
    bars = synthetic_bars("X", "1h", "2018-01-01T00:30", "2018-01-02T00:30", seed=0)
    assert len(bars) == 23
    assert set(np.diff(bars.timestamp)) == {3_600_000_000}


def test_traits_of_real_markets(year):
    returns = np.diff(np.log(year.close))
    size = np.abs(returns)
    kurtosis = ((returns - returns.mean()) ** 4).mean() / returns.var() ** 2
    assert kurtosis > 6  # fat tails: 3 for a normal distribution
    assert np.corrcoef(size[1:], size[:-1])[0, 1] > 0.1  # volatility clusters
    assert abs(np.corrcoef(returns[1:], returns[:-1])[0, 1]) < 0.05  # and its direction does not tell
    assert np.corrcoef(year.volume[1:], size)[0, 1] > 0.5
    assert 0.2 < returns.std() * np.sqrt(year.bars_per_year) < 1.5


def test_seeds_and_assets_are_independent(year):
    for other in (
        synthetic_bars("BTCUSD", "15m", "2018-01-01", "2019-01-01", seed=8),
        synthetic_bars("ETHUSD", "15m", "2018-01-01", "2019-01-01", seed=7),
    ):
        correlation = np.corrcoef(np.diff(np.log(year.close)), np.diff(np.log(other.close)))[0, 1]
        assert abs(correlation) < 0.05


def test_an_asset_does_not_depend_on_the_others(tmp_path):
    window = {"timeframe": "1h", "start": "2018-01-01", "end": "2018-02-01", "seed": 3}
    make_market(tmp_path / "both", assets=["A", "B"], **window)
    (report,) = make_market(tmp_path / "one", assets=["B"], **window)
    assert (report.rows, report.gaps, report.error) == (744, 0, None)
    assert _digest(load_bars(tmp_path / "both", "B", "1h")) == _digest(load_bars(tmp_path / "one", "B", "1h"))
    assert [file.problem for file in check_catalog(tmp_path / "both")] == [None, None]


def test_another_seed_does_not_overwrite_unasked(tmp_path):
    window = {"assets": ["A"], "timeframe": "1h", "start": "2018-01-01", "end": "2018-02-01"}
    make_market(tmp_path, **window, seed=1)
    with pytest.raises(BarsError, match="--replace takes the new values"):
        make_market(tmp_path, **window, seed=2)
    make_market(tmp_path, **window, seed=2, replace=True)


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        (("1h", "2018-01-01", None, 0), "start"),
        (("1d", "2018-01-01", "2018-01-01T05:00", 0), "end"),
        (("1h", "2018-01-01", "2018-01-02", -1), "seed"),
        (("1x", "2018-01-01", "2018-01-02", 0), "timeframe"),
    ],
)
def test_impossible_markets(arguments, key):
    timeframe, start, end, seed = arguments
    with pytest.raises(SpecError, match=f"^{key}: "):
        synthetic_bars("A", timeframe, start, end, seed=seed)


@pytest.mark.parametrize("timeframe", ["1m", "1d", "1w"])
def test_long_markets_stay_sound(timeframe):
    end = "2018-03-01" if timeframe == "1m" else "2078-01-01"
    for asset in "ABCDE":
        bars = synthetic_bars(asset, timeframe, "2018-01-01", end, seed=1)
        assert bars.close.max() < 1e12
