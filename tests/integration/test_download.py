"""``backtune data download`` with ccxt's own classes, against a local server that speaks three exchanges' dialects."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from exchange_server import DAY, HOUR, Fault, Row, made_bar, seconds, serving
from exchange_server import Exchange as Server
from pages import blocks, commands
from typer.testing import CliRunner

from backtune.cli import app
from backtune.data.catalog import Catalog
from backtune.data.check import check_catalog
from backtune.data.download.downloader import DownloadReport, download_bars, download_funding
from backtune.data.download.exchange import Exchange
from backtune.data.download.retries import RetryPolicy
from backtune.data.download.stopping import StopRequest
from backtune.data.funding import RATES
from backtune.data.load import load_bars
from backtune.data.schema import SCHEMA
from backtune.errors import DownloadError, SpecError

pytest.importorskip("ccxt", reason="ccxt is not installed: pip install 'backtune[download]'")

QUICK = RetryPolicy(tries=4, first_seconds=0.01, longest_seconds=0.02)
SPOT, SWAP = "BTC/USDT", "BTC/USDT:USDT"
NOON = seconds("2024-03-01") + 12 * HOUR


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as exchange:
        exchange.now = NOON + 1830
        yield exchange


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "market"


def _opened(server: Server, name: str = "binance", **options: Any) -> Exchange:
    return Exchange(name, url=server.url, limit_rate=False, **{"retries": QUICK, **options})


def _get(
    server: Server, root: Path, name: str = "binance", symbol: str = SPOT, timeframe: str = "1h",
    start: str = "2024-01-01", *, stop: StopRequest | None = None, on_progress: Callable[[Any], None] | None = None,
    timeout_seconds: float = 20, retries: RetryPolicy = QUICK, **options: Any,
) -> DownloadReport:  # fmt: skip
    with closing(
        _opened(server, name, stop=stop, timeout_seconds=timeout_seconds, retries=retries)
    ) as exchange:
        (report,) = download_bars(
            exchange,
            symbol,
            root,
            timeframe=timeframe,
            start=start,
            stop=stop,
            on_progress=on_progress,
            **options,
        )
    return report


def _made(
    server: Server, length: int = HOUR, start: str = "2024-01-01", end: float | None = None
) -> pl.DataFrame:
    """The finished bars of the server in the schema."""
    end = server.now if end is None else end
    rows = [r for r in server.rows("BTCUSDT", length, seconds(start), int(end)) if r[0] + length <= end]
    return _frame(rows)


def _frame(rows: list[Row]) -> pl.DataFrame:
    times = pl.Series("timestamp", [row[0] * 1_000_000 for row in rows], dtype=pl.Int64).cast(
        SCHEMA["timestamp"]
    )
    return pl.DataFrame({
        "timestamp": times,
        **{name: [float(row[i]) for row in rows] for i, name in enumerate(SCHEMA.names()[1:], start=1)},
    }, schema=SCHEMA)  # fmt: skip


def _stored(root: Path, asset: str = "BTCUSDT", timeframe: str = "1h") -> pl.DataFrame:
    return load_bars(root, asset, timeframe).to_frame()


def _hashes(root: Path) -> dict[str, str]:
    return {p.path: p.sha256 for p in Catalog.open(root).all_partitions()}


def _rates(root: Path, asset: str = "BTCUSDT.P") -> pl.DataFrame:
    files = [p for p in Catalog.open(root).all_partitions() if p.asset == asset and p.timeframe is None]
    return pl.concat([RATES.to_frame(), *(pl.read_parquet(root / p.path) for p in files)])


# --- undisturbed ---


@pytest.mark.parametrize(
    ("name", "symbol", "timeframe", "start", "asset", "n_pages"),
    [
        ("binance", SPOT, "1h", "2024-01-01", "BTCUSDT", 2),
        ("binance", SPOT, "1m", "2024-02-28", "BTCUSDT", 4),
        ("binance", SWAP, "1h", "2024-01-01", "BTCUSDT.P", 3),
        ("bybit", SPOT, "1h", "2024-01-01", "BTCUSDT", 2),
        ("bybit", SWAP, "15m", "2024-02-01", "BTCUSDT.P", 3),
        ("bybit", SWAP, "1d", "2023-01-01", "BTCUSDT.P", 1),
        ("kraken", SPOT, "1h", "2024-02-10", "BTCUSDT", 1),
    ],
)
def test_bars_of_three_dialects(server, root, name, symbol, timeframe, start, asset, n_pages):
    report = _get(server, root, name, symbol, timeframe, start)
    expected = _made(server, {"1m": 60, "15m": 900, "1h": HOUR, "1d": DAY}[timeframe], start)
    assert report.error is None
    assert (report.status, report.asset, report.rows, report.new) == (
        "complete",
        asset,
        expected.height,
        expected.height,
    )
    assert report.ccxt_version
    assert _stored(root, asset, timeframe).equals(expected)
    assert len(server.pages()) == report.n_requests == n_pages
    assert f"the bar of {report.end:%Y-%m-%dT%H:%M:%SZ} is not finished and left out" in report.notes


def test_literal_bars(server, root):
    _get(server, root, start="2024-02-29", end="2024-02-29T02:00")
    assert _stored(root).rows() == [
        (datetime(2024, 2, 29, 0, tzinfo=UTC), *map(float, made_bar("BTCUSDT", HOUR, 1709164800, 2e9)[1:])),
        (datetime(2024, 2, 29, 1, tzinfo=UTC), *map(float, made_bar("BTCUSDT", HOUR, 1709168400, 2e9)[1:])),
    ]
    assert made_bar("BTCUSDT", HOUR, 1709164800, 2e9) == (
        1709164800, "1342.5000", "1344.5000", "1341.0000", "1342.2500", "29.000000",
    )  # fmt: skip


def test_bars_lie_wholly_in_the_span(server, root):
    report = _get(server, root, start="2024-02-01T00:30", end="2024-02-01T05:30")
    assert (report.start, report.end) == (
        datetime(2024, 2, 1, 1, tzinfo=UTC),
        datetime(2024, 2, 1, 5, tzinfo=UTC),
    )


def test_several_symbols_timeframes_and_funding(server, root):
    with closing(_opened(server)) as exchange:
        reports = download_bars(
            exchange, [SWAP, "ETH/USDT:USDT"], root, timeframe=["1h", "1d"], start="2024-02-01", funding=True
        )
    assert [(r.asset, r.timeframe, r.rows) for r in reports] == [
        ("BTCUSDT.P", "1h", 708), ("ETHUSDT.P", "1h", 708), ("BTCUSDT.P", "1d", 29), ("ETHUSDT.P", "1d", 29),
        ("BTCUSDT.P", "funding", 89), ("ETHUSDT.P", "funding", 89),
    ]  # fmt: skip
    assert load_bars(root, "BTCUSDT.P", "1h", funding=True).funding[:9].tolist() == [
        float(server.payments(seconds("2024-02-01"), NOON)[k // 8][1]) if k % 8 == 0 else 0.0
        for k in range(9)
    ]


# --- what is stored already ---


def test_what_is_stored_is_not_fetched_again(server, root):
    first = _get(server, root, end="2024-02-20")
    server.requests.clear()
    second = _get(server, root)
    assert (first.new, second.new, second.rows) == (1200, 252, 1452)
    assert [query["startTime"] for query in server.pages()] == [str(seconds("2024-02-19T22:00") * 1000)]
    server.requests.clear()
    third = _get(server, root)
    assert (third.new, third.status) == (0, "complete")
    assert "the catalog has these rows already" in third.notes
    assert [query["limit"] for query in server.pages()] == ["3"]
    server.requests.clear()
    assert _get(server, root, end="2024-02-20").new == 0
    assert server.pages() == []
    assert _stored(root).equals(_made(server))


def test_holes_are_filled_with_no_more_pages_than_a_new_download_has(server, root):
    whole = _made(server)
    catalog = Catalog.open_or_create(root)
    catalog.write("BTCUSDT", "1h", whole.filter(pl.int_range(pl.len()) % 100 != 7))
    report = _get(server, root)
    assert (report.new, report.status) == (15, "complete")
    assert len(server.pages()) == 2
    assert _stored(root).equals(whole)


def test_a_bar_that_is_unfinished_comes_when_it_is(server, root):
    assert _get(server, root).end == datetime(2024, 3, 1, 12, tzinfo=UTC)
    server.now += HOUR
    report = _get(server, root)
    assert (report.new, report.end) == (1, datetime(2024, 3, 1, 13, tzinfo=UTC))
    assert _stored(root).equals(_made(server))


@pytest.mark.parametrize("replaces", [False, True])
def test_a_last_bar_that_another_program_stored_unfinished(server, root, replaces):
    unfinished = _frame(server.rows("BTCUSDT", HOUR, NOON, NOON + HOUR))
    server.now += 5 * HOUR
    Catalog.open_or_create(root).write("BTCUSDT", "1h", unfinished)
    report = _get(server, root, start="2024-02-29", replace=replaces)
    theirs, ours = _made(server, start="2024-03-01T12:00")["high"][0], unfinished["high"][0]
    difference = f"high is {theirs} at 2024-03-01T12:00:00Z, the catalog had {ours}"
    if replaces:
        assert (report.status, report.changed) == ("complete", 1)
        assert f"1 rows replaced, the first: {difference}" in report.notes
        assert _stored(root).equals(_made(server, start="2024-02-29"))
    else:
        assert (report.status, report.changed) == ("failed", 0)
        assert difference in report.error
        assert "--replace takes the exchange's values" in report.error
        kept = _stored(root)
        assert kept.height == _made(server, start="2024-02-29").height
        assert kept.filter(pl.col("timestamp") == unfinished["timestamp"][0]).equals(unfinished)


def test_replacing_fetches_all_again(server, root):
    Catalog.open_or_create(root).write("BTCUSDT", "1h", _made(server).with_columns(volume=pl.lit(0.5)))
    assert _get(server, root, replace=True).changed == 1452
    assert _stored(root).equals(_made(server))


def test_a_damaged_file_stops_it_unless_it_is_replaced(server, root):
    _get(server, root)
    (file,) = root.rglob("*.parquet")
    file.write_bytes(b"damaged" + file.read_bytes())
    report = _get(server, root)
    assert report.status == "failed"
    assert "the file was changed or damaged" in report.error
    assert _get(server, root, replace=True).status == "complete"
    assert _stored(root).equals(_made(server))


# --- faults ---

BODY_429 = '{"code":-1003,"msg":"Too many requests."}'
FAULTS = {
    "429": Fault(429, body=BODY_429),
    "429 with seconds": Fault(429, {"Retry-After": "0"}, BODY_429),
    "429 with a date": Fault(429, {"Retry-After": format_datetime(datetime.now(UTC), usegmt=True)}, BODY_429),
    "429 with nonsense": Fault(429, {"Retry-After": "soon"}, BODY_429),
    "418": Fault(418, {"Retry-After": "0"}, BODY_429),
    "500": Fault(500),
    "500 with a code": Fault(500, body='{"code":-1000,"msg":"An unknown error occured."}'),
    "502 of a proxy": Fault(502, body="<html>Bad gateway</html>"),
    "503": Fault(503, {"Retry-After": "0"}, "Service Unavailable"),
    "504": Fault(504, body=""),
    "reset in the middle": Fault(cut="reset"),
    "JSON cut off": Fault(cut="truncated"),
    "a page of a proxy as if it were the answer": Fault(200, body="<html>Checking your browser</html>"),
    "nothing": Fault(200, body=""),
    "another document": Fault(200, body='{"unexpected": [1]}'),
    "an empty page": Fault(edit=lambda _rows: []),
    "an older page": Fault(edit=lambda rows: [(r[0] - 2000 * HOUR, *r[1:]) for r in rows]),
    "a page that shrinks": Fault(edit=lambda rows: rows[:3]),
    "a page with its last rows alone": Fault(edit=lambda rows: rows[-2:]),
    "a page out of order": Fault(edit=lambda rows: rows[::2] + rows[1::2]),
    "a page that repeats rows": Fault(edit=lambda rows: rows[:9] + rows[5:]),
    "a page that begins before it should": Fault(
        edit=lambda rows: [made_bar("BTCUSDT", HOUR, rows[0][0] - k * HOUR, 2e9) for k in (3, 2, 1)] + rows
    ),
}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> dict[str, str]:
    root = tmp_path_factory.mktemp("undisturbed")
    with serving() as server:
        server.now = NOON + 1830
        assert _get(server, root).status == "complete"
    return _hashes(root)


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_leave_the_bars_of_an_undisturbed_download(server, root, undisturbed, fault):
    server.faults = [None, FAULTS[fault], FAULTS[fault]] if "page" not in fault else [None, FAULTS[fault]]
    report = _get(server, root)
    assert (report.status, report.error) == ("complete", None)
    assert _hashes(root) == undisturbed


@pytest.mark.parametrize(
    ("timeframe", "length", "start"), [("1h", HOUR, "2024-01-01"), ("1m", 60, "2024-02-28")]
)
def test_a_page_further_on_is_no_gap(server, root, timeframe, length, start):
    shift = 300 * length
    server.faults = [Fault(edit=lambda rows: [made_bar("BTCUSDT", length, r[0] + shift, 2e9) for r in rows])]
    assert _get(server, root, timeframe=timeframe, start=start).status == "complete"
    assert _stored(root, timeframe=timeframe).equals(_made(server, length, start))


def test_slow_answers(server, root, undisturbed):
    server.faults = [Fault(seconds=0.6), None, Fault(seconds=0.6)]
    reasons: list[str] = []
    report = _get(
        server, root, timeout_seconds=0.25, on_progress=lambda p: reasons.append(p.pause) if p.pause else None
    )
    assert report.status == "complete"
    assert "no answer within 0.25 s; try 2 of 4" in reasons[0]
    assert _hashes(root) == undisturbed


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("kraken", '{"error":["EGeneral:Too many requests"]}'),
        ("kraken", '{"error":["EAPI:Rate limit exceeded"]}'),
        ("kraken", '{"error":["EService:Unavailable"]}'),
        ("bybit", '{"retCode":10006,"retMsg":"Too many visits. Exceeded the API Rate Limit.","result":{}}'),
        ("bybit", '{"retCode":10016,"retMsg":"Internal error","result":{}}'),
    ],
)
def test_errors_that_come_with_status_200(server, root, name, body):
    server.market_faults = [Fault(200, body=body)]
    server.faults = [Fault(200, body=body), Fault(200, body=body)]
    assert _get(server, root, name, start="2024-02-10").status == "complete"
    assert _stored(root).equals(_made(server, start="2024-02-10"))


def test_patience_ends_and_the_same_download_goes_on(server, root, undisturbed):
    server.faults = [None, *[Fault(503)] * 4]
    report = _get(server, root)
    assert (report.status, report.rows) == ("partial", 1000)
    assert "HTTP 503" in report.error
    assert "(after 4 tries)" in report.error
    assert _get(server, root).new == 452
    assert _hashes(root) == undisturbed


def test_a_long_ban_is_not_waited_for(server, root):
    server.faults = [None, Fault(418, {"Retry-After": "7200"}, BODY_429)]
    with closing(_opened(server)) as exchange:
        reports = download_bars(exchange, [SPOT, "ETH/USDT"], root, timeframe="1h", start="2024-01-01")
    assert [(r.status, r.rows) for r in reports] == [("partial", 1000), ("partial", 0)]
    assert "asks to wait 7200 s" in reports[0].error
    assert reports[1].error == "binance ETH/USDT 1h: not begun"


def test_a_refusal_leaves_the_other_symbols_alone(server, root):
    server.faults = [None, Fault(400, body='{"code":-1121,"msg":"Invalid symbol."}')]
    with closing(_opened(server)) as exchange:
        reports = download_bars(exchange, [SPOT, "ETH/USDT"], root, timeframe="1h", start="2024-01-01")
    assert [(r.status, r.rows) for r in reports] == [("failed", 1000), ("complete", 1452)]
    assert "HTTP 400" in reports[0].error
    assert "Invalid symbol" in reports[0].error


@pytest.mark.parametrize(
    ("fault", "is_transient"), [(Fault(451, body='{"msg":"restricted location"}'), False), (Fault(500), True)]
)
def test_without_markets_nothing_is_written(server, root, fault, is_transient):
    server.market_faults = [fault] * 4
    with pytest.raises(DownloadError, match=f"HTTP {fault.status}") as raised:
        _get(server, root)
    assert raised.value.is_transient == is_transient
    assert not root.exists()


def test_markets_that_come_cut_off_are_asked_for_again(server, root):
    server.market_faults = [Fault(cut="truncated"), Fault(200, body="{}")]
    assert _get(server, root).status == "complete"


def test_without_a_clock_of_the_exchange_this_machines_is_taken(server, root):
    server.market_faults = [None, Fault(404, body="<html>")]
    assert _get(server, root, end="2024-02-01").status == "complete"


# --- gaps, late listings, short pages ---


@pytest.mark.parametrize("name", ["binance", "bybit"])
def test_gaps_are_kept_and_reported(server, root, name):
    server.gaps = [
        (seconds("2024-01-10"), seconds("2024-01-10T05:00")),
        (seconds("2024-02-01"), seconds("2024-02-04")),
    ]
    report = _get(server, root, name)
    assert (report.status, report.gaps, report.longest_gap_seconds) == ("complete", 2, 3 * DAY)
    assert _stored(root).equals(_made(server))
    assert len(server.pages()) == 2


@pytest.mark.parametrize(("name", "most"), [("binance", 10), ("bybit", 20)])
def test_a_year_without_trades_is_not_asked_for_page_by_page(server, root, name, most):
    server.gaps = [(seconds("2023-02-01"), seconds("2024-02-01"))]
    report = _get(server, root, name, timeframe="1m", start="2023-01-30")
    assert report.status == "complete"
    assert report.longest_gap_seconds == 365 * DAY
    assert report.rows == (2 + 29) * 1440 + 750
    assert report.n_requests < 46 + most
    n_before = len(server.pages())
    again = _get(server, root, name, timeframe="1m", start="2023-01-30")
    assert (again.new, again.status) == (0, "complete")
    assert len(server.pages()) - n_before < most


@pytest.mark.parametrize("name", ["binance", "bybit"])
def test_listed_late_and_delisted(server, root, name):
    server.listed = seconds("2024-01-20")
    server.gaps = [(seconds("2024-02-10"), NOON + DAY)]
    report = _get(server, root, name, start="2022-01-01")
    assert report.status == "complete"
    assert "the exchange has no bars before 2024-01-20T00:00:00Z" in report.notes
    assert "the exchange has no bars after that of 2024-02-09T23:00:00Z" in report.notes
    assert report.n_requests < 8


def test_an_exchange_that_tells_its_latest_bars_alone(server, root):
    report = _get(server, root, "kraken", start="2023-06-01")
    assert (report.status, report.rows) == ("failed", 719)
    assert (
        "kraken has trades in 2023-06-01T00:00:00Z to 2024-01-31T13:00:00Z, but answers nothing for it"
        in report.error
    )
    assert _get(server, root, "kraken", start="2024-02-05").status == "complete"


@pytest.mark.parametrize("name", ["binance", "bybit"])
def test_pages_shorter_than_they_are_said_to_be(server, root, undisturbed, name):
    # Bybit's are the last bars of their span: without another look, the first ones would be taken for a gap.
    server.page_cap = 100
    assert _get(server, root, name).status == "complete"
    assert _hashes(root) == undisturbed
    assert len(server.pages()) <= 17


# --- bad bars ---


def _edited(**values: str) -> Callable[[list[Row]], list[Row]]:
    def edit(rows: list[Row]) -> list[Row]:
        names = ("open", "high", "low", "close", "volume")
        row = list(rows[10])
        for name, value in values.items():
            row[1 + names.index(name)] = value
        return [*rows[:10], tuple(row), *rows[11:]]  # type: ignore[list-item]

    return edit


BAD = {
    "zero": (_edited(low="0"), "low: a price must be above 0 (value 0.0)"),
    "negative": (_edited(open="-3"), "open: a price must be above 0 (value -3.0)"),
    "NaN": (_edited(close="NaN"), "close: is not a finite number (value "),
    "no number": (_edited(close="n/a"), "close: is not a finite number (value None)"),
    "high below low": (_edited(high="1"), "high: high is below low (value 1.0)"),
    "negative volume": (_edited(volume="-1"), "volume: a volume must not be negative (value -1.0)"),
    "two values for one time": (
        lambda rows: [*rows, (rows[10][0], *rows[11][1:])], "comes with two values, (",
    ),
    "beside the grid": (
        lambda rows: [*rows[:10], (rows[10][0] + 60, *rows[10][1:]), *rows[11:]],
        "a bar of 1h cannot open there",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_bar_is_named_and_the_good_ones_are_kept(server, root, kind):
    edit, words = BAD[kind]
    server.faults = [Fault(edit=edit)]
    report = _get(server, root)
    bad = "2024-01-01T10:01:00Z" if kind == "beside the grid" else "2024-01-01T10:00:00Z"
    assert (report.status, report.rows) == ("failed", 1451)
    assert f"binance BTC/USDT 1h, {bad}: {words}"[:-1] in report.error
    assert "left out, the rest is stored" in report.error
    made = _made(server)
    assert _stored(root).equals(pl.concat([made[:10], made[11:]]))
    healed = _get(server, root)
    assert (healed.status, healed.new) == ("complete", 1)
    assert _stored(root).equals(made)


def test_bars_of_the_future_are_none(server, root):
    server.faults = [Fault(edit=lambda rows: [*rows[:-1], (rows[-1][0] + 9000 * DAY, *rows[-1][1:])])]
    report = _get(server, root)
    assert report.status == "failed"
    assert "a row comes with the time 24" in report.error
    assert report.rows == 1452


# --- funding ---


def _made_rates(server: Server, start: str) -> pl.DataFrame:
    rows = server.payments(seconds(start), int(server.now))
    times = pl.Series("timestamp", [t // 1000 * 1_000_000 for t, _ in rows], dtype=pl.Int64).cast(
        RATES["timestamp"]
    )
    return pl.DataFrame({"timestamp": times, "rate": [float(rate) for _, rate in rows]}, schema=RATES)


@pytest.mark.parametrize("hours", [8, 1])
@pytest.mark.parametrize("name", ["binance", "bybit"])
def test_funding(server, root, name, hours):
    # Payments each hour overflow Bybit's window of 200 times eight hours, of which it tells the last 200.
    server.payment_hours = hours
    server.listed = seconds("2023-10-01")
    with closing(_opened(server, name)) as exchange:
        (report,) = download_funding(exchange, SWAP, root, start="2023-06-01", end="2024-01-15T12:00")
        server.requests.clear()
        (rest,) = download_funding(exchange, SWAP, root, start="2023-06-01")
    assert (report.status, report.timeframe, report.error) == ("complete", "funding", None)
    assert report.start == datetime(2023, 10, 1, tzinfo=UTC)
    assert "payments cut to the second" in "; ".join(report.notes)
    assert _rates(root).equals(_made_rates(server, "2023-06-01"))
    assert (
        rest.new == _rates(root).filter(pl.col("timestamp") >= datetime(2024, 1, 15, 12, tzinfo=UTC)).height
    )


def test_funding_that_was_imported_with_fractions_of_a_second_is_not_paid_twice(server, root):
    rows = server.payments(seconds("2024-01-01"), seconds("2024-02-01"))
    times = pl.Series("timestamp", [t * 1000 for t, _ in rows], dtype=pl.Int64).cast(RATES["timestamp"])
    imported = pl.DataFrame({"timestamp": times, "rate": [float(rate) for _, rate in rows]}, schema=RATES)
    Catalog.open_or_create(root).write("BTCUSDT.P", None, imported)
    with closing(_opened(server)) as exchange:
        (report,) = download_funding(exchange, SWAP, root, start="2024-01-01", replace=True)
    assert (report.status, report.changed) == ("complete", 0)
    assert _rates(root).height == _made_rates(server, "2024-01-01").height
    assert _rates(root)[: imported.height].equals(imported)


# --- refused before anything is written ---

USAGE = {
    "symbol": ({"symbol": "BTC/USDX"}, r"symbol: binance has no 'BTC/USDX' \(did you mean 'BTC/USDT'"),
    "id of a market": ({"symbol": "BTCUSDT"}, r"symbol: binance has no 'BTCUSDT' \(did you mean 'BTC/USDT'\?\)"),
    "timeframe": ({"timeframe": "7h"}, r"timeframe: binance has no bars of 7h; .*allowed: 1s, 1m"),
    "no timeframe": ({"timeframe": "hour"}, r"timeframe: 'hour' is not a timeframe"),
    "span": ({"end": "2023-01-01"}, r"end: 2023-01-01T00:00:00Z is not after the start"),
    "future": ({"start": "2030-01-01"}, r"start: 2030-01-01T00:00:00Z is not past yet"),
    "no start": ({"start": None}, r"start: a download needs the time of the first bar"),
    "funding on spot": ({"funding": True}, r"BTC/USDT is a market of kind spot.*did you mean 'BTC/USDT:USDT'"),
    "funding on Kraken": ({"name": "kraken", "funding": True}, r"kraken does not tell past funding payments"),
    "name": ({"asset": "BTC/USDT"}, r"asset: 'BTC/USDT' cannot name an asset"),
    "one name for two": ({"symbol": [SPOT, SWAP], "asset": "BTC"}, r"asset: BTC would be the name of BTC/USDT and "),
    "a symbol twice": ({"symbol": [SPOT, SPOT]}, r"asset: BTCUSDT would be the name of BTC/USDT and BTC/USDT"),
}  # fmt: skip


@pytest.mark.parametrize("case", USAGE)
def test_what_cannot_be_done_is_refused_before_anything_is_written(server, root, case):
    options, words = USAGE[case]
    with pytest.raises(SpecError, match=words):
        _get(server, root, **options)
    assert not root.exists()
    assert server.pages() == []


# --- interrupted ---


def test_a_stop_stores_what_has_come(server, root, undisturbed):
    stop = StopRequest()

    def stop_after_a_page(progress: Any) -> None:
        if progress.rows == 1000:
            stop._requested.set()  # as a signal does between two answers

    with closing(_opened(server, stop=stop)) as exchange:
        reports = download_bars(
            exchange, [SPOT, "ETH/USDT"], root, timeframe="1h", start="2024-01-01", stop=stop,
            on_progress=stop_after_a_page,
        )  # fmt: skip
    assert [(r.status, r.rows, r.error) for r in reports] == [
        ("partial", 1000, "binance BTC/USDT 1h: interrupted"), ("partial", 0, "binance ETH/USDT 1h: not begun"),
    ]  # fmt: skip
    _get(server, root)
    assert _hashes(root) == undisturbed


def test_without_a_stop_an_interrupt_travels_on_and_what_has_come_is_stored(server, root):
    def interrupt(progress: Any) -> None:
        if progress.rows:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _get(server, root, on_progress=interrupt)
    assert _stored(root).height == 1000


# --- the command ---


def _start(server: Server, root: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "BACKTUNE_EXCHANGE_URL": server.url}
    words = [sys.executable, "-m", "backtune", "data", "download", *arguments, "--root", str(root)]
    return subprocess.Popen(words, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def _run(server: Server, root: Path, *arguments: str) -> tuple[int, str, str]:
    """The same in this process."""
    words = ["data", "download", *arguments, "--root", str(root), "--url", server.url]
    result = CliRunner().invoke(app, words)
    return result.exit_code, result.stdout, result.stderr


def _end(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=120)
    return process.returncode, out, err


def _wait_for_pages(server: Server, n: int, process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while len(server.pages()) < n and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.005)


HOURS = ("binance", SPOT, "--timeframe", "1h", "--start", "2024-01-01")
MINUTES = ("binance", SPOT, "--timeframe", "1m", "--start", "2024-02-19", "--end", "2024-03-01")  # 16 pages


def test_the_command_shows_what_it_did(server, root):
    server.faults = [Fault(429, {"Retry-After": "0"}, BODY_429)]
    status, out, err = _run(server, root, *HOURS)
    assert status == 0
    lines = [line.split() for line in out.splitlines()]
    assert lines[0] == ["source", "asset", "timeframe", "rows", "new", "start", "end", "gaps", "notes"]
    assert lines[1][:11] == [
        "binance", "BTC/USDT", "BTCUSDT", "1h", "1,452", "1,452", "2024-01-01", "00:00", "2024-03-01", "12:00", "none",
    ]  # fmt: skip
    assert "binance: HTTP 429" in err
    assert "try 2 of 8" in err


def test_what_the_page_says_runs(server, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BACKTUNE_EXCHANGE_URL", server.url)
    told = [block for block in blocks("docs/data.md", "sh") if "data download" in block.text]
    asked = [command for block in told for command in commands(block, {})]
    assert len(asked) == 2
    for command in asked:
        assert CliRunner().invoke(app, list(command.words[1:])).exit_code == 0
    (block,) = blocks("docs/data.md", "python")
    names: dict[str, Any] = {}
    exec(block.text, names)  # noqa: S102
    assert [report.status for report in names["reports"]] == ["complete"] * 2
    assert Catalog.open("data/market").assets() == ["BTCUSDT", "BTCUSDT.P", "ETHUSDT"]


def test_json_of_a_partial_download(server, root):
    server.faults = [None, *[Fault(503)] * 2]
    status, out, err = _run(server, root, *HOURS, "--json", "--tries", "1")
    (report,) = json.loads(out)
    assert (status, report["status"], report["rows"]) == (3, "partial", 1000)
    assert (report["exchange"], report["symbol"], report["market"]) == ("binance", "BTC/USDT", "spot")
    assert "not finished: the same command continues the download" in err


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_signals_store_what_has_come(server, root, number):
    is_sent = threading.Event()
    server.faults = [None, None, None, Fault(until=is_sent)]
    process = _start(server, root, *MINUTES)
    _wait_for_pages(server, 4, process)
    process.send_signal(number)
    is_sent.set()
    status, _, err = _end(process)
    assert status == 3
    assert "interrupted" in err
    assert "not finished: the same command continues the download" in err
    kept = _stored(root, timeframe="1m").height
    assert kept >= 2000
    assert _stored(root, timeframe="1m").equals(_made(server, 60, "2024-02-19")[:kept])
    assert all(report.problem is None for report in check_catalog(root))


def _killed_and_resumed(server: Server, root: Path, arguments: tuple[str, ...], pages: list[int]) -> None:
    for n in pages:
        server.requests.clear()
        process = _start(server, root, *arguments)
        _wait_for_pages(server, n, process)
        process.kill()
        _end(process)
        if (root / "manifest.json").exists():
            assert not [r.problem for r in check_catalog(root) if r.problem and not r.path.endswith(".tmp")]
    server.requests.clear()
    assert _end(_start(server, root, *arguments))[0] == 0
    assert not [report.problem for report in check_catalog(root) if report.problem]


def test_killed_and_resumed(server, root, tmp_path):
    # Twelve pages take more than the second after which rows are stored, and the next never comes.
    server.seconds = 0.1
    server.faults = [*[None] * 12, Fault(until=threading.Event())]
    _killed_and_resumed(server, root, MINUTES, [13])
    assert 1 <= len(server.pages()) < 16
    _get(server, tmp_path / "at once", timeframe="1m", start="2024-02-19", end="2024-03-01")
    assert _hashes(root) == _hashes(tmp_path / "at once")
    assert _stored(root, timeframe="1m").equals(_made(server, 60, "2024-02-19", seconds("2024-03-01")))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["binance", "bybit"])
def test_killed_ten_times_among_faults_and_resumed(server, root, tmp_path, name):
    arguments = (name, SWAP, "--timeframe", "1m", "--start", "2023-12-10", "--end", "2024-02-20", "--funding")
    chance = random.Random(7)  # noqa: S311
    faults = [FAULTS[kind] for kind in ("429", "500", "reset in the middle", "JSON cut off", "an empty page")]
    server.seconds = 0.1
    server.faults = [chance.choice(faults) if chance.random() < 0.1 else None for _ in range(400)]
    _killed_and_resumed(server, root, arguments, [chance.randint(2, 40) for _ in range(10)])
    server.faults, server.seconds = [], 0.0
    with closing(_opened(server, name)) as exchange:
        download_bars(
            exchange,
            SWAP,
            tmp_path / "at once",
            timeframe="1m",
            start="2023-12-10",
            end="2024-02-20",
            funding=True,
        )
    assert _hashes(root) == _hashes(tmp_path / "at once")


@pytest.mark.slow
def test_memory_does_not_grow_with_the_span(server, tmp_path):
    program = (
        "import resource, sys\n"
        "from backtune.data.download.downloader import download_bars\n"
        "from backtune.data.download.exchange import Exchange\n"
        "exchange = Exchange('binance', url=sys.argv[1], limit_rate=False)\n"
        "report, = download_bars(exchange, 'BTC/USDT', sys.argv[2], timeframe='1m', start=sys.argv[3], end='2024-01-01')\n"
        "assert report.status == 'complete', report\n"
        "print(report.rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)\n"
    )
    server.listed = seconds("2015-01-01")
    megabytes = {}
    for years in (1, 4):
        arguments = (server.url, str(tmp_path / f"{years}"), f"{2024 - years}-01-01")
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True
        )
        rows, kilobytes = map(int, done.stdout.split())
        assert rows > 525_000 * years
        megabytes[years] = kilobytes / 1024
    assert megabytes[4] < megabytes[1] + 120
