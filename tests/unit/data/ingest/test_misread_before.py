"""Inputs of users that are easily misread: each with what it is."""

from __future__ import annotations

import json

import polars as pl
import pytest

from backtune.data.ingest.importer import import_bars
from backtune.data.load import load_bars

HEADER = "Date,Open,High,Low,Close,Volume\n"


def _rows(times, ending=",100,103,99,101,9"):
    return "".join(f"{time}{ending}\n" for time in times)


# name, text, options: the timeframe, the first and the last open.
TIMES = {
    "two digits for a year in front": ("A_1d.csv", HEADER + _rows(f"22-01-{d}" for d in range(17, 29)), {}, "1d", "2022-01-17 00:00", "2022-01-28 00:00"),
    "with slashes": ("A_1d.csv", HEADER + _rows(f"22/01/{d}" for d in range(17, 29)), {}, "1d", "2022-01-17 00:00", "2022-01-28 00:00"),
    "a year of two digits at the end": ("A_1d.csv", HEADER + _rows(f"{d:02}.01.22" for d in range(3, 8)), {}, "1d", "2022-01-03 00:00", "2022-01-07 00:00"),
    "chosen": ("A_1d.csv", HEADER + _rows(["22-01-03"]), {"date_order": "ymd"}, "1d", "2022-01-03 00:00", "2022-01-03 00:00"),
    "whole hours beside dates": ("A.csv", HEADER.replace("Date", "Date,Time") + _rows(f"2022-01-0{d},{h}" for d in (3, 4) for h in range(9, 17)), {}, "1h", "2022-01-03 09:00", "2022-01-04 16:00"),
    "a column named Hour": ("A_1h.csv", HEADER.replace("Date", "Date,Hour") + _rows(f"2022-01-03,{h}" for h in range(9, 17)), {}, "1h", "2022-01-03 09:00", "2022-01-03 16:00"),
    "months and the day of today": ("A.csv", HEADER + _rows([*(f"2021-{m:02}-01" for m in range(1, 12)), "2021-12-17"]), {}, "1mo", "2021-01-01 00:00", "2021-12-01 00:00"),
    "a zone in a column": ("A_1h.csv", HEADER.replace("Date", "Date,timezone") + _rows(["2022-01-03 09:30,America/New_York", "2022-01-03 10:30,America/New_York"]), {}, "1h", "2022-01-03 14:30", "2022-01-03 15:30"),
    "an offset in a column": ("A_1h.csv", HEADER.replace("Date", "Date,GMT Offset") + _rows(["2022-01-03 09:30,-5", "2022-01-03 10:30,-5"]), {}, "1h", "2022-01-03 14:30", "2022-01-03 15:30"),
    "a zone behind a name": ("A_1h.csv", HEADER.replace("Date", "Date (EST)") + _rows(["2022-01-03 09:30", "2022-01-03 10:30"]), {}, "1h", "2022-01-03 14:30", "2022-01-03 15:30"),
    "a zone in a comment": ("A_1h.csv", "# timezone: America/New_York\n" + HEADER + _rows(["2022-01-03 09:30", "2022-01-03 10:30"]), {}, "1h", "2022-01-03 14:30", "2022-01-03 15:30"),
    "CoinMarketCap": ("A_1d.csv", "timeOpen;timeClose;name;open;high;low;close;volume;timestamp\n" + _rows([f"2022-01-0{d}T00:00:00.000Z;2022-01-0{d}T23:59:59.999Z;A;" for d in (3, 4)], "100;103;99;101;9;2022-01-03T23:59:59.999Z"), {}, "1d", "2022-01-03 00:00", "2022-01-04 00:00"),
    "ends in the last second": ("A_1h.csv", HEADER + _rows(["2022-01-03 09:59:59", "2022-01-03 10:59:59"]), {}, "1h", "2022-01-03 09:00", "2022-01-03 10:00"),
    "days that end in the last second, as closes": ("A_1d.csv", HEADER + _rows(["2022-01-03 23:59:59", "2022-01-04 23:59:59"]), {"label": "close"}, "1d", "2022-01-03 00:00", "2022-01-04 00:00"),
    "months that end on the first": ("A_1mo.csv", HEADER + _rows(["2022-02-01", "2022-03-01"]), {"label": "close"}, "1mo", "2022-01-01 00:00", "2022-02-01 00:00"),
    "weeks that end on Monday": ("A_1w.csv", HEADER + _rows(["2022-01-10", "2022-01-17"]), {"label": "close"}, "1w", "2022-01-03 00:00", "2022-01-10 00:00"),
    "midnights with a zone": ("A_1d.csv", HEADER + _rows(["2022-01-03 00:00:00", "2022-01-04 00:00:00"]), {"timezone": "Asia/Tokyo"}, "1d", "2022-01-03 00:00", "2022-01-04 00:00"),
    "ticks of .NET": ("A_5m.csv", HEADER + _rows([637_767_648_000_000_000, 637_767_651_000_000_000]), {}, "5m", "2022-01-03 00:00", "2022-01-03 00:05"),
    "a title with commas": ("A_1d.csv", "ACME, NYSE, USD\n" + HEADER + _rows(["2022-01-03", "2022-01-04"]), {}, "1d", "2022-01-03 00:00", "2022-01-04 00:00"),
    "comments with commas": ("A_1d.csv", "# a, b, c\n" * 80 + HEADER + _rows(["2022-01-03", "2022-01-04"]), {}, "1d", "2022-01-03 00:00", "2022-01-04 00:00"),
}  # fmt: skip


