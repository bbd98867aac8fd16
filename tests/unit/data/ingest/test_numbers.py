from __future__ import annotations

import polars as pl
import pytest

from backtune.data.ingest.numbers import find_convention, read_numbers
from backtune.errors import BarsError

# prices, volumes: what they are.
READ = {
    "points": (["1.5", "2", "1.25"], ["10", "20", "30"], [1.5, 2, 1.25], [10, 20, 30]),
    "thousands with a point": (["1,234.5", "987.25", "1,000"], ["1,000"], [1234.5, 987.25, 1000], [1000]),
    "decimal commas": (["1,5", "2", "1,25"], ["10"], [1.5, 2, 1.25], [10]),
    "decimal commas, thousands with points": (["1.234,5", "987,25"], ["1.000"], [1234.5, 987.25], [1000]),
    "decimal commas of three digits, beside one of two": (["1,125", "1,25"], [], [1.125, 1.25], []),
    "decimal commas after a zero": (["0,125", "0,250"], [], [0.125, 0.25], []),
    "decimal commas after four digits": (["1234,500", "1235,250"], [], [1234.5, 1235.25], []),
    "thousands, some below": (["991", "997", "1,010", "1,015", "993"], [], [991, 997, 1010, 1015, 993], []),
    "thousands told by the volume": (["40,100", "40,137"], ["5,058", "985", "12,300"], [40100, 40137], [5058, 985, 12300]),
    "millions": (["1,234,567", "1,234,600"], [], [1234567, 1234600], []),
    "lakhs": (["1,00,000", "99,995"], ["1,00,00,000"], [100000, 99995], [10000000]),
    "German thousands, some below": (["995", "1.004", "998"], [], [995, 1004, 998], []),
    "German thousands told by the volume": (["40.137", "40.200"], ["1.234.567"], [40137, 40200], [1234567]),
    "points of three digits": (["1.125", "1.126"], [], [1.125, 1.126], []),
    "dollars": (["$100.00", "$1,101.50"], [], [100, 1101.5], []),
    "other currencies and blanks": (["€ 1 234,50", "1\u00a0235,00 €", "1\u202f236,5"], [], [1234.5, 1235, 1236.5], []),
    "Swiss": (["1'234.50", "1\u2019235.00"], [], [1234.5, 1235], []),
    "K, M, B": (["1.5"], ["97.26K", "1.5M", "2B", "0.5k", "3"], [1.5], [97_260, 1_500_000, 2_000_000_000, 500, 3]),
    "K with decimal commas": (["1,5"], ["97,26K", "1,5 Mio"], [1.5], [97_260, 1_500_000]),
    "no value": (["1.5", "", "null", "NaN", "N/A", "-", "--", "None"], [], [1.5, *[None] * 7], []),
    "exponents": (["1.5e3", "2E-3"], [], [1500, 0.002], []),
}  # fmt: skip


@pytest.mark.parametrize("kind", READ)
def test_convention_of_a_file(kind):
    prices, volumes, right_prices, right_volumes = READ[kind]
    columns = [pl.Series(prices, dtype=pl.String), pl.Series(volumes, dtype=pl.String)]
    convention = find_convention(columns[:1], columns[1:], source="x")
    for column, right in zip(columns, (right_prices, right_volumes), strict=True):
        found = read_numbers(column, convention, source="x", role="close").to_list()
        assert [value is None for value in found] == [value is None for value in right]
        assert found == pytest.approx(right, rel=1e-15, nan_ok=True) if None not in right else found == right


ASKED = {
    "all before three digits": (
        ["40,100", "40,137"],
        [],
        "'40,100' may be 40100 or 40.100; pass --decimal point",
    ),
    "all before three digits, volumes without marks": (["1,104", "1,105"], ["9"], "may be 1104 or 1.104"),
    "marks that contradict each other": (
        ["1.5", "1,5"],
        [],
        "follow different decimal marks; pass --decimal",
    ),
    "both marks before three digits": (["1,104", "1,105"], ["1.234"], "do not tell the decimal mark"),
}


@pytest.mark.parametrize("kind", ASKED)
def test_what_is_open_is_asked_for(kind):
    prices, volumes, message = ASKED[kind]
    columns = [pl.Series(prices)], [pl.Series(volumes, dtype=pl.String)]
    with pytest.raises(BarsError, match=message):
        find_convention(*columns, source="x")
    for decimal, first in (("point", 1000.0), ("comma", 1.0)):
        convention = find_convention(*columns, source="x", chosen=decimal)
        price = read_numbers(pl.Series(["1,000"]), convention, source="x", role="close")[0]
        assert price == first


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (pl.Series(["1.5", "abc"]), "row 1, column 'close': 'abc' is not a number"),
        (pl.Series(["1.5", "1.5X"]), "row 1, column 'close': '1.5X' is not a number"),
        (pl.Series([[1.0], [2.0]]), r"a column of List\(Float64\) does not hold numbers"),
    ],
)
def test_what_is_no_number(values, message):
    convention = find_convention([pl.Series(["1.5"])], [], source="x")
    with pytest.raises(BarsError, match=message):
        read_numbers(values, convention, source="x", role="close")
