"""What becomes of a job, from all that may be seen of it."""

from dataclasses import replace

import pytest

from backtune.gateway.jobs import Job
from backtune.gateway.keeper.decision import Again, Finish, Note, Seen, Stop, Submit, Wait, decide
from backtune.gateway.records.values import JobRecord
from backtune.results.start_outcome import StartOutcome

RECORD = JobRecord(
    number=1, id="job-1", owner="key", request_id="r", name="n", sweep_id="s", state="running", attempt=1,
    submission_id="job-1-1", is_cancel_requested=False, n_lost=0, created_at=0.0, not_before=0.0,
    started_at=None, ended_at=None, message=None, error=None, end=None,
)  # fmt: skip
CLAIMED = replace(RECORD, state="queued")
CANCELLED = replace(RECORD, is_cancel_requested=True)

LOST_HEAD = Again("the cluster lost it with its head", lost=True)
TOLD = Again("its driver was told to stop", lost=False)


def ray(state, exit_code=None, message="killed"):
    return Job("job-1-1", state, message, exit_code)


def ended(status, stopped_by="", **failures):
    return StartOutcome("job-1-1", status, stopped_by, None, 10, 0.0, failures)


def seen(outcome=None, job=None, *, silent=False, driven=False):
    return Seen(outcome, job, has_answer=not silent, is_driver_alive=driven)


@pytest.mark.parametrize(
    ("record", "what", "step"),
    [
        # Ray and its driver at work.
        (CLAIMED, seen(job=ray("PENDING")), Note("submitted")),
        (CLAIMED, seen(job=ray("RUNNING")), Note("running")),
        (RECORD, seen(job=ray("RUNNING")), Note("running")),
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
        (RECORD, seen(silent=True), Note("submitted")),
        (CANCELLED, seen(silent=True), Note("submitted")),
        # Ray has never heard of it.
        (CLAIMED, seen(), Submit()),
        (replace(CLAIMED, is_cancel_requested=True), seen(), Finish("cancelled")),
        (RECORD, seen(), LOST_HEAD),
        (replace(RECORD, state="submitted"), seen(), LOST_HEAD),
        (CANCELLED, seen(), Finish("cancelled")),
        (RECORD, seen(driven=True), Wait("a driver that Ray no longer knows still works on this sweep")),
        (CLAIMED, seen(driven=True), Wait("a driver that Ray no longer knows still works on this sweep")),
        # Ray takes it for over.
        (RECORD, seen(job=ray("FAILED"), driven=True), Note("running")),
        (CANCELLED, seen(job=ray("FAILED"), driven=True), Stop()),
        (RECORD, seen(job=ray("FAILED", -9)), Again("its driver was lost: killed", lost=True)),
        (RECORD, seen(job=ray("FAILED", 1)), Again("its driver was lost: killed", lost=True)),
        (RECORD, seen(job=ray("FAILED", message="")), Again("its driver was lost: no reason given", lost=True)),
        (RECORD, seen(job=ray("FAILED", 2)), Finish("failed", asks_log=True)),
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
    assert decide(record, what) == step
