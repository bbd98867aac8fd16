"""``backtune submit``."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from backtune.cli.options import Json, Runs, SpecPath, print_json
from backtune.spec import SweepSpec


def submit(
    spec: SpecPath,
    address: Annotated[str, typer.Option(help="The cluster's dashboard, such as http://127.0.0.1:8265.")],
    runs: Runs = None,
    wait: Annotated[bool, typer.Option("--wait", help="Follow the job to its end.")] = False,
    json: Json = False,
) -> None:
    """Run a sweep as a job of a Ray cluster."""
    sweep_spec = SweepSpec.load(spec)
    from backtune.client.ray_job import submit_sweep
    from backtune.gateway.jobs import RayJobs

    jobs = RayJobs(address)
    job = submit_sweep(jobs, sweep_spec, address, runs)
    if not json:
        sys.stdout.write(f"job {job.id}: sweep {sweep_spec.id}\n")
    if wait:
        out = sys.stderr if json else sys.stdout
        job = jobs.wait(job.id, on_output=lambda text: out.write(text) and out.flush())
    if json:
        print_json({"job_id": job.id, "sweep_id": sweep_spec.id, "state": job.state, "message": job.message})
    if wait and job.state != "SUCCEEDED":
        sys.stderr.write(f"error: job {job.id} {job.state.lower()}: {job.message}\n")
        raise typer.Exit(1)