@pytest.mark.parametrize("kind", TIMES)
def test_times(tmp_path, kind):
    name, text, options, timeframe, first, last = TIMES[kind]
    (tmp_path / name).write_text(text)
    (report,) = import_bars(tmp_path / name, tmp_path / "root", **options)
    assert report.error is None
    assert report.timeframe == timeframe
    opens = load_bars(tmp_path / "root", "A", timeframe).to_frame()["timestamp"]
    assert [f"{opens[i]:%Y-%m-%d %H:%M}" for i in (0, -1)] == [first, last]


def test_zone_of_a_json_document(tmp_path):
    series = {
        f"2022-01-03 09:3{i}:00": {
            "1. open": "1",
            "2. high": "2",
            "3. low": "1",
            "4. close": "2",
            "5. volume": "3",
        }
        for i in range(3)
    }
    document = {"Meta Data": {"6. Time Zone": "US/Eastern"}, "Time Series (1min)": series}
    (tmp_path / "A_1m.json").write_text(json.dumps(document))
    (report,) = import_bars(tmp_path / "A_1m.json", tmp_path / "root")
    assert f"{report.start:%H:%M}" == "14:30"


def test_dividends_beside_adjusted_prices_are_not_applied_twice(tmp_path):
    """The history of yfinance is adjusted, and tells of dividends and splits beside it."""
    rows = "".join(
        f"2022-01-{d:02} 00:00:00-05:00,99,101,98,100,9,{1.0 if d == 12 else 0.0},0.0\n"
        for d in range(10, 15)
    )
    for name, header in (
        ("A_1d.csv", "Date,Open,High,Low,Close,Volume,Dividends,Stock Splits\n"),
        ("B_1d.csv", "Date,Open,High,Low,Close,Volume,Dividends\n"),
    ):
        (tmp_path / name).write_text(header + (rows if "Splits" in header else rows.replace(",0.0\n", "\n")))
        (report,) = import_bars(tmp_path / name, tmp_path / "root")
        assert report.error is None
        assert "the file's dividends are not applied" in report.assumed["prices"]
        assert load_bars(tmp_path / "root", name[0], "1d").close.tolist() == [100.0] * 5


VOLUMES = {
    "an indicator of the volume": ("Volume,Volume MA", "{v},5", [0, 1, 2, 3]),
    "the volume in quote currency": ("volume,volume_usd", "{v},500", [0, 1, 2, 3]),
    "the volatility": ("volume,vol", "{v},0.2", [0, 1, 2, 3]),
    "up and down": ("Up,Down", "{v},1", [1, 2, 3, 4]),
}


@pytest.mark.parametrize("kind", VOLUMES)
def test_volumes(tmp_path, kind):
    header, row, volumes = VOLUMES[kind]
    rows = "".join(f"2022-01-0{v + 3},100,103,99,101,{row.format(v=v)}\n" for v in range(4))
    (tmp_path / "A_1d.csv").write_text(f"Date,Open,High,Low,Close,{header}\n{rows}")
    (report,) = import_bars(tmp_path / "A_1d.csv", tmp_path / "root")
    assert report.error is None
    assert load_bars(tmp_path / "root", "A", "1d").volume.tolist() == volumes


def test_prices_in_billionths(tmp_path):
    header = "ts_event,rtype,publisher_id,instrument_id,open,high,low,close,volume,symbol\n"
    rows = "".join(
        f"{1641220200 + 60 * i}000000000,33,1,1234,99710000000,100800000000,99550000000,100400000000,5,A\n"
        for i in range(3)
    )
    (tmp_path / "A_1m.csv").write_text(header + rows)
    (report,) = import_bars(tmp_path / "A_1m.csv", tmp_path / "root")
    assert report.assumed["scale"] == "prices multiplied by 1e-09, as Databento writes them"
    assert load_bars(tmp_path / "root", "A", "1m").open.tolist() == [99.71] * 3


