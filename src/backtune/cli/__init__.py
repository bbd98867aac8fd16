"""The command line.

Exit status: 0 complete, 1 failed, 2 bad usage or spec, 3 partial (budget spent or interrupted; can go on).
"""

from __future__ import annotations

import errno
import sys
from typing import NoReturn

import typer

from backtune.cli import (
    audit,
    backtest,
    best,
    check_strategy,
    cluster,
    data,
    export,
    export_pine,
    keys,
    plan,
    portfolio,
    report,
    results,
    run,
    schema,
    serve,
    strategies,
    submit,
)
from backtune.errors import (
    BacktuneError,
    BusyError,
    ClusterError,
    MissingPackageError,
    TrackingError,
    UnreachableError,
)

_MACHINE_FAILED = {errno.ENOSPC, errno.EDQUOT, errno.EIO}
# Errors of the machine or of another service; the others are errors of the command or the spec.
_FAILURES = (ClusterError, TrackingError, BusyError, UnreachableError)
# The packages of the extra `server` that the gateway and its commands import.
_SERVER_PACKAGES = {
    "alembic",
    "cryptography",
    "fastapi",
    "limits",
    "prometheus_client",
    "sqlalchemy",
    "starlette",
    "structlog",
    "uvicorn",
}

app = typer.Typer(
    name="backtune",
    help="Search the parameters of trading strategies, and show every winner in sample beside out of sample.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.command("run")(run.run)
app.command("plan")(plan.plan)
app.command("schema")(schema.schema)
app.command("submit")(submit.submit)
app.command("serve")(serve.serve)
app.command("status")(results.status)
app.command("leaderboard")(results.leaderboard)
app.command("best")(best.best)
app.command("backtest")(backtest.backtest)
app.command("portfolio")(portfolio.portfolio)
app.command("report")(report.report)
app.command("export")(export.export)
app.command("export-pine")(export_pine.export_pine)
app.command("sync")(results.sync)
app.command("export-optuna")(export.export_optuna)
app.command("ui")(results.ui)
app.command("strategies")(strategies.strategies)
app.command("check-strategy")(check_strategy.check_strategy)
app.add_typer(
    cluster.app, name="cluster", help="Check, start, show and end a cluster; run a head on this machine."
)
app.add_typer(keys.app, name="keys", help="Make, list, rotate and revoke keys of a gateway.")
app.add_typer(audit.app, name="audit", help="Show and verify the audit log of a gateway.")
app.add_typer(data.app, name="data")


def main() -> None:
    """Run the command line; an expected error is one line on stderr."""
    try:
        app()
    except BacktuneError as error:
        cause = error.__cause__
        is_disk_failure = isinstance(cause, OSError) and cause.errno in _MACHINE_FAILED
        has_failed = is_disk_failure or isinstance(error, _FAILURES)
        _exit_with_error(error, 1 if has_failed else 2)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in _SERVER_PACKAGES:
            raise
        _exit_with_error(MissingPackageError("this command", package, "server"), 2)


def _exit_with_error(error: BacktuneError, status: int) -> NoReturn:
    sys.stderr.write(f"error: {error}\n")
    sys.exit(status)
