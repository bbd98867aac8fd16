from __future__ import annotations

import numpy as np
import pandas as pd
import polars as pl
import pytest

import backtune
from backtune.data.bars import Bars
from backtune.errors import BarsError

N = 600
INDEX = pd.date_range("2023-01-01", periods=N, freq="h", tz="UTC")
CLOSE = 100 + 8 * np.sin(np.arange(N) / 15) + 0.01 * np.arange(N)
OPEN = np.r_[100, CLOSE[:-1]]
BARS = pd.DataFrame(
    {"open": OPEN, "high": np.maximum(OPEN, CLOSE) + 0.1, "low": np.minimum(OPEN, CLOSE) - 0.1, "close": CLOSE, "volume": 1.0},
    index=INDEX,
)  # fmt: skip
RETURNS = np.diff(np.r_[100, CLOSE]) / np.r_[100, CLOSE[:-1]]
PLAIN = BARS.reset_index(names="timestamp")

EPOCHS = {"seconds": 1, "milliseconds": 10**3, "microseconds": 10**6, "nanoseconds": 10**9}
FRAMES = {
    "an index of times": BARS,
    "an index without a zone": BARS.set_axis(INDEX.tz_localize(None)),
    "an index in Tokyo": BARS.set_axis(INDEX.tz_convert("Asia/Tokyo")),
    "a column date, an index that counts rows": BARS.reset_index(names="date"),
    "a column Datetime, capitals": BARS.reset_index(names="Datetime").rename(columns=str.title),
    "a column of text": PLAIN.assign(timestamp=INDEX.strftime("%Y-%m-%d %H:%M")),
    "compact numbers": PLAIN.assign(timestamp=INDEX.strftime("%Y%m%d%H%M").astype("int64")),
    "a date and a clock": PLAIN.drop(columns="timestamp").assign(date=INDEX.strftime("%Y-%m-%d"), time=INDEX.strftime("%H:%M")),
    **{f"epochs in {unit}": PLAIN.assign(timestamp=INDEX.as_unit("ns").view("int64") // 10**9 * per_second)
       for unit, per_second in EPOCHS.items()},
    **{f"epochs in {unit} as floats": PLAIN.assign(timestamp=(INDEX.as_unit("ns").view("int64") // 10**9 * per_second).astype(float))
       for unit, per_second in list(EPOCHS.items())[:2]},
    "an index of epochs with a name": BARS.set_axis(pd.Index(INDEX.as_unit("ns").view("int64") // 10**6, name="timestamp")),
    "periods": BARS.set_axis(INDEX.tz_localize(None).to_period("h")),
    "the prices of ccxt as columns": PLAIN.assign(timestamp=INDEX.as_unit("ns").view("int64") // 10**6)[
        ["timestamp", "open", "high", "low", "close", "volume"]],
}  # fmt: skip


@pytest.mark.parametrize("kind", FRAMES)
@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_one_answer_for_every_form(kind, library):
    frame = FRAMES[kind]
    if library == "polars":
        if not isinstance(frame.index, pd.RangeIndex):
            pytest.skip("a Polars frame has no index")
        frame = pl.DataFrame({name: frame[name].to_numpy() if name not in ("date", "Datetime", "timestamp") else
                              pl.Series(name, frame[name].tolist()) for name in frame.columns})  # fmt: skip
    bars = Bars.from_frame(frame)
    assert str(bars.timeframe) == "1h"
    assert bars.timestamp.tolist() == (INDEX.as_unit("us").view("int64")).tolist()
    result = backtune.backtest_positions(np.ones(N), frame, {"fee_bps": 0, "slippage_bps": 0})
    assert result.metrics["sharpe_ratio"] == pytest.approx(
        backtune.backtest_positions(np.ones(N), BARS, {"fee_bps": 0, "slippage_bps": 0}).metrics["sharpe_ratio"], rel=1e-12
    )  # fmt: skip


REFUSED = {
    "row numbers as an index alone": (BARS.reset_index(drop=True), "no column for timestamp among 'open', 'high'"),
    "row numbers in a column named time": (PLAIN.assign(timestamp=range(N)), "0 is not a time: as an epoch it would lie outside"),
    "a row a second later": (pd.concat([BARS, BARS.iloc[[300]].set_axis(INDEX[[300]] + pd.Timedelta("1s"))]).sort_index(),
                             "opens 1s after the row before, at 2023-01-13T12:00:01Z, where bars are of 1h; 1 row of 601 off the grid; drop them"),
    "two symbols": (PLAIN.assign(symbol=["A", "B"] * (N // 2)), r"holds 2 assets \(A, B\); pass the rows of one"),
    "times of 1970": (BARS.set_axis(pd.to_datetime(INDEX.as_unit("ns").view("int64") // 10**6, unit="us", utc=True)),
                      "not plausible|apart"),
    "unsorted": (BARS.iloc[::-1].sample(frac=1, random_state=1), "unsorted"),
    "a NaN": (BARS.assign(high=BARS["high"].where(BARS.index != INDEX[7])), "row 7, column 'high': is not a finite number"),
    "adjusted prices that differ": (PLAIN.assign(adjClose=CLOSE / 2), "for prices adjusted for splits and dividends"),
    "no frame": ([1, 2], "a list is not a Polars or pandas frame"),
    "no rows": (BARS.iloc[:0], "has no rows"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_refused(kind):
    frame, message = REFUSED[kind]
    with pytest.raises(BarsError, match=message):
        Bars.from_frame(frame)


def test_adjusted_frames_by_choice():
    frame = PLAIN.assign(adjClose=CLOSE / 2)
    assert Bars.from_frame(frame, adjust="none").close.tolist() == CLOSE.tolist()
    assert Bars.from_frame(frame, adjust="all").close.tolist() == (CLOSE / 2).tolist()
