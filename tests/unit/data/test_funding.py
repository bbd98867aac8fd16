"""Funding payments: out of files, in a catalog, beside the bars."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from backtune.data.bars import Bars
from backtune.data.catalog import Catalog
from backtune.data.check import check_catalog
from backtune.data.funding import RATES, rates_at_opens
from backtune.data.ingest.importer import import_funding
from backtune.data.load import BarsRef, load_bars
from backtune.errors import BarsError, CatalogError, FingerprintError

NEW_YEAR = datetime(2018, 1, 1, tzinfo=UTC)
PATH_2018 = "asset=BTCUSD/funding/year=2018/rates.parquet"


def _rates(payments: dict[float, float]) -> pl.DataFrame:
    """Rates by hours after the new year of 2018."""
    times = [NEW_YEAR + timedelta(hours=hours) for hours in payments]
    return pl.DataFrame({"timestamp": times, "rate": list(payments.values())}, schema=RATES)


@pytest.fixture
def root(tmp_path, make_frame) -> Path:
    """Hourly bars of BTCUSD from 22:00 before the new year to 09:00, without those of 03:00 and 04:00."""
    minutes = [60 * hour for hour in range(-2, 9) if hour not in (3, 4)]
    Catalog.open_or_create(tmp_path / "market").write("BTCUSD", "1h", make_frame(minutes))
    return tmp_path / "market"


@pytest.mark.parametrize(
    ("payments", "expected"),
    [
        ({}, [0, 0, 0, 0]),
        ({0: 0.5}, [0.5, 0, 0, 0]),  # at the first open
        ({-0.01: 0.5}, [0, 0, 0, 0]),  # before the first
        ({0.01: 0.5}, [0, 0.5, 0, 0]),  # between two: to the next
        ({1: 0.5}, [0, 0.5, 0, 0]),  # at an open
        ({1.25: 0.5, 1.5: 0.25, 2: -0.125}, [0, 0, 0.625, 0]),  # several add up
        ({2.5: 0.5, 4.5: 0.25}, [0, 0, 0, 0.75]),  # in a gap, to the bar after it
        ({5: 0.5}, [0, 0, 0, 0.5]),  # at the last open
        ({5.01: 0.5, 6: 0.25}, [0, 0, 0, 0]),  # after the last
    ],
)
def test_which_bar_pays(payments, expected):
    opens = np.array([0, 1, 2, 5]) * 3_600_000_000 + int(NEW_YEAR.timestamp()) * 1_000_000
    funding = rates_at_opens(_rates(payments), opens)
    assert funding.dtype == np.float64
    assert funding.tolist() == expected
    assert not funding.flags.writeable


PAYMENTS = {-8: 0.5, -2: 0.25, -1.5: 0.125, 0: -0.5, 3: 0.25, 4.5: 0.125, 8: 0.5, 16: 0.0625}


@pytest.mark.parametrize(
    ("timeframe", "start", "end", "expected"),
    [
        #                      22:00 23:00    0 1 2      5     6 7    8
        ("1h", None, None, [0.25, 0.125, -0.5, 0, 0, 0.375, 0, 0, 0.5]),
        ("1h", "2018-01-01", None, [-0.5, 0, 0, 0.375, 0, 0, 0.5]),
        ("1h", "2018-01-01T06:00", "2018-01-01T08:00", [0, 0]),  # between two payments
        #               22:00      0  2      4     6    8
        ("2h", None, None, [0.25, -0.375, 0, 0.25, 0.125, 0.5]),
        ("2h", "2018-01-01", "2018-01-01T06:00", [-0.5, 0, 0.25]),
        #                  16:00      0    8
        ("8h", None, None, [0.5, -0.125, 0.875]),
    ],
)
def test_beside_the_bars(root, timeframe, start, end, expected):
    Catalog.open(root).write("BTCUSD", None, _rates(PAYMENTS))
    bars = load_bars(root, "BTCUSD", timeframe, start, end, funding=True)
    assert bars.funding is not None
    assert bars.funding.tolist() == expected
    assert load_bars(root, "BTCUSD", timeframe, start, end).funding is None


def test_layout_manifest_and_merge(root):
    catalog = Catalog.open(root)
    written = catalog.write("BTCUSD", None, _rates({-8: 0.5, 0: 0.25}))
    assert [(p.path, p.rows) for p in written] == [(PATH_2018.replace("2018", "2017"), 1), (PATH_2018, 1)]
    assert catalog.write("BTCUSD", None, _rates({0: 0.25})) == []
    with pytest.raises(BarsError, match=r"is 0\.125 at 2018-01-01T00:00:00Z, the catalog has 0\.25"):
        catalog.write("BTCUSD", None, _rates({0: 0.125, 8: 0.5}))
    catalog.write("BTCUSD", None, _rates({0: 0.125, 8: 0.5}), replace=True)
    reopened = Catalog.open(root)
    assert pl.read_parquet(root / PATH_2018).equals(_rates({0: 0.125, 8: 0.5}))
    assert [p.rows for p in reopened.funding("BTCUSD")] == [1, 2]
    assert reopened.assets() == reopened.assets_with_funding() == ["BTCUSD"]
    assert [str(timeframe) for timeframe in reopened.timeframes("BTCUSD")] == ["1h"]


def test_an_asset_without_funding_says_how_to_import_some(root):
    with pytest.raises(CatalogError, match="data import FILE --funding --asset BTCUSD --root"):
        load_bars(root, "BTCUSD", "1h", funding=True)
    Catalog.open(root).write("OTHER", None, _rates({0: 0.5}))
    with pytest.raises(CatalogError, match="BTCUSD has no funding payments; bring some in"):
        load_bars(root, "BTCUSD", "1h", funding=True)
    assert Catalog.open(root).assets() == ["BTCUSD"]
    with pytest.raises(CatalogError, match="no asset 'OTHER'"):
        load_bars(root, "OTHER", "1h")


@pytest.mark.parametrize("payments", [{-9: 0.5, -3: 0.5}, {8.5: 0.5, 16: 0.5}])
def test_bars_that_no_payment_reaches_are_not_taken_for_free(root, payments):
    Catalog.open(root).write("BTCUSD", None, _rates(payments))
    with pytest.raises(CatalogError, match=r"no funding payments in 2017-12-31T22:00:00Z to .* from 201"):
        load_bars(root, "BTCUSD", "1h", funding=True)


def test_the_fingerprint_covers_funding_where_it_is_used(root):
    def fingerprints(start=None, end=None):
        catalog = Catalog.open(root)
        return [catalog.fingerprint("BTCUSD", "1h", start, end, funding=paid) for paid in (False, True)]

    plain = Catalog.open(root).fingerprint("BTCUSD", "1h")
    Catalog.open(root).write("BTCUSD", None, _rates({-8: 0.5, 0: 0.25}))
    before, earlier = fingerprints(), fingerprints(None, "2018-01-01")
    assert before[0] == plain != before[1]
    ref = BarsRef(str(root), "BTCUSD", "1h", None, None, "24/7", before[0])
    assert replace(ref, fingerprint=before[1], funding=True).load().funding is not None
    assert ref.load().funding is None
    Catalog.open(root).write("BTCUSD", None, _rates({8: 0.25}))
    after = fingerprints()
    assert after[0] == plain
    assert after[1] != before[1]
    assert fingerprints(None, "2018-01-01") == earlier
    with pytest.raises(FingerprintError, match="the data changed meanwhile"):
        replace(ref, start="2017-12-31", fingerprint=before[1], funding=True).load()


LAYOUTS = {
    "plain": "timestamp,rate\n2018-01-01T00:00:00Z,0.0001\n2018-01-01T08:00:00Z,-0.0002\n",
    "Binance": (
        "symbol,fundingTime,fundingRate,markPrice\n"
        "BTCUSDT,1514764800000,0.0001,1\nBTCUSDT,1514793600000,-0.0002,1\n"
    ),
    "Binance's archive": (
        "calc_time,funding_interval_hours,last_funding_rate\n"
        "1514764800000,8,0.0001\n1514793600000,8,-0.0002\n"
    ),
    "capitals, semicolons, date and time": (
        "Date;Time;FUNDING_RATE\n2018-01-01;00:00;0,0001\n2018-01-01;08:00;-0,0002\n"
    ),
    "newest first": "time,Funding\n2018-01-01 08:00,-0.0002\n2018-01-01 00:00,0.0001\n",
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_import(tmp_path, write_file, layout):
    (report,) = import_funding(write_file("BTCUSD_funding.csv", LAYOUTS[layout]), tmp_path / "market")
    assert report.error is None
    assert (report.asset, report.timeframe, report.rows) == ("BTCUSD", "funding", 2)
    assert (report.start, report.end) == (NEW_YEAR, NEW_YEAR + timedelta(hours=8))
    assert "the catalog has no bars of BTCUSD yet" in report.notes
    assert pl.read_parquet(tmp_path / "market" / PATH_2018).equals(_rates({0: 0.0001, 8: -0.0002}))


def test_import_of_parquet_and_again(tmp_path):
    file = tmp_path / "x.parquet"
    _rates({0: 0.5, 8: 0.25}).rename({"rate": "fundingRate"}).write_parquet(file)
    root = tmp_path / "market"
    (report,) = import_funding(file, root, asset="BTCUSD")
    assert (report.error, report.rows) == (None, 2)
    (again,) = import_funding(file, root, asset="BTCUSD")
    assert "the catalog has these payments already" in again.notes


@pytest.mark.parametrize(
    ("name", "asset"),
    [
        ("BTCUSD_funding.csv", "BTCUSD"),
        ("BTCUSDT-fundingRate-2020-01.csv", "BTCUSDT"),
        ("binance_ETH-USD_funding_rates.csv", "ETH-USD"),
        ("funding-SOLUSD.csv", "SOLUSD"),
        ("XBTUSD.csv", "XBTUSD"),
    ],
)
def test_the_name_tells_the_asset(tmp_path, write_file, name, asset):
    (report,) = import_funding(write_file(name, LAYOUTS["plain"]), tmp_path / "market")
    assert (report.asset, report.error) == (asset, None)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("0,0.1\n8,1.0", "row 1, column 'rate': a rate must be a fraction above -1 and below 1"),
        ("0,-2\n8,0.1", "row 0, column 'rate': a rate must be a fraction above -1 and below 1"),
        ("0,0.1\n8,nan", "row 1, column 'rate': is not a finite number"),
        ("0,0.1\n8,", "row 1, column 'rate': is not a finite number"),
        ("0,0.1\n8,1%", "row 1, column 'rate': '1%' is not a number"),
        ("0,0.1\n0,0.2", "row 1, column 'timestamp': the time is that of the row before"),
        ("0,0.1\n8,0.1\n4,0.1", "row 2, column 'timestamp': the time is before that of the row before"),
    ],
)
def test_a_bad_row_is_named_and_nothing_is_imported(tmp_path, write_file, rows, message):
    lines = [f"2018-01-01 {int(hour):02}:00,{rate}" for hour, rate in (r.split(",") for r in rows.split())]
    file = write_file("BTCUSD.csv", "\n".join(["time,rate", *lines]))
    (report,) = import_funding(file, tmp_path / "market")
    assert report.error is not None
    assert report.error.startswith(f"{file}, {message}")
    assert not (tmp_path / "market").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("time,price\n2018-01-01,0.1\n", "no column for rate among 'time', 'price'; rename one to 'rate'"),
        ("when,rate\n2018-01-01,0.1\n", "no column for timestamp among 'when', 'rate'"),
        ("2018-01-01,0.1\n", "has no header; put a line such as timestamp,rate on top"),
    ],
)
def test_a_file_without_the_columns(tmp_path, write_file, text, message):
    (report,) = import_funding(write_file("BTCUSD.csv", text), tmp_path / "market")
    assert message in (report.error or "")


def test_repair_sorts_and_drops_exact_duplicates(tmp_path, write_file):
    rows = "time,rate\n2018-01-01 08:00,0.25\n2018-01-01 00:00,0.5\n2018-01-01 08:00,0.25\n"
    (report,) = import_funding(write_file("BTCUSD.csv", rows), tmp_path, repair=True)
    assert report.notes[:2] == (
        "dropped 1 exact duplicate", "sorted: 1 row older than the row before",
    )  # fmt: skip
    assert pl.read_parquet(tmp_path / PATH_2018).equals(_rates({0: 0.5, 8: 0.25}))


def test_a_flipped_bit_is_noticed(root):
    Catalog.open(root).write("BTCUSD", None, _rates(PAYMENTS))
    assert [report.problem for report in check_catalog(root)] == [None] * 4
    content = bytearray((root / PATH_2018).read_bytes())
    content[len(content) // 2] ^= 1
    (root / PATH_2018).write_bytes(content)
    problems = {report.path: report.problem for report in check_catalog(root) if report.problem}
    assert list(problems) == [PATH_2018]
    assert "SHA-256 is" in problems[PATH_2018]
    with pytest.raises(FingerprintError, match=PATH_2018):
        load_bars(root, "BTCUSD", "1h", funding=True)


class TestFrame:
    def test_a_column_of_rates_is_taken(self, make_frame):
        frame = make_frame(range(3)).with_columns(pl.Series("funding", [0.0, 0.5, -0.25]))
        for given in (frame, frame.to_pandas()):
            bars = Bars.from_frame(given)
            assert bars.funding is not None
            assert bars.funding.tolist() == [0.0, 0.5, -0.25]
            assert not bars.funding.flags.writeable
            assert bars.to_frame().equals(frame)

    @pytest.mark.parametrize("rate", [None, float("nan"), float("inf")])
    def test_a_rate_that_is_none_is_named(self, make_frame, rate):
        frame = make_frame(range(3)).with_columns(pl.Series("funding", [0.0, rate, 0.0]))
        with pytest.raises(BarsError, match="is not a finite number") as caught:
            Bars.from_frame(frame)
        assert (caught.value.row, caught.value.column) == (1, "funding")
