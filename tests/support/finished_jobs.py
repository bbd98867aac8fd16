"""A finished job for tests without a cluster: a real driver has run it, in a process of its own."""

from pathlib import Path

from sweeps import backtune_process, wait_for, written

from backtune.gateway.jobs.job_record import NewJob
from backtune.gateway.jobs.schemas import SingleRequest
from backtune.gateway.jobs.specs import build_single_spec
from backtune.gateway.services import Services
from backtune.spec import hash_content


def finished_job(services: Services, owner: str, folder: Path) -> str:
    """The id of a complete job of that key, known to a gateway whose loop runs.

    Args:
        folder: for the spec.
    """
    request = SingleRequest(
        strategy_name="RSIStrategy",
        asset="AAA",
        timeframe="1h",
        optimization_config={"trials": 12, "seed": 77},
    )
    settings = services.settings
    spec = build_single_spec(request, settings.data_root, settings.limits)
    document = spec.model_dump(mode="json", by_alias=True)
    new = NewJob(owner, "r1", document, spec.id, spec.name, hash_content(document))
    record, _ = services.job_records.add(new)
    done = backtune_process(
        "run", written(folder / "finished.yaml", document), "--executor", "inline", "--no-tracking",
        "--runs", settings.runs, cwd=folder, BACKTUNE_START=record.next_submission_id,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert services.job_records.claim(record)
    assert wait_for(lambda: services.job_records.get(record.id).state == "completed", 20)
    return record.id
