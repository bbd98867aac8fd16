"""The routes of reports and Pine scripts."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from starlette.concurrency import run_in_threadpool

from backtune.gateway.error_answers import declare_errors
from backtune.gateway.jobs.routes import find_record
from backtune.gateway.jobs.schemas import JobId
from backtune.gateway.keys.principal import CurrentPrincipal
from backtune.gateway.reports.service import MEDIA_TYPES
from backtune.gateway.services import InjectedServices
from backtune.wire.answers import PineScript
from backtune.wire.protocol import ReportFormat

router = APIRouter(tags=["reports"])
_CONTENT: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The report.",
        "content": {
            "application/json": {"schema": {"type": "object"}},
            "text/html": {"schema": {"type": "string"}},
            MEDIA_TYPES["pdf"]: {"schema": {"type": "string", "format": "binary"}},
            MEDIA_TYPES["xlsx"]: {"schema": {"type": "string", "format": "binary"}},
        },
    }
}


@router.get(
    "/reports/{job_id}", response_class=Response, responses=_CONTENT | declare_errors(404, 409, 422, 501)
)
async def make_report(
    job_id: JobId,
    services: InjectedServices,
    principal: CurrentPrincipal,
    report_format: Annotated[ReportFormat, Query(alias="format")] = "json",
) -> Response:
    """Return the report of a job; the report of an open job covers its results so far."""
    record = await run_in_threadpool(find_record, services, principal, job_id, "read")
    content = await services.reports.make_report(record, report_format)
    name = f"{record.sweep_id}.{report_format}"
    headers = {} if report_format == "json" else {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content, media_type=MEDIA_TYPES[report_format], headers=headers)


@router.post("/export/pine-script/{job_id}", responses=declare_errors(404, 409, 422))
async def make_pine_script(
    job_id: JobId, services: InjectedServices, principal: CurrentPrincipal
) -> PineScript:
    """Return the best candidate of a job as a Pine v6 strategy for TradingView."""
    record = await run_in_threadpool(find_record, services, principal, job_id, "read")
    return PineScript(pine_script=await services.reports.make_pine_script(record))
