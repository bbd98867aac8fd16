"""Pages of an exchange's answers as checked rows: what is unusable is left out and named."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Final, NamedTuple, final

import numpy as np
import polars as pl

from backtune.data.download.absent import Span
from backtune.data.download.exchange import Exchange
from backtune.data.download.markets import Market
from backtune.data.funding import RATES, check_rates
from backtune.data.manifest import Provenance
from backtune.data.schema import SCHEMA, check_bars
from backtune.data.window import iso
from backtune.errors import BarsError
from backtune.spec.timeframe import Timeframe

_MILLISECOND: Final = 1_000
_SECOND: Final = 1_000_000
_HOUR: Final = 3_600 * _SECOND
_DAY: Final = 24 * _HOUR
# Steps between pages where an exchange does not tell how much it answers at once.
_BARS_PER_PAGE: Final = 100
_PAYMENT_DAYS: Final = 7
# A page that begins so many bars late, or a day, is checked against longer bars.
_SUSPICIOUS_BARS: Final = 100


@dataclass
class Findings:
    """Observations made while a series was fetched.

    Attributes:
        bad_rows: rows that break the rules.
        first_bad: the first of them, with its time and value.
        unfinished: open time of a bar that has not ended yet, which is left out; None without one.
        late_stamps: payments whose time was cut to the whole second.
        unserved: a span that was traded, and that the exchange answers nothing for; None without one.
    """

    bad_rows: int = 0
    first_bad: str | None = None
    unfinished: int | None = None
    late_stamps: int = 0
    unserved: Span | None = None

    def note_bad(self, problem: str) -> None:
        """Count a row that cannot be used."""
        self.bad_rows += 1
        self.first_bad = self.first_bad or problem


class Page(NamedTuple):
    """The rows of one answer.

    Attributes:
        rows: sorted, checked and finished; in the columns of the series.
        reached: the moment before which all has been answered.
    """

    rows: pl.DataFrame
    reached: int


class Series(ABC):
    """Rows of one market that an exchange answers page by page.

    Attributes:
        source: the name of the series in messages.
        provenance: the exchange, the market and the library, as the catalog keeps them.
        step: microseconds between two rows without a gap, at the least.
        schema: the columns of its rows.
        findings: the observations made so far.
    """

    source: str
    provenance: Provenance
    step: int
    schema: pl.Schema
    findings: Findings

    @abstractmethod
    def fetch(self, span: Span) -> Page:
        """Return the rows from the start of ``span`` on that come in one answer, none before it or after its end.

        Raises:
            DownloadError: the exchange refuses, or does not answer.
        """


@final
class TradedTimes:
    """Times at which a market was traded, by its longer bars. They tell a market at rest from an answer left empty."""

    def __init__(self, exchange: Exchange, market: Market) -> None:
        self._exchange = exchange
        self._market = market
        self._timeframe: Timeframe | None = None
        self._asked_from = 0
        self._opens: list[int] = []

    def inside(self, span: Span, longer_than: Timeframe) -> Span | None:
        """Return the first longer bar with trades that lies wholly in the span; None where there is none, or no telling."""
        coarse = self._exchange.longer_timeframe(
            longer_than, at_most=(span.end - span.start) // (2 * _SECOND)
        )
        if coarse is None:
            return None
        opens = self._after(span.start, span.end, coarse)
        found = next((o for o in opens if o >= span.start and o + coarse.microseconds <= span.end), None)
        return None if found is None else Span(found, found + coarse.microseconds)

    def next(self, moment: int, end: int, longer_than: Timeframe) -> int:
        """Return the open time of the first longer bar with trades that ends after a moment; ``end`` where there is none
        before it, the moment itself where there is no telling.
        """
        coarse = self._exchange.longer_timeframe(longer_than, at_most=_DAY // _SECOND)
        if coarse is None:
            return moment
        opens = self._after(moment - coarse.microseconds, end, coarse)
        return next((o for o in opens if o + coarse.microseconds > moment), end)

    def _after(self, since: int, end: int, timeframe: Timeframe) -> list[int]:
        """Return open times from ``since`` on: those of one answer, or of the first that has any before ``end``."""
        if timeframe == self._timeframe and self._opens and self._asked_from <= since <= self._opens[-1]:
            return self._opens
        self._timeframe, self._opens = timeframe, []
        while not self._opens and since < end:
            self._asked_from = since
            answer = self._exchange.bars(self._market, timeframe, since, self._market.bars_per_page)
            rows = _timed(answer, Findings(), self._exchange.now())
            self._opens = [row[0] for row in rows if row[0] >= since and len(row) > 5 and row[5] != 0]
            since += timeframe.microseconds * (self._market.bars_per_page or _BARS_PER_PAGE)
        return self._opens


@final
class BarSeries(Series):
    """The bars of a market in a timeframe."""

    def __init__(self, exchange: Exchange, market: Market, timeframe: Timeframe) -> None:
        native = exchange.native_timeframe(timeframe)
        months = int(native[:-1]) if native.endswith("M") else 0
        self.source = f"{market.exchange} {market.symbol} {timeframe}"
        self.provenance = _provenance(self.source, exchange, market)
        self.schema = SCHEMA
        self.step = 28 * _DAY * months if months else timeframe.microseconds
        self.findings = Findings()
        self._exchange = exchange
        self._market = market
        self._timeframe = timeframe
        # Months differ in length; Polars knows them.
        self._length = f"{months}mo" if months else f"{timeframe.seconds}s"
        self._is_even = not months
        self._limit = market.bars_per_page
        self._is_page_whole = False
        self._traded = TradedTimes(exchange, market)

    def fetch(self, span: Span) -> Page:
        """See :meth:`Series.fetch`."""
        needed = -(-(span.end - span.start) // self.step)
        limit = None if self._limit is None else min(self._limit, needed)
        now = self._exchange.now()
        rows = self._ask(span.start, limit, now)
        if limit is not None and 0 < len(rows) < limit:
            rows = self._with_head(rows, span, now)
        nothing_until = rows[0][0] if rows else span.start + (limit or _BARS_PER_PAGE) * self.step
        silent = Span(span.start, min(nothing_until, span.end))
        if not rows or silent.end - silent.start > min(_DAY, _SUSPICIOUS_BARS * self.step):
            rows = self._asked_again(rows, silent, limit, now)
        if rows:
            return Page(self._usable(rows, span, now), int(rows[-1][0]) + self.step)
        reached = silent.end
        if reached < span.end:
            reached = max(reached, self._traded.next(reached, span.end, self._timeframe))
        return Page(self.schema.to_frame(), reached)

    def _ask(self, start: int, limit: int | None, now: int) -> list[list[Any]]:
        """Return the rows of an answer from ``start`` on, by time."""
        # Where the length of a bar varies, some exchanges round the time that they are asked from.
        since = start if self._is_even else start - self.step
        answer = self._exchange.bars(self._market, self._timeframe, since, limit)
        return [row for row in _timed(answer, self.findings, now) if start <= row[0] <= now]

    def _with_head(self, rows: list[list[Any]], span: Span, now: int) -> list[list[Any]]:
        """Return a short page that begins late, or its first rows where it holds just the last ones of its span.

        Some exchanges answer less than they are said to, and of a span its end.
        """
        if self._is_page_whole or rows[0][0] - span.start < self.step:
            return rows
        for limit in (self._limit, len(rows)):
            head = self._ask(span.start, limit, now)
            if head and head[0][0] < rows[0][0]:
                self._limit = limit
                return head
        self._is_page_whole = True
        return rows

    def _asked_again(
        self, rows: list[list[Any]], silent: Span, limit: int | None, now: int
    ) -> list[list[Any]]:
        """Return the answer to a second try. Where longer bars tell of trades that both are silent about, that is a finding."""
        traded = None if self.findings.unserved else self._traded.inside(silent, self._timeframe)
        if rows and traded is None:
            return rows
        again = self._ask(silent.start, limit, now)
        if traded is not None and not (again and again[0][0] < silent.end):
            self.findings.unserved = Span(traded.start, silent.end)
        return again or rows

    def _usable(self, rows: list[list[Any]], span: Span, now: int) -> pl.DataFrame:
        # columns: timestamp, open, high, low, close, volume
        frame = _framed(rows, self.schema)
        end = pl.col("timestamp").dt.offset_by(self._length).to_physical()
        started = frame.filter(end > now)["timestamp"].to_physical()
        if len(started) and started[0] < span.end:
            self.findings.unfinished = int(started[0])
        frame = frame.filter((end <= now) & (end <= span.end))
        return _checked(self._on_grid(_without_doubles(frame, self)), check_bars, self)

    def _on_grid(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Drop bars that open beside the grid of the others."""
        if not self._is_even or frame.height < 3:
            return frame
        phase = frame["timestamp"].to_physical() % self.step
        usual = phase.mode().min()
        for moment in frame.filter(phase != usual)["timestamp"].to_physical():
            self.findings.note_bad(
                f"{self.source}, {iso(moment)}: a bar of {self._timeframe} cannot open there, by the others around it"
            )
        return frame.filter(phase == usual)


