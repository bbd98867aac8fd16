"""The application: its parts put together, and the middleware in order."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from starlette.concurrency import run_in_threadpool

from backtune.gateway.alerts.rules import AlertRules
from backtune.gateway.alerts.watcher import AlertWatcher
from backtune.gateway.draining import ClosingConnections, Draining
from backtune.gateway.driver_logs import DriverLogs
from backtune.gateway.keeper.cluster import Cluster
from backtune.gateway.keeper.loop import Keeper
from backtune.gateway.keeper.work import Work
from backtune.gateway.observing.metrics import Metrics
from backtune.gateway.observing.requests import ObservedRequests
from backtune.gateway.offer import Offer
from backtune.gateway.parts import Parts
from backtune.gateway.problems import ProblemModel, add_handlers
from backtune.gateway.records.database import Database
from backtune.gateway.records.jobs import JobRecords
from backtune.gateway.records.leases import Lease
from backtune.gateway.reports import Reports
from backtune.gateway.routes import health, jobs, metrics, optimize, reports, socket, strategies
from backtune.gateway.security.assembly import add_security, declare_keys, security_of
from backtune.gateway.security.headers import SecurityHeaders
from backtune.gateway.settings import VERSION, Settings
from backtune.gateway.sockets.updates import JobUpdates
from backtune.gateway.views import JobViews

PREFIX: Final = "/api/v1"
# A message may take half a minute, and the lease is not renewed meanwhile.
_ALERTS_LEASE_SECONDS: Final = 120.0


def create_app(
    settings: Settings,
    address: str,
    prepare: Callable[[], None] = lambda: None,
    before_end: Callable[[Parts], None] = lambda _: None,
) -> FastAPI:
    """The gateway as an ASGI application; its loop runs from startup to shutdown.

    Args:
        address: of the dashboard of the cluster.
        prepare: called before every round of the loop, such as to start a head that has died.
        before_end: called when the loop has ended.

    Raises:
        RecordsError: the database cannot be used.
        SpecError: the secret, a limit or the file of alerts cannot be used.
    """
    parts = _parts(settings, address, prepare)
    app = FastAPI(
        title="backtune gateway",
        version=VERSION,
        description="Submit, watch and fetch sweeps.",
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=f"{PREFIX}/docs",
        redoc_url=None,
        swagger_ui_oauth2_redirect_url=None,
        lifespan=_lifespan,
    )
    app.state.parts = parts
    app.state.before_end = before_end
    for module in (health, strategies, optimize, jobs, reports, metrics, socket):
        app.include_router(module.router, prefix=PREFIX)
    # Where probes, scrapers and sockets look for them.
    for module in (health, metrics, socket):
        app.include_router(module.router, include_in_schema=False)
    add_handlers(app)
    # The last one added is the outermost.
    add_security(app, parts.security, settings)
    app.add_middleware(ObservedRequests, metrics=parts.metrics)
    app.add_middleware(SecurityHeaders, docs_path=app.docs_url or "")
    app.add_middleware(ClosingConnections, draining=parts.draining)
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]
    return app


def _parts(settings: Settings, address: str, prepare: Callable[[], None]) -> Parts:
    database = Database(settings.database_url)
    records = JobRecords(database, has_alerts=settings.alerts is not None)
    views = JobViews(records, settings.runs)
    measured = Metrics(records.counts)
    cluster = Cluster(settings, address)
    driver_logs = DriverLogs(settings.own_folder / "logs", cluster.logs)
    work = Work(settings, records, cluster, driver_logs, measured)
    lease = Lease(database, "keeper", secrets.token_hex(8))
    return Parts(
        settings=settings,
        database=database,
        records=records,
        views=views,
        updates=JobUpdates(views.look),
        cluster=cluster,
        driver_logs=driver_logs,
        work=work,
        keeper=Keeper(work, lease, cluster, prepare),
        alerts=_alerts(settings, database, records),
        reports=Reports(settings),
        offer=Offer(settings.data_root),
        metrics=measured,
        security=security_of(settings, database),
        draining=Draining(),
    )


def _alerts(settings: Settings, database: Database, records: JobRecords) -> AlertWatcher | None:
    if settings.alerts is None:
        return None
    rules = AlertRules.load(settings.alerts)
    lease = Lease(database, "alerts", secrets.token_hex(8), seconds=_ALERTS_LEASE_SECONDS)
    return AlertWatcher(rules, records, lease)


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    parts: Parts = app.state.parts
    parts.keeper.start()
    if parts.alerts is not None:
        parts.alerts.start()
    try:
        yield
    finally:
        await run_in_threadpool(parts.keeper.stop)
        if parts.alerts is not None:
            await run_in_threadpool(parts.alerts.stop)
        await run_in_threadpool(app.state.before_end, parts)
        await parts.security.rates.close()
        parts.database.close()


def _openapi(app: FastAPI) -> dict[str, Any]:
    """With the problem that every refusal refers to."""
    if app.openapi_schema is None:
        schema = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        problem = ProblemModel.model_json_schema(ref_template="#/components/schemas/{model}")
        schema.setdefault("components", {}).setdefault("schemas", {})["Problem"] = problem
        declare_keys(schema)
        app.openapi_schema = schema
    return app.openapi_schema
