"""Numbers as vendors and spreadsheets write them: decimal and thousands marks, currencies, K, M and B, and no value.

One convention holds for a whole file. It is decided from all of its number columns together, and where they leave it
open, the user is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
import polars as pl

from backtune.errors import BarsError

Decimal = Literal["point", "comma"]

NO_VALUE: Final = (
    "",
    "null",
    "nan",
    "none",
    "na",
    "n/a",
    "#n/a",
    "-",
    "--",
    "\u2014",
    "\u2013",
    "n.a.",
    "nil",
    ".",
    "?",
)
# A vendor writes these on purpose where there is nothing to count, unlike an empty cell.
EXPLICITLY_NONE: Final = ("n/a", "#n/a", "-", "--", "\u2014", "\u2013", "n.a.")
_SUFFIXES: Final = {"k": 1e3, "m": 1e6, "mio": 1e6, "b": 1e9, "bn": 1e9, "t": 1e12}
_CURRENCY: Final = r"[$€£¥₹]|USD|EUR"
# Blanks and apostrophes group digits where three follow.
_GROUP_MARKS: Final = r"[ \u00a0\u202f\u2019'_](\d{3})\b"
# A thousands mark stands before exactly three digits, or two in Indian grouping, and three at the end.
_GROUPED: Final = r"^[-+]?[1-9]\d{0,2}(?:%s\d{2,3})*%s\d{3}$"
# Prices of one asset hardly ever change by this factor from row to row; a misread mark does so by a thousand.
_TORN: Final = 50.0


@dataclass(frozen=True)
class Convention:
    """The marks of a file's numbers.

    Attributes:
        decimal: The decimal mark, None where no number has any mark.
        grouped: True if thousands are grouped by the other mark.
        reason: The reason for the choice, empty where it is plain.
    """

    decimal: Decimal | None
    grouped: bool = False
    reason: str = ""

    def describe(self) -> str | None:
        """Return a phrase for the report, or None where there is nothing to say."""
        if self.decimal is None or (self.decimal == "point" and not self.grouped):
            return None
        mark, other = (",", ".") if self.decimal == "comma" else (".", ",")
        text = f"'{mark}' is the decimal mark" if not self.grouped else f"'{other}' groups thousands"
        return f"{text} ({self.reason})" if self.reason else text


def find_convention(
    prices: Sequence[pl.Series], volumes: Sequence[pl.Series], *, source: str, chosen: Decimal | None = None
) -> Convention:
    """Decide a file's marks from its columns.

    Args:
        prices: The price columns; those of text count, in the file's order of rows.
        volumes: The volume columns.
        chosen: The user's choice, which is taken as it is.

    Raises:
        BarsError: The columns contradict each other, or leave it open.
    """
    if chosen is None and _are_plain_floats(prices, volumes):
        return Convention(None)
    price_texts = [_plain(column) for column in prices if column.dtype == pl.String]
    texts = price_texts + [_plain(column) for column in volumes if column.dtype == pl.String]
    marked = [text.filter(text.str.contains(r"[.,]")) for text in texts]
    if all(text.is_empty() for text in marked):
        return Convention(chosen)
    has_comma = any(text.str.contains(",", literal=True).any() for text in marked)
    has_point = any(text.str.contains(".", literal=True).any() for text in marked)
    if chosen is not None:
        return Convention(chosen, has_point if chosen == "comma" else has_comma, "as chosen")
    votes = {vote for text in marked for vote in _votes(text)}
    if len({decimal for decimal, _ in votes}) > 1:
        samples = ", ".join(repr(sample) for _, sample in sorted(votes)[:4])
        raise BarsError(
            f"numbers such as {samples} follow different decimal marks; pass --decimal point or --decimal comma",
            source=source,
        )
    if votes:
        decimal = next(iter(votes))[0]
        return Convention(decimal, has_point if decimal == "comma" else has_comma)
    return _decide_by_size(price_texts, texts, marked, source)


def read_numbers(values: pl.Series, convention: Convention, *, source: str, role: str) -> pl.Series:
    """Read a column of numbers; cells without a value become null.

    Raises:
        BarsError: A cell is not a number; names the row.
    """
    if values.dtype != pl.String:
        try:
            return values.cast(pl.Float64).fill_nan(None).alias(role)
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
            raise BarsError(
                f"a column of {values.dtype} does not hold numbers", source=source, column=role
            ) from None
    if convention.decimal != "comma" and not convention.grouped:
        numbers = values.cast(pl.Float64, strict=False)
        if numbers.null_count() == values.null_count():
            return numbers.fill_nan(None).alias(role)
    text = _plain(values)
    if convention.decimal == "comma":
        text = text.str.replace_all(".", "", literal=True).str.replace_all(",", ".", literal=True)
    else:
        text = text.str.replace_all(",", "", literal=True)
    numbers = text.cast(pl.Float64, strict=False)
    if (numbers.is_null() & text.is_not_null()).any():
        numbers = numbers.fill_null(_with_suffix(text))
    unread = (numbers.is_null() & text.is_not_null()).arg_true()
    if len(unread):
        row = int(unread[0])
        raise BarsError(f"{values[row]!r} is not a number", source=source, row=row, column=role)
    return numbers.fill_nan(None).alias(role)


def is_explicitly_none(values: pl.Series) -> pl.Series:
    """Return where a cell says that there is no value, as ``N/A`` and ``-`` do and an empty one does not."""
    if values.dtype != pl.String:
        return pl.zeros(len(values), dtype=pl.Boolean, eager=True)
    return values.str.strip_chars().str.to_lowercase().is_in(list(EXPLICITLY_NONE)).fill_null(value=False)


def _are_plain_floats(prices: Sequence[pl.Series], volumes: Sequence[pl.Series]) -> bool:
    """Return True if every cell is a number with at most a decimal point, and prices move by usual steps."""
    for column in (*prices, *volumes):
        if (
            column.dtype == pl.String
            and column.cast(pl.Float64, strict=False).null_count() > column.null_count()
        ):
            return False
    return all(
        _largest_ratio(c.cast(pl.Float64, strict=False)) <= _TORN for c in prices if c.dtype == pl.String
    )


def _plain(values: pl.Series) -> pl.Series:
    """Return numbers without currencies and blanks; null where there is no value."""
    stripped = values.str.replace_all(_CURRENCY, "").str.strip_chars(" \t\u00a0\u202f")
    stripped = stripped.str.replace_all(_GROUP_MARKS, "$1").str.replace(r"\s+([A-Za-z]+\.?)$", "$1")
    stripped = stripped.str.replace(r"^\((.*)\)$", "-$1")
    none = values.str.strip_chars().str.to_lowercase().is_in(list(NO_VALUE)) | (stripped == "")
    return pl.select(pl.when(none).then(None).otherwise(stripped)).to_series()


def _with_suffix(text: pl.Series) -> pl.Series:
    parts = text.str.extract_groups(r"^([-+]?[\d.]+(?:[eE][-+]?\d+)?)([A-Za-z]+)$").struct.unnest()
    number = parts.to_series(0).cast(pl.Float64, strict=False)
    factor = (
        parts.to_series(1).str.to_lowercase().replace_strict(_SUFFIXES, default=None, return_dtype=pl.Float64)
    )
    return number * factor


def _votes(text: pl.Series) -> set[tuple[Decimal, str]]:
    """Return the decimal marks that single numbers of a column prove, each with such a number."""
    number = text.str.extract(r"^([-+\d.,]+)", 1).drop_nulls()
    votes: set[tuple[Decimal, str]] = set()
    proofs: tuple[tuple[Decimal, str], ...] = (
        ("point", r",.*\."),  # 1,234.5
        ("comma", r"\..*,"),  # 1.234,5
        ("point", r",\d+,"),  # 1,234,567
        ("comma", r"\.\d+\."),  # 1.234.567
        ("comma", r"^[-+]?\d*,(?:\d{1,2}|\d{4,})$"),  # 1,5 and 1,2345
        ("comma", r"^[-+]?(?:0\d*|\d{4,}|),\d+$"),  # 0,125 and 1234,500
        ("point", r"^[-+]?\d*\.(?:\d{1,2}|\d{4,})?$"),  # 1.5
        ("point", r"^[-+]?(?:0\d*|\d{4,}|)\.\d+$"),  # 0.125
    )
    for decimal, pattern in proofs:
        found = number.filter(number.str.contains(pattern)).head(1)
        if len(found):
            votes.add((decimal, str(found[0])))
    return votes


def _decide_by_size(
    prices: list[pl.Series], texts: list[pl.Series], marked: list[pl.Series], source: str
) -> Convention:
    """Decide where every mark stands before exactly three digits: 1,234 may be either."""
    mark = "," if any(text.str.contains(",", literal=True).any() for text in marked) else "."
    if mark == "," and any(text.str.contains(".", literal=True).any() for text in marked):
        samples = [
            str(text.filter(text.str.contains(m, literal=True))[0])
            for m in ",."
            for text in marked
            if text.str.contains(m, literal=True).any()
        ]
        raise BarsError(
            f"numbers such as {samples[0]!r} and {samples[-1]!r} do not tell the decimal mark; "
            "pass --decimal point or --decimal comma",
            source=source,
        )
    as_decimal: Decimal = "comma" if mark == "," else "point"
    as_group: Decimal = "point" if mark == "," else "comma"
    torn_as_decimal = max((_largest_step(text, as_decimal) for text in prices), default=1.0)
    torn_as_group = max((_largest_step(text, as_group) for text in prices), default=1.0)
    if torn_as_decimal > _TORN >= torn_as_group:
        return Convention(as_group, grouped=True, reason="else prices would jump by a thousand")
    if torn_as_group > _TORN >= torn_as_decimal:
        return Convention(as_decimal, reason="else prices would jump by a thousand")
    if mark == ".":
        return Convention("point")
    if any(_mixes_small_and_grouped(text, mark) for text in texts):
        return Convention(
            "point", grouped=True, reason="only numbers of a thousand and more have it, before three digits"
        )
    sample = next(str(text[0]) for text in marked if not text.is_empty())
    raise BarsError(
        f"{sample!r} may be {sample.replace(',', '')} or {sample.replace(',', '.')}; "
        "pass --decimal point if ',' groups thousands, or --decimal comma",
        source=source,
    )


def _largest_step(text: pl.Series, decimal: Decimal) -> float:
    """Return the largest ratio of two prices in a row, read with a decimal mark."""
    group, mark = (",", ".") if decimal == "point" else (".", ",")
    numbers = (
        text.str.replace_all(group, "", literal=True)
        .str.replace(mark, ".", literal=True)
        .cast(pl.Float64, strict=False)
    )
    return _largest_ratio(numbers)


def _largest_ratio(numbers: pl.Series) -> float:
    prices = numbers.drop_nulls().to_numpy()
    prices = prices[np.isfinite(prices) & (prices > 0)]
    return float(np.exp(np.abs(np.diff(np.log(prices))).max())) if len(prices) > 1 else 1.0


def _mixes_small_and_grouped(text: pl.Series, mark: str) -> bool:
    """Return True if a column has numbers below 1,000 without a mark and all others in groups of three."""
    whole = text.drop_nulls().str.extract(r"^([-+\d.,]+)", 1).drop_nulls()
    has_mark = whole.str.contains(mark, literal=True)
    grouped = whole.filter(has_mark).str.contains(_GROUPED % (mark, mark)).all()
    small = whole.filter(~has_mark)
    return bool(grouped and has_mark.any() and len(small) and small.str.contains(r"^[-+]?\d{1,3}$").all())
