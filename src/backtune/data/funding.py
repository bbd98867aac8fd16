"""Funding: what longs pay to shorts of a perpetual future, beside the bars."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import numpy as np
import polars as pl

from backtune.data.schema import SCHEMA, RowRule, check_rows, time_rules

FUNDING: Final = "funding"  # stands for the timeframe where a series is one of payments

# timestamp: when it is paid; rate: the fraction of the notional that a long pays, negative where it receives.
RATES: Final = pl.Schema({"timestamp": SCHEMA["timestamp"], "rate": pl.Float64()})


def check_rates(frame: pl.DataFrame, *, source: str | Path, rows: pl.Series | None = None) -> pl.DataFrame:
    """Check payments in the columns of ``RATES``, as :func:`backtune.data.schema.check_bars` does bars."""
    rules = (
        *time_rules(),
        RowRule("rate", "is not a finite number", ~pl.col("rate").is_finite()),
        RowRule("rate", "a rate must be a fraction above -1 and below 1", pl.col("rate").abs() >= 1),
    )
    return check_rows(frame, rules, source=source, rows=rows)


def rates_at_opens(rates: pl.DataFrame, opens: np.ndarray) -> np.ndarray:
    """Return the payment of a long position at each open, as a fraction of its notional.

    A payment falls to the first bar that opens at or after it; several to one open add up. Payments before the
    first open or after the last are left out.

    Args:
        rates: columns of ``RATES``, sorted.
        opens: (n_bars,) int64, increasing, microseconds since the epoch.

    Returns:
        (n_bars,) float64, read-only; 0 where nothing is paid.
    """
    times = rates["timestamp"].to_physical().to_numpy()
    bar = np.searchsorted(opens, times, side="left")
    paid = (times >= opens[0]) & (bar < len(opens))
    funding = np.zeros(len(opens))
    # Adds in the order of time, so that the last digit is the same everywhere.
    np.add.at(funding, bar[paid], rates["rate"].to_numpy()[paid])
    funding.flags.writeable = False
    return funding
