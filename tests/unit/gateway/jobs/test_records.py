"""Job records in both databases."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from backtune.errors import RecordsError
from backtune.gateway.jobs.job_record import JobEnd
from backtune.gateway.jobs.records import IdempotencyKeyError, JobRecords
from backtune.gateway.sql.database import METADATA, Database

END = JobEnd(best={"params": {"a": 1}, "values": [0.5]}, n_trials=40, n_trials_planned=40, warnings=("slow",))


def test_the_migrations_make_the_tables_that_the_code_expects(database):
    with database.begin_read() as connection:
        context = MigrationContext.configure(connection, opts={"include_name": _is_ours})
        assert compare_metadata(context, METADATA) == []


def _is_ours(name, kind, _):
    return kind != "table" or name in METADATA.tables


def test_a_database_is_opened_again_as_it_was_left(url, new_job):
    first = Database(url)
    record, _ = JobRecords(first).add(new_job())
    first.close()
    second = Database(url)
    assert JobRecords(second).get(record.id) == record
    second.close()


def test_a_job_is_recorded_as_it_was_given(records, new_job):
    record, is_new = records.add(new_job(spec={"grid": {"assets": ["A"]}, "name": "Ä \u2192"}))
    assert is_new
    assert (record.status, record.attempt, record.submission_id, record.is_cancel_requested) == (
        "queued", 1, None, False,
    )  # fmt: skip
    assert record.next_submission_id == f"{record.id}-1"
    assert records.read_spec(record.id) == {"grid": {"assets": ["A"]}, "name": "Ä \u2192"}
    assert records.get("job-000000000000000000000000") is None


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        ({"idempotency_key": "k", "body_hash": "h1"}, "same"),
        ({"idempotency_key": "k", "body_hash": "h2"}, "refused"),
        ({"idempotency_key": "k", "body_hash": "h1", "owner": "key-2"}, "another"),
        ({"idempotency_key": "l", "body_hash": "h1"}, "another"),
        ({"body_hash": "h1"}, "another"),
    ],
)
def test_a_repeated_request_gets_its_job(records, new_job, second, expected):
    first, _ = records.add(new_job(idempotency_key="k"))
    if expected == "refused":
        with pytest.raises(IdempotencyKeyError, match=first.id):
            records.add(new_job(**second))
        return
    again, is_new = records.add(new_job(**second))
    assert (again.id == first.id, is_new) == ((True, False) if expected == "same" else (False, True))


def test_fifty_equal_requests_at_once_make_one_job(records, new_job):
    with ThreadPoolExecutor(50) as pool:
        added = list(pool.map(lambda _: records.add(new_job(idempotency_key="k")), range(50)))
    assert len({record.id for record, _ in added}) == 1
    assert sum(is_new for _, is_new in added) == 1
    assert len(records.list_open()) == 1


def test_of_many_that_claim_a_job_one_gets_it(records, new_job):
    record, _ = records.add(new_job())
    with ThreadPoolExecutor(16) as pool:
        assert sum(pool.map(lambda _: records.claim(record), range(16))) == 1


def test_pages_are_the_latest_first_and_lose_nothing(records, new_job):
    ids = [records.add(new_job(owner=f"key-{n % 2}"))[0].id for n in range(7)]
    seen, before = [], None
    while page := records.list_page(owner=None, statuses=[], before=before, limit=3):
        seen += [record.id for record in page]
        before = page[-1].number
    assert seen == ids[::-1]
    mine = records.list_page(owner="key-1", statuses=[], before=None, limit=10)
    assert [record.id for record in mine] == ids[1::2][::-1]


def test_pages_by_status(records, new_job):
    waiting, at_ray, working, done = (records.add(new_job())[0] for _ in range(4))
    for record, state in ((at_ray, "submitted"), (working, "running"), (done, "running")):
        assert records.claim(record)
        assert records.record_state(record, state)
    assert records.record_end(done, "completed", END)

    def page(*statuses):
        return {r.id for r in records.list_page(owner=None, statuses=list(statuses), before=None, limit=9)}

    assert page("queued") == {waiting.id, at_ray.id}
    assert page("running") == {working.id}
    assert page("completed", "running") == {working.id, done.id}
    assert records.count_by_status() == {
        "queued": 2, "running": 1, "completed": 1, "failed": 0, "cancelled": 0, "partial": 0,
    }  # fmt: skip


def test_the_life_of_a_job(records, new_job):
    record, _ = records.add(new_job())
    assert records.claim(record)
    assert not records.claim(record)
    assert records.record_state(record, "running")
    assert records.requeue(record, message="lost", is_lost=True, delay=30.0)
    again = records.get(record.id)
    assert (again.state, again.attempt, again.submission_id, again.n_lost) == ("queued", 2, None, 1)
    assert again.not_before > again.created_at + 29
    assert again.message == "lost"
    assert records.claim(again)
    assert records.record_end(again, "completed", END)
    done = records.get(record.id)
    assert (done.status, done.end, done.is_open) == ("completed", END, False)
    assert done.ended_at >= done.started_at >= done.created_at
    assert records.list_open() == []


def test_who_acts_on_an_earlier_attempt_changes_nothing(records, new_job):
    stale, _ = records.add(new_job())
    assert records.claim(stale)
    assert records.requeue(stale, message="lost", is_lost=True, delay=0.0)
    now = records.get(stale.id)
    assert not records.claim(stale)
    assert not records.record_state(stale, "running")
    assert not records.requeue(stale, message="lost", is_lost=True, delay=0.0)
    assert not records.record_end(stale, "failed", JobEnd(), "stale")
    assert records.get(stale.id) == now


def test_a_job_that_ended_stays_ended(records, new_job):
    record, _ = records.add(new_job())
    assert records.claim(record)
    assert records.record_end(record, "completed", END)
    done = records.get(record.id)
    assert not records.record_end(record, "failed", JobEnd(), "late")
    assert not records.record_state(record, "running")
    records.request_cancel(record.id)
    assert not records.resume(record.id)
    assert records.get(record.id) == done


def test_a_job_in_the_queue_is_cancelled_at_once_and_a_claimed_one_by_ray(records, new_job):
    waiting, claimed = records.add(new_job())[0], records.add(new_job())[0]
    assert records.claim(claimed)
    for record in (waiting, claimed):
        records.request_cancel(record.id)
    assert records.get(waiting.id).status == "cancelled"
    assert records.get(claimed.id) == replace(
        claimed, submission_id=claimed.next_submission_id, is_cancel_requested=True
    )
    assert not records.claim(waiting)


@pytest.mark.parametrize("state", ["partial", "failed", "cancelled"])
def test_what_is_not_complete_can_be_resumed(records, new_job, state):
    record, _ = records.add(new_job())
    assert records.claim(record)
    assert records.record_end(record, state, END, "why")
    assert records.resume(record.id)
    again = records.get(record.id)
    assert (again.status, again.attempt, again.submission_id, again.error, again.end, again.n_lost) == (
        "queued", 2, None, None, None, 0,
    )  # fmt: skip
    assert not records.resume(record.id)


@pytest.mark.parametrize(
    ("url_", "told"),
    [
        ("nonsense", "the database cannot be used"),
        ("postgresql+psycopg://nobody@127.0.0.1:9/none", "the database does not answer"),
        ("oracle+nothing://x", "the database cannot be used"),
    ],
)
def test_a_database_that_is_not_there(url_, told):
    with pytest.raises(RecordsError, match=told):
        Database(url_)
