"""Where a gateway keeps what its commands work on."""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from backtune.cli.options import runs_on_disk
from backtune.gateway.audit.records import AuditRecords
from backtune.gateway.audit.service import AuditEntry, AuditLog
from backtune.gateway.keys.records import KeyRecords
from backtune.gateway.keys.secret import GatewaySecret
from backtune.gateway.keys.service import KeyService
from backtune.gateway.settings import Settings
from backtune.gateway.sql.database import Database


@dataclass(frozen=True)
class GatewayFiles:
    """Keys and audit log of one gateway."""

    keys: KeyService
    audit: AuditLog

    def note(self, action: str, outcome: str, key_id: str) -> None:
        """Write down what was done on the command line, and by which user of this machine."""
        self.audit.append(
            AuditEntry(action, f"{outcome} {key_id}".strip(), name=_user(), role="command line")
        )


@contextmanager
def gateway_files(runs: str | None, database: str | None) -> Iterator[GatewayFiles]:
    """Those of the gateway that serves these runs.

    Raises:
        RecordsError: the database cannot be used.
        SpecError: its secret cannot be used.
    """
    settings = Settings(runs=runs_on_disk(runs), data_root="", database=database)
    settings.own_folder.mkdir(parents=True, exist_ok=True)
    secret = GatewaySecret.open(settings.own_folder)
    opened = Database(settings.database_url)
    try:
        yield GatewayFiles(KeyService(KeyRecords(opened), secret), AuditLog(AuditRecords(opened), secret))
    finally:
        opened.close()


def _user() -> str:
    try:
        return getpass.getuser()
    except OSError:
        return str(os.getuid())
