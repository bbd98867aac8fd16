from __future__ import annotations

from pathlib import Path

import pytest

from backtune.data.naming import read_name


@pytest.mark.parametrize(
    ("name", "asset", "timeframe"),
    [
        ("BTCUSD_1m_2018_2019.parquet", "BTCUSD", "1m"),
        ("GBPUSDh1.csv", "GBPUSD", "1h"),
        ("USDJPYd1.csv", "USDJPY", "1d"),
        ("EURUSDM15.csv", "EURUSD", "15m"),
        ("EURUSD_M15.csv", "EURUSD", "15m"),
        ("EURUSD60.csv", "EURUSD", "1h"),
        ("EURUSD_H1_201901020000_202001010000.csv", "EURUSD", "1h"),
        ("BTCUSDT-15m-2020-01.csv", "BTCUSDT", "15m"),
        ("BTCUSDT-1m-2020-01-05.csv", "BTCUSDT", "1m"),
        ("Binance_BTCUSDT_1h.csv", "BTCUSDT", "1h"),
        ("Binance_BTCUSDT_d.csv", "BTCUSDT", "1d"),
        ("Bitfinex_BTCUSD_minute.csv", "BTCUSD", "1m"),
        ("gemini_BTCUSD_2019_1min.csv", "BTCUSD", "1m"),
        ("DAT_ASCII_EURUSD_M1_2012.csv", "EURUSD", "1m"),
        ("DAT_MT_EURUSD_M1_201201.csv", "EURUSD", "1m"),
        ("EURUSD_Candlestick_1_h_BID_01.01.2020-31.12.2020.csv", "EURUSD", "1h"),
        ("coinbaseUSD_1-min_data_2014-12-01_to_2019-01-09.csv", "coinbaseUSD", "1m"),
        ("BTC-USD-1h.csv", "BTC-USD", "1h"),
        ("BTC_USD_1h.csv", "BTC_USD", "1h"),
        ("BTC-USD.csv", "BTC-USD", None),
        ("US500.csv", "US500", None),
        ("AAPL_daily.csv", "AAPL", "1d"),
        ("2019.csv", None, None),
        ("bars.parquet", None, None),
        ("data.csv", None, None),
    ],
)
def test_names_of_vendors(name, asset, timeframe):
    named = read_name(Path("folder") / name)
    assert (named.asset, named.timeframe and str(named.timeframe)) == (asset, timeframe)
