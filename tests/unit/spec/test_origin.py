"""The local time at which built bars begin."""

from __future__ import annotations

import pytest

from backtune.errors import SpecError
from backtune.spec import Data, Grid, SweepSpec
from backtune.spec.origin import UTC_MIDNIGHT, Origin


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("09:15 Asia/Kolkata", "09:15 Asia/Kolkata"),
        ("9:15 Asia/Kolkata", "09:15 Asia/Kolkata"),
        ("17:00 America/New_York", "17:00 America/New_York"),
        ("22:00 UTC", "22:00 UTC"),
        ("00:00 Etc/UTC", "00:00 UTC"),
        ("23:59 Etc/GMT+5", "23:59 Etc/GMT+5"),
    ],
)
def test_read_and_written(text: str, written: str) -> None:
    assert str(Origin.parse(text)) == written
    assert Origin.parse(written) == Origin.parse(text)


def test_midnight_utc_is_the_default() -> None:
    assert Origin.parse("0:00 UTC") == UTC_MIDNIGHT
    assert Data().origin == "00:00 UTC"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not a time of day and a time zone, as in"),
        ("09:15", "is not a time of day and a time zone, as in"),
        ("Asia/Kolkata", "is not a time of day and a time zone, as in"),
        ("24:00 UTC", "is not a time of day and a time zone, as in"),
        ("09:60 UTC", "is not a time of day and a time zone, as in"),
        ("09:15 Asia/Mumbai", "'Asia/Mumbai' is not a time zone; write its IANA name"),
        ("09:15 +05:30", "'\\+05:30' is not a time zone; write its IANA name"),
    ],
)
def test_not_an_origin(text: str, message: str) -> None:
    with pytest.raises(SpecError, match=message) as caught:
        Origin.parse(text, key="data.origin")
    assert (caught.value.key, caught.value.value) == ("data.origin", text)


def test_in_a_spec() -> None:
    grid = {"strategies": ["RSIStrategy"], "assets": ["A"], "timeframes": ["1d", "1M"]}

    def parse(**data: str) -> SweepSpec:
        return SweepSpec.parse({"name": "x", "data": data, "grid": grid})

    plain, mumbai = parse(), parse(origin="9:15 Asia/Kolkata")
    assert mumbai.data.origin == "09:15 Asia/Kolkata"
    assert mumbai.id == parse(origin="09:15 Asia/Kolkata").id != plain.id
    # The default is not written, and changes no content id.
    assert plain.id == parse(origin="00:00 UTC").id
    assert "origin" not in plain.model_dump(mode="json")["data"]
    assert plain.grid.timeframes == ("1d", "1mo")
    with pytest.raises(SpecError, match=r"data\.origin"):
        parse(origin="noon UTC")
    with pytest.raises(SpecError, match="lists '1mo' twice"):
        Grid(strategies=("RSIStrategy",), assets=("A",), timeframes=("1mo", "1M"))
