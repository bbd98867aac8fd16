"""The keys and the audit log of a gateway, opened for a command."""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from backtune.cli.options import locate_gateway_runs
from backtune.gateway.audit.records import AuditRecords
from backtune.gateway.audit.service import AuditEntry, AuditLog
from backtune.gateway.keys.records import KeyRecords
from backtune.gateway.keys.secret import GatewaySecret
from backtune.gateway.keys.service import KeyService
from backtune.gateway.settings import Settings
from backtune.gateway.sql.database import Database


@dataclass(frozen=True)
class GatewayFiles:
    """The keys and the audit log of one gateway."""

    keys: KeyService
    audit: AuditLog

    def log_action(self, action: str, outcome: str, key_id: str) -> None:
        """Append an action of the command line to the audit log, with the user of this machine."""
        self.audit.append(
            AuditEntry(action, f"{outcome} {key_id}".strip(), name=_get_user(), role="command line")
        )


@contextmanager
def open_gateway_files(runs: str | None, database: str | None) -> Iterator[GatewayFiles]:
    """Open the keys and the audit log of the gateway that serves a runs folder.

    Raises:
        RecordsError: The database cannot be used.
        SpecError: The gateway's secret cannot be used.
    """
    settings = Settings(runs=locate_gateway_runs(runs), data_root="", database=database)
    settings.own_folder.mkdir(parents=True, exist_ok=True)
    secret = GatewaySecret.open(settings.own_folder)
    opened = Database(settings.database_url)
    try:
        yield GatewayFiles(KeyService(KeyRecords(opened), secret), AuditLog(AuditRecords(opened), secret))
    finally:
        opened.close()


def _get_user() -> str:
    try:
        return getpass.getuser()
    except OSError:
        return str(os.getuid())
