"""Bars and funding payments from an exchange into a catalog: what is absent is fetched, and stored as it comes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Literal, final

import numpy as np
import polars as pl

from backtune.data.absent import Cursor, Span, absent_spans
from backtune.data.catalog import Catalog
from backtune.data.exchange import Exchange, Market
from backtune.data.gaps import find_gaps
from backtune.data.manifest import Partition, partition_path
from backtune.data.pages import BarSeries, Findings, PaymentSeries, Series
from backtune.data.parquet import decode
from backtune.data.stopping import Stop
from backtune.data.window import Moment, Window, iso, to_datetime
from backtune.errors import CatalogError, DataError, DownloadError, SpecError
from backtune.timeframe import Timeframe

FUNDING: Final = "funding"  # stands for the timeframe in reports of payments
# Rows are stored after a second, and writing takes a twentieth of the time at most: a year's file is written whole.
_SECONDS_PER_BATCH: Final = 1.0
_BATCH_SECONDS_PER_WRITE_SECOND: Final = 20.0
_ROWS_PER_BATCH: Final = 100_000

Status = Literal["complete", "partial", "failed"]


@dataclass(frozen=True)
class DownloadReport:
    """What became of one series: the bars of a symbol in a timeframe, or its funding payments.

    Attributes:
        market: ``spot``, ``swap``, ``future`` or ``option``.
        timeframe: of the bars, or ``funding``.
        status: ``complete``; ``partial`` where the same download goes on with the rest; ``failed`` where it cannot.
        rows: those of the asked span that are in the catalog now.
        new: those among them that this download stored.
        changed: those whose values it replaced.
        start, end: open time of the first bar and end of the last, or times of the first and the last payment.
        gaps, longest_gap_seconds: places where bars are absent, and the longest time without one.
        n_requests: what the exchange was asked for this series.
        ccxt_version: of the library that asked.
        notes: what was left out or taken for what.
        error: why it is not complete.
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
    """How far the download of one series is.

    Attributes:
        source: exchange, symbol and timeframe.
        start, end: of what has to be fetched.
        reached: the moment before which all is fetched.
        rows: fetched so far.
        pause: why the exchange is not asked just now; None while it is.
    """

    source: str
    start: datetime
    end: datetime
    reached: datetime
    rows: int
    pause: str | None = None


def download_bars(
    exchange: str | Exchange,
    symbols: str | Iterable[str],
    root: str | Path,
    *,
    timeframe: str | Timeframe | Iterable[str | Timeframe],
    start: Moment,
    end: Moment = None,
    funding: bool = False,
    asset: str | None = None,
    replace: bool = False,
    on_progress: Callable[[DownloadProgress], None] | None = None,
    stop: Stop | None = None,
) -> list[DownloadReport]:
    """Download the bars of symbols that lie wholly in [start, end), as far as the catalog does not hold them.

    What has come is stored every few seconds, so that a download that is cut off goes on there. Bars that the
    catalog has with other values stay as they are, unless ``replace`` is on, and are reported.

    Args:
        exchange: ccxt's id, such as ``binance``, or an :class:`Exchange` to be asked.
        symbols: as ccxt writes them: ``BTC/USDT``, and ``BTC/USDT:USDT`` for the perpetual future.
        root: the catalog: a folder, or ``s3://bucket/prefix``; created where there is none.
        timeframe: one or several that the exchange has.
        start, end: dates, datetimes or ISO text, UTC where no offset is given; ``end`` is now where it is later or None.
        funding: download the funding payments of the symbols too.
        asset: the name in the catalog, for one symbol; else :attr:`Market.asset`.
        replace: fetch all of the span again, and take the exchange's values where the catalog has others.
        on_progress: called after each answer.
        stop: asked between answers; without it KeyboardInterrupt travels on once what has come is stored.

    Returns:
        One report for each symbol and timeframe, bars before payments.

    Raises:
        SpecError: ccxt is not installed, or the exchange, a symbol, a timeframe, the span or the asset's name is not
            one. Nothing was written.
        DownloadError: the exchange does not tell its markets. Nothing was written.
        CatalogError: the catalog cannot be opened.
    """
    timeframes = [timeframe] if isinstance(timeframe, str | Timeframe) else list(timeframe)
    lengths = [Timeframe.parse(t) if isinstance(t, str) else t for t in timeframes]
    request = _Request(_listed(symbols), lengths, start, end, funding, asset, replace)
    return _download(exchange, root, request, on_progress, stop)


