"""The outcome of a download, and its state while it runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

Status = Literal["complete", "partial", "failed"]


@dataclass(frozen=True)
class DownloadReport:
    """The outcome for one series: the bars of a symbol in a timeframe, or its funding payments.

    Attributes:
        market: ``spot``, ``swap``, ``future`` or ``option``.
        timeframe: the length of the bars, or ``funding``.
        status: ``complete``; ``partial`` where the same download goes on with the rest; ``failed`` where it cannot.
        rows: those of the asked span that are in the catalog now.
        new: those among them that this download stored.
        changed: those whose values it replaced.
        start, end: open time of the first bar and end of the last, or times of the first and the last payment.
        gaps, longest_gap_seconds: places where bars are absent, and the longest time without one.
        n_requests: number of answers that the exchange gave for this series.
        ccxt_version: the version of the library that asked.
        notes: remarks on rows that were left out, absent or changed.
        error: the reason for a status other than complete; None without one.
    """

    exchange: str
    symbol: str
    market: str
    asset: str
    timeframe: str
    status: Status = "complete"
    rows: int = 0
    new: int = 0
    changed: int = 0
    start: datetime | None = None
    end: datetime | None = None
    gaps: int = 0
    longest_gap_seconds: int = 0
    n_requests: int = 0
    ccxt_version: str = ""
    notes: tuple[str, ...] = ()
    error: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain data for JSON; times in ISO."""
        plain = {**vars(self), "notes": list(self.notes)}
        return plain | {key: plain[key] and plain[key].isoformat() for key in ("start", "end")}


@dataclass(frozen=True)
class DownloadProgress:
    """The state of the download of one series.

    Attributes:
        source: exchange, symbol and timeframe.
        start, end: the first and the last moment that has to be fetched.
        reached: the moment before which all is fetched.
        rows: number of rows fetched so far.
        pause: the reason to wait before the next request; None while there is none.
    """

    source: str
    start: datetime
    end: datetime
    reached: datetime
    rows: int
    pause: str | None = None
