"""Times at which bars of markets with sessions open, made by local clocks; and prices at them."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import polars as pl

HOUR = 3_600_000_000
DAY = 24 * HOUR


def microseconds(text: str) -> int:
    """An ISO time in UTC as microseconds since the epoch."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000_000


def open_times(start: str, end: str, step: int) -> np.ndarray:
    """(n,) every ``step`` microseconds of [start, end)."""
    return np.arange(microseconds(start), microseconds(end), step)


def session_times(
    zone: str, opening: float, closing: float, step: int, start: str = "2020-01-01", end: str = "2023-01-01"
) -> np.ndarray:
    """(n,) open times in UTC of the bars of weekday sessions.

    Args:
        opening, closing: Hours of the local clock after midnight; a negative one is on the day before.
        step: The length of a bar, microseconds.
    """
    clock, last = datetime.fromisoformat(start), datetime.fromisoformat(end)
    sessions = []
    while clock < last:
        if clock.weekday() < 5:
            edges = [
                (clock + timedelta(hours=hours)).replace(tzinfo=ZoneInfo(zone)).timestamp()
                for hours in (opening, closing)
            ]
            sessions.append(np.arange(*(int(edge) * 1_000_000 for edge in edges), step))
        clock += timedelta(days=1)
    return np.unique(np.concatenate(sessions))


def price_frame(
    times: np.ndarray, *, seed: int, annual_volatility: float = 0.16, drift: float = 0.2
) -> pl.DataFrame:
    """Bars of a random walk at these open times: each opens at the close before.

    Args:
        annual_volatility, drift: Of the log price over a year of elapsed time.
    """
    n = len(times)
    years = (times[-1] - times[0]) / DAY / 365.25
    steps = np.random.default_rng(seed).standard_normal(n) * annual_volatility * np.sqrt(years / n)
    close = 100.0 * np.exp(np.cumsum(steps - steps.mean() + drift * years / n))
    open_ = np.concatenate([[100.0], close[:-1]])
    return pl.DataFrame(
        {
            "timestamp": pl.Series(times).cast(pl.Datetime("us", "UTC")),
            "open": open_,
            "high": np.maximum(open_, close),
            "low": np.minimum(open_, close),
            "close": close,
            "volume": 1.0,
        }
    )
