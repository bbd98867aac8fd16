"""Who did what: entries that are only ever added, each bound to all before it, and an anchor outside of the database.

An entry's digest is an HMAC, under a key derived from the gateway's secret, over its number, the digest before it and its
text: whoever can write to the database, and does not have the secret, can change, remove or reorder nothing unseen. What
a chain cannot tell is that its end is missing; the anchor does, which names the last entry in a file of its own. Whoever
may replace both is found by an anchor that was noted elsewhere: every entry's is in the gateway's log.
"""

from __future__ import annotations

import fcntl
import hashlib
import hmac
import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from backtune.errors import ResultsError, SpecError
from backtune.gateway.observing.logs import log
from backtune.gateway.records.audit import AuditRecords, AuditRow
from backtune.gateway.security.secret import GatewaySecret
from backtune.storage.files import write_atomically

_START: Final = "0" * 64
_ANCHOR: Final = re.compile(r"(0|[1-9][0-9]{0,17}):([0-9a-f]{64})")
_FORGED: Final = (-1, "")
_SHOWN_CHARACTERS: Final = 300


@dataclass(frozen=True)
class AuditEntry:
    """What is written down; secrets never are.

    Attributes:
        action: method and route, or a command.
        outcome: ``admitted`` before an action, then the answer's status; or why it was refused.
        key_id, name, role: who; empty where that is not known.
        address: from where.
        request_id: the same as in the log.
        job_id: which job; empty where it is of none.
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
class Verdict:
    """What was found of the log.

    Attributes:
        n_entries: that are in order, from the first on.
        anchor: of the last of them, as ``number:digest``; empty where there is none.
        fault: what is wrong, and where; None where nothing is.
    """

    n_entries: int
    anchor: str
    fault: str | None = None


class AuditLog:
    """Safe to use from several threads and processes.

    Args:
        folder: where the anchor is kept.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        records: AuditRecords,
        secret: GatewaySecret,
        folder: Path,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._records = records
        self._key = secret.derive("audit")
        self._folder = folder
        self._clock = clock

    def append(self, entry: AuditEntry) -> None:
        """Write an entry down; it is there for good when this returns.

        Raises:
            RecordsError: the database does not answer.
            ResultsError: the anchor cannot be written.
        """
        moment = datetime.fromtimestamp(self._clock(), tz=UTC).isoformat(timespec="microseconds")
        values = {name: str(value)[:_SHOWN_CHARACTERS] for name, value in asdict(entry).items()}
        text = json.dumps({"time": moment, **values}, sort_keys=True, separators=(",", ":"))
        self._begin()
        row = self._records.append(lambda last: self._next(last, text))
        self._move_anchor(row)
        log().info("audit", action=entry.action, outcome=entry.outcome, anchor=f"{row.number}:{row.digest}")

    def last(self, limit: int) -> list[dict[str, Any]]:
        """So many entries, the latest last.

        Raises:
            RecordsError: the database does not answer.
        """
        return [{"number": row.number, **_parsed(row.entry)} for row in self._records.last(limit)]

    def verify(self, noted: str | None = None) -> Verdict:
        """Look at every entry, and for the one that the anchor names.

        Args:
            noted: an anchor from elsewhere, as ``number:digest``.

        Raises:
            SpecError: that is no anchor.
            RecordsError: the database does not answer.
        """
        anchors = self._anchors(noted)
        if isinstance(anchors, str):
            return Verdict(0, "", anchors)
        before: AuditRow | None = None
        for row in self._records.in_order():
            fault = self._fault(before, row, anchors)
            if fault is not None:
                return _verdict(before, fault)
            before = row
        ahead = max(anchors, default=0)
        n_entries = before.number if before else 0
        if ahead > n_entries:
            return _verdict(
                before,
                f"the end is missing: there were {ahead:,} entries at least, and {n_entries:,} are left",
            )
        return _verdict(before)

    def _next(self, last: AuditRow | None, text: str) -> AuditRow:
        number = last.number + 1 if last else 1
        return AuditRow(number, text, self._digest(number, last.digest if last else _START, text))

    def _digest(self, number: int, before: str, text: str) -> str:
        return hmac.new(self._key, f"{number}\n{before}\n{text}".encode(), hashlib.sha256).hexdigest()

    def _fault(self, before: AuditRow | None, row: AuditRow, anchors: dict[int, str]) -> str | None:
        expected = before.number + 1 if before else 1
        if row.number != expected:
            return f"entry {expected:,} is missing"
        if not hmac.compare_digest(
            row.digest, self._digest(row.number, before.digest if before else _START, row.entry)
        ):
            return f"entry {row.number:,} is not what was written"
        if anchors.get(row.number, row.digest) != row.digest:
            return f"entry {row.number:,} is not the one that was noted: the log was written anew"
        return None

    def _anchors(self, noted: str | None) -> dict[int, str] | str:
        """Digests by number, of the anchor here and the one that was noted; or why they cannot be used."""
        anchors: dict[int, str] = {}
        if noted is not None:
            found = _ANCHOR.fullmatch(noted)
            if found is None:
                raise SpecError("anchor", f"{noted!r} is no anchor; write number:digest", value=noted)
            anchors[int(found[1])] = found[2]
        own = self._read_anchor()
        if own is None:
            return "the anchor is missing" if self._records.last(1) else anchors
        if own == _FORGED:
            return "the anchor is not what was written"
        number, digest = own
        if anchors.get(number, digest) != digest:
            return f"entry {number:,} is not the one that was noted: the log was written anew"
        return anchors | {number: digest}

    def _begin(self) -> None:
        """Anchor the empty log, so that one without an anchor has lost it."""
        if not self._path.exists():
            with self._turn():
                if not self._path.exists() and not self._records.last(1):
                    self._write_anchor(0, _START)

    def _move_anchor(self, row: AuditRow) -> None:
        """Forward alone, and only while the entry that it names is there: it is the evidence if that is not."""
        with self._turn():
            own = self._read_anchor()
            if own is not None and own[0] >= row.number:
                return
            if own is not None and self._holds(*own):
                self._write_anchor(row.number, row.digest)
            else:
                log().error("the audit log is not what was written; see backtune audit verify")

    def _holds(self, number: int, digest: str) -> bool:
        if number == 0:
            return digest == _START
        found = self._records.get(number)
        return found is not None and found.digest == digest

    def _write_anchor(self, number: int, digest: str) -> None:
        text = f"{number}:{digest}"
        line = f"{text} {self._anchor_digest(text)}\n".encode()
        write_atomically(self._path, lambda file: file.write(line))

    def _read_anchor(self) -> tuple[int, str] | None:
        """Number and digest; None where there is no anchor."""
        try:
            text, _, digest = self._path.read_text(encoding="ascii").strip().partition(" ")
        except FileNotFoundError:
            return None
        except (OSError, ValueError):
            return _FORGED
        found = _ANCHOR.fullmatch(text)
        if found is None or not hmac.compare_digest(digest.encode(), self._anchor_digest(text).encode()):
            return _FORGED
        return int(found[1]), found[2]

    def _anchor_digest(self, text: str) -> str:
        return hmac.new(self._key, f"anchor\n{text}".encode(), hashlib.sha256).hexdigest()

    @property
    def _path(self) -> Path:
        return self._folder / "audit.anchor"

    @contextmanager
    def _turn(self) -> Iterator[None]:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with (self._folder / "audit.lock").open("ab") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                yield
        except OSError as error:
            raise ResultsError(f"{self._path}: cannot be written: {error}") from error


def _parsed(text: str) -> dict[str, Any]:
    """An entry's members, also of one that was tampered with."""
    try:
        found = json.loads(text)
    except ValueError:
        found = None
    return found if isinstance(found, dict) else {"entry": text}


def _verdict(last: AuditRow | None, fault: str | None = None) -> Verdict:
    return Verdict(last.number if last else 0, f"{last.number}:{last.digest}" if last else "", fault)
