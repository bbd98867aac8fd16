"""The command ``backtune serve``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from backtune.cli.options import DatabaseUrl, Runs, locate_gateway_runs


def serve(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port to listen on.")] = 8080,
    data_root: Annotated[
        str, typer.Option(help="The market data of all sweeps: a folder, or s3://bucket/prefix.")
    ] = "data/market",
    runs: Runs = None,
    address: Annotated[
        str | None,
        typer.Option(
            help="The URL of a Ray cluster's dashboard (default: a Ray head of the gateway's own, on this machine).",
            show_default=False,
        ),
    ] = None,
    database: DatabaseUrl = None,
    redis: Annotated[
        str | None,
        typer.Option(
            envvar="BACKTUNE_REDIS",
            help="A Redis in which several gateways count requests together, such as redis://host:6379/0.",
            show_default=False,
        ),
    ] = None,
    rate: Annotated[
        str, typer.Option(help="The rate limit of a key that has none of its own.")
    ] = "6000/minute",
    work_rate: Annotated[
        str, typer.Option(help="The rate limit of a key for submissions, reports and other costly requests.")
    ] = "120/minute",
    active_jobs: Annotated[
        int,
        typer.Option(
            min=1, help="The number of sweeps that run on the cluster at a time; others wait in the queue."
        ),
    ] = 4,
    trusted_proxy: Annotated[
        list[str] | None,
        typer.Option(
            help="The address of a proxy whose X-Forwarded-For header is trusted.", show_default=False
        ),
    ] = None,
    alerts: Annotated[
        Path | None,
        typer.Option(
            envvar="BACKTUNE_ALERTS",
            help="A file that says who receives alerts when jobs end (default: nobody).",
            show_default=False,
        ),
    ] = None,
    drain: Annotated[
        float,
        typer.Option(
            min=0,
            max=3600,
            help="The seconds for which requests are answered after SIGTERM, while /ready says no.",
        ),
    ] = 0.0,
    no_auth: Annotated[
        bool, typer.Option("--no-auth", help="Ask for no key. Allowed on a loopback address alone.")
    ] = False,
    no_auth_role: Annotated[
        Literal["viewer", "trader", "risk_manager", "admin"],
        typer.Option(help="The role of requests without a key, with --no-auth."),
    ] = "admin",
) -> None:
    """Run a gateway, which accepts, shows and reports sweeps over HTTP, until Ctrl-C."""
    from backtune.gateway.server import serve as serve_gateway
    from backtune.gateway.settings import Limits, RequestLimits, Settings

    serve_gateway(
        Settings(
            runs=locate_gateway_runs(runs),
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
