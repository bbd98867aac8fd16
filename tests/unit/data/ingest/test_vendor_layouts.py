"""Files as vendors write them, imported whole: asset, timeframe and every value."""

from __future__ import annotations

import gzip
import io
import json
import textwrap
import zipfile
from datetime import UTC, datetime

import pandas as pd
import pytest

from backtune.data.ingest.importer import import_bars
from backtune.data.load import load_bars

DAYS = ("2022-01-03", "2022-01-04", "2022-01-05")
DAILY = [
    (100.0, 103.0, 99.0, 101.0, 9.0),
    (101.0, 104.0, 100.0, 102.0, 8.0),
    (102.0, 105.0, 101.0, 103.0, 7.0),
]
MINUTES = ("2022-01-03 14:30", "2022-01-03 14:31", "2022-01-03 14:32")
# Seconds since 1970 of MINUTES.
EPOCHS = (1_641_220_200, 1_641_220_260, 1_641_220_320)
DAY_EPOCHS = (1_641_168_000, 1_641_254_400, 1_641_340_800)

TEXT = {
    "yfinance, three lines of header": ("ACME.csv", "ACME", DAYS, """\
        Price,Close,High,Low,Open,Volume
        Ticker,ACME,ACME,ACME,ACME,ACME
        Date,,,,,
        2022-01-03,101,103,99,100,9
        2022-01-04,102,104,100,101,8
        2022-01-05,103,105,101,102,7
        """),
    "yfinance, two lines of header": ("ACME.csv", "ACME", DAYS, """\
        ,Open,High,Low,Close,Volume
        ,ACME,ACME,ACME,ACME,ACME
        2022-01-03,100,103,99,101,9
        2022-01-04,101,104,100,102,8
        2022-01-05,102,105,101,103,7
        """),
    "yfinance, grouped by ticker": ("ACME.csv", "ACME", DAYS, """\
        Ticker,ACME,ACME,ACME,ACME,ACME
        Price,Open,High,Low,Close,Volume
        Date,,,,,
        2022-01-03,100,103,99,101,9
        2022-01-04,101,104,100,102,8
        2022-01-05,102,105,101,103,7
        """),
    "yfinance, days at midnight in New York": ("ACME_1d.csv", "ACME", DAYS, """\
        Date,Open,High,Low,Close,Volume,Dividends,Stock Splits
        2022-01-03 00:00:00-05:00,100,103,99,101,9,0.0,0.0
        2022-01-04 00:00:00-05:00,101,104,100,102,8,0.0,0.0
        2022-01-05 00:00:00-05:00,102,105,101,103,7,0.0,0.0
        """),
    "pandas, an index without a name": ("ACME_1d.csv", "ACME", DAYS, """\
        ,open,high,low,close,volume
        2022-01-03,100,103,99,101,9
        2022-01-04,101,104,100,102,8
        2022-01-05,102,105,101,103,7
        """),
    "pandas, row numbers before the date": ("ACME_1d.csv", "ACME", DAYS, """\
        ,date,open,high,low,close,volume
        0,2022-01-03,100,103,99,101,9
        1,2022-01-04,101,104,100,102,8
        2,2022-01-05,102,105,101,103,7
        """),
    "R, a header one name short": ("A_1d.csv", "A", DAYS, """\
        Date,Open,High,Low,Close,Adj Close,Volume
        0,2022-01-03,100,103,99,101,101,9
        1,2022-01-04,101,104,100,102,102,8
        2,2022-01-05,102,105,101,103,103,7
        """),
    "a delimiter at the end of rows": ("A_1d.csv", "A", DAYS, """\
        Date,Open,High,Low,Close,Volume
        2022-01-03,100,103,99,101,9,
        2022-01-04,101,104,100,102,8,
        2022-01-05,102,105,101,103,7,
        """),
    "Investing.com": ("Acme Historical Data.csv", "Acme", DAYS, """\
        "Date","Price","Open","High","Low","Vol.","Change %"
        "01/05/2022","103.00","102.00","105.00","101.00","0.007K","0.1%"
        "01/04/2022","102.00","101.00","104.00","100.00","0.008K","0.1%"
        "01/03/2022","101.00","100.00","103.00","99.00","0.009K","0.1%"
        """),
    "Investing.com in German": ("Acme Historische Daten.csv", None, DAYS, """\
        "Datum","Zuletzt","Eröffn.","Hoch","Tief","Vol.","+/- %"
        "05.01.2022","103,00","102,00","105,00","101,00","0,007K","0,1%"
        "04.01.2022","102,00","101,00","104,00","100,00","0,008K","0,1%"
        "03.01.2022","101,00","100,00","103,00","99,00","0,009K","0,1%"
        """),
    "NSE": ("ACME.csv", "ACME", DAYS, """\
        Date ,series ,OPEN ,HIGH ,LOW ,PREV. CLOSE ,ltp ,close ,vwap ,VOLUME ,VALUE ,No of trades
        05-Jan-2022,EQ,102,105,101,102,103,103,102,7,1,1
        04-Jan-2022,EQ,101,104,100,101,102,102,101,8,1,1
        03-Jan-2022,EQ,100,103,99,100,101,101,100,9,1,1
        """),
    "two digits for the year": ("ACME.csv", "ACME", DAYS, """\
        date,open,high,low,close,volume
        03-Jan-22,100,103,99,101,9
        04-Jan-22,101,104,100,102,8
        05-Jan-22,102,105,101,103,7
        """),
    "German, semicolons, decimal commas, Windows-1252": ("ACME_1d.csv", "ACME", DAYS, """\
        Datum;Öffnung;Hoch;Tief;Schluss;Umsatz
        03.01.2022;100,0;103,0;99,0;101,0;9
        04.01.2022;101,0;104,0;100,0;102,0;8
        05.01.2022;102,0;105,0;101,0;103,0;7
        """),
    "French": ("ACME_1d.csv", "ACME", DAYS, """\
        Date;Ouverture;Plus haut;Plus bas;Clôture;Volume
        03/01/2022;100;103;99;101;9
        04/01/2022;101;104;100;102;8
        13/01/2022;102;105;101;103;7
        """),
    "Interactive Brokers, two blanks": ("ACME_1m.csv", "ACME", MINUTES, """\
        date,open,high,low,close,volume
        20220103  14:30:00,100,103,99,101,9
        20220103  14:31:00,101,104,100,102,8
        20220103  14:32:00,102,105,101,103,7
        """),
    "Interactive Brokers with a zone": ("ACME_1m.csv", "ACME", MINUTES, """\
        date,open,high,low,close,volume,average,barCount
        20220103 09:30:00 US/Eastern,100,103,99,101,9,1,1
        20220103 09:31:00 US/Eastern,101,104,100,102,8,1,1
        20220103 09:32:00 US/Eastern,102,105,101,103,7,1,1
        """),
    "Interactive Brokers in UTC": ("ACME_1m.csv", "ACME", MINUTES, """\
        date,open,high,low,close,volume
        20220103-14:30:00,100,103,99,101,9
        20220103-14:31:00,101,104,100,102,8
        20220103-14:32:00,102,105,101,103,7
        """),
    "Databento": ("glbx-mdp3-20220103.ohlcv-1m.csv", "ESH2", MINUTES, """\
        ts_event,rtype,publisher_id,instrument_id,open,high,low,close,volume,symbol
        2022-01-03T14:30:00.000000000Z,33,1,206299,100,103,99,101,9,ESH2
        2022-01-03T14:31:00.000000000Z,33,1,206299,101,104,100,102,8,ESH2
        2022-01-03T14:32:00.000000000Z,33,1,206299,102,105,101,103,7,ESH2
        """),
    "Polygon, flat file": ("2022-01-03.csv", "ACME", MINUTES, """\
        ticker,volume,open,close,high,low,window_start,transactions
        ACME,9,100,101,103,99,1641220200000000000,1
        ACME,8,101,102,104,100,1641220260000000000,1
        ACME,7,102,103,105,101,1641220320000000000,1
        """),
    "Tiingo": ("ACME_1d.csv", "ACME", DAYS, """\
        date,close,high,low,open,volume,adjClose,adjHigh,adjLow,adjOpen,adjVolume,divCash,splitFactor
        2022-01-03T00:00:00.000Z,101,103,99,100,9,101,103,99,100,9,0.0,1.0
        2022-01-04T00:00:00.000Z,102,104,100,101,8,102,104,100,101,8,0.0,1.0
        2022-01-05T00:00:00.000Z,103,105,101,102,7,103,105,101,102,7,0.0,1.0
        """),
    "Alpha Vantage, newest first": ("daily_ACME.csv", "ACME", DAYS, """\
        timestamp,open,high,low,close,volume
        2022-01-05,102,105,101,103,7
        2022-01-04,101,104,100,102,8
        2022-01-03,100,103,99,101,9
        """),
    "Stooq, with a ticker and a period": ("acme.us.txt", "acme.us", DAYS, """\
        <TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>
        ACME.US,D,20220103,000000,100,103,99,101,9,0
        ACME.US,D,20220104,000000,101,104,100,102,8,0
        ACME.US,D,20220105,000000,102,105,101,103,7,0
        """),
    "MetaTrader 5, days without a clock": ("ACME_Daily.csv", "ACME", DAYS, """\
        <DATE>	<OPEN>	<HIGH>	<LOW>	<CLOSE>	<TICKVOL>	<VOL>	<SPREAD>
        2022.01.03	100	103	99	101	9	0	44
        2022.01.04	101	104	100	102	8	0	44
        2022.01.05	102	105	101	103	7	0	44
        """),
    "Forex Tester": ("ACME.txt", "ACME", MINUTES, """\
        <TICKER>,<DTYYYYMMDD>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>
        ACME,20220103,143000,100,103,99,101,9
        ACME,20220103,143100,101,104,100,102,8
        ACME,20220103,143200,102,105,101,103,7
        """),
    "TradeStation": ("ACME_1m.txt", "ACME", MINUTES, """\
        "Date","Time","Open","High","Low","Close","Up","Down"
        01/13/2022,14:30,100,103,99,101,9,0
        01/13/2022,14:31,101,104,100,102,8,0
        01/13/2022,14:32,102,105,101,103,7,0
        """),
    "MetaStock, clocks of four digits": ("ACME_1m.csv", "ACME", MINUTES, """\
        Date,Time,Open,High,Low,Close,Volume
        01/13/2022,1430,100,103,99,101,9
        01/13/2022,1431,101,104,100,102,8
        01/13/2022,1432,102,105,101,103,7
        """),
    "Kibot, no header": ("ACME.txt", "ACME", MINUTES, """\
        01/13/2022,14:30,100,103,99,101,9
        01/13/2022,14:31,101,104,100,102,8
        01/13/2022,14:32,102,105,101,103,7
        """),
    "a ticker before the date, no header": ("prices.txt", "ACME", DAYS, """\
        ACME,20220103,100,103,99,101,9
        ACME,20220104,101,104,100,102,8
        ACME,20220105,102,105,101,103,7
        """),
    "TradingView, epochs and an indicator": ("NASDAQ_ACME, 1.csv", None, MINUTES, """\
        time,open,high,low,close,Volume,Volume MA
        1641220200,100,103,99,101,9,5
        1641220260,101,104,100,102,8,5
        1641220320,102,105,101,103,7,5
        """),
    "TradingView, ISO": ("ACME_1m.csv", "ACME", MINUTES, """\
        time,open,high,low,close,Volume
        2022-01-03T09:30:00-05:00,100,103,99,101,9
        2022-01-03T09:31:00-05:00,101,104,100,102,8
        2022-01-03T09:32:00-05:00,102,105,101,103,7
        """),
    "Binance with a header": ("ACMEUSDT-1m-2022-01.csv", "ACMEUSDT", MINUTES, """\
        open_time,open,high,low,close,volume,close_time,quote_volume,count,taker_buy_volume,taker_buy_quote_volume,ignore
        1641220200000,100,103,99,101,9,1641220259999,1,1,1,1,0
        1641220260000,101,104,100,102,8,1641220319999,1,1,1,1,0
        1641220320000,102,105,101,103,7,1641220379999,1,1,1,1,0
        """),
    "Kraken": ("ACMEUSD_1.csv", "ACMEUSD", MINUTES, """\
        1641220200,100,103,99,101,9,1
        1641220260,101,104,100,102,8,1
        1641220320,102,105,101,103,7,1
        """),
    "CryptoDataDownload": ("Bitstamp_ACMEUSD_2022_minute.csv", "ACMEUSD", MINUTES, """\
        https://www.CryptoDataDownload.com
        unix,date,symbol,open,high,low,close,Volume ACME,Volume USD
        1641220320,2022-01-03 14:32:00,ACME/USD,102,105,101,103,7,721
        1641220260,2022-01-03 14:31:00,ACME/USD,101,104,100,102,8,816
        1641220200,2022-01-03 14:30:00,ACME/USD,100,103,99,101,9,909
        """),
    "Kaggle, Bitcoin by Bitstamp": ("acmeusd_1m.csv", "acmeusd", MINUTES, """\
        Timestamp,Open,High,Low,Close,Volume_(BTC),Volume_(Currency),Weighted_Price
        1641220200,100,103,99,101,9,909,100
        1641220260,101,104,100,102,8,816,101
        1641220320,102,105,101,103,7,721,102
        """),
    "Dukascopy": ("ACMEUSD_Candlestick_1_M_BID_03.01.2022-03.01.2022.csv", "ACMEUSD", MINUTES, """\
        Gmt time,Open,High,Low,Close,Volume
        03.01.2022 14:30:00.000,100,103,99,101,9
        03.01.2022 14:31:00.000,101,104,100,102,8
        03.01.2022 14:32:00.000,102,105,101,103,7
        """),
    "HistData": ("DAT_ASCII_ACMEUSD_M1_2022.csv", "ACMEUSD", MINUTES, """\
        20220103 093000;100;103;99;101;9
        20220103 093100;101;104;100;102;8
        20220103 093200;102;105;101;103;7
        """),
    "FXCM, bid and ask": ("ACMEUSD_m1.csv", "ACMEUSD", MINUTES, """\
        date,bidopen,bidclose,bidhigh,bidlow,askopen,askclose,askhigh,asklow,tickqty
        2022-01-03 14:30:00,100,101,103,99,100.1,101.1,103.1,99.1,9
        2022-01-03 14:31:00,101,102,104,100,101.1,102.1,104.1,100.1,8
        2022-01-03 14:32:00,102,103,105,101,102.1,103.1,105.1,101.1,7
        """),
    "tushare": ("daily.csv", "000001.SZ", DAYS, """\
        ts_code,trade_date,open,high,low,close,pre_close,change,pct_chg,vol,amount
        000001.SZ,20220105,102,105,101,103,102,1,1,7,1
        000001.SZ,20220104,101,104,100,102,101,1,1,8,1
        000001.SZ,20220103,100,103,99,101,100,1,1,9,1
        """),
    "akshare, in Chinese": ("600519.csv", "600519", DAYS, """\
        日期,开盘,收盘,最高,最低,成交量
        2022-01-03,100,101,103,99,9
        2022-01-04,101,102,104,100,8
        2022-01-05,102,103,105,101,7
        """),
    "Backtrader and Yahoo of old": ("ACME_1d.txt", "ACME", DAYS, """\
        Date,Open,High,Low,Close,Adj Close,Volume
        2022-01-03,100.0,103.0,99.0,101.0,101.0,9
        2022-01-04,101.0,104.0,100.0,102.0,102.0,8
        2022-01-05,102.0,105.0,101.0,103.0,103.0,7
        """),
    "spreadsheet's days": ("ACME_1d.csv", "ACME", DAYS, """\
        Date;Open;High;Low;Close;Volume
        44564;100;103;99;101;9
        44565;101;104;100;102;8
        44566;102;105;101;103;7
        """),
    "blanks between columns": ("ACME_1m.prn", "ACME", MINUTES, """\
        20220103 143000 100 103 99 101 9
        20220103 143100 101 104 100 102 8
        20220103 143200 102 105 101 103 7
        """),
    "columns of one asset with its name behind": ("prices_1d.csv", None, DAYS, """\
        Date,Open_ACME,High_ACME,Low_ACME,Close_ACME,Volume
        2022-01-03,100,103,99,101,9
        2022-01-04,101,104,100,102,8
        2022-01-05,102,105,101,103,7
        """),
}  # fmt: skip
ENCODINGS = {"German, semicolons, decimal commas, Windows-1252": "cp1252"}
# The thirteenth tells the day from the month, so the dates differ from DAYS and MINUTES.
MOVED = {
    "French": ("2022-01-03", "2022-01-04", "2022-01-13"),
    **dict.fromkeys(("TradeStation", "MetaStock, clocks of four digits", "Kibot, no header"),
                    tuple(text.replace("01-03", "01-13") for text in MINUTES)),
}  # fmt: skip
DATE_ORDERS = {"Investing.com": "mdy"}


