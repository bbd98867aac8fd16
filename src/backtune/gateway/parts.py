"""The parts of a running gateway, which routes find through the request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from backtune.gateway.alerts.watcher import AlertWatcher
from backtune.gateway.draining import Draining
from backtune.gateway.driver_logs import DriverLogs
from backtune.gateway.keeper.cluster import Cluster
from backtune.gateway.keeper.loop import Keeper
from backtune.gateway.keeper.work import Work
from backtune.gateway.observing.metrics import Metrics
from backtune.gateway.offer import Offer
from backtune.gateway.records.database import Database
from backtune.gateway.records.jobs import JobRecords
from backtune.gateway.reports import Reports
from backtune.gateway.security.assembly import Security
from backtune.gateway.settings import Settings
from backtune.gateway.sockets.updates import JobUpdates
from backtune.gateway.views import JobViews


@dataclass(frozen=True)
class Parts:
    """All of them; made in :mod:`backtune.gateway.app`."""

    settings: Settings
    database: Database
    records: JobRecords
    views: JobViews
    updates: JobUpdates
    cluster: Cluster
    driver_logs: DriverLogs
    work: Work
    keeper: Keeper
    alerts: AlertWatcher | None
    reports: Reports
    offer: Offer
    metrics: Metrics
    security: Security
    draining: Draining

    @classmethod
    def of(cls, request: Request) -> Parts:
        """Those of the application that the request came to."""
        parts: Parts = request.app.state.parts
        return parts


# A coroutine: FastAPI would call a plain function in a thread.
async def _parts_of(request: Request) -> Parts:
    return Parts.of(request)


TheParts = Annotated[Parts, Depends(_parts_of)]
