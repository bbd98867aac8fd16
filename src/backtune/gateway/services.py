"""The services of a running gateway, which routes receive with the request."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import Depends, Request

from backtune.gateway.alerts.notifier import AlertNotifier
from backtune.gateway.alerts.rules import AlertRules
from backtune.gateway.audit.records import AuditRecords
from backtune.gateway.audit.request_audit import RequestAudit
from backtune.gateway.audit.service import AuditLog
from backtune.gateway.catalog.service import CatalogService
from backtune.gateway.draining import Draining
from backtune.gateway.jobs.driver_logs import DriverLogs
from backtune.gateway.jobs.reconciliation.cluster import ClusterJobs
from backtune.gateway.jobs.reconciliation.loop import ReconcilerLoop
from backtune.gateway.jobs.reconciliation.reconciler import Reconciler
from backtune.gateway.jobs.records import JobRecords
from backtune.gateway.jobs.service import JobService
from backtune.gateway.keys.authentication import Authenticator
from backtune.gateway.keys.key_cache import KeyCache
from backtune.gateway.keys.nonces import NonceRecords
from backtune.gateway.keys.records import KeyRecords
from backtune.gateway.keys.secret import GatewaySecret
from backtune.gateway.keys.service import KeyService
from backtune.gateway.live.broadcaster import UpdateBroadcaster
from backtune.gateway.monitoring.metrics import Metrics
from backtune.gateway.rate_limits import RateLimiter, check_rate_limit
from backtune.gateway.reports.service import ReportService
from backtune.gateway.settings import Settings
from backtune.gateway.sql.database import Database
from backtune.gateway.sql.leases import Lease

# A message may take half a minute, and the lease is not renewed meanwhile.
_ALERTS_LEASE_SECONDS: Final = 120.0


@dataclass(frozen=True)
class Services:
    """The objects that one gateway consists of."""

    settings: Settings
    database: Database
    job_records: JobRecords
    jobs: JobService
    broadcaster: UpdateBroadcaster
    cluster: ClusterJobs
    driver_logs: DriverLogs
    reconciler: Reconciler
    reconciler_loop: ReconcilerLoop
    alert_notifier: AlertNotifier | None
    reports: ReportService
    catalog: CatalogService
    metrics: Metrics
    authenticator: Authenticator
    request_audit: RequestAudit
    rate_limiter: RateLimiter
    draining: Draining

    @classmethod
    def build(cls, settings: Settings, address: str, prepare: Callable[[], None]) -> Services:
        """Return the services of a new gateway.

        Raises:
            RecordsError: The database cannot be used.
            SpecError: The secret, a limit, the address of Redis or the file of alerts cannot be used.
        """
        database = Database(settings.database_url)
        job_records = JobRecords(database, has_alerts=settings.alerts is not None)
        jobs = JobService(job_records, settings.runs)
        metrics = Metrics(job_records.count_by_status)
        cluster = ClusterJobs(settings, address)
        driver_logs = DriverLogs(settings.own_folder / "logs", cluster.read_logs)
        reconciler = Reconciler(settings, job_records, cluster, driver_logs, metrics)
        lease = Lease(database, "reconciler", secrets.token_hex(8))
        limits = settings.request_limits
        for key in ("rate", "work_rate", "failure_rate", "refusal_rate"):
            check_rate_limit(key, getattr(limits, key))
        secret = GatewaySecret.open(settings.own_folder)
        rate_limiter = RateLimiter(limits.redis)
        key_records = KeyRecords(database)
        return cls(
            settings=settings,
            database=database,
            job_records=job_records,
            jobs=jobs,
            broadcaster=UpdateBroadcaster(jobs.find),
            cluster=cluster,
            driver_logs=driver_logs,
            reconciler=reconciler,
            reconciler_loop=ReconcilerLoop(reconciler, lease, cluster, prepare),
            alert_notifier=_build_alert_notifier(settings, database, job_records),
            reports=ReportService(settings),
            catalog=CatalogService(settings.data_root),
            metrics=metrics,
            authenticator=Authenticator(
                limits,
                KeyService(key_records, secret),
                KeyCache(key_records),
                NonceRecords(database),
                rate_limiter,
            ),
            request_audit=RequestAudit(AuditLog(AuditRecords(database), secret), rate_limiter, limits),
            rate_limiter=rate_limiter,
            draining=Draining(),
        )


def _build_alert_notifier(
    settings: Settings, database: Database, job_records: JobRecords
) -> AlertNotifier | None:
    if settings.alerts is None:
        return None
    rules = AlertRules.load(settings.alerts)
    lease = Lease(database, "alerts", secrets.token_hex(8), seconds=_ALERTS_LEASE_SECONDS)
    return AlertNotifier(rules, job_records, lease)


# A coroutine, because FastAPI would call a plain function in a thread.
async def _find_services(request: Request) -> Services:
    services: Services = request.app.state.services
    return services


InjectedServices = Annotated[Services, Depends(_find_services)]
