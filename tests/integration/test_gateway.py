"""A gateway with a Ray head of its own: jobs from the request to the result, and kills where they hurt most."""

import json
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from gateway_process import alive, gateway_in
from sweeps import INLINE, assert_same_rows, rows_of, wait_for

from backtune.results.leaderboard.ranking import build_leaderboard
from backtune.results.stored_sweep import StoredSweep
from backtune.spec import SweepSpec
from backtune.sweep import run_sweep

pytestmark = [pytest.mark.ray, pytest.mark.timeout(400)]
SINGLE = {
    "strategy_name": "RSIStrategy", "asset": "AAA", "timeframe": "1h",
    "optimization_config": {"trials": 40, "seed": 5},
}  # fmt: skip
# Long enough to be met while it runs.
LONG = {
    **SINGLE,
    "timeframe": "15m",
    "optimization_config": {"trials": 200_000, "seed": 6, "method": "random"},
}


@pytest.fixture(scope="module")
def killed(tmp_path_factory, market):
    """A gateway killed when it had recorded a job, the next one before it handed the job to Ray, and one after that."""
    with gateway_in(tmp_path_factory.mktemp("gateway"), market) as gateway:
        gateway.start(BACKTUNE_FAILPOINT="recorded")
        with pytest.raises(OSError, match=r"closed|reset"):
            gateway.request(
                "POST", "/optimize/single", SINGLE, {"Idempotency-Key": "once", "X-Request-ID": "mine-1"}
            )
        assert gateway.died() == -signal.SIGKILL
        for failpoint in ("claimed", "submitted"):
            gateway.start(BACKTUNE_FAILPOINT=failpoint)
            assert gateway.died() == -signal.SIGKILL
        gateway.start()
        yield gateway


@pytest.fixture(scope="module")
def done(killed):
    """The job that the first of them had recorded, complete."""
    with ThreadPoolExecutor(10) as pool:
        answers = list(
            pool.map(lambda _: killed.post("/optimize/single", SINGLE, Idempotency_Key="once"), range(50))
        )
    (job_id,) = {answer["job_id"] for answer in answers}
    assert killed.reaches(job_id, "running", "completed", seconds=10)
    return killed.completed(job_id)


def test_no_kill_loses_a_job_or_submits_it_twice(killed, done):
    assert [job["job_id"] for job in killed.get("/jobs")["jobs"]] == [done["job_id"]]
    assert killed.submissions().keys() == {f"{done['job_id']}-1"}
    assert done["attempt"] == 1


def test_the_rows_are_those_of_an_inline_run(killed, done, tmp_path):
    spec = SweepSpec.load(killed.runs / ".gateway" / "specs" / f"{done['job_id']}.yaml")
    again = run_sweep(spec, tmp_path, INLINE)
    run = StoredSweep.open(killed.runs / done["sweep_id"])
    assert_same_rows(rows_of(run), rows_of(again.run))
    best = build_leaderboard(run)[0]
    result = done["result"]
    assert (result["best_parameters"], result["n_trials"]) == (best.params, 40)
    assert (result["strategy_name"], result["asset"], result["sample"]) == (
        "RSIStrategy",
        "AAA",
        "out_of_sample",
    )
    assert result["sharpe_ratio"] == best.oos_metrics["sharpe_ratio"]
    assert result["detailed_metrics"]["is_sharpe_ratio"] == best.is_metrics["sharpe_ratio"]
    assert (done["progress"], done["n_trials"], done["error"]) == (100.0, 40, None)


def test_the_request_id_follows_the_job_and_no_path_is_told(killed, done):
    def logs():
        return killed.get(f"/jobs/{done['job_id']}/logs")["logs"]

    # The driver prints its leaderboard when all is written.
    assert wait_for(lambda: "40 trials in the log" in logs(), 20), logs()
    assert "request mine-1" in logs()
    assert str(killed.folder) not in logs()
    events = [json.loads(line) for line in killed.log.splitlines() if line.startswith("{")]
    assert {event["request_id"] for event in events if event["event"] == "ended"} == {"mine-1"}


def test_report_and_script_of_a_finished_job(killed, done):
    report = killed.get(f"/reports/{done['job_id']}")
    assert report["best_parameters"] == done["result"]["best_parameters"]
    assert len(report["optimization_history"]) == 40
    status, script = killed.request("POST", f"/export/pine-script/{done['job_id']}")
    assert status == 200
    assert script["pine_script"].startswith("//@version=6")


def test_a_sweep_that_its_driver_refuses_is_failed_and_says_why(killed, done):
    spec = {
        "name": "refused",
        "grid": {"strategies": ["RSIStrategy"], "assets": ["AAA"], "timeframes": ["1h"]},
        "search": {"warm_start": "no-such-sweep"},
    }
    job_id = killed.post("/optimize/batch", spec)["job_id"]
    assert killed.reaches(job_id, "failed", seconds=90), killed.job(job_id)
    job = killed.job(job_id)
    assert (job["attempt"], job["result"]) == (1, None)
    assert job["error"].startswith("search.warm_start: ")
    assert str(killed.folder) not in job["error"]


def test_a_running_job_is_cancelled_keeps_what_it_found_and_goes_on(killed, done):
    job_id = killed.post("/optimize/single", LONG)["job_id"]
    assert wait_for(lambda: killed.job(job_id)["n_trials"] > 0, 90), killed.job(job_id)
    seen = killed.job(job_id)
    assert seen["best_so_far"]["parameters"].keys() >= {"period", "oversold", "overbought"}
    killed.post(f"/jobs/{job_id}/cancel")
    assert killed.reaches(job_id, "cancelled", seconds=40), killed.job(job_id)
    stopped = killed.job(job_id)
    assert stopped["n_trials"] >= seen["n_trials"] > 0
    assert stopped["best_so_far"]["parameters"]
    assert killed.post(f"/jobs/{job_id}/resume")["attempt"] == 2
    assert wait_for(lambda: killed.job(job_id)["n_trials"] > stopped["n_trials"], 90), killed.job(job_id)


@pytest.mark.slow
def test_the_end_of_the_gateway_ends_its_head_and_sets_jobs_aside(killed, done):
    head = killed.head()
    open_before = [job["job_id"] for job in killed.get("/jobs?status=running")["jobs"]]
    assert killed.stop() == 0
    assert not alive(head["pid"])
    assert not Path(head["folder"]).exists()
    assert "Traceback" not in killed.log
    killed.start()
    for job_id in open_before:
        assert killed.job(job_id)["status"] in ("queued", "running")
        killed.post(f"/jobs/{job_id}/cancel")