@pytest.mark.parametrize("layout", TEXT)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_text(tmp_path, layout, newline):
    name, asset, times, text = TEXT[layout]
    path = tmp_path / name
    path.write_bytes(textwrap.dedent(text).replace("\n", newline).encode(ENCODINGS.get(layout, "utf-8")))
    options = {"asset": "ACME"} if asset is None else {}
    (report,) = import_bars(path, tmp_path / "root", date_order=DATE_ORDERS.get(layout), **options)
    assert report.error is None
    _assert_bars(tmp_path / "root", asset or "ACME", MOVED.get(layout, times))


def _assert_bars(root, asset, times):
    bars = load_bars(root, asset, "1d" if len(times[0]) == 10 else "1m")
    expected = [datetime.fromisoformat(time).replace(tzinfo=UTC) for time in times]
    assert bars.to_frame()["timestamp"].to_list() == expected
    values = zip(bars.open, bars.high, bars.low, bars.close, bars.volume, strict=True)
    found = [tuple(map(float, row)) for row in values]
    assert found == DAILY


ROWS = [[epoch * 1000, *row] for epoch, row in zip(EPOCHS, DAILY, strict=True)]
RECORDS = [dict(zip("tohlcv", row, strict=True)) for row in ROWS]
JSON = {
    "ccxt": ROWS,
    "Binance, numbers as text": [[row[0], *map(str, row[1:]), row[0] + 59_999, "0", 1, "0", "0", "0"] for row in ROWS],
    "Polygon": {"ticker": "ACME", "resultsCount": 3, "results": RECORDS},
    "Kraken": {"error": [], "result": {"XACME": [[e, *map(str, r[:4]), str(r[3]), str(r[4]), 1] for e, r in zip(EPOCHS, DAILY, strict=True)], "last": 1}},
    "Bitstamp": {"data": {"pair": "ACME/USD", "ohlc": [
        {"timestamp": str(e), "open": str(r[0]), "high": str(r[1]), "low": str(r[2]), "close": str(r[3]), "volume": str(r[4])}
        for e, r in zip(EPOCHS, DAILY, strict=True)]}},
    "Coinbase: time, low, high, open, close, volume, newest first": [
        [e, r[2], r[1], r[0], r[3], r[4]] for e, r in reversed(list(zip(EPOCHS, DAILY, strict=True)))],
    "Bitfinex: time, open, close, high, low, volume": [[row[0], row[1], row[4], row[2], row[3], row[5]] for row in ROWS],
    "Yahoo": {"chart": {"result": [{"meta": {"symbol": "ACME"}, "timestamp": list(EPOCHS), "indicators": {"quote": [
        {name: [row[i] for row in DAILY] for i, name in enumerate(("open", "high", "low", "close", "volume"))}]}}]}},
    "Alpha Vantage": {"Meta Data": {"2. Symbol": "ACME"}, "Time Series (1min)": {
        f"{time}:00": {f"{i + 1}. {name}": str(row[i]) for i, name in enumerate(("open", "high", "low", "close", "volume"))}
        for time, row in reversed(list(zip(MINUTES, DAILY, strict=True)))}},
    "pandas, by column": {name: {str(e * 1000): row[i] for e, row in zip(EPOCHS, DAILY, strict=True)}
                          for i, name in enumerate(("open", "high", "low", "close", "volume"))},
    "pandas, records": [{"date": f"{time}:00+00:00", "open": r[0], "high": r[1], "low": r[2], "close": r[3], "volume": r[4]}
                        for time, r in zip(MINUTES, DAILY, strict=True)],
}  # fmt: skip


