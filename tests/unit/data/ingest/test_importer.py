from __future__ import annotations

import textwrap
from datetime import UTC, datetime

import polars as pl
import pytest
from bar_files import read_bars

from backtune.data.catalog import Catalog
from backtune.data.ingest.importer import import_bars
from backtune.data.load import load_bars
from backtune.data.schema import SCHEMA
from backtune.errors import BarsError, CatalogError, SpecError

# The same three hourly bars in the layouts of many vendors.
EXPECTED = [
    (datetime(2018, 1, 1, hour, tzinfo=UTC), open_, high, low, close, volume)
    for hour, open_, high, low, close, volume in [
        (13, 1.5, 1.75, 1.25, 1.625, 10.0),
        (14, 1.625, 2.0, 1.5, 1.75, 20.0),
        (15, 1.75, 2.25, 1.0, 2.0, 30.0),
    ]
]
LAYOUTS = {
    "plain": """\
        timestamp,open,high,low,close,volume
        2018-01-01T13:00:00Z,1.5,1.75,1.25,1.625,10
        2018-01-01T14:00:00Z,1.625,2,1.5,1.75,20
        2018-01-01T15:00:00Z,1.75,2.25,1,2,30
        """,
    "one letter, semicolons, spaces, another order": """\
        t ; c ; o ; h ; l ; v
        2018-01-01 13:00 ; 1.625 ; 1.5 ; 1.75 ; 1.25 ; 10
        2018-01-01 14:00 ; 1.75 ; 1.625 ; 2 ; 1.5 ; 20
        2018-01-01 15:00 ; 2 ; 1.75 ; 2.25 ; 1 ; 30
        """,
    "Yahoo: quoted, adjusted close": """\
        "Datetime","Open","High","Low","Close","Adj Close","Volume"
        "2018-01-01 14:00:00+01:00","1.5","1.75","1.25","1.625","1.625","10"
        "2018-01-01 15:00:00+01:00","1.625","2","1.5","1.75","1.75","20"
        "2018-01-01 16:00:00+01:00","1.75","2.25","1","2","2","30"
        """,
    "MetaTrader 4: no header": """\
        2018.01.01,13:00,1.5,1.75,1.25,1.625,10
        2018.01.01,14:00,1.625,2,1.5,1.75,20
        2018.01.01,15:00,1.75,2.25,1,2,30
        """,
    "Binance klines: 12 columns, milliseconds": """\
        1514811600000,1.5,1.75,1.25,1.625,10,1514815199999,15.1,7,5,7.5,0
        1514815200000,1.625,2,1.5,1.75,20,1514818799999,15.1,7,5,7.5,0
        1514818800000,1.75,2.25,1,2,30,1514822399999,15.1,7,5,7.5,0
        """,
    "Binance klines: microseconds": """\
        1514811600000000,1.5,1.75,1.25,1.625,10,1514815199999999,15.1,7,5,7.5,0
        1514815200000000,1.625,2,1.5,1.75,20,1514818799999999,15.1,7,5,7.5,0
        1514818800000000,1.75,2.25,1,2,30,1514822399999999,15.1,7,5,7.5,0
        """,
    "CryptoDataDownload, older: hours of twelve": """\
        Date,Symbol,Open,High,Low,Close,Volume BTC,Volume USD
        2018-01-01 01-PM,BTCUSD,1.5,1.75,1.25,1.625,10,99
        2018-01-01 02-PM,BTCUSD,1.625,2,1.5,1.75,20,99
        2018-01-01 03-PM,BTCUSD,1.75,2.25,1,2,30,99
        """,
    "Dukascopy, local time": """\
        Local time,Open,High,Low,Close,Volume
        01.01.2018 14:00:00.000 GMT+0100,1.5,1.75,1.25,1.625,10
        01.01.2018 15:00:00.000 GMT+0100,1.625,2,1.5,1.75,20
        01.01.2018 16:00:00.000 GMT+0100,1.75,2.25,1,2,30
        """,
    "Alpha Vantage": """\
        date,1. open,2. high,3. low,4. close,5. volume
        2018-01-01 13:00:00,1.5,1.75,1.25,1.625,10
        2018-01-01 14:00:00,1.625,2,1.5,1.75,20
        2018-01-01 15:00:00,1.75,2.25,1,2,30
        """,
    "decimal commas, blank lines": """\
        Time;Open;High;Low;Close;Volume

        2018-01-01 13:00;1,5;1,75;1,25;1,625;10
        2018-01-01 14:00;1,625;2,0;1,5;1,75;20

        2018-01-01 15:00;1,75;2,25;1,0;2,0;30
        """,
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_layouts_of_vendors(write_file, layout, newline):
    text = textwrap.dedent(LAYOUTS[layout]).replace("\n", newline)
    frame = read_bars(write_file("BTCUSD_1h.csv", text))
    assert frame.schema == SCHEMA
    assert frame.rows() == EXPECTED


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_marks_of_encodings(tmp_path, encoding):
    path = tmp_path / "x.csv"
    path.write_bytes(textwrap.dedent(LAYOUTS["plain"]).encode(encoding))
    assert read_bars(path).rows() == EXPECTED


@pytest.mark.parametrize(
    "change",
    [
        lambda f: f,
        lambda f: f.rename(str.title),
        lambda f: f.with_columns(pl.col("timestamp").dt.cast_time_unit("ns")),
        lambda f: f.with_columns(pl.col("timestamp").dt.replace_time_zone(None)),
        lambda f: f.with_columns(pl.col("timestamp").dt.convert_time_zone("Europe/Berlin")),
        lambda f: f.with_columns(pl.col("timestamp").dt.epoch("ms").alias("timestamp")),
        lambda f: f.with_columns(pl.col("volume").cast(pl.Int64), pl.col("open").cast(pl.Decimal(20, 8))),
        lambda f: f.rename({"timestamp": "open_time"}).with_columns(extra=pl.lit("x")),
    ],
)
def test_parquet_of_others(tmp_path, change):
    frame = pl.DataFrame(EXPECTED, schema=SCHEMA, orient="row")
    change(frame).write_parquet(tmp_path / "x.parquet")
    assert read_bars(tmp_path / "x.parquet").equals(frame)


def test_pandas_index_is_the_time(tmp_path):
    frame = pl.DataFrame(EXPECTED, schema=SCHEMA, orient="row")
    frame.to_pandas().set_index("timestamp").to_parquet(tmp_path / "x.parquet")
    assert read_bars(tmp_path / "x.parquet").equals(frame)


@pytest.mark.parametrize(
    ("points", "scale", "price"),
    [
        ("158611.0", 1e-5, 1.58611),
        ("158599", 1e-5, 1.58599),
        ("82173.0", 1e-3, 82.173),
        ("123", 1e-2, 1.23),
        ("7", 0.25, 1.75),
        ("1.5", 1.0, 1.5),
        ("1.5", 100.0, 150.0),
    ],
)
def test_points_become_the_nearest_double(write_file, points, scale, price):
    text = f"time,open,high,low,close\n2018-01-01,{points},{points},{points},{points}\n"
    assert read_bars(write_file("x.csv", text), price_scale=scale)["open"][0] == price


def test_every_price_in_points_is_exact(write_file):
    rows = "\n".join(
        f"{1_500_000_000 + i * 60},{p},{p},{p},{p}" for i, p in enumerate(range(99_000, 101_000))
    )
    frame = read_bars(write_file("x.csv", f"unix,open,high,low,close\n{rows}\n"), price_scale=1e-5)
    assert frame["close"].to_list() == [float(f"{p / 1e5:.5f}") for p in range(99_000, 101_000)]


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf")])
def test_scale_has_to_be_above_0(write_file, tmp_path, scale):
    with pytest.raises(SpecError, match="price_scale"):
        import_bars(write_file("BTCUSD_1h.csv", ""), tmp_path / "root", price_scale=scale)


HEADER = "time,open,high,low,close,volume\n"
GOOD = "2018-01-01 00:00,2,3,1,2,5\n2018-01-01 01:00,2,3,1,2,5\n"


@pytest.mark.parametrize(
    ("text", "problem", "row", "column"),
    [
        ("", "is empty", None, None),
        ("\n \n", "is empty", None, None),
        ("hello\nworld\n", "is not a table", None, None),
        (HEADER, "has a header and no rows", None, None),
        (
            "time,open,high,low,volume\n2018-01-01,1,1,1,1\n",
            "no column for close among 'time', 'open', 'high', 'low', 'volume'; rename one to 'close'",
            None, "close",
        ),
        ("a,open,high,low,close\nx,1,1,1,1\n", "no column for timestamp among 'a', 'open'", None, "timestamp"),
        ("x,1,2,3,4\ny,2,3,4,5\n", "has no header, and its first row", None, None),
        (HEADER + GOOD + "2018-01-01 02:00,2,3,1,abc,5\n", "'abc' is not a number", 2, "close"),
        (HEADER + GOOD + "2018-01-01 02:00,2,3,1\n", "is not a finite number", 2, "close"),
        (HEADER + GOOD + "2018-01-01 02:00,2,3,1,2,5,9\n", "cannot be read as a table", None, None),
        (HEADER + GOOD + "2018-01-01 02:00,NaN,3,1,2,5\n", "is not a finite number", 2, "open"),
        (HEADER + GOOD + "2018-01-01 02:00,2,inf,1,2,5\n", "is not a finite number", 2, "high"),
        (HEADER + GOOD + "2018-01-01 02:00,2,3,-1,2,5\n", "a price must be above 0", 2, "low"),
        (HEADER + GOOD + "2018-01-01 02:00,2,1,3,2,5\n", "high is below low", 2, "high"),
        (HEADER + GOOD + "2018-01-01 01:00,2,3,1,2,5\n", "duplicate", 2, "timestamp"),
        (HEADER + GOOD + "2018-01-01 00:30,2,3,1,2,5\n", "unsorted", 2, "timestamp"),
        (HEADER + GOOD + "later,2,3,1,2,5\n", "'later' is not a time like", 2, "timestamp"),
        (
            HEADER + "2018-01-01 02:00,2,3,1,2,5\n2018-01-01 01:00,2,1,3,2,5\n2018-01-01 00:00,2,3,1,2,5\n",
            "high is below low",
            1, "high",
        ),
    ],
)  # fmt: skip
def test_bad_files_are_named_with_row_and_column(write_file, tmp_path, text, problem, row, column):
    path = write_file("BTCUSD_1h.csv", text)
    (report,) = import_bars(path, tmp_path / "root")
    place = f"{path}{f', row {row}' if row is not None else ''}{f', column {column!r}' if column else ''}: "
    assert report.error.startswith(place + problem) or (
        report.error.startswith(place) and problem in report.error
    )
    assert (report.asset, report.rows) == ("BTCUSD", 0)
    assert not (tmp_path / "root" / "manifest.json").exists()


def test_one_bad_file_does_not_lose_the_others(write_file, tmp_path):
    folder = write_file("A_1h.csv", HEADER + GOOD).parent
    write_file("B_1h.csv", HEADER + GOOD.replace("3,1", "1,3"))
    write_file("C_1h.csv", HEADER + GOOD)
    write_file("notes.md", "not imported")
    reports = import_bars(folder, tmp_path / "root")
    assert [(report.asset, report.error is None, report.unread) for report in reports] == [
        ("A", True, None),
        ("B", False, None),
        ("C", True, None),
        (None, True, "is a document"),
    ]
    assert Catalog.open(tmp_path / "root").assets() == ["A", "C"]


def test_newest_first_is_reversed_and_said(write_file, tmp_path):
    text = "".join(f"2018-01-01 {hour:02}:00,2,3,1,2,{hour}\n" for hour in (5, 4, 3, 1))
    (report,) = import_bars(write_file("BTCUSD_1h.csv", HEADER + text), tmp_path / "root")
    assert report.notes == ("newest first: reversed",)
    assert (report.gaps, report.longest_gap_seconds) == (1, 3600)
    assert load_bars(tmp_path / "root", "BTCUSD", "1h").volume.tolist() == [1, 3, 4, 5]


def test_repair_sorts_drops_and_says_so(write_file, tmp_path):
    hours = [0, 2, 1, 1, 3, 3, 3]
    text = HEADER + "".join(f"2018-01-01 {hour:02}:00,2,3,1,2,5\n" for hour in hours)
    path = write_file("BTCUSD_1h.csv", text)
    (refused,) = import_bars(path, tmp_path / "root")
    assert "unsorted" in refused.error or "duplicate" in refused.error
    (report,) = import_bars(path, tmp_path / "root", repair=True)
    assert report.error is None
    assert report.notes == ("dropped 3 exact duplicates", "sorted: 1 row older than the row before")
    assert len(load_bars(tmp_path / "root", "BTCUSD", "1h")) == 4


def test_repair_does_not_choose_between_rows_that_differ(write_file, tmp_path):
    text = HEADER + GOOD + "2018-01-01 00:00,2,3,1,2,6\n"
    (report,) = import_bars(write_file("BTCUSD_1h.csv", text), tmp_path / "root", repair=True)
    assert "row 2, column 'timestamp': the time is that of the row before (duplicate)" in report.error


@pytest.mark.parametrize(
    ("name", "options", "asset", "timeframe"),
    [
        ("BTCUSD_1h.csv", {}, "BTCUSD", "1h"),
        ("BTCUSD.csv", {}, "BTCUSD", "1h"),
        ("bars.csv", {"asset": "X"}, "X", "1h"),
        ("BTCUSD_1m.csv", {"timeframe": "1h"}, "BTCUSD", "1h"),
        ("BTCUSD_1m.csv", {"timeframe": "60m", "asset": "Y"}, "Y", "1h"),
    ],
)
def test_name_options_and_rows_tell(write_file, tmp_path, name, options, asset, timeframe):
    (report,) = import_bars(write_file(name, HEADER + GOOD), tmp_path / "root", **options)
    assert (report.asset, report.timeframe, report.error) == (asset, timeframe, None)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "BTCUSD_7m.csv",
            {},
            "said to be 7m (from the file's name), but the rows are 1h apart at the least and 1h usually",
        ),
        ("BTCUSD_1h.csv", {"timeframe": "1d"}, "said to be 1d (as chosen), but the rows are 1h apart"),
        ("bars.csv", {}, "the file's name does not tell the asset; pass --asset"),
        ("BTCUSD_1h.csv", {"asset": "a/b"}, "'a/b' cannot name an asset"),
        ("^GSPC_1h.csv", {}, "^GSPC_1h.csv: '^GSPC' cannot name an asset"),
    ],
)
def test_what_does_not_fit_together(write_file, tmp_path, name, options, message):
    (report,) = import_bars(write_file(name, HEADER + GOOD), tmp_path / "root", **options)
    assert message in report.error


