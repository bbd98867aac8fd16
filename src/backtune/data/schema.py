"""The schema of bars: columns, their types, and the rules that every row obeys."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from backtune.errors import BarsError

PRICES = ("open", "high", "low", "close")
COLUMNS = ("timestamp", *PRICES, "volume")
SCHEMA = pl.Schema(
    {"timestamp": pl.Datetime("us", "UTC"), **dict.fromkeys((*PRICES, "volume"), pl.Float64())}
)


@dataclass(frozen=True)
class RowRule:
    """A rule that every row obeys.

    Attributes:
        column: The column that breaks it.
        problem: The words for a row that breaks it.
        is_broken: An expression that is true or null where a row breaks it.
        other: The column that it is compared with, or None.
    """

    column: str
    problem: str
    is_broken: pl.Expr
    other: str | None = None


def check_bars(frame: pl.DataFrame, *, source: str | Path, rows: pl.Series | None = None) -> pl.DataFrame:
    """Return ``frame`` unchanged if every bar obeys the schema.

    Args:
        rows: (n_bars,) the rows of ``source`` that the frame's rows come from, where they were reordered.

    Raises:
        BarsError: names the first violation's row and column.
    """
    return check_rows(frame, _rules(with_funding="funding" in frame.columns), source=source, rows=rows)


def check_rows(
    frame: pl.DataFrame,
    rules: Iterable[RowRule],
    *,
    source: str | Path,
    rows: pl.Series | None = None,
) -> pl.DataFrame:
    """Return ``frame`` unchanged if no row breaks a rule.

    Args:
        rows: The row numbers to report, as in :func:`check_bars`.

    Raises:
        BarsError: names the first violation's row and column.
    """
    rules = list(rules)
    violated = frame.select(
        rule.is_broken.fill_null(value=True).any().alias(str(i)) for i, rule in enumerate(rules)
    )
    for rule, found in zip(rules, violated.row(0), strict=True):
        if found:
            row = int(frame.select(rule.is_broken.fill_null(value=True).arg_true()).to_series()[0])
            values = f"value {frame[rule.column][row]}"
            if rule.other is not None:
                values += f", {rule.other} {frame[rule.other][row]}"
            raise BarsError(
                f"{rule.problem} ({values})",
                source=source,
                row=row if rows is None else int(rows[row]),
                column=rule.column,
            )
    return frame


def time_rules() -> Iterator[RowRule]:
    """Yield the rules that every row has a time, after that of the row before."""
    time = pl.col("timestamp")
    none = pl.duration(microseconds=0)
    yield RowRule("timestamp", "the time is missing", time.is_null())
    yield RowRule(
        "timestamp",
        "the time is that of the row before (duplicate)",
        (time.diff() == none).fill_null(value=False),
    )
    yield RowRule(
        "timestamp",
        "the time is before that of the row before (unsorted)",
        (time.diff() < none).fill_null(value=False),
    )


def _rules(*, with_funding: bool) -> Iterator[RowRule]:
    yield from time_rules()
    for name in (*PRICES, "volume", *(["funding"] if with_funding else [])):
        yield RowRule(name, "is not a finite number", ~pl.col(name).is_finite())
    for name in PRICES:
        yield RowRule(name, "a price must be above 0", pl.col(name) <= 0)
    yield RowRule("volume", "a volume must not be negative", pl.col("volume") < 0)
    yield RowRule("high", "high is below low", pl.col("high") < pl.col("low"), "low")
    for name in ("open", "close"):
        yield RowRule(name, f"{name} is below low", pl.col(name) < pl.col("low"), "low")
        yield RowRule(name, f"{name} is above high", pl.col(name) > pl.col("high"), "high")