REFUSED = {
    "years of two digits that leave it open": (HEADER + _rows(["22-01-03"]), "do not tell the day from the month and the year; pass --date-order dmy, mdy or ymd"),
    "a clock that is not understood": (HEADER.replace("Date", "Date,Time") + _rows([f"2022-01-0{d},morning {d}" for d in (3, 4)]), "the times of day in 'Time' are not understood"),
    "the month twice": (HEADER + _rows([*(f"2021-{m:02}-01" for m in range(1, 13)), "2021-12-17"]), "lies in the same bar of 1mo as the row before"),
    "a live row after days": (HEADER + _rows([*(f"2022-01-{d:02} 00:00:00" for d in range(3, 15)), "2022-01-15 15:37:12"]), "1 row of 13 off the grid; --repair"),
    "points and 32nds": (HEADER + _rows(["2022-01-03"], ",128'16,128'24,128'08,128'20,3"), "is not a number"),
    "several zones": (HEADER.replace("Date", "Date,tz") + _rows(["2022-01-03 09:30,EST", "2022-01-03 10:30,CST"]), "states several zones, 'CST', 'EST'"),
    "epochs that lost digits": (HEADER + _rows(["1.704067e+12", "1.704071e+12"]), "has too few digits to tell a time"),
    "an odd length": (HEADER + _rows([1_641_220_200 + 1000 * i for i in range(5)]), "rows are usually 1000 s apart, which is hardly the length of bars"),
}  # fmt: skip


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_refused(tmp_path, kind):
    text, message = REFUSED[kind]
    (tmp_path / "A.csv").write_text(text)
    (report,) = import_bars(tmp_path / "A.csv", tmp_path / "root")
    assert message in report.error


@pytest.mark.parametrize("kind", ["the month twice", "a live row after days"])
def test_repair_drops_the_unfinished_row(tmp_path, kind):
    (tmp_path / "A.csv").write_text(REFUSED[kind][0])
    (report,) = import_bars(tmp_path / "A.csv", tmp_path / "root", repair=True)
    assert (report.error, report.rows) == (None, 12 if kind == "the month twice" else 13)


def test_ids_that_went_through_a_float_column_name_assets(tmp_path):
    rows = "".join(
        f"2022-01-{d:02},{i}.0,{p},{p + 1},{p - 1},{p},5\n"
        for i, p, days in ((101, 100, range(3, 8)), (102, 900, range(10, 15)))
        for d in days
    )
    (tmp_path / "ES_1d.csv").write_text("date,instrument_id,open,high,low,close,volume\n" + rows)
    pl.read_csv(tmp_path / "ES_1d.csv").write_parquet(tmp_path / "ES_1d.parquet")
    reports = import_bars(tmp_path / "ES_1d.parquet", tmp_path / "root")
    assert [(report.asset, report.rows) for report in reports] == [("101", 5), ("102", 5)]


@pytest.mark.parametrize(
    ("row", "volume"), [("1641220200,2,3,1,2,2,7", 2.0), ("1641220200,2,3,1,2,2,7,4", 7.0)]
)
def test_the_average_price_is_told_by_the_eight_columns_of_kraken(tmp_path, row, volume):
    (tmp_path / "A_1m.csv").write_text(row + "\n")
    (report,) = import_bars(tmp_path / "A_1m.csv", tmp_path / "root")
    assert report.error is None
    assert load_bars(tmp_path / "root", "A", "1m").volume.tolist() == [volume]


def test_a_part_of_a_volume_that_is_absent_is_an_absent_volume(tmp_path):
    (tmp_path / "A_1d.csv").write_text(
        "Date,Open,High,Low,Close,Up,Down\n2022-01-03,100,103,99,101,5,\n2022-01-04,100,103,99,101,5,4\n"
    )
    (report,) = import_bars(tmp_path / "A_1d.csv", tmp_path / "root")
    assert "row 0, column 'volume': has no volume; 1 row of 2" in report.error


def test_the_chosen_zone_goes_before_a_stated_one(tmp_path):
    (tmp_path / "A_1h.csv").write_text(
        HEADER.replace("Date", "Date,zone") + _rows(["2022-01-03 09:30,north"])
    )
    (report,) = import_bars(tmp_path / "A_1h.csv", tmp_path / "root")
    assert "states a zone that is not known; pass --timezone" in report.error
    (report,) = import_bars(tmp_path / "A_1h.csv", tmp_path / "root", timezone="America/New_York")
    assert f"{report.start:%H:%M}" == "14:30"
