"""The audit log in real databases: what it says, who can add to it at once, and what is found of tampering."""

import json
import re
import stat
import subprocess
import sys
import time

import pytest
from secured import API, SINGLE
from sqlalchemy import text

from backtune.errors import RecordsError, SpecError
from backtune.gateway.records.audit import AuditRecords
from backtune.gateway.records.database import Database
from backtune.gateway.security.audit import AuditEntry, AuditLog
from backtune.gateway.security.secret import GatewaySecret

SECRET = GatewaySecret(b"s" * 32)
OTHER = GatewaySecret(b"t" * 32)


@pytest.fixture
def log(database, private) -> AuditLog:
    return AuditLog(AuditRecords(database), SECRET, private, lambda: 1_700_000_000.25)


@pytest.fixture
def filled(log) -> AuditLog:
    for i in range(10):
        log.append(AuditEntry(f"POST /{i}", "admitted", key_id=f"key-{i}", address="10.0.0.1"))
    return log


def test_an_empty_log_is_whole(log):
    verdict = log.verify()
    assert (verdict.n_entries, verdict.anchor, verdict.fault) == (0, "", None)


def test_entries_are_as_they_were_written_and_in_order(filled):
    entries = filled.last(3)
    assert entries[-1] == {
        "number": 10, "time": "2023-11-14T22:13:20.250000+00:00", "action": "POST /9", "outcome": "admitted",
        "key_id": "key-9", "name": "", "role": "", "address": "10.0.0.1", "request_id": "", "job_id": "",
    }  # fmt: skip
    assert [entry["number"] for entry in entries] == [8, 9, 10]
    verdict = filled.verify()
    assert (verdict.n_entries, verdict.fault) == (10, None)
    assert re.fullmatch(r"10:[0-9a-f]{64}", verdict.anchor)
    assert filled.verify(verdict.anchor) == verdict


# What somebody who can write to the database does, the guards of its tables taken away; {0}: any digest.
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
    "the last removed": (["DELETE FROM audit WHERE number = 10"], "the end is missing: there were 10 entries at least, and 9 are left"),
    "the second half removed": (["DELETE FROM audit WHERE number > 5"], "the end is missing: there were 10 entries at least, and 5 are left"),
    "all removed": (["DELETE FROM audit"], "the end is missing: there were 10 entries at least, and 0 are left"),
    "two exchanged": (
        ["UPDATE audit SET number = 99 WHERE number = 5", "UPDATE audit SET number = 5 WHERE number = 6", "UPDATE audit SET number = 6 WHERE number = 99"],
        "entry 5 is not what was written",
    ),
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


@pytest.mark.parametrize("kind", ["the last removed", "all removed"])
def test_what_was_cut_off_is_found_also_when_others_were_added_since(filled, database, kind):
    _tamper(database, *TAMPERING[kind][0])
    for i in range(12):
        filled.append(AuditEntry(f"POST /after/{i}", "admitted"))
    assert filled.verify().fault == "entry 10 is not the one that was noted: the log was written anew"


def test_an_anchor_that_is_gone_forged_or_from_elsewhere_is_found(filled, database, private):
    path = private / "audit.anchor"
    before = path.read_text()
    path.unlink()
    assert filled.verify().fault == "the anchor is missing"
    _tamper(database, "DELETE FROM audit WHERE number > 5")
    # It does not come back by itself.
    filled.append(AuditEntry("POST /after", "admitted"))
    assert filled.verify().fault == "the anchor is missing"
    for forged in ("", "5:" + "0" * 64, before.replace("10:", "5:"), before[:-10], "\xff"):
        path.write_text(forged)
        assert filled.verify().fault == "the anchor is not what was written"


def test_who_replaces_both_is_found_by_an_anchor_that_was_noted(filled, database, private):
    noted = filled.verify().anchor
    earlier = (private / "audit.anchor").read_text()
    for i in range(5):
        filled.append(AuditEntry(f"POST /after/{i}", "admitted"))
    later = filled.verify().anchor
    _tamper(database, "DELETE FROM audit WHERE number > 10")
    (private / "audit.anchor").write_text(earlier)
    assert filled.verify().fault is None
    assert filled.verify(noted).fault is None
    assert filled.verify(later).fault == "the end is missing: there were 15 entries at least, and 10 are left"
    assert (
        filled.verify("3:" + "0" * 64).fault
        == "entry 3 is not the one that was noted: the log was written anew"
    )
    assert "was noted" in filled.verify("10:" + "0" * 64).fault