def test_absent_volume_is_0_and_said(write_file, tmp_path):
    text = "time,open,high,low,close\n2018-01-01 00:00,2,3,1,2\n2018-01-01 01:00,2,3,1,2\n"
    (report,) = import_bars(write_file("BTCUSD_1h.csv", text), tmp_path / "root")
    assert report.assumed["volume"] == "none in the file: 0"
    assert load_bars(tmp_path / "root", "BTCUSD", "1h").volume.tolist() == [0, 0]


def test_second_import_changes_nothing_and_says_so(write_file, tmp_path):
    path = write_file("BTCUSD_1h.csv", HEADER + GOOD)
    import_bars(path, tmp_path / "root")
    (report,) = import_bars(path, tmp_path / "root")
    assert report.notes == ("the catalog has these bars already",)
    path.write_text(HEADER + GOOD.replace(",5", ",6"))
    (report,) = import_bars(path, tmp_path / "root")
    assert "--replace takes the new values" in report.error
    (report,) = import_bars(path, tmp_path / "root", replace=True)
    assert report.error is None


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("absent.csv", "there is no such file or folder"),
        ("empty", "the folder holds no file to import"),
    ],
)
def test_sources_that_are_none(tmp_path, name, message):
    (tmp_path / "empty").mkdir()
    with pytest.raises(CatalogError, match=message):
        import_bars(tmp_path / name, tmp_path / "root")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("x.xlsx", "is a spreadsheet; save the sheet with the bars as CSV; it has to be one of .csv"),
        ("x.xyz", "cannot be imported: .xyz is not a kind of file that is read; it has to be one of .csv"),
        ("x.csv.part", "is a download that has not finished; finish it, or remove the file"),
    ],
)
def test_a_named_file_that_is_not_read_costs_the_others_nothing(write_file, tmp_path, name, message):
    good = write_file("BTCUSD_1h.csv", HEADER + GOOD)
    (tmp_path / name).touch()
    bad, imported = import_bars([tmp_path / name, good], tmp_path / "root")
    assert message in bad.error
    assert imported.error is None