def download_funding(
    exchange: str | Exchange,
    symbols: str | Iterable[str],
    root: str | Path,
    *,
    start: Moment,
    end: Moment = None,
    asset: str | None = None,
    replace: bool = False,
    on_progress: Callable[[DownloadProgress], None] | None = None,
    stop: Stop | None = None,
) -> list[DownloadReport]:
    """As :func:`download_bars`, for the funding payments of perpetual futures alone."""
    request = _Request(_listed(symbols), [], start, end, True, asset, replace)  # noqa: FBT003
    return _download(exchange, root, request, on_progress, stop)


@dataclass(frozen=True)
class _Request:
    symbols: list[str]
    timeframes: list[Timeframe]
    start: Moment
    end: Moment
    funding: bool
    asset: str | None
    replace: bool


def _listed(symbols: str | Iterable[str]) -> list[str]:
    return [symbols] if isinstance(symbols, str) else list(symbols)


def _download(
    exchange: str | Exchange,
    root: str | Path,
    request: _Request,
    on_progress: Callable[[DownloadProgress], None] | None,
    stop: Stop | None,
) -> list[DownloadReport]:
    opened = Exchange(exchange, stop=stop) if isinstance(exchange, str) else exchange
    try:
        window = Window.of(request.start, request.end)
        for timeframe in request.timeframes:
            opened.native_timeframe(timeframe)
        markets = opened.markets(request.symbols, funding=request.funding)
        assets = _assets(markets, request.asset)
        span = _span(window, opened.now())
        catalog = Catalog.open_or_create(root)
        jobs = [
            _Job(opened, market, asset, timeframe, catalog, span, request.replace)
            for timeframe in [*request.timeframes, *([None] if request.funding else [])]
            for market, asset in zip(markets, assets, strict=True)
        ]
        return list(_reports(jobs, on_progress or (lambda _progress: None), stop))
    finally:
        if isinstance(exchange, str):
            opened.close()


def _span(window: Window, now: int) -> Span:
    if window.start is None:
        raise SpecError("start", "a download needs the time of the first bar, such as 2024-01-01")
    if window.start >= now:
        raise SpecError(
            "start", f"{iso(window.start)} is not past yet; it is {iso(now)}", value=iso(window.start)
        )
    return Span(window.start, now if window.end is None else min(window.end, now))


def _assets(markets: list[Market], asset: str | None) -> list[str]:
    """The name of each market in the catalog.

    Raises:
        SpecError: a name cannot be one, or is that of two markets.
    """
    names = [asset or market.asset for market in markets]
    taken: dict[str, str] = {}
    for name, market in zip(names, markets, strict=True):
        try:
            partition_path(name, None, 2000)
        except CatalogError as error:
            raise SpecError(
                "asset", f"{error}; --asset gives {market.symbol} another name", value=name
            ) from error
        if taken.setdefault(name, market.symbol) != market.symbol or names.count(name) > 1:
            both = " and ".join(m.symbol for m, other in zip(markets, names, strict=True) if other == name)
            raise SpecError(
                "asset", f"{name} would be the name of {both}; download them one at a time, each with its --asset",
                value=name,
            )  # fmt: skip
    return names


def _reports(
    jobs: list[_Job], on_progress: Callable[[DownloadProgress], None], stop: Stop | None
) -> Iterator[DownloadReport]:
    given_up: str | None = None
    for job in jobs:
        if given_up is None:
            report = job.run(on_progress, stop)
            if report.status == "partial":
                given_up = report.error
        else:
            report = replace(job.report(), status="partial", error=f"{job.series.source}: not begun")
        yield report


