"""``backtune serve``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from backtune.cli.options import DatabaseUrl, Runs, runs_on_disk


def serve(
    host: Annotated[str, typer.Option(help="Where to listen.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8080,
    data_root: Annotated[
        str, typer.Option(help="Market data of all sweeps: a folder, or s3://bucket/prefix.")
    ] = "data/market",
    runs: Runs = None,
    address: Annotated[
        str | None,
        typer.Option(
            help="The dashboard of a Ray cluster.  [default: a head of its own, on this machine]",
            show_default=False,
        ),
    ] = None,
    database: DatabaseUrl = None,
    redis: Annotated[
        str | None,
        typer.Option(
            envvar="BACKTUNE_REDIS",
            help="Where several gateways count requests together: redis://host:6379/0.  [default: each for itself]",
            show_default=False,
        ),
    ] = None,
    rate: Annotated[
        str, typer.Option(help="Requests of a key that has no limit of its own.")
    ] = "6000/minute",
    work_rate: Annotated[
        str, typer.Option(help="Of those, submissions, reports and the like.")
    ] = "120/minute",
    active_jobs: Annotated[
        int, typer.Option(min=1, help="Sweeps at the cluster at a time; others wait in line.")
    ] = 4,
    trusted_proxy: Annotated[
        list[str] | None,
        typer.Option(
            help="Address of a proxy in front, whose X-Forwarded-For is believed.", show_default=False
        ),
    ] = None,
    alerts: Annotated[
        Path | None,
        typer.Option(
            envvar="BACKTUNE_ALERTS",
            help="File that says who is told when jobs end.  [default: nobody]",
            show_default=False,
        ),
    ] = None,
    drain: Annotated[
        float,
        typer.Option(min=0, max=3600, help="Seconds to go on answering after SIGTERM, /ready saying no."),
    ] = 0.0,
    no_auth: Annotated[
        bool, typer.Option("--no-auth", help="Ask for no key; on a loopback address alone.")
    ] = False,
    no_auth_role: Annotated[
        Literal["viewer", "trader", "risk_manager", "admin"],
        typer.Option(help="What may be done without a key, with --no-auth."),
    ] = "admin",
) -> None:
    """Serve sweeps over HTTP: submit, watch and fetch them. Ends with Ctrl-C."""
    from backtune.gateway.server import serve as serve_gateway
    from backtune.gateway.settings import Limits, RequestLimits, Settings

    serve_gateway(
        Settings(
            runs=runs_on_disk(runs),
            data_root=data_root,
            address=address,
            database=database,
            host=host,
            port=port,
            role_without_key=no_auth_role if no_auth else None,
            alerts=alerts,
            limits=Limits(active_jobs=active_jobs),
            request_limits=RequestLimits(
                rate=rate, work_rate=work_rate, redis=redis, trusted_proxies=tuple(trusted_proxy or ())
            ),
        ),
        drain_seconds=drain,
    )
