"""The parts of security put together, and put around an application."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from fastapi import FastAPI

from backtune.gateway.records.audit import AuditRecords
from backtune.gateway.records.database import Database
from backtune.gateway.records.keys import KeyRecords
from backtune.gateway.records.nonces import Nonces
from backtune.gateway.security.admission import Admission
from backtune.gateway.security.audit import AuditLog
from backtune.gateway.security.body import BodyLimit
from backtune.gateway.security.gate import Gate
from backtune.gateway.security.keys import Keys
from backtune.gateway.security.known import KnownKeys
from backtune.gateway.security.notes import RequestAudit
from backtune.gateway.security.rates import Rates, check_rate
from backtune.gateway.security.roles import ROUTES
from backtune.gateway.security.secret import GatewaySecret
from backtune.gateway.security.signature import KEY_HEADER
from backtune.gateway.settings import Settings

_SCHEME: Final = "ApiKey"


@dataclass(frozen=True)
class Security:
    """Of one gateway."""

    gate: Gate
    audit: RequestAudit
    rates: Rates


def security_of(settings: Settings, database: Database) -> Security:
    """The parts, on the gateway's database and secret.

    Raises:
        SpecError: the secret, a limit or the address of Redis cannot be used.
    """
    guards = settings.guards
    for key in ("rate", "work_rate", "failure_rate", "refusal_rate"):
        check_rate(key, getattr(guards, key))
    secret = GatewaySecret.open(settings.own_folder)
    rates = Rates(guards.redis)
    records = KeyRecords(database)
    gate = Gate(guards, Keys(records, secret), KnownKeys(records), Nonces(database), rates)
    audit = RequestAudit(AuditLog(AuditRecords(database), secret), rates, guards)
    return Security(gate, audit, rates)


def add_security(app: FastAPI, security: Security, settings: Settings) -> None:
    """Put it around all routes; to be called before what is further out."""
    # The last one added is the outermost.
    app.add_middleware(
        Admission,
        gate=security.gate,
        audit=security.audit,
        guards=settings.guards,
        role_without_key=settings.role_without_key,
    )
    app.add_middleware(BodyLimit, n_bytes=settings.limits.body_bytes, seconds=settings.guards.body_seconds)


def declare_keys(schema: dict[str, Any]) -> None:
    """Say in OpenAPI which routes ask for a key."""
    components = schema.setdefault("components", {})
    components["securitySchemes"] = {_SCHEME: {"type": "apiKey", "in": "header", "name": KEY_HEADER}}
    for rule in ROUTES:
        operation = schema["paths"].get(rule.path, {}).get(rule.method.lower())
        if operation is not None and rule.roles is not None:
            operation["security"] = [{_SCHEME: []}]
