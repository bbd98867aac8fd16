"""The audit log in real databases: its entries, writers at the same time, and tampering that verification finds."""

import json
import logging
import re
import subprocess
import sys
import time

import pytest
from secured import API, SINGLE
from sqlalchemy import text

from backtune.errors import RecordsError, SpecError
from backtune.gateway.audit.records import AuditRecords
from backtune.gateway.audit.service import AuditEntry, AuditLog
from backtune.gateway.keys.secret import GatewaySecret
from backtune.gateway.sql.database import Database

SECRET = GatewaySecret(b"s" * 32)
OTHER = GatewaySecret(b"t" * 32)


@pytest.fixture
def log(database) -> AuditLog:
    return AuditLog(AuditRecords(database), SECRET, lambda: 1_700_000_000.25)


@pytest.fixture
def filled(log) -> AuditLog:
    for i in range(10):
        log.append(AuditEntry(f"POST /{i}", "admitted", key_id=f"key-{i}", address="10.0.0.1"))
    return log


def test_an_empty_log_is_whole(log):
    verdict = log.verify()
    assert (verdict.n_entries, verdict.last, verdict.fault) == (0, "", None)


def test_entries_are_as_they_were_written_and_in_order(filled):
    entries = filled.read_last(3)
    assert entries[-1] == {
        "number": 10, "time": "2023-11-14T22:13:20.250000+00:00", "action": "POST /9", "outcome": "admitted",
        "key_id": "key-9", "name": "", "role": "", "address": "10.0.0.1", "request_id": "", "job_id": "",
    }  # fmt: skip
    assert [entry["number"] for entry in entries] == [8, 9, 10]
    verdict = filled.verify()
    assert (verdict.n_entries, verdict.fault) == (10, None)
    assert re.fullmatch(r"10:[0-9a-f]{64}", verdict.last)
    assert filled.verify(verdict.last) == verdict


