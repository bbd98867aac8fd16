"""A gateway that asks for keys, in process, on a cluster that does not answer: jobs wait in the queue."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
from starlette.testclient import TestClient

from backtune.gateway.app import create_app
from backtune.gateway.audit.records import AuditRecords
from backtune.gateway.audit.service import AuditLog
from backtune.gateway.keys.records import KeyRecords
from backtune.gateway.keys.secret import GatewaySecret
from backtune.gateway.keys.service import KeyService
from backtune.gateway.settings import Limits, RequestLimits, Settings
from backtune.gateway.sql.database import Database
from backtune.wire.api_key import ApiKey
from backtune.wire.signature import make_auth_headers

API = "/api/v1"
NOWHERE = "http://127.0.0.1:9"
ROLES = ("viewer", "trader", "risk_manager", "admin")
SINGLE = {"strategy_name": "RSIStrategy", "asset": "AAA", "timeframe": "1h"}
FREE = RequestLimits(rate="100000/second", work_rate="100000/second", failure_rate="100000/second")


@dataclass
class Secured:
    """One that runs."""

    client: TestClient
    keys: KeyService
    audit: AuditLog

    def key(self, role: str, **how: Any) -> ApiKey:
        """A new key, known at once."""
        text = self.keys.create(role, **how)[1]
        self.forget_keys()
        return text

    def forget_keys(self) -> None:
        """Have the gateway read its keys again, which it else does after a second."""
        self.client.app.state.services.authenticator._cache._read_at = None

    def ask(self, key: ApiKey | None, method: str, path: str, **how: Any) -> httpx2.Response:
        """As a client would: signed where the key signs."""
        request = self.client.build_request(method, path, **how)
        if key is not None:
            url = urlsplit(str(request.url))
            request.headers.update(make_auth_headers(key, method, url.path, url.query, request.read()))
        return self.client.send(request, follow_redirects=False)


@contextmanager
def secured(
    runs: Path,
    data_root: str,
    request_limits: RequestLimits = FREE,
    database: str | None = None,
    limits: Limits | None = None,
) -> Iterator[Secured]:
    """A gateway with keys, and what makes them."""
    settings = Settings(
        runs=runs, data_root=data_root, address=NOWHERE, database=database, request_limits=request_limits,
        limits=limits or Limits(body_bytes=20_000),
    )  # fmt: skip
    app = create_app(settings, NOWHERE)
    secret = GatewaySecret.open(settings.own_folder)
    database_too = Database(settings.database_url)
    with TestClient(app, raise_server_exceptions=False, base_url="http://127.0.0.1") as client:
        yield Secured(
            client,
            KeyService(KeyRecords(database_too), secret),
            AuditLog(AuditRecords(database_too), secret),
        )
    database_too.close()
