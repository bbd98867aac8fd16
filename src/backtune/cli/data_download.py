"""``backtune data download``."""

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
from backtune.cluster.signals import answer_signals

if TYPE_CHECKING:
    from backtune.data.download.report import DownloadProgress, DownloadReport

_COLUMNS = ("source", "asset", "timeframe", "rows", "new", "start", "end", "gaps", "notes")
_NUMBERS = ("rows", "new")
_PLAIN_SECONDS = 10.0


def download(
    exchange: Annotated[
        str, typer.Argument(help="ccxt's name of the exchange, as in binance.", show_default=False)
    ],
    symbols: Annotated[
        list[str],
        typer.Argument(
            metavar="SYMBOL...",
            help="As in BTC/USDT; BTC/USDT:USDT is the perpetual future.",
            show_default=False,
        ),
    ],
    timeframe: Annotated[
        str | None,
        typer.Option(
            help="One that the exchange has, as in 1h; several separated by commas.", show_default=False
        ),
    ] = None,
    start: Annotated[str | None, typer.Option(help="First day or time, UTC.", show_default=False)] = None,
    end: Annotated[
        str | None,
        typer.Option(help="The day or time after the last, UTC; else now.", show_default=False),
    ] = None,
    root: Root = DEFAULT_ROOT,
    funding: Annotated[
        bool,
        typer.Option("--funding", help="Funding payments of perpetual futures; alone without --timeframe."),
    ] = False,
    asset: Annotated[
        str | None,
        typer.Option(
            help="Name in the catalog, for one symbol; else as in BTCUSDT, BTCUSDT.P.",
            show_default=False,
        ),
    ] = None,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace", help="Fetch all again, and take the new values where the catalog has others."
        ),
    ] = False,
    url: Annotated[
        str | None,
        typer.Option(
            envvar="BACKTUNE_EXCHANGE_URL",
            help="A mirror of the exchange, in the place of its hosts.",
            show_default=False,
        ),
    ] = None,
    tries: Annotated[
        int, typer.Option(min=1, help="Tries of one request, before the rest is left for later.")
    ] = 8,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds to wait for an answer.")] = 20.0,
    json: Json = False,
) -> None:
    """Download bars or funding from an exchange; the same command goes on where it was left.

    No API key is needed. Exit status 3: interrupted, or the exchange did not answer; what came is stored.
    """  # fmt: skip
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
    with answer_signals(stop.request, signal.SIGINT, signal.SIGTERM), _shown(err, quiet=json) as show:
        try:
            with closing(
                Exchange(
                    exchange, url=url, retries=RetryPolicy(tries=tries), timeout_seconds=timeout, stop=stop
                )
            ) as opened:
                opened.on_pause = lambda reason: err.print(reason, soft_wrap=True)
                reports = download_bars(
                    opened, symbols, root, timeframe=timeframes, start=start, end=end, funding=funding, asset=asset,
                    replace=replace, on_progress=show, stop=stop,
                )  # fmt: skip
        except KeyboardInterrupt:
            err.print("interrupted before the first answer; the same command begins again")
            raise typer.Exit(3) from None
        except DownloadError as error:
            err.print(f"error: {error}; nothing was stored", soft_wrap=True)
            raise typer.Exit(3 if error.is_transient else 1) from None
    _print(reports, as_json=json)
    for report in reports:
        if report.error:
            err.print(report.error, soft_wrap=True)
    status = _exit_status(reports)
    if status == 3:
        err.print("not finished: the same command goes on")
    raise typer.Exit(status)


def _exit_status(reports: Sequence[DownloadReport]) -> int:
    found = {report.status for report in reports}
    return 1 if "failed" in found else 3 if "partial" in found else 0


@contextmanager
def _shown(console: Console, *, quiet: bool) -> Iterator[Callable[[DownloadProgress], None]]:
    """A function to be called with every new progress: a live line in a terminal, a plain one now and then elsewhere."""
    if quiet:
        yield lambda _progress: None
        return
    if not console.is_terminal:
        yield _plain(console)
        return
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}", markup=False), BarColumn(), TaskProgressColumn(),
        TextColumn("{task.fields[rows]}", markup=False), TimeRemainingColumn(),
        TextColumn("{task.fields[pause]}", markup=False),
    )  # fmt: skip
    with Progress(*columns, console=console, transient=True) as bar:
        tasks = {}

        def show(progress: DownloadProgress) -> None:
            if progress.source not in tasks:
                tasks[progress.source] = bar.add_task(progress.source, total=1.0, rows="", pause="")
            bar.update(
                tasks[progress.source], completed=_share(progress), rows=f"{progress.rows:,} rows",
                pause=progress.pause or "",
            )  # fmt: skip

        yield show


def _plain(console: Console) -> Callable[[DownloadProgress], None]:
    shown_at = time.monotonic()

    def show(progress: DownloadProgress) -> None:
        nonlocal shown_at
        if progress.pause:
            console.print(progress.pause, soft_wrap=True)
        elif time.monotonic() - shown_at >= _PLAIN_SECONDS:
            shown_at = time.monotonic()
            console.print(
                f"{progress.source}  {progress.rows:,} rows  to {format_moment(progress.reached)}  {_share(progress):.0%}",
                soft_wrap=True,
            )

    return show


def _share(progress: DownloadProgress) -> float:
    return min(1.0, (progress.reached - progress.start) / (progress.end - progress.start))


def _print(reports: Sequence[DownloadReport], *, as_json: bool) -> None:
    if as_json:
        print_json([report.to_json() for report in reports])
        return
    print_table(_COLUMNS, [_row(report) for report in reports], numbers=_NUMBERS)


def _row(report: DownloadReport) -> tuple[str, ...]:
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