@final
class PaymentSeries(Series):
    """The funding payments of a perpetual future. Their times are cut to the second: exchanges stamp some a little late."""

    def __init__(self, exchange: Exchange, market: Market) -> None:
        self.source = f"{market.exchange} {market.symbol} funding"
        self.provenance = _provenance(self.source, exchange, market)
        self.schema = RATES
        self.step = _HOUR
        self.findings = Findings()
        self._exchange = exchange
        self._market = market
        self._traded = TradedTimes(exchange, market)

    def fetch(self, span: Span) -> Page:
        """See :meth:`Series.fetch`."""
        now = self._exchange.now()
        rows = self._ask(span.start, now) or self._ask(span.start, now)
        if len(rows) > 1 and rows[0][0] - span.start > 1.5 * _usual_step(rows):
            rows = self._with_earlier(rows, span, now)
        if not rows:
            reached = span.start + _PAYMENT_DAYS * _DAY
            if reached < span.end:
                reached = max(reached, self._traded.next(reached, span.end, Timeframe(3_600)))
            return Page(self.schema.to_frame(), reached)
        self.findings.late_stamps += sum(1 for row in rows if row[0] % _SECOND and row[0] < span.end)
        # columns: timestamp, rate
        frame = _framed(rows, self.schema).with_columns(pl.col("timestamp").dt.truncate("1s"))
        time = pl.col("timestamp").to_physical()
        frame = frame.filter((time >= span.start) & (time < span.end) & (time <= now))
        return Page(_checked(_without_doubles(frame, self), check_rates, self), rows[-1][0] + _MILLISECOND)

    def _ask(self, since: int, now: int, until: int | None = None) -> list[list[Any]]:
        answer = [list(row) for row in self._exchange.payments(self._market, since, until)]
        return [row for row in _timed(answer, self.findings, now) if row[0] >= since]

    def _with_earlier(self, rows: list[list[Any]], span: Span, now: int) -> list[list[Any]]:
        """Put before the rows earlier ones, which a page that takes the newest of a span first has left out."""
        while len(rows) > 1 and rows[0][0] - span.start > 1.5 * _usual_step(rows):
            answered = self._ask(span.start, now, until=rows[0][0] - _MILLISECOND)
            earlier = [row for row in answered if row[0] < rows[0][0]]
            if answered and not earlier:
                # The exchange does not mind the bound: it tells its latest payments alone.
                self.findings.unserved = Span(span.start, int(rows[0][0]))
            if not earlier:
                break
            rows = earlier + rows
        return rows


