"""The command ``backtune run``."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console

from backtune.cli.options import Json, Runs, SpecPath, make_stdout_console, print_json
from backtune.spec import SweepSpec

if TYPE_CHECKING:
    from backtune.sweep import SweepResult

_TOP = 10
_NAMED_FAILURES = 3


def run(
    spec: SpecPath,
    runs: Runs = None,
    executor: Annotated[
        Literal["ray", "inline"],
        typer.Option(
            help="Where the studies run: on Ray, or in this process alone. The results are the same."
        ),
    ] = "ray",
    address: Annotated[
        str | None,
        typer.Option(
            envvar="RAY_ADDRESS",
            help="The address of a Ray cluster (default: a Ray of this sweep alone, on this machine).",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1, help="The number of workers on this machine (default: one per cpu).", show_default=False
        ),
    ] = None,
    tracking: Annotated[bool, typer.Option(help="Track the results in MLflow, or not.")] = True,
    json: Json = False,
) -> None:
    """Run a sweep, or continue it where it stopped.

    The exit status is 0 if the sweep is complete, 1 if a study failed, 2 if the command or the spec is wrong, and 3 if the sweep was
    interrupted or its time budget is spent; the same command then continues it.
    """
    # The libraries of a sweep take a while to load; an error in the spec is reported before that.
    sweep_spec = SweepSpec.load(spec)
    from backtune.cli.progress import show_progress
    from backtune.sweep import Options, run_sweep
    from backtune.tracking.address import is_mlflow_installed

    err = Console(stderr=True)
    request = os.environ.get("BACKTUNE_REQUEST_ID")
    if request:
        err.print(f"request {request}", highlight=False, soft_wrap=True, markup=False)
    started = time.monotonic()
    is_tracked = tracking and is_mlflow_installed()
    with ExitStack() as display:
        update_progress = display.enter_context(show_progress(err, quiet=json))

        def show_results(result: SweepResult) -> None:
            display.close()
            _print_result(make_stdout_console(), result, time.monotonic() - started, is_tracked=is_tracked)
            if is_tracked:
                display.enter_context(
                    err.status(
                        f"bringing MLflow up to date; Ctrl-C leaves the rest to {_program_name()} sync {result.run.folder}"
                    )
                )

        options = Options(
            executor,
            address,
            workers,
            tracking,
            on_progress=update_progress,
            on_results=None if json else show_results,
        )
        result = run_sweep(sweep_spec, runs, options)
    if json:
        print_json(_result_to_json(result))
    for problem in result.problems:
        err.print(f"warning: {problem}", style="yellow", highlight=False, soft_wrap=True, markup=False)
    for line in _describe_failures(result.failures()):
        err.print(line, style="red", highlight=False, soft_wrap=True, markup=False)
    if result.exit_status == 3:
        err.print("not finished: the same command continues the sweep", style="yellow")
    raise typer.Exit(result.exit_status)


def _print_result(out: Console, result: SweepResult, seconds: float, *, is_tracked: bool) -> None:
    from backtune.cli.tables import print_leaderboard

    rows = result.rows(top=_TOP)
    print_leaderboard(out, result.run, rows, top=_TOP)
    n_trials = sum({row.study: row.n_trials for row in rows}.values())
    lines = [
        f"{n_trials:,} trials in the log; this start took {seconds:.1f} s",
        f"results  {result.run.folder}",
    ]
    if is_tracked:
        lines.append(f"MLflow   {_program_name()} ui {result.run.folder}")
    for line in lines:
        out.print(line, highlight=False, soft_wrap=True)


def _describe_failures(reasons: dict[str, str]) -> Iterator[str]:
    """Yield one line for every reason, with the first studies that failed for it."""
    studies: dict[str, list[str]] = {}
    for study, reason in reasons.items():
        studies.setdefault(reason, []).append(study)
    for reason, names in studies.items():
        more = f" and {len(names) - _NAMED_FAILURES} more" if len(names) > _NAMED_FAILURES else ""
        yield f"failed: {', '.join(names[:_NAMED_FAILURES])}{more}: {reason}"


def _program_name() -> str:
    """Return the name by which the shell finds this program, or else its path."""
    return "backtune" if shutil.which("backtune") or sys.argv[0].endswith(".py") else sys.argv[0]


def _result_to_json(result: SweepResult) -> dict[str, object]:
    rows = result.rows()
    annualisations = {(row.asset, row.timeframe): row.annualisation for row in rows if row.annualisation}
    return {
        "sweep_id": result.run.sweep_id,
        "folder": str(result.run.folder),
        "status": result.exit_status,
        "failures": result.failures(),
        "problems": list(result.problems),
        "annualisations": [found.to_json(*series) for series, found in annualisations.items()],
        "leaderboard": [row.to_json() for row in rows],
    }