# The statements of somebody who can write to the database and has removed its triggers; {0}: any digest.
TAMPERING = {
    "an entry changed": (["UPDATE audit SET entry = replace(entry, 'key-4', 'key-0') WHERE number = 5"], "entry 5 is not what was written"),
    "its digest too": (
        ["UPDATE audit SET entry = replace(entry, 'key-4', 'key-0'), digest = '{0}' WHERE number = 5"],
        "entry 5 is not what was written",
    ),
    "the first changed": (["UPDATE audit SET entry = '{{}}' WHERE number = 1"], "entry 1 is not what was written"),
    "the last changed": (["UPDATE audit SET entry = '{{}}' WHERE number = 10"], "entry 10 is not what was written"),
    "one removed": (["DELETE FROM audit WHERE number = 5"], "entry 5 is missing"),
    "one removed and the others moved up": (
        [
            "DELETE FROM audit WHERE number = 5",
            "UPDATE audit SET number = -number WHERE number > 5",
            "UPDATE audit SET number = -number - 1 WHERE number < 0",
        ],
        "entry 5 is not what was written",
    ),
    "the first removed": (["DELETE FROM audit WHERE number = 1"], "entry 1 is missing"),
    "the first half removed": (["DELETE FROM audit WHERE number <= 5"], "entry 1 is missing"),
    "two exchanged": (
        ["UPDATE audit SET number = 99 WHERE number = 5", "UPDATE audit SET number = 5 WHERE number = 6", "UPDATE audit SET number = 6 WHERE number = 99"],
        "entry 5 is not what was written",
    ),
    "one inserted and the others moved down": (
        [
            "UPDATE audit SET number = -number WHERE number >= 5",
            "UPDATE audit SET number = -number + 1 WHERE number < 0",
            "INSERT INTO audit (number, entry, digest) VALUES (5, '{{}}', '{0}')",
        ],
        "entry 5 is not what was written",
    ),
    "one before the first": (["INSERT INTO audit (number, entry, digest) VALUES (0, '{{}}', '{0}')"], "entry 0 is not what was written"),
    "one added": (["INSERT INTO audit (number, entry, digest) VALUES (11, '{{}}', '{0}')"], "entry 11 is not what was written"),
    "one copied to the end": (
        ["INSERT INTO audit (number, entry, digest) SELECT 11, entry, digest FROM audit WHERE number = 10"],
        "entry 11 is not what was written",
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", TAMPERING)
def test_tampering_is_found(filled, database, kind):
    statements, fault = TAMPERING[kind]
    _tamper(database, *(statement.format("0" * 64) for statement in statements))
    assert filled.verify().fault == fault


@pytest.mark.parametrize("n_left", [9, 5, 0])
def test_a_missing_end_is_found_by_an_entry_that_was_noted(filled, database, n_left):
    noted = filled.verify().last
    statement = f"DELETE FROM audit WHERE number > {n_left}"  # noqa: S608
    _tamper(database, statement)
    verdict = filled.verify()
    assert (verdict.n_entries, verdict.fault) == (n_left, None), "a chain alone does not show it"
    assert (
        filled.verify(noted).fault == f"the end is missing: entry 10 was noted, and {n_left} entries are left"
    )
    for i in range(12):
        filled.append(AuditEntry(f"POST /after/{i}", "admitted"))
    assert filled.verify(noted).fault == "entry 10 is not the one that was noted: the log was written anew"


def test_an_entry_that_was_noted_is_found_among_later_ones(filled, caplog):
    noted = filled.verify().last
    with caplog.at_level(logging.INFO):
        filled.append(AuditEntry("POST /after", "admitted"))
    later = filled.verify()
    assert later.last in caplog.text, "the gateway's log has the reference of every entry"
    for reference in (noted, later.last):
        assert filled.verify(reference) == later
    assert (
        filled.verify("3:" + "0" * 64).fault
        == "entry 3 is not the one that was noted: the log was written anew"
    )


@pytest.mark.parametrize(
    "reference",
    ["", "x", "10", "10:", "10:abc", "-1:" + "0" * 64, "0:" + "0" * 64, "1" * 30 + ":" + "0" * 64],
)
def test_a_malformed_reference_is_refused(filled, reference):
    with pytest.raises(SpecError, match="write NUMBER:DIGEST"):
        filled.verify(reference)


def test_another_secret_verifies_nothing(filled, database):
    assert AuditLog(AuditRecords(database), OTHER).verify().fault == "entry 1 is not what was written"


@pytest.mark.parametrize(
    "statement", ["UPDATE audit SET entry = '{}'", "DELETE FROM audit", "DELETE FROM audit WHERE number = 10"]
)
def test_the_database_itself_keeps_it_append_only(filled, database, statement):
    with pytest.raises(RecordsError, match="append-only"), database.begin_write() as connection:
        connection.execute(text(statement))
    assert filled.verify().fault is None


_WRITER = """
import sys
from backtune.gateway.audit.records import AuditRecords
from backtune.gateway.sql.database import Database
from backtune.gateway.audit.service import AuditEntry, AuditLog
from backtune.gateway.keys.secret import GatewaySecret

url, worker = sys.argv[1:]
log = AuditLog(AuditRecords(Database(url)), GatewaySecret(b"s" * 32))
for i in range(20):
    log.append(AuditEntry(f"POST /{worker}/{i}", "admitted"))
"""


def test_processes_that_add_at_once_lose_nothing(url, log):
    workers = [
        subprocess.Popen([sys.executable, "-c", _WRITER, url, str(i)], stderr=subprocess.PIPE)
        for i in range(2)
    ]
    # Until they have started too.
    while log.verify().n_entries < 2 and all(worker.poll() is None for worker in workers):
        time.sleep(0.02)
    for i in range(20):
        log.append(AuditEntry(f"POST /2/{i}", "admitted"))
    for worker in workers:
        told = worker.communicate(timeout=120)[1]
        assert worker.returncode == 0, told
    verdict = log.verify()
    assert (verdict.n_entries, verdict.fault) == (60, None)
    actions = [entry["action"] for entry in log.read_last(1000)]
    for worker in range(3):
        mine = [action for action in actions if action.startswith(f"POST /{worker}/")]
        assert mine == [f"POST /{worker}/{i}" for i in range(20)]


def test_what_clients_send_cannot_break_an_entry(log):
    log.append(
        AuditEntry('POST /"}\n{', "x" * 5000, name="\0\x1b[2J\ud800", address="'; DROP TABLE audit; --")
    )
    (entry,) = log.read_last(1)
    assert entry["action"] == 'POST /"}\n{'
    assert len(entry["outcome"]) == 300
    assert entry["address"] == "'; DROP TABLE audit; --"
    assert log.verify().fault is None


def test_what_a_gateway_writes_down(gateway):
    key = gateway.key("trader", name="desk 7", signing="optional")
    viewer = gateway.key("viewer")
    before = gateway.audit.verify().n_entries

    def entries() -> list[tuple[str, ...]]:
        found = gateway.audit.read_last(1000)[before:]
        return [
            tuple(entry[name] for name in ("action", "outcome", "name", "role", "job_id")) for entry in found
        ]

    job_id = gateway.ask(
        key, "POST", f"{API}/optimize/single", json=SINGLE, headers={"X-Request-ID": "mine-7"}
    ).json()["job_id"]
    gateway.ask(key, "GET", f"{API}/jobs/{job_id}")
    gateway.ask(key, "POST", f"{API}/jobs/{job_id}/cancel")
    gateway.ask(viewer, "POST", f"{API}/jobs/{job_id}/cancel")
    gateway.ask(key, "POST", f"{API}/optimize/single", json={})
    gateway.client.get(f"{API}/jobs?api_key={key.header_value}")
    cancel = "POST /api/v1/jobs/{job_id}/cancel"
    single = "POST /api/v1/optimize/single"
    assert entries() == [
        (single, "admitted", "desk 7", "trader", ""),
        (single, "202", "desk 7", "trader", job_id),
        (cancel, "admitted", "desk 7", "trader", job_id),
        (cancel, "202", "desk 7", "trader", job_id),
        (cancel, f"403 the role viewer may not {cancel}", f"viewer-{viewer.key_id[:4]}", "viewer", job_id),
        (single, "admitted", "desk 7", "trader", ""),
        (single, "422", "desk 7", "trader", ""),
        ("GET /api/v1/jobs", "401 no API key; send it as X-API-Key", "", "", ""),
    ]
    first = gateway.audit.read_last(1000)[before]
    assert (first["request_id"], first["key_id"], first["address"]) == ("mine-7", key.key_id, "testclient")
    everything = json.dumps(gateway.audit.read_last(1000))
    assert key.secret.hex() not in everything
    assert key.signing_secret.hex() not in everything
    assert gateway.audit.verify().fault is None


def test_what_cannot_be_written_down_is_not_done(gateway, keys):
    database = gateway.client.app.state.services.database
    with database.begin_read() as connection:
        n_before = connection.execute(text("SELECT count(*) FROM jobs")).scalar()
    _alter(database, "ALTER TABLE audit RENAME TO audit_gone")
    try:
        answer = gateway.ask(keys["trader"], "POST", f"{API}/optimize/single", json=SINGLE)
        looked = gateway.ask(keys["trader"], "GET", f"{API}/jobs")
    finally:
        _alter(database, "ALTER TABLE audit_gone RENAME TO audit")
    assert (answer.status_code, answer.json()["detail"]) == (503, "the database does not answer")
    assert looked.status_code == 200
    with database.begin_read() as connection:
        assert connection.execute(text("SELECT count(*) FROM jobs")).scalar() == n_before


def _alter(database: Database, statement: str) -> None:
    with database.begin_write() as connection:
        connection.execute(text(statement))


def _tamper(database: Database, *statements: str) -> None:
    """As one who may change the schema too."""
    with database.begin_write() as connection:
        if connection.dialect.name == "postgresql":
            drop: list[str] = ["DROP TRIGGER audit_append_only ON audit"]
        else:
            drop = ["DROP TRIGGER audit_no_update", "DROP TRIGGER audit_no_delete"]
        for statement in (*drop, *statements):
            connection.exec_driver_sql(statement)
