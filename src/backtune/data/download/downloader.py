"""Bars and funding payments from an exchange into a catalog: what is absent is fetched, and stored as it comes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import final

import numpy as np
import polars as pl

from backtune.data.catalog import Catalog
from backtune.data.download.absent import Cursor, Span, absent_spans
from backtune.data.download.batches import Batch, StoredRows
from backtune.data.download.exchange import Exchange
from backtune.data.download.markets import Market
from backtune.data.download.pages import BarSeries, Findings, PaymentSeries, Series
from backtune.data.download.report import DownloadProgress, DownloadReport, Status
from backtune.data.download.stopping import StopRequest
from backtune.data.funding import FUNDING
from backtune.data.gaps import find_gaps
from backtune.data.manifest import partition_path
from backtune.data.window import Moment, TimeRange, iso, to_datetime
from backtune.errors import CatalogError, DataError, DownloadError, SpecError
from backtune.spec.timeframe import Timeframe


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
    stop: StopRequest | None = None,
) -> list[DownloadReport]:
    """Download the bars of symbols that lie wholly in [start, end), as far as the catalog does not hold them.

    What has come is stored every few seconds, so that a download that is cut off goes on there. Bars that the
    catalog has with other values stay as they are, unless ``replace`` is on, and are reported.

    Args:
        exchange: ccxt's id, such as ``binance``, or an :class:`Exchange` to be asked.
        symbols: The symbols as ccxt writes them: ``BTC/USDT``, and ``BTC/USDT:USDT`` for the perpetual future.
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
    lengths = list(dict.fromkeys(map(Timeframe.parse, timeframes)))
    request = _DownloadRequest(symbols, lengths, start, end, funding, asset, replace)
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
    stop: StopRequest | None = None,
) -> list[DownloadReport]:
    """Download the funding payments of perpetual futures alone; otherwise as :func:`download_bars`."""
    request = _DownloadRequest(symbols, [], start, end, True, asset, replace)  # noqa: FBT003
    return _download(exchange, root, request, on_progress, stop)


@dataclass(frozen=True)
class _DownloadRequest:
    symbols: str | Iterable[str]
    timeframes: list[Timeframe]
    start: Moment
    end: Moment
    funding: bool
    asset: str | None
    replace: bool


def _download(
    exchange: str | Exchange,
    root: str | Path,
    request: _DownloadRequest,
    on_progress: Callable[[DownloadProgress], None] | None,
    stop: StopRequest | None,
) -> list[DownloadReport]:
    opened = Exchange(exchange, stop=stop) if isinstance(exchange, str) else exchange
    try:
        window = TimeRange.of(request.start, request.end)
        for timeframe in request.timeframes:
            opened.native_timeframe(timeframe)
        symbols = [request.symbols] if isinstance(request.symbols, str) else request.symbols
        markets = opened.markets(symbols, funding=request.funding)
        assets = _assets(markets, request.asset)
        span = _span(window, opened.now())
        catalog = Catalog.open_or_create(root)
        catalog.settle()
        jobs = [
            _SeriesDownload(opened, market, asset, timeframe, catalog, span, request.replace)
            for timeframe in [*request.timeframes, *([None] if request.funding else [])]
            for market, asset in zip(markets, assets, strict=True)
        ]
        if request.asset is None:
            _check_same_origin(jobs)
        return list(_reports(jobs, on_progress or (lambda _progress: None), stop))
    finally:
        if isinstance(exchange, str):
            opened.close()


def _check_same_origin(jobs: list[_SeriesDownload]) -> None:
    """Refuse to mix a market's rows with those of another exchange, or of files, unless --asset says that it is meant.

    Raises:
        SpecError: An asset has rows from elsewhere.
    """
    for job in jobs:
        for source in job.catalog.sources(job.asset, job.timeframe):
            if source.name != job.series.source:
                raise SpecError(
                    "asset",
                    f"{job.asset} {job.timeframe or FUNDING} has rows from {source.name!r}; pass --asset {job.asset} if "
                    f"{job.series.source!r} is to go on with them, or another name if it is not",
                    value=job.asset,
                )


def _span(window: TimeRange, now: int) -> Span:
    if window.start is None:
        raise SpecError("start", "a download needs the time of the first bar, such as 2024-01-01")
    if window.start >= now:
        raise SpecError(
            "start", f"{iso(window.start)} is not past yet; it is {iso(now)}", value=iso(window.start)
        )
    return Span(window.start, now if window.end is None else min(window.end, now))


def _assets(markets: list[Market], asset: str | None) -> list[str]:
    """Return the name of each market in the catalog.

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
                "asset",
                f"{name} would be the name of {both}; download them one at a time, each with its --asset",
                value=name,
            )
    return names


def _reports(
    jobs: list[_SeriesDownload], on_progress: Callable[[DownloadProgress], None], stop: StopRequest | None
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
class _SeriesDownload:
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
        """Return a report of nothing yet."""
        length = FUNDING if self.timeframe is None else str(self.timeframe)
        return DownloadReport(
            self.market.exchange,
            self.market.symbol,
            self.market.kind,
            self.asset,
            length,
            ccxt_version=self.exchange.ccxt_version,
        )

    def run(
        self, on_progress: Callable[[DownloadProgress], None], stop: StopRequest | None
    ) -> DownloadReport:
        """Fetch and store what is absent."""
        n_before = self.exchange.n_requests
        stored = StoredRows(self.catalog, self.asset, self.timeframe)
        status: Status = "complete"
        error: str | None = None
        batch = Batch(stored, self.series, replace=self.replace)
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

    def _fetch(self, batch: Batch, on_progress: Callable[[DownloadProgress], None]) -> None:
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
        self, report: DownloadReport, stored: StoredRows, batch: Batch, status: Status, error: str | None
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
            end=to_datetime(self.timeframe.end_of(int(opens[-1]))),
            gaps=gaps.count,
            longest_gap_seconds=gaps.longest_seconds,
        )


def _problems(series: Series, batch: Batch, market: Market) -> Iterator[str]:
    """List the reasons why a series that was fetched to its end is not complete."""
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
    batch: Batch,
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