@final
@dataclass
class _Job:
    """The download of one series."""

    exchange: Exchange
    market: Market
    asset: str
    timeframe: Timeframe | None
    catalog: Catalog
    span: Span
    replace: bool
    series: Series = field(init=False)

    def __post_init__(self) -> None:
        if self.timeframe is None:
            self.series = PaymentSeries(self.exchange, self.market)
        else:
            self.series = BarSeries(self.exchange, self.market, self.timeframe)

    def report(self) -> DownloadReport:
        """A report of nothing yet."""
        length = FUNDING if self.timeframe is None else str(self.timeframe)
        return DownloadReport(
            self.market.exchange, self.market.symbol, self.market.kind, self.asset, length,
            ccxt_version=self.exchange.ccxt_version,
        )  # fmt: skip

    def run(self, on_progress: Callable[[DownloadProgress], None], stop: Stop | None) -> DownloadReport:
        """Fetch and store what is absent."""
        n_before = self.exchange.n_requests
        stored = _Stored(self.catalog, self.asset, self.timeframe)
        status: Status = "complete"
        error: str | None = None
        batch = _Batch(stored, self.series, replace=self.replace)
        try:
            try:
                self._fetch(batch, on_progress)
            finally:
                batch.flush()
        except KeyboardInterrupt:
            if stop is None:
                raise
            status, error = "partial", f"{self.series.source}: interrupted"
        except DownloadError as problem:
            status, error = (
                "partial" if problem.is_transient else "failed",
                f"{self.series.source}: {problem}",
            )
        except DataError as problem:
            status, error = "failed", str(problem)
        report = replace(
            self.report(),
            new=batch.new,
            changed=batch.changed,
            n_requests=self.exchange.n_requests - n_before,
        )
        return self._filled(report, stored, batch, status, error)

    def _fetch(self, batch: _Batch, on_progress: Callable[[DownloadProgress], None]) -> None:
        held = batch.begin(self.span)
        if self.replace:
            absent = [self.span]
        else:
            usual = int(np.median(np.diff(held)) * 1.5) if self.timeframe is None and len(held) > 2 else 0
            goes_on = batch.stored.goes_on_after(self.span.end)
            absent = absent_spans(held, self.span, max(usual, self.series.step), goes_on=goes_on)
        cursor = Cursor(absent, self.series.step)
        whole = cursor.next()
        if whole is None:
            return
        progress = DownloadProgress(
            self.series.source,
            to_datetime(whole.start),
            to_datetime(whole.end),
            to_datetime(whole.start),
            rows=0,
        )
        self.exchange.on_pause = lambda reason: on_progress(replace(progress, pause=reason))
        on_progress(progress)
        while (span := cursor.next()) is not None:
            page = self.series.fetch(span)
            batch.add(page.rows)
            cursor.advance(page.reached)
            progress = replace(
                progress,
                rows=progress.rows + page.rows.height,
                reached=to_datetime(min(page.reached, whole.end)),
            )
            on_progress(progress)

    def _filled(
        self, report: DownloadReport, stored: _Stored, batch: _Batch, status: Status, error: str | None
    ) -> DownloadReport:
        try:
            opens = stored.times(self.span)
        except DataError as problem:
            return replace(report, status="failed", error=error or str(problem))
        findings = self.series.findings
        problems = [*([error] if error else []), *_problems(self.series, batch, self.market)]
        if status == "complete" and problems:
            status = "failed"
        report = replace(
            report,
            status=status,
            rows=len(opens),
            notes=tuple(_notes(findings, opens, self.span, batch, self.timeframe, is_complete=error is None)),
            error="; ".join(problems) or None,
        )
        if not len(opens):
            return report
        if self.timeframe is None:
            return replace(report, start=to_datetime(int(opens[0])), end=to_datetime(int(opens[-1])))
        gaps = find_gaps(pl.DataFrame({"timestamp": opens}), self.timeframe)
        return replace(
            report,
            start=to_datetime(int(opens[0])),
            end=to_datetime(int(opens[-1]) + self.timeframe.microseconds),
            gaps=gaps.count,
            longest_gap_seconds=gaps.longest_seconds,
        )