def test_unreadable_sources_are_bars_errors(tmp_path):
    (tmp_path / "x.csv").write_bytes(b"\xff\x00\x81time,open")
    with pytest.raises(BarsError, match="is not text in UTF-8"):
        read_bars(tmp_path / "x.csv")
    (tmp_path / "x.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(BarsError, match="cannot be read as Parquet"):
        read_bars(tmp_path / "x.parquet")
    with pytest.raises(CatalogError, match="there is no such file or folder"):
        read_bars(tmp_path / "absent.csv")


@pytest.mark.parametrize(
    ("name", "scale", "asset", "timeframe", "rows", "first", "gaps"),
    [
        ("GBPUSDh1.csv", 1e-5, "GBPUSD", "1h", 57_600, 1.58611, 500),
        ("USDJPYd1.csv", 1e-3, "USDJPY", "1d", 2_400, 82.173, 490),
    ],
)
def test_real_points(market, tmp_path, name, scale, asset, timeframe, rows, first, gaps):
    (report,) = import_bars(market / "csv" / name, tmp_path, price_scale=scale)
    assert (report.asset, report.timeframe, report.rows, report.gaps) == (asset, timeframe, rows, gaps)
    assert report.assumed["volume"].startswith("'tick_volume'")
    bars = load_bars(tmp_path, asset, timeframe)
    assert (len(bars), bars.open[0]) == (rows, first)
