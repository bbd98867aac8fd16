"""The command ``backtune data download``."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from backtune.cli.data_tables import DEFAULT_ROOT, Root, describe_gaps, format_moment, print_table
from backtune.cli.options import Json, print_json
from backtune.cluster.signals import handle_signals

if TYPE_CHECKING:
    from backtune.data.download.report import DownloadProgress, DownloadReport

_COLUMNS = ("source", "asset", "timeframe", "rows", "new", "start", "end", "gaps", "notes")
_NUMBERS = ("rows", "new")
_PLAIN_SECONDS = 10.0


def download(
    exchange: Annotated[
        str, typer.Argument(help="The exchange, by its name in ccxt, such as binance.", show_default=False)
    ],
    symbols: Annotated[
        list[str],
        typer.Argument(
            metavar="SYMBOL...",
            help="Symbols such as BTC/USDT; BTC/USDT:USDT is the perpetual future.",
            show_default=False,
        ),
    ],
    timeframe: Annotated[
        str | None,
        typer.Option(
            help="A timeframe that the exchange has, such as 1h, or several, separated by commas.",
            show_default=False,
        ),
    ] = None,
    start: Annotated[
        str | None, typer.Option(help="The first day or time, in UTC.", show_default=False)
    ] = None,
    end: Annotated[
        str | None,
        typer.Option(help="The day or time after the last bar, in UTC (default: now).", show_default=False),
    ] = None,
    root: Root = DEFAULT_ROOT,
    funding: Annotated[
        bool,
        typer.Option(
            "--funding",
            help="Download funding payments of perpetual futures; without --timeframe, nothing else.",
        ),
    ] = False,
    asset: Annotated[
        str | None,
        typer.Option(
            help="The name in the catalog, for a single symbol (default: such as BTCUSDT or BTCUSDT.P).",
            show_default=False,
        ),
    ] = None,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace", help="Download everything again, and replace values of the catalog that differ."
        ),
    ] = False,
    url: Annotated[
        str | None,
        typer.Option(
            envvar="BACKTUNE_EXCHANGE_URL",
            help="The URL of a mirror, used instead of the exchange's own hosts.",
            show_default=False,
        ),
    ] = None,
    tries: Annotated[
        int, typer.Option(min=1, help="The number of tries of one request before the download stops.")
    ] = 8,
    timeout: Annotated[
        float, typer.Option(min=0.1, help="The longest wait for an answer, in seconds.")
    ] = 20.0,
    json: Json = False,
) -> None:
    """Download bars or funding payments from an exchange. The same command continues a download that was stopped.

    No API key is needed. The exit status is 3 if the download was interrupted or the exchange did not answer; the bars
    that arrived are stored.
    """
    if timeframe is None and not funding:
        raise typer.BadParameter("one of --timeframe and --funding is needed, as in --timeframe 1h")
    if start is None:
        raise typer.BadParameter("--start is needed, as in --start 2024-01-01")
    timeframes = [name.strip() for name in (timeframe or "").split(",") if name.strip()]
    from backtune.data.download import download_bars
    from backtune.data.download.exchange import Exchange
    from backtune.data.download.retries import RetryPolicy
    from backtune.data.download.stopping import StopRequest
    from backtune.errors import DownloadError

    stop = StopRequest()
    err = Console(stderr=True, markup=False, highlight=False)
    with handle_signals(stop.request, signal.SIGINT, signal.SIGTERM), _show_progress(err, quiet=json) as show:
        try:
            with closing(
                Exchange(
                    exchange, url=url, retries=RetryPolicy(tries=tries), timeout_seconds=timeout, stop=stop
                )
            ) as opened:
                opened.on_pause = lambda reason: err.print(reason, soft_wrap=True)
                reports = download_bars(
                    opened,
                    symbols,
                    root,
                    timeframe=timeframes,
                    start=start,
                    end=end,
                    funding=funding,
                    asset=asset,
                    replace=replace,
                    on_progress=show,
                    stop=stop,
                )
        except KeyboardInterrupt:
            err.print("interrupted before the first answer; the same command starts again")
            raise typer.Exit(3) from None
        except DownloadError as error:
            err.print(f"error: {error}; nothing was stored", soft_wrap=True)
            raise typer.Exit(3 if error.is_transient else 1) from None
    _print_reports(reports, as_json=json)
    for report in reports:
        if report.error:
            err.print(report.error, soft_wrap=True)
    statuses = {report.status for report in reports}
    status = 1 if "failed" in statuses else 3 if "partial" in statuses else 0
    if status == 3:
        err.print("not finished: the same command continues the download")
    raise typer.Exit(status)


@contextmanager
def _show_progress(console: Console, *, quiet: bool) -> Iterator[Callable[[DownloadProgress], None]]:
    """Yield a function that shows progress: a live line in a terminal, elsewhere a plain line every ten seconds."""
    if quiet:
        yield lambda _progress: None
        return
    if not console.is_terminal:
        yield _print_plain_progress(console)
        return
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[rows]}", markup=False),
        TimeRemainingColumn(),
        TextColumn("{task.fields[pause]}", markup=False),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        tasks = {}

        def show(progress: DownloadProgress) -> None:
            if progress.source not in tasks:
                tasks[progress.source] = bar.add_task(progress.source, total=1.0, rows="", pause="")
            bar.update(
                tasks[progress.source],
                completed=_compute_share(progress),
                rows=f"{progress.rows:,} rows",
                pause=progress.pause or "",
            )

        yield show


def _print_plain_progress(console: Console) -> Callable[[DownloadProgress], None]:
    shown_at = time.monotonic()

    def show(progress: DownloadProgress) -> None:
        nonlocal shown_at
        if progress.pause:
            console.print(progress.pause, soft_wrap=True)
        elif time.monotonic() - shown_at >= _PLAIN_SECONDS:
            shown_at = time.monotonic()
            console.print(
                f"{progress.source}  {progress.rows:,} rows  to {format_moment(progress.reached)}  {_compute_share(progress):.0%}",
                soft_wrap=True,
            )

    return show


def _compute_share(progress: DownloadProgress) -> float:
    return min(1.0, (progress.reached - progress.start) / (progress.end - progress.start))


def _print_reports(reports: Sequence[DownloadReport], *, as_json: bool) -> None:
    if as_json:
        print_json([report.to_json() for report in reports])
        return
    print_table(_COLUMNS, [_make_row(report) for report in reports], numbers=_NUMBERS)


def _make_row(report: DownloadReport) -> tuple[str, ...]:
    notes = [*([] if report.status == "complete" else [report.status]), *report.notes]
    return (
        f"{report.exchange} {report.symbol}",
        report.asset,
        report.timeframe,
        f"{report.rows:,}",
        f"{report.new:,}",
        format_moment(report.start),
        format_moment(report.end),
        describe_gaps(report.gaps, report.longest_gap_seconds),
        "; ".join(notes),
    )