@final
class _Stored:
    """What the catalog holds of one series."""

    def __init__(self, catalog: Catalog, asset: str, timeframe: Timeframe | None) -> None:
        self.catalog = catalog
        self.asset = asset
        self.timeframe = timeframe

    def times(self, span: Span) -> np.ndarray:
        """(n_rows,) int64, the times of the rows that lie in a span, whole bars among them."""
        length = self.timeframe.microseconds if self.timeframe else 1
        inside = Window(span.start, span.end - length + 1)
        frames = [
            self._rows_of(partition, inside)["timestamp"].to_physical().to_numpy()
            for partition in self._partitions()
            if inside.overlaps(partition.start, partition.end + 1)
        ]
        return np.concatenate([np.empty(0, dtype=np.int64), *frames])

    def rows(self, span: Span) -> list[pl.DataFrame]:
        """The rows with a time in a span, by file."""
        inside = Window(span.start, span.end)
        return [
            self._rows_of(partition, inside)
            for partition in self._partitions()
            if inside.overlaps(partition.start, partition.end + 1)
        ]

    def goes_on_after(self, moment: int) -> bool:
        """Whether there are rows later than a moment."""
        return any(partition.end > moment for partition in self._partitions())

    def write(self, frame: pl.DataFrame, *, replace: bool, source: str) -> None:
        """Merge rows into the catalog."""
        if self.timeframe is None:
            self.catalog.write_funding(self.asset, frame, replace=replace, source=source)
        else:
            self.catalog.write(self.asset, self.timeframe, frame, replace=replace, source=source)

    def _partitions(self) -> list[Partition]:
        found = self.catalog.all_partitions()
        return [p for p in found if (p.asset, p.timeframe) == (self.asset, self.timeframe)]

    def _rows_of(self, partition: Partition, window: Window) -> pl.DataFrame:
        content = self.catalog.read_partition(partition)
        name = self.catalog.store.describe(partition.path)
        return decode(content, partition.schema, source=name, where=window.contains("timestamp"))


