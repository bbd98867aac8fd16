"""Six layouts, read by pandas with what their vendors document, and by the importer, which is told nothing: every row is equal."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from backtune.data.ingest.importer import import_bars
from backtune.data.load import load_bars

N = 700


def _bars(times: pd.DatetimeIndex, decimals: int) -> pd.DataFrame:
    random = np.random.default_rng(7)
    close = np.round(1_000 * np.exp(np.cumsum(random.normal(0, 0.01, N))), decimals)
    open_ = np.r_[close[0], close[:-1]]
    frame = pd.DataFrame({"open": open_, "close": close}, index=times)
    frame["high"] = np.round(np.maximum(open_, close) * 1.001, decimals)
    frame["low"] = np.round(np.minimum(open_, close) * 0.999, decimals)
    frame["volume"] = random.integers(1, 5_000_000, N).astype(float)
    return frame


def _yfinance(path):
    frame = _bars(pd.bdate_range("2019-01-01", periods=N), 6)[["close", "high", "low", "open", "volume"]]
    frame.columns = pd.MultiIndex.from_product(
        [[c.title() for c in frame], ["ACME"]], names=["Price", "Ticker"]
    )
    frame.rename_axis("Date").to_csv(path)
    read = pd.read_csv(path, header=[0, 1], index_col=0, skiprows=[2], parse_dates=True)
    return read.droplevel(1, axis=1).rename(columns=str.lower)


def _binance(path):
    frame = _bars(pd.date_range("2023-05-01", periods=N, freq="1min"), 2)
    opens = frame.index.as_unit("ms").astype("int64")
    rows = pd.DataFrame(
        {
            "t": opens,
            **{c: frame[c].to_numpy() for c in ("open", "high", "low", "close", "volume")},
            "end": opens + 59_999,
        }
    )
    rows.assign(quote=1, trades=1, base=1, taker=1, ignore=0).to_csv(path, header=False, index=False)
    read = pd.read_csv(
        path, header=None, usecols=range(6), names=["t", "open", "high", "low", "close", "volume"]
    )
    return read.set_index(pd.to_datetime(read.pop("t"), unit="ms"))


def _investing(path):
    frame = _bars(pd.bdate_range("2019-01-01", periods=N), 2).iloc[::-1]
    rows = pd.DataFrame({
        "Date": frame.index.strftime("%m/%d/%Y"),
        **{name: [f"{v:,.2f}" for v in frame[c]] for name, c in (("Price", "close"), ("Open", "open"), ("High", "high"), ("Low", "low"))},
        "Vol.": [f"{v / 1e3:.2f}K" if v < 1e6 else f"{v / 1e6:.2f}M" for v in frame["volume"]], "Change %": "0.1%",
    })  # fmt: skip
    rows.to_csv(path, index=False, quoting=1)
    read = pd.read_csv(path, thousands=",", index_col="Date", parse_dates=True, date_format="%m/%d/%Y").iloc[
        ::-1
    ]
    read["volume"] = [float(v[:-1]) * {"K": 1e3, "M": 1e6}[v[-1]] for v in read.pop("Vol.")]
    return read.rename(columns={"Price": "close", "Open": "open", "High": "high", "Low": "low"})


def _metatrader(path):
    frame = _bars(pd.date_range("2015-01-05", periods=N, freq="1h"), 5)
    rows = pd.DataFrame({"<DATE>": frame.index.strftime("%Y.%m.%d"), "<TIME>": frame.index.strftime("%H:%M:%S"),
                         **{f"<{c.upper()}>": frame[c].to_numpy() for c in ("open", "high", "low", "close")},
                         "<TICKVOL>": frame["volume"].astype(int).to_numpy(), "<VOL>": 0, "<SPREAD>": 3})  # fmt: skip
    rows.to_csv(path, sep="\t", index=False)
    read = pd.read_csv(path, sep="\t").rename(columns=lambda name: name.strip("<>").lower())
    read.index = pd.to_datetime(read["date"] + " " + read["time"], format="%Y.%m.%d %H:%M:%S")
    return read.rename(columns={"tickvol": "volume"}).drop(columns="vol")


def _databento(path):
    frame = _bars(pd.date_range("2022-01-03 14:30", periods=N, freq="1min"), 2)
    rows = frame.assign(rtype=33, symbol="ESH2").reset_index(names="ts_event")
    rows["ts_event"] = rows["ts_event"].dt.strftime("%Y-%m-%dT%H:%M:%S.000000000Z")
    rows.to_csv(path, index=False)
    read = pd.read_csv(path, parse_dates=["ts_event"])
    return read.set_index(read.pop("ts_event").dt.tz_localize(None))


def _nasdaq(path):
    frame = _bars(pd.bdate_range("2019-01-01", periods=N), 2).iloc[::-1]
    rows = pd.DataFrame({"Date": frame.index.strftime("%m/%d/%Y"), "Close/Last": [f"${v:.2f}" for v in frame["close"]],
                         "Volume": frame["volume"].astype(int).to_numpy(),
                         **{c.title(): [f"${v:.2f}" for v in frame[c]] for c in ("open", "high", "low")}})  # fmt: skip
    rows.to_csv(path, index=False)
    read = pd.read_csv(path, index_col="Date", parse_dates=True, date_format="%m/%d/%Y").iloc[::-1]
    read = read.rename(
        columns={"Close/Last": "close", **{c.title(): c for c in ("open", "high", "low", "volume")}}
    )
    for name in ("open", "high", "low", "close"):
        read[name] = read[name].str.lstrip("$").astype(float)
    return read


WRITERS: dict[str, tuple[str, str, Callable]] = {
    "yfinance": ("ACME.csv", "1d", _yfinance),
    "Binance": ("ACME-1m-2023-05.csv", "1m", _binance),
    "Investing.com": ("ACME Historical Data.csv", "1d", _investing),
    "MetaTrader 5": ("ACME_H1_201501050000_201502030300.csv", "1h", _metatrader),
    "Databento": ("ACME_1m.csv", "1m", _databento),
    "nasdaq.com": ("HistoricalData_ACME.csv", "1d", _nasdaq),
}


@pytest.mark.parametrize("vendor", WRITERS)
def test_every_row_is_that_of_pandas(tmp_path, vendor):
    name, timeframe, write = WRITERS[vendor]
    expected = write(tmp_path / name)
    (report,) = import_bars(tmp_path / name, tmp_path / "root")
    assert (report.error, report.asset, report.rows) == (None, "ACME", N)
    bars = load_bars(tmp_path / "root", "ACME", timeframe)
    assert bars.timestamp.tolist() == expected.index.as_unit("us").astype("int64").tolist()
    for column in ("open", "high", "low", "close", "volume"):
        assert getattr(bars, column).tolist() == expected[column].astype(float).tolist(), column
