"""Which asset, and which zone, a file's rows belong to."""

from __future__ import annotations

import gzip
import json

import pytest

from backtune.data.catalog import Catalog
from backtune.data.ingest.importer import import_bars
from backtune.data.load import load_bars
from backtune.spec.timeframe import Timeframe

HEADER = "time,open,high,low,close,volume\n"


def _rows(first, n, price=2):
    return "".join(
        f"2022-01-{day:02},{price},{price + 1},{price - 1},{price},5\n" for day in range(first, first + n)
    )


@pytest.mark.parametrize(
    "column", ["symbol", "Ticker", "Name", "instrument_id", "<TICKER>", "contract", "ts_code"]
)
@pytest.mark.parametrize("stacked", [True, False])
def test_a_column_of_symbols_splits_a_file(tmp_path, column, stacked):
    rows = {"AAA": _rows(3, 5), "BBB.X": _rows(3, 5, price=20)}
    lines = [f"{symbol},{row}" for symbol, text in rows.items() for row in text.splitlines()]
    if not stacked:
        lines.sort(key=lambda line: line.split(",")[1])
    (tmp_path / "all_stocks_1d.csv").write_text(f"{column},{HEADER}" + "\n".join(lines))
    reports = import_bars(tmp_path / "all_stocks_1d.csv", tmp_path / "root")
    assert [(report.asset, report.rows, report.error) for report in reports] == [
        ("AAA", 5, None),
        ("BBB.X", 5, None),
    ]
    assert load_bars(tmp_path / "root", "BBB.X", "1d").close.tolist() == [20.0] * 5


def test_one_broken_asset_of_a_file_costs_the_others_nothing(tmp_path):
    text = HEADER.replace("time", "symbol,time")
    text += "".join(f"AAA,{row}\n" for row in _rows(3, 3).splitlines())
    text += "".join(f"BAD,{row}\n" for row in _rows(3, 3).replace(",3,1,", ",1,3,").splitlines())
    text += "".join(f"^CC,{row}\n" for row in _rows(3, 3).splitlines())
    (tmp_path / "x_1d.csv").write_text(text)
    reports = import_bars(tmp_path / "x_1d.csv", tmp_path / "root")
    assert [report.error is None for report in reports] == [True, False, False]
    assert "row 3, column 'high': high is below low" in reports[1].error
    assert reports[2].error.startswith(f"{tmp_path / 'x_1d.csv'}: '^CC' cannot name an asset")
    assert Catalog.open(tmp_path / "root").assets() == ["AAA"]


def test_one_name_for_several_assets_is_refused(tmp_path):
    (tmp_path / "x_1d.csv").write_text(
        HEADER.replace("time", "symbol,time") + f"A,{_rows(3, 1)}B,{_rows(3, 1)}"
    )
    (report,) = import_bars(tmp_path / "x_1d.csv", tmp_path / "root", asset="MINE")
    assert "holds 2 assets (A, B), which --asset MINE would make one" in report.error


def test_one_symbol_names_a_file_whose_name_does_not(tmp_path):
    (tmp_path / "2022-01-03.csv").write_text(HEADER.replace("time", "symbol,time") + f"BTC/USD,{_rows(3, 1)}")
    (report,) = import_bars(tmp_path / "2022-01-03.csv", tmp_path / "root", timeframe="1d")
    assert (report.asset, report.error) == ("BTCUSD", None)


def test_bars_of_several_lengths_are_refused(tmp_path):
    text = HEADER.replace("time", "<PER>,time") + f"D,{_rows(3, 1)}60,{_rows(4, 1)}"
    (tmp_path / "A.csv").write_text(text)
    (report,) = import_bars(tmp_path / "A.csv", tmp_path / "root")
    assert "column '<PER>': holds bars of several lengths, '60', 'D'; split it" in report.error


# names of a first and of a second file: True if the second has to be meant.
SECOND = {
    ("BTCUSDT-1h-2024-01.csv", "BTCUSDT-1h-2024-02.csv"): False,
    ("BTCUSDT-1h-2024-01.csv", "BTCUSDT-1h-2024-02-03.csv"): False,
    ("BTCUSDT_1h.csv", "BTCUSDT-1h-2024-02.csv.gz"): False,
    ("BTCUSDT_1h.csv", "BTCUSDT_1h (1).csv"): False,
    ("BTCUSDT.csv", "BTCUSDT_1h.csv"): False,
    ("BTCUSDT.csv", "BTCUSDT_H1.csv"): False,
    ("BTCUSDT_1h.csv", "HistoricalData_BTCUSDT.csv"): True,
    ("BTCUSDT-1h-2024-01.csv", "Binance_BTCUSDT_1h.csv"): True,
    ("BTCUSDT_1h_bid.csv", "BTCUSDT_1h_ask.csv"): True,
    ("BTCUSDT_1h.csv", "BTCUSDT_1h_adjusted.csv"): True,
}


