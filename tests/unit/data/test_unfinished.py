"""Bars at the ends of the data that are built from a part of their time."""

from __future__ import annotations

import pytest

from backtune.data.catalog import Catalog
from backtune.data.load import BarsRef
from backtune.data.unfinished import describe_unfinished, unfinished_bars
from backtune.data.window import TimeRange, to_datetime
from backtune.spec.origin import Origin

DAY, HOUR = 1440, 60


@pytest.fixture
def catalog(tmp_path, make_frame) -> Catalog:
    catalog = Catalog.open_or_create(tmp_path)
    # Wednesday 3 January to Friday 19 January 2018, and hours of one session that ends at 20:00.
    catalog.write("DAYS", "1d", make_frame([DAY * k for k in range(17)], first="2018-01-03"))
    catalog.write("HOURS", "1h", make_frame([HOUR * k for k in range(14, 20)]))
    return catalog


def _sentences(
    catalog: Catalog, asset: str, timeframe: str, start: str | None, end: str | None, origin: str
) -> list[str]:
    first, last = catalog.span_of_bars(asset, timeframe, Origin.parse(origin))
    window = TimeRange.of(start or first, end or last)
    bounds = (to_datetime(window.start or 0), to_datetime(window.end or 0))
    ref = BarsRef("", asset, timeframe, *bounds, "24/7", "", origin=origin)
    return describe_unfinished(list(unfinished_bars(ref, catalog)))


@pytest.mark.parametrize(
    ("asset", "timeframe", "start", "end", "expected"),
    [
        ("DAYS", "1d", None, None, []),
        ("DAYS", "1w", None, None, ["first bar of 1w is built from 5 of 7 days", "last bar of 1w is built from 5 of 7 days"]),
        ("DAYS", "1w", "2018-01-08", None, ["last bar of 1w is built from 5 of 7 days"]),
        ("DAYS", "1w", None, "2018-01-20", ["first bar of 1w is built from 5 of 7 days"]),
        ("DAYS", "1w", None, "2030-01-01", ["first bar of 1w is built from 5 of 7 days", "last bar of 1w is built from 5 of 7 days"]),
        ("DAYS", "1mo", "2018-01-01", None, ["only bar of 1mo is built from 17 of 31 days"]),
        ("HOURS", "1d", None, None, ["only bar of 1d is built from 6 of 24 hours"]),
        ("HOURS", "2h", None, None, []),
        ("HOURS", "4h", None, None, ["first bar of 4h is built from 2 of 4 hours"]),
    ],
)  # fmt: skip
def test_by_hand(catalog, asset, timeframe, start, end, expected):
    assert _sentences(catalog, asset, timeframe, start, end, "00:00 UTC") == [
        f"the {line}: {asset}" for line in expected
    ]


def test_the_grid_is_that_of_the_origin(catalog):
    assert _sentences(catalog, "HOURS", "4h", None, None, "14:00 UTC") == [
        "the last bar of 4h is built from 2 of 4 hours: HOURS"
    ]
    assert _sentences(catalog, "HOURS", "6h", None, None, "14:00 UTC") == []


def test_assets_that_are_alike_share_a_sentence(tmp_path, make_frame):
    catalog = Catalog.open_or_create(tmp_path)
    found = []
    for name in ("A", "B", "C", "D", "E"):
        catalog.write(
            name, "1d", make_frame([DAY * k for k in range(5 if name < "E" else 4)], first="2018-01-08")
        )
        span = catalog.span_of_bars(name, "1w")
        found += unfinished_bars(BarsRef("", name, "1w", *span, "24/7", ""), catalog)
    assert describe_unfinished(found) == [
        "the only bar of 1w is built from 4 of 7 days: E",
        "the only bar of 1w is built from 5 of 7 days: A, B, C and 1 more",
    ]
    assert found[0].to_json() == {
        "asset": "A", "timeframe": "1w", "place": "only", "opens_at": "2018-01-08T00:00:00Z", "ends_at": "2018-01-15T00:00:00Z",
        "filled_seconds": 432_000, "seconds": 604_800,
    }  # fmt: skip
