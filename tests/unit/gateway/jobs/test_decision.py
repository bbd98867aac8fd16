"""What becomes of a job, from all that may be seen of it."""

from dataclasses import replace

import job_records
import pytest

from backtune.cluster.ray_jobs import RayJob
from backtune.gateway.jobs.reconciliation.decision import (
    Finish,
    Observation,
    RecordState,
    StartAgain,
    Stop,
    Submit,
    Wait,
    decide_step,
)
from backtune.results.start_outcome import StartOutcome

RECORD = replace(job_records.RECORD, state="running", ended_at=None, end=None)
CLAIMED = replace(RECORD, state="queued")
CANCELLED = replace(RECORD, is_cancel_requested=True)

LOST_HEAD = StartAgain("the cluster lost it with its head", is_lost=True)
TOLD = StartAgain("its driver was told to stop", is_lost=False)


def ray(state, exit_code=None, message="killed"):
    return RayJob("job-1-1", state, message, exit_code)


def ended(status, stopped_by="", **failures):
    return StartOutcome("job-1-1", status, stopped_by, None, 10, 0.0, failures)


def seen(outcome=None, job=None, *, silent=False, driven=False):
    return Observation(outcome, job, has_answer=not silent, is_driver_alive=driven)


@pytest.mark.parametrize(
    ("record", "what", "step"),
    [
        # Ray and its driver at work.
        (CLAIMED, seen(job=ray("PENDING")), RecordState("submitted")),
        (CLAIMED, seen(job=ray("RUNNING")), RecordState("running")),
        (RECORD, seen(job=ray("RUNNING")), RecordState("running")),
        (CANCELLED, seen(job=ray("PENDING")), Stop()),
        (CANCELLED, seen(job=ray("RUNNING")), Stop()),
        # The driver has told how it ended; Ray may say anything or nothing.
        (RECORD, seen(ended(0), ray("RUNNING")), Finish("completed")),
        (RECORD, seen(ended(0), ray("FAILED")), Finish("completed")),
        (RECORD, seen(ended(0), silent=True), Finish("completed")),
        (CLAIMED, seen(ended(0)), Finish("completed")),
        (CANCELLED, seen(ended(0), ray("STOPPED")), Finish("completed")),
        (RECORD, seen(ended(3, "time"), ray("FAILED", 3)), Finish("partial")),
        (RECORD, seen(ended(1, why=1), ray("FAILED", 1)), Finish("failed", "a study failed: why")),
        (RECORD, seen(ended(1, a=3, b=1)), Finish("failed", "4 studies failed: 3 x a; 1 x b")),
        (CANCELLED, seen(ended(3, "signal"), ray("STOPPED")), Finish("cancelled")),
        (CANCELLED, seen(ended(1, "signal", a=1)), Finish("cancelled")),
        # Stopped in Ray by hand: somebody meant it. Told to stop by a head that went away: nobody did.
        (RECORD, seen(ended(3, "signal"), ray("STOPPED")), Finish("cancelled")),
        (RECORD, seen(ended(3, "signal")), TOLD),
        (RECORD, seen(ended(3, "signal"), silent=True), TOLD),
        # Nothing can be known.
        (RECORD, seen(silent=True, driven=True), Wait("the cluster does not answer")),
        (replace(RECORD, state="submitted"), seen(silent=True), Wait("the cluster does not answer")),
        (CLAIMED, seen(silent=True), Wait("the cluster does not answer")),
        (CANCELLED, seen(silent=True, driven=True), Wait("the cluster does not answer")),
        # No driver lives: it is not running.
        (RECORD, seen(silent=True), RecordState("submitted")),
        (CANCELLED, seen(silent=True), RecordState("submitted")),
        # Ray has never heard of it.
        (CLAIMED, seen(), Submit()),
        (replace(CLAIMED, is_cancel_requested=True), seen(), Finish("cancelled")),
        (RECORD, seen(), LOST_HEAD),
        (replace(RECORD, state="submitted"), seen(), LOST_HEAD),
        (CANCELLED, seen(), Finish("cancelled")),
        (RECORD, seen(driven=True), Wait("a driver that Ray no longer knows still works on this sweep")),
        (CLAIMED, seen(driven=True), Wait("a driver that Ray no longer knows still works on this sweep")),
        # Ray takes it for over.
        (RECORD, seen(job=ray("FAILED"), driven=True), RecordState("running")),
        (CANCELLED, seen(job=ray("FAILED"), driven=True), Stop()),
        (RECORD, seen(job=ray("FAILED", -9)), StartAgain("its driver was lost: killed", is_lost=True)),
        (RECORD, seen(job=ray("FAILED", 1)), StartAgain("its driver was lost: killed", is_lost=True)),
        (RECORD, seen(job=ray("FAILED", message="")), StartAgain("its driver was lost: no reason given", is_lost=True)),
        (RECORD, seen(job=ray("FAILED", 2)), Finish("failed", has_error_in_log=True)),
        (RECORD, seen(job=ray("STOPPED")), Finish("cancelled")),
        (CANCELLED, seen(job=ray("FAILED", -9)), Finish("cancelled")),
        (
            RECORD,
            seen(job=ray("SUCCEEDED", 0)),
            Finish("failed", "the job ended in order, but left no result in the gateway's runs folder"),
        ),
    ],
)  # fmt: skip
def test_the_next_step(record, what, step):
    assert decide_step(record, what) == step