@pytest.mark.parametrize(("first", "second"), SECOND)
def test_a_second_name_has_to_be_meant(tmp_path, first, second):
    for name, text in ((first, _rows(3, 3)), (second, _rows(8, 3))):
        content = (HEADER + text).encode()
        (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    import_bars(tmp_path / first, tmp_path / "root", timeframe="1d")
    (report,) = import_bars(tmp_path / second, tmp_path / "root", timeframe="1d")
    if SECOND[first, second]:
        assert f"BTCUSDT 1d has bars from files named like {first!r}; pass --asset BTCUSDT" in report.error
        (report,) = import_bars(tmp_path / second, tmp_path / "root", timeframe="1d", asset="BTCUSDT")
    assert report.error is None
    assert len(load_bars(tmp_path / "root", "BTCUSDT", "1d")) == 6


def test_every_assumption_is_kept_in_the_manifest(tmp_path):
    (tmp_path / "ACME.csv").write_text("date;open;high;low;close;volume\n" + _rows(3, 3).replace(",", ";"))
    (report,) = import_bars(tmp_path / "ACME.csv", tmp_path / "root", timezone="America/New_York")
    (source,) = Catalog.open(tmp_path / "root").sources("ACME", Timeframe.parse("1d"))
    assert source.name == "ACME.csv"
    assert source.rows == 3
    assert len(source.sha256) == 64
    assert dict(source.assumed) == dict(report.assumed)
    assert set(source.assumed) == {"time", "zone", "label", "timeframe", "prices", "volume", "calendar"}
    document = json.loads((tmp_path / "root" / "manifest.json").read_text())
    assert list(document["sources"]) == ["asset=ACME/timeframe=1d"]
    assert str(tmp_path) not in (tmp_path / "root" / "manifest.json").read_text()


def test_a_dry_run_writes_nothing_and_shows_the_first_rows(tmp_path):
    (tmp_path / "ACME.csv").write_text(HEADER + _rows(3, 6))
    (report,) = import_bars(tmp_path / "ACME.csv", tmp_path / "root", dry_run=True)
    assert report.error is None
    assert [f"{time:%d}" for time in report.preview["timestamp"]] == ["03", "04", "05", "08"]
    assert not (tmp_path / "root").exists()


ZONES = {
    "no zone": ({}, "2022-07-01 09:30", "2022-07-01 09:30", "taken as UTC, for they carry no zone"),
    "New York in summer": ({"timezone": "America/New_York"}, "2022-07-01 09:30", "2022-07-01 13:30", "America/New_York"),
    "New York in winter": ({"timezone": "America/New_York"}, "2022-01-03 09:30", "2022-01-03 14:30", "America/New_York"),
    "Eastern Standard Time all year": ({"timezone": "EST"}, "2022-07-01 09:30", "2022-07-01 14:30", "EST"),
    "an offset": ({"timezone": "UTC+05:30"}, "2022-07-01 09:15", "2022-07-01 03:45", "UTC+05:30"),
    "Mumbai": ({"timezone": "Asia/Kolkata"}, "2022-07-01 09:15", "2022-07-01 03:45", "Asia/Kolkata"),
    "the file's own offset wins": ({"timezone": "Asia/Kolkata"}, "2022-07-01 09:15+02:00", "2022-07-01 07:15", "offsets of their own"),
}  # fmt: skip


@pytest.mark.parametrize("kind", ZONES)
def test_zones(tmp_path, kind):
    options, time, utc, said = ZONES[kind]
    (tmp_path / "A_1m.csv").write_text(HEADER + f"{time},2,3,1,2,5\n")
    (report,) = import_bars(tmp_path / "A_1m.csv", tmp_path / "root", **options)
    assert report.error is None
    assert f"{report.start:%Y-%m-%d %H:%M}" == utc
    assert report.assumed["zone"] == said


def test_an_hour_that_clocks_show_twice(tmp_path):
    clocks = ["00:30", "01:00", "01:30", "01:00", "01:30", "02:00"]
    text = HEADER + "".join(f"2022-11-06 {clock},2,3,1,2,5\n" for clock in clocks)
    for name, content in (
        ("A_30m.csv", text),
        ("B_30m.csv", "\n".join([text.splitlines()[0], *reversed(text.splitlines()[1:])])),
    ):
        (tmp_path / name).write_text(content)
        (report,) = import_bars(tmp_path / name, tmp_path / "root", timezone="America/New_York")
        assert report.error is None
        opens = load_bars(tmp_path / "root", name[0], "30m").to_frame()["timestamp"]
        assert [f"{time:%H:%M}" for time in opens] == ["04:30", "05:00", "05:30", "06:00", "06:30", "07:00"]


def test_an_hour_that_clocks_skip(tmp_path):
    (tmp_path / "A_30m.csv").write_text(HEADER + "2022-03-13 02:30,2,3,1,2,5\n")
    (report,) = import_bars(tmp_path / "A_30m.csv", tmp_path / "root", timezone="America/New_York")
    assert "2022-03-13 02:30 does not exist in America/New_York, where the clocks skip it" in report.error


def test_dates_are_session_days_in_any_zone(tmp_path):
    (tmp_path / "A_1d.csv").write_text(HEADER + _rows(3, 3))
    (report,) = import_bars(tmp_path / "A_1d.csv", tmp_path / "root", timezone="Asia/Kolkata")
    assert report.start.isoformat() == "2022-01-03T00:00:00+00:00"
    assert report.assumed["zone"] == "dates, at 00:00 UTC"


@pytest.mark.parametrize("zone", ["Mars/Olympus", "", "UTC+99", "../etc/passwd"])
def test_what_is_no_zone(tmp_path, zone):
    from backtune.errors import SpecError

    (tmp_path / "A_1d.csv").write_text(HEADER + _rows(3, 3))
    with pytest.raises(SpecError, match="is not a time zone"):
        import_bars(tmp_path / "A_1d.csv", tmp_path / "root", timezone=zone)
