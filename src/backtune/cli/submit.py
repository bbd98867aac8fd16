"""The command ``backtune submit``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from backtune.cli.options import Json, Runs, SpecPath, print_json
from backtune.errors import SpecError
from backtune.spec import StrategyFile, SweepSpec

if TYPE_CHECKING:
    from backtune.client import JobUpdate

_EXIT_STATUSES = {"completed": 0, "partial": 3}


def submit(
    spec: SpecPath,
    address: Annotated[
        str | None,
        typer.Option(
            help="The dashboard of a Ray cluster, such as http://127.0.0.1:8265.", show_default=False
        ),
    ] = None,
    gateway: Annotated[
        str | None,
        typer.Option(help="The URL of a gateway, such as https://gateway.example.com.", show_default=False),
    ] = None,
    api_key: Annotated[
        str | None,
        typer.Option(
            envvar="BACKTUNE_API_KEY",
            help="The key for the gateway. The environment variable keeps it off the command line.",
            show_default=False,
        ),
    ] = None,
    runs: Runs = None,
    wait: Annotated[bool, typer.Option("--wait", help="Follow the job to its end.")] = False,
    json: Json = False,
) -> None:
    """Run a sweep as a job of a Ray cluster, or through a gateway."""
    if (address is None) == (gateway is None):
        raise SpecError("--address, --gateway", "exactly one of the two is needed")
    if gateway is not None and runs is not None:
        raise SpecError("--runs", "is the gateway's own; leave it out with --gateway", value=runs)
    sweep_spec = SweepSpec.load(spec)
    if gateway is not None:
        _submit_to_gateway(sweep_spec, gateway, api_key, wait=wait, json=json)
    elif address is not None:
        _submit_to_cluster(sweep_spec, address, runs, wait=wait, json=json)


def _submit_to_cluster(spec: SweepSpec, address: str, runs: str | None, *, wait: bool, json: bool) -> None:
    from backtune.client.ray_job import submit_sweep
    from backtune.cluster.ray_jobs import RayJobs

    jobs = RayJobs(address)
    job = submit_sweep(jobs, spec, address, runs)
    if not json:
        sys.stdout.write(f"job {job.id}: sweep {spec.id}\n")
    if wait:
        out = sys.stderr if json else sys.stdout
        job = jobs.wait(job.id, on_output=lambda text: out.write(text) and out.flush())
    if json:
        print_json({"job_id": job.id, "sweep_id": spec.id, "state": job.state, "message": job.message})
    if wait and job.state != "SUCCEEDED":
        sys.stderr.write(f"error: job {job.id} {job.state.lower()}: {job.message}\n")
        raise typer.Exit(1)


def _submit_to_gateway(spec: SweepSpec, url: str, api_key: str | None, *, wait: bool, json: bool) -> None:
    from backtune.client import HyperOptClient, RealTimeMonitor

    with HyperOptClient(url, api_key) as client:
        job_id = client.start_batch(_make_document(spec))
        if not json:
            sys.stdout.write(f"job {job_id}\n")
            sys.stdout.flush()
        if wait:
            RealTimeMonitor(url, api_key).follow(job_id, on_update=_JobProgress().show)
        job = client.get_optimization_status(job_id)
    if json:
        print_json(job)
    elif wait and job["result"] is not None:
        best = job["result"]
        sys.stdout.write(
            f"{job['status']}: {best['strategy_name']} {best['asset']} {best['timeframe']}, "
            f"Sharpe ratio {_format_value(best['sharpe_ratio'])} {best['sample'].replace('_', ' ')}, "
            f"the best of {best['n_trials']:,} trials: {best['best_parameters']}\n"
        )
    if wait and job["status"] != "completed":
        sys.stderr.write(f"error: job {job_id} {job['status']}: {job['error'] or 'it can be resumed'}\n")
        raise typer.Exit(_EXIT_STATUSES.get(job["status"], 1))


def _make_document(spec: SweepSpec) -> dict[str, Any]:
    """Return the spec as a gateway takes it: without the folder of the data, which is the gateway's."""
    for entry in spec.grid.strategies:
        if isinstance(entry, StrategyFile):
            raise SpecError(
                "grid.strategies",
                "a gateway runs no strategy files; name a strategy that is installed there",
                value=entry.file,
            )
    document = spec.to_json()
    del document["data"]["root"]
    return document


class _JobProgress:
    """The progress of a job on standard error: one line that changes on a terminal, elsewhere a line for every status."""

    def __init__(self) -> None:
        self._status = ""

    def show(self, update: JobUpdate) -> None:
        """Show an update of the job."""
        line = f"{update['status']} {update['progress']:5.1f} %, best so far {_format_value(update['best_value'])}"
        is_new = update["status"] != self._status
        self._status = update["status"]
        if sys.stderr.isatty():
            sys.stderr.write(f"\r\x1b[K{line}" + ("\n" if update["ended_at"] else ""))
        elif is_new:
            sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


def _format_value(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}"