def _timed(answer: list[list[Any]], findings: Findings, now: int) -> list[list[Any]]:
    """Return rows with their time in microseconds, sorted by it. Rows without a plausible time are bad."""
    rows = []
    for row in answer:
        moment = row[0] if row else None
        if isinstance(moment, int | float) and 0 < moment * _MILLISECOND < now + _DAY:
            rows.append([int(moment) * _MILLISECOND, *row[1:]])
        else:
            findings.note_bad(f"a row comes with the time {moment!r}")
    rows.sort(key=itemgetter(0))
    return rows


def _framed(rows: list[list[Any]], schema: pl.Schema) -> pl.DataFrame:
    """Return rows in the columns of a schema; what is no number is null."""
    columns = {
        name: pl.Series(name, [row[i] if i < len(row) else None for row in rows], strict=False)
        for i, name in enumerate(schema)
    }
    return pl.DataFrame(columns).select(
        pl.col("timestamp").cast(pl.Int64).cast(schema["timestamp"]),
        *(pl.col(name).cast(pl.Float64, strict=False) for name in schema if name != "timestamp"),
    )


def _without_doubles(frame: pl.DataFrame, series: Series) -> pl.DataFrame:
    """Sort rows by time, and keep each time once; a time with several values is bad."""
    unique = frame.unique(maintain_order=True).sort("timestamp", maintain_order=True)
    doubled = unique.filter(pl.col("timestamp").is_duplicated())
    for moment, *_ in doubled.select(pl.col("timestamp").unique(maintain_order=True).to_physical()).rows():
        of_it = doubled.filter(pl.col("timestamp").to_physical() == moment)
        values = " and ".join(str(row[1:]) for row in of_it.rows())
        series.findings.note_bad(f"{series.source}, {iso(moment)}: comes with two values, {values}")
    return unique.filter(~pl.col("timestamp").is_duplicated())


def _checked(frame: pl.DataFrame, check: Callable[..., pl.DataFrame], series: Series) -> pl.DataFrame:
    """Return the rows that obey the rules; the others are bad, and the first is named with its time and value."""
    while frame.height:
        try:
            return check(frame, source=series.source)
        except BarsError as error:
            if error.row is None:
                raise
            where = f"{series.source}, row {error.row}, column {error.column!r}: "
            moment = iso(int(frame["timestamp"].to_physical()[error.row]))
            series.findings.note_bad(
                f"{series.source}, {moment}: {error.column}: {str(error).removeprefix(where)}"
            )
            frame = frame.with_row_index("row").filter(pl.col("row") != error.row).drop("row")
    return frame


def _usual_step(rows: list[list[Any]]) -> float:
    return float(np.median(np.diff([row[0] for row in rows])))


def _provenance(source: str, exchange: Exchange, market: Market) -> Provenance:
    assumed = {
        "exchange": market.exchange,
        "symbol": f"{market.symbol} ({market.kind})",
        "zone": "UTC, as exchanges are",
        "label": "open",
        "volume": f"in {market.base}",
        "library": f"ccxt {exchange.ccxt_version}",
    }
    return Provenance(source, assumed=assumed)
