"""The audit log: entries about who did what, which are only ever added, each bound to all entries before it.

The digest of an entry is an HMAC of its number, the digest before it and its text, under a key derived from the gateway's
secret. Somebody who can write to the database, but does not have the secret, cannot change, remove, insert or reorder an
entry unnoticed. A chain does not show that its end was cut off: that is found with the number and digest of an entry that
were noted elsewhere, and the gateway's log holds those of every entry.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, Final

from backtune.errors import SpecError
from backtune.gateway.audit.records import AuditRecords, AuditRow
from backtune.gateway.keys.secret import GatewaySecret
from backtune.gateway.monitoring.logs import log

_FIRST_DIGEST: Final = "0" * 64
_REFERENCE: Final = re.compile(r"([1-9][0-9]{0,17}):([0-9a-f]{64})")
_MAX_CHARACTERS: Final = 300


@dataclass(frozen=True)
class AuditEntry:
    """The content of an entry, which never holds a secret.

    Attributes:
        action: The method and route of a request, or a command.
        outcome: ``admitted`` before an action; after it the status of the answer, or the reason of a refusal.
        key_id: The id of the key that was used; empty if it is not known.
        name: The name of the key's holder; empty if it is not known.
        role: The role of the key's holder; empty if it is not known.
        address: The network address of the client.
        request_id: The id of the request in the gateway's log.
        job_id: The job that the action belongs to; empty if there is none.
    """

    action: str
    outcome: str
    key_id: str = ""
    name: str = ""
    role: str = ""
    address: str = ""
    request_id: str = ""
    job_id: str = ""


@dataclass(frozen=True)
class AuditVerdict:
    """The result of a verification.

    Attributes:
        n_entries: The number of entries that are in order, from the first one on.
        last: The number and digest of the last of them, as ``number:digest``; empty if there is none.
        fault: The first fault, with the number of the entry; None if the log is whole.
    """

    n_entries: int
    last: str
    fault: str | None = None


class AuditLog:
    """The chain of entries. Safe to use from several threads and processes.

    Every method raises :class:`~backtune.errors.RecordsError` if the database fails.
    """

    def __init__(
        self, records: AuditRecords, secret: GatewaySecret, clock: Callable[[], float] = time.time
    ) -> None:
        self._records = records
        self._key = secret.derive("audit")
        self._clock = clock

    def append(self, entry: AuditEntry) -> None:
        """Write an entry, which is in the database for good when this returns."""
        moment = datetime.fromtimestamp(self._clock(), tz=UTC).isoformat(timespec="microseconds")
        values = {name: str(value)[:_MAX_CHARACTERS] for name, value in asdict(entry).items()}
        text = json.dumps({"time": moment, **values}, sort_keys=True, separators=(",", ":"))

        def make_row(last: AuditRow | None) -> AuditRow:
            number = last.number + 1 if last else 1
            return AuditRow(number, text, self._compute_digest(number, last, text))

        row = self._records.append(make_row)
        log.info("audit", action=entry.action, outcome=entry.outcome, entry=f"{row.number}:{row.digest}")

    def read_last(self, limit: int) -> list[dict[str, Any]]:
        """Return the last entries, the latest last."""
        return [{"number": row.number, **_parse_entry(row.entry)} for row in self._records.read_last(limit)]

    def verify(self, noted: str | None = None) -> AuditVerdict:
        """Check every entry of the chain.

        Args:
            noted: The ``number:digest`` of an entry that was noted elsewhere, and must still be in the log.

        Raises:
            SpecError: ``noted`` has another form.
        """
        noted_number, noted_digest = (0, "") if noted is None else _parse_reference(noted)
        last: AuditRow | None = None
        fault: str | None = None
        for row in self._records.read_all():
            fault = self._find_fault(last, row)
            if fault is None and row.number == noted_number and row.digest != noted_digest:
                fault = f"entry {row.number:,} is not the one that was noted: the log was written anew"
            if fault is not None:
                break
            last = row
        n_entries = last.number if last else 0
        if fault is None and noted_number > n_entries:
            fault = (
                f"the end is missing: entry {noted_number:,} was noted, and {n_entries:,} entries are left"
            )
        return AuditVerdict(n_entries, f"{last.number}:{last.digest}" if last else "", fault)

    def _find_fault(self, last: AuditRow | None, row: AuditRow) -> str | None:
        expected_number = last.number + 1 if last else 1
        if row.number > expected_number:
            return f"entry {expected_number:,} is missing"
        expected_digest = self._compute_digest(row.number, last, row.entry)
        if row.number < expected_number or not hmac.compare_digest(row.digest, expected_digest):
            return f"entry {row.number:,} is not what was written"
        return None

    def _compute_digest(self, number: int, last: AuditRow | None, text: str) -> str:
        digest_before = last.digest if last else _FIRST_DIGEST
        return hmac.new(self._key, f"{number}\n{digest_before}\n{text}".encode(), hashlib.sha256).hexdigest()


def _parse_reference(text: str) -> tuple[int, str]:
    found = _REFERENCE.fullmatch(text)
    if found is None:
        raise SpecError("--noted", f"{text!r} is no entry of the audit log; write NUMBER:DIGEST", value=text)
    return int(found[1]), found[2]


def _parse_entry(text: str) -> dict[str, Any]:
    """Return the members of an entry, also of one that is no JSON because somebody changed it."""
    try:
        entry = json.loads(text)
    except ValueError:
        entry = None
    return entry if isinstance(entry, dict) else {"entry": text}
