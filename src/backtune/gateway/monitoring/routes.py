"""The routes for probes and scrapers."""

from __future__ import annotations

import os

from fastapi import APIRouter, Response

from backtune.errors import RecordsError
from backtune.gateway.error_answers import declare_errors
from backtune.gateway.monitoring.metrics import CONTENT_TYPE
from backtune.gateway.services import InjectedServices, Services
from backtune.gateway.settings import VERSION
from backtune.wire.answers import Health, Readiness

router = APIRouter()


@router.get("/health", tags=["health"], responses=declare_errors())
async def read_health() -> Health:
    """Tell that the process answers."""
    return Health(status="ok", version=VERSION)


@router.get("/ready", tags=["health"], responses={**declare_errors(), 503: {"model": Readiness}})
def read_readiness(services: InjectedServices, response: Response) -> Readiness:
    """Check the gateway, the database, the runs folder, the cluster and the reconciler of jobs."""
    state = Readiness(
        ready=False,
        gateway="draining" if services.draining.is_on else "ok",
        database=_check_database(services),
        runs="ok" if os.access(services.settings.runs, os.W_OK) else "cannot be written",
        cluster="ok" if services.cluster.is_answering else "does not answer",
        reconciler=services.reconciler_loop.state,
    )
    is_all_ok = {state["gateway"], state["database"], state["runs"], state["cluster"]} == {"ok"}
    state["ready"] = is_all_ok and state["reconciler"] in ("working", "standing by")
    response.status_code = 200 if state["ready"] else 503
    return state


@router.get(
    "/metrics",
    tags=["metrics"],
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **declare_errors()},
)
def read_metrics(services: InjectedServices) -> Response:
    """Return the counts of requests, jobs and attempts in Prometheus' text format."""
    return Response(services.metrics.render(), media_type=CONTENT_TYPE)


def _check_database(services: Services) -> str:
    try:
        services.job_records.count_by_status()
    except RecordsError:
        return "does not answer"
    return "ok"