@pytest.mark.parametrize(
    "anchor", ["", "x", "10", "10:", "10:abc", "-1:" + "0" * 64, "1" * 30 + ":" + "0" * 64]
)
def test_what_is_no_anchor(filled, anchor):
    with pytest.raises(SpecError, match="write number:digest"):
        filled.verify(anchor)


def test_another_secret_verifies_nothing(filled, database, private):
    assert (
        AuditLog(AuditRecords(database), OTHER, private).verify().fault
        == "the anchor is not what was written"
    )


@pytest.mark.parametrize(
    "statement", ["UPDATE audit SET entry = '{}'", "DELETE FROM audit", "DELETE FROM audit WHERE number = 10"]
)
def test_the_database_itself_keeps_it_append_only(filled, database, statement):
    with pytest.raises(RecordsError, match="append-only"), database.writing() as connection:
        connection.execute(text(statement))
    assert filled.verify().fault is None


_WRITER = """
import sys
from pathlib import Path
from backtune.gateway.records.audit import AuditRecords
from backtune.gateway.records.database import Database
from backtune.gateway.security.audit import AuditEntry, AuditLog
from backtune.gateway.security.secret import GatewaySecret

url, folder, worker = sys.argv[1:]
log = AuditLog(AuditRecords(Database(url)), GatewaySecret(b"s" * 32), Path(folder))
for i in range(20):
    log.append(AuditEntry(f"POST /{worker}/{i}", "admitted"))
"""


def test_processes_that_add_at_once_lose_nothing(url, log, private):
    workers = [
        subprocess.Popen([sys.executable, "-c", _WRITER, url, str(private), str(i)], stderr=subprocess.PIPE)
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
    assert (private / "audit.anchor").read_text().startswith(verdict.anchor)
    actions = [entry["action"] for entry in log.last(1000)]
    for worker in range(3):
        mine = [action for action in actions if action.startswith(f"POST /{worker}/")]
        assert mine == [f"POST /{worker}/{i}" for i in range(20)]


def test_what_clients_send_cannot_break_an_entry(log, private):
    log.append(
        AuditEntry('POST /"}\n{', "x" * 5000, name="\0\x1b[2J\ud800", address="'; DROP TABLE audit; --")
    )
    (entry,) = log.last(1)
    assert entry["action"] == 'POST /"}\n{'
    assert len(entry["outcome"]) == 300
    assert entry["address"] == "'; DROP TABLE audit; --"
    assert log.verify().fault is None
    assert stat.S_IMODE((private / "audit.anchor").stat().st_mode) & 0o022 == 0


def test_what_a_gateway_writes_down(gateway):
    key = gateway.key("trader", name="desk 7", signing="optional")
    viewer = gateway.key("viewer")
    before = gateway.audit.verify().n_entries

    def entries() -> list[tuple[str, ...]]:
        found = gateway.audit.last(1000)[before:]
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
    gateway.client.get(f"{API}/jobs?api_key={key.sent}")
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
    first = gateway.audit.last(1000)[before]
    assert (first["request_id"], first["key_id"], first["address"]) == ("mine-7", key.key_id, "testclient")
    everything = json.dumps(gateway.audit.last(1000))
    assert key.secret.hex() not in everything
    assert key.signing_secret.hex() not in everything
    assert gateway.audit.verify().fault is None


def test_what_cannot_be_written_down_is_not_done(gateway, keys):
    database = gateway.client.app.state.parts.database
    with database.reading() as connection:
        n_before = connection.execute(text("SELECT count(*) FROM jobs")).scalar()
    _alter(database, "ALTER TABLE audit RENAME TO audit_gone")
    try:
        answer = gateway.ask(keys["trader"], "POST", f"{API}/optimize/single", json=SINGLE)
        looked = gateway.ask(keys["trader"], "GET", f"{API}/jobs")
    finally:
        _alter(database, "ALTER TABLE audit_gone RENAME TO audit")
    assert (answer.status_code, answer.json()["detail"]) == (503, "the database does not answer")
    assert looked.status_code == 200
    with database.reading() as connection:
        assert connection.execute(text("SELECT count(*) FROM jobs")).scalar() == n_before


def _alter(database: Database, statement: str) -> None:
    with database.writing() as connection:
        connection.execute(text(statement))


def _tamper(database: Database, *statements: str) -> None:
    """As one who may change the schema too."""
    with database.writing() as connection:
        if connection.dialect.name == "postgresql":
            drop: list[str] = ["DROP TRIGGER audit_append_only ON audit"]
        else:
            drop = ["DROP TRIGGER audit_no_update", "DROP TRIGGER audit_no_delete"]
        for statement in (*drop, *statements):
            connection.exec_driver_sql(statement)