@pytest.mark.parametrize("layout", JSON)
def test_json(tmp_path, layout):
    (tmp_path / "ACME_1m.json").write_text(json.dumps(JSON[layout]))
    (report,) = import_bars(tmp_path / "ACME_1m.json", tmp_path / "root")
    assert report.error is None
    _assert_bars(tmp_path / "root", "ACME", MINUTES)


def test_json_lines(tmp_path):
    (tmp_path / "ACME_1m.jsonl").write_text("\n".join(map(json.dumps, RECORDS)))
    (report,) = import_bars(tmp_path / "ACME_1m.jsonl", tmp_path / "root")
    assert report.error is None
    _assert_bars(tmp_path / "root", "ACME", MINUTES)


INDEX = pd.DatetimeIndex(DAYS)
FRAME = pd.DataFrame(DAILY, columns=["Open", "High", "Low", "Close", "Volume"], index=INDEX)
TABLES = {
    "an index of times": FRAME,
    "an index with a name": FRAME.rename_axis("Date"),
    "an index in New York": FRAME.set_axis(INDEX.tz_localize("America/New_York")),
    "periods": FRAME.set_axis(INDEX.to_period("D").to_timestamp()),
    "yfinance, columns of two levels": FRAME.rename_axis("Date").set_axis(
        pd.MultiIndex.from_product([FRAME.columns, ["ACME"]], names=["Price", "Ticker"]), axis=1),
    "two levels, the ticker first": FRAME.rename_axis("Date").set_axis(
        pd.MultiIndex.from_product([["ACME"], FRAME.columns]), axis=1),
    "dates as whole numbers": FRAME.assign(date=[20220103, 20220104, 20220105]).reset_index(drop=True),
    "dates as text": FRAME.assign(date=list(DAYS)).reset_index(drop=True),
    "dates and a row number": FRAME.rename_axis("date").reset_index(),
}  # fmt: skip