@final
class _Batch:
    """Rows that have come and are not stored yet."""

    def __init__(self, stored: _Stored, series: Series, *, replace: bool) -> None:
        self.stored = stored
        self.new = 0
        self.changed = 0
        self.n_differing = 0
        self.first_difference: str | None = None
        self._series = series
        self._replace = replace
        self._held = np.empty(0, dtype=np.int64)
        self._frames: list[pl.DataFrame] = []
        self._n_rows = 0
        self._written_at = time.monotonic()
        self._pause_seconds = _SECONDS_PER_BATCH

    def begin(self, span: Span) -> np.ndarray:
        """The times that the catalog holds of a span. Damaged files hold none where they are to be replaced."""
        try:
            self._held = self.stored.times(span)
        except DataError:
            if not self._replace:
                raise
        return self._held

    def add(self, frame: pl.DataFrame) -> None:
        """Take rows, and store what has come where it is time."""
        if frame.height:
            self._frames.append(frame)
            self._n_rows += frame.height
        is_due = time.monotonic() - self._written_at >= self._pause_seconds
        if is_due or self._n_rows >= _ROWS_PER_BATCH:
            self.flush()

    def flush(self) -> None:
        """Store what has come."""
        if not self._frames:
            return
        began = time.monotonic()
        frame = pl.concat(self._frames).sort("timestamp")
        self._frames, self._n_rows = [], 0
        frame, n_new, n_changed = self._compared(frame)
        if frame.height:
            self.stored.write(frame, replace=self._replace, source=self._series.source)
        self.new += n_new
        self.changed += n_changed
        self._written_at = time.monotonic()
        self._pause_seconds = max(
            _SECONDS_PER_BATCH, _BATCH_SECONDS_PER_WRITE_SECOND * (self._written_at - began)
        )

    def _compared(self, frame: pl.DataFrame) -> tuple[pl.DataFrame, int, int]:
        """The rows to write, and how many of them are new and how many replace others. Differences are noted."""
        times = frame["timestamp"].to_physical().to_numpy()
        # Other programs' times may have the fraction of a second that payments come with.
        if not np.isin(times, self._held // 1_000_000 * 1_000_000).any():
            return frame, frame.height, 0
        stored = pl.concat(
            [
                self._series.schema.to_frame(),
                *self.stored.rows(Span(int(times[0]), int(times[-1]) + 1_000_000)),
            ]
        )
        values = self._series.schema.names()[1:]
        # columns: second, timestamp_stored, and the values as *_stored
        theirs = stored.select(
            pl.col("timestamp").dt.truncate("1s").alias("second"), pl.all().name.suffix("_stored")
        ).unique("second", keep="first", maintain_order=True)
        both = frame.join(theirs, left_on="timestamp", right_on="second", how="left", maintain_order="left")
        is_stored = pl.col("timestamp_stored").is_not_null()
        differs = is_stored & pl.any_horizontal(pl.col(v) != pl.col(f"{v}_stored") for v in values)
        different = both.filter(differs)
        if different.height:
            self.n_differing += different.height
            self.first_difference = self.first_difference or self._difference(different.row(0, named=True))
        wanted = both.filter(~is_stored | differs) if self._replace else both.filter(~is_stored)
        n_new = both.filter(~is_stored).height
        rows = wanted.select(pl.coalesce("timestamp_stored", "timestamp").alias("timestamp"), *values)
        return rows, n_new, rows.height - n_new

    def _difference(self, row: dict[str, Any]) -> str:
        name = next(v for v in self._series.schema.names()[1:] if row[v] != row[f"{v}_stored"])
        moment = row["timestamp"].isoformat().replace("+00:00", "Z")
        return f"{name} is {row[name]} at {moment}, the catalog had {row[f'{name}_stored']}"


def _problems(series: Series, batch: _Batch, market: Market) -> Iterator[str]:
    """Why a series that was fetched to its end is not complete."""
    findings = series.findings
    if findings.first_bad is not None:
        more = f" ({findings.bad_rows} such rows)" if findings.bad_rows > 1 else ""
        yield f"{findings.first_bad}{more}; left out, the rest is stored"
    if batch.n_differing > batch.changed:
        yield (
            f"{series.source}: {batch.first_difference} ({batch.n_differing} rows differ) and keeps it; "
            "--replace takes the exchange's values, --asset another name for another market"
        )
    if findings.unserved is not None:
        yield (
            f"{series.source}: {market.exchange} has trades in {findings.unserved}, but answers nothing for it; some "
            "exchanges tell their latest bars alone: take a longer timeframe or a later --start, or import the "
            "history that the exchange offers as files"
        )


def _notes(
    findings: Findings,
    opens: np.ndarray,
    span: Span,
    batch: _Batch,
    timeframe: Timeframe | None,
    *,
    is_complete: bool,
) -> Iterator[str]:
    if timeframe is not None and is_complete:
        if not len(opens):
            yield f"the exchange has no bars in {span}"
        elif opens[0] - span.start >= timeframe.microseconds:
            yield f"the exchange has no bars before {iso(int(opens[0]))}"
        if len(opens) and span.end - opens[-1] >= 2 * timeframe.microseconds:
            yield f"the exchange has no bars after that of {iso(int(opens[-1]))}"
    elif is_complete and not len(opens):
        yield f"the exchange has no payments in {span}"
    if findings.unfinished is not None:
        yield f"the bar of {iso(findings.unfinished)} is not finished and left out"
    if findings.late_stamps and batch.new:
        yield f"times of {findings.late_stamps} payments cut to the second"
    if is_complete and not batch.new and not batch.changed and len(opens):
        yield "the catalog has these rows already"
    if batch.changed:
        yield f"{batch.changed} rows replaced, the first: {batch.first_difference}"