@pytest.mark.parametrize("layout", TABLES)
@pytest.mark.parametrize("suffix", ["parquet", "feather", "csv"])
def test_frames_of_pandas(tmp_path, layout, suffix):
    frame, path = TABLES[layout], tmp_path / f"ACME_1d.{suffix}"
    if suffix == "parquet":
        frame.to_parquet(path)
    elif suffix == "csv":
        frame.to_csv(path)
    else:
        frame.set_axis([str(c) for c in frame.columns], axis=1).reset_index().to_feather(path)
    (report,) = import_bars(path, tmp_path / "root")
    assert report.error is None
    _assert_bars(tmp_path / "root", "ACME", DAYS)


def _zipped(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


PLAIN = b"time,open,high,low,close,volume\n" + b"\n".join(
    f"{time},{','.join(map(str, row))}".encode() for time, row in zip(DAYS, DAILY, strict=True)
)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("ACME_1d.csv.gz", gzip.compress(PLAIN)),
        ("ACME_1d.zip", _zipped({"ACME_1d.csv": PLAIN})),
        ("download.zip", _zipped({"folder/ACME_1d.csv": PLAIN, "folder/readme.md": b"x", "__MACOSX/._ACME_1d.csv": b"x"})),
        ("ACME_1d.json.gz", gzip.compress(json.dumps([dict(zip(("t", *"ohlcv"), (t, *r), strict=True)) for t, r in zip(DAYS, DAILY, strict=True)]).encode())),
    ],
)  # fmt: skip
def test_compressed_files(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    reports = [report for report in import_bars(tmp_path / name, tmp_path / "root") if not report.unread]
    assert [report.error for report in reports] == [None]
    _assert_bars(tmp_path / "root", "ACME", DAYS)


def test_several_assets_side_by_side(tmp_path):
    columns = pd.MultiIndex.from_product([["Open", "High", "Low", "Close", "Volume"], ["ACME", "OTHER"]])
    both = pd.concat([FRAME, FRAME * 2], axis=1)
    both.columns = pd.MultiIndex.from_tuples([(c, t) for t in ("ACME", "OTHER") for c in FRAME.columns])
    both[columns].rename_axis("Date").to_csv(tmp_path / "download_1d.csv")
    reports = import_bars(tmp_path / "download_1d.csv", tmp_path / "root")
    assert [(report.asset, report.error) for report in reports] == [("ACME", None), ("OTHER", None)]
    _assert_bars(tmp_path / "root", "ACME", DAYS)
    assert load_bars(tmp_path / "root", "OTHER", "1d").close.tolist() == [202, 204, 206]


CHOSEN = {
    "names": ("Stamp,First,Top,Bottom,End,Amount\n", "time=Stamp,open=First,high=Top,low=Bottom,close=End,volume=Amount"),
    "numbers": ("a,b,c,d,e,f\n", "time=1,open=2,high=3,low=4,close=5,volume=6"),
    "case": ("STAMP,First,high,low,close,volume\n", "time=stamp,open=first"),
}  # fmt: skip


@pytest.mark.parametrize("kind", CHOSEN)
def test_chosen_columns(tmp_path, kind):
    header, columns = CHOSEN[kind]
    (tmp_path / "ACME_1d.csv").write_text(header + PLAIN.decode().split("\n", 1)[1])
    (report,) = import_bars(tmp_path / "ACME_1d.csv", tmp_path / "root", columns=columns)
    assert report.error is None
    _assert_bars(tmp_path / "root", "ACME", DAYS)


def test_chosen_date_and_clock(tmp_path):
    rows = "".join(
        f"{time.split()[0]},{time.split()[1]},{','.join(map(str, row))}\n"
        for time, row in zip(MINUTES, DAILY, strict=True)
    )
    (tmp_path / "ACME_1m.csv").write_text("jour,heures,open,high,low,close,volume\n" + rows)
    (report,) = import_bars(tmp_path / "ACME_1m.csv", tmp_path / "root", columns="time=jour+heures")
    assert report.error is None
    _assert_bars(tmp_path / "root", "ACME", MINUTES)
