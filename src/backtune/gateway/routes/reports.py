"""What a job found, to read and to use."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from starlette.concurrency import run_in_threadpool

from backtune.gateway.parts import TheParts
from backtune.gateway.problems import declared
from backtune.gateway.reports import MEDIA_TYPES
from backtune.gateway.routes.jobs import record_of
from backtune.gateway.schemas import JobId, PineScript
from backtune.gateway.security.access import CurrentKey

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


@router.get("/reports/{job_id}", response_class=Response, responses=_CONTENT | declared(404, 409, 422))
async def report(
    job_id: JobId,
    parts: TheParts,
    principal: CurrentKey,
    report_format: Annotated[Literal["json", "html", "pdf", "xlsx"], Query(alias="format")] = "json",
) -> Response:
    """The report of a job; of one that is open, as far as it is."""
    record = await run_in_threadpool(record_of, parts, principal, job_id, "look")
    content = await parts.reports.report(record, report_format)
    name = f"{record.sweep_id}.{report_format}"
    headers = {} if report_format == "json" else {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(content, media_type=MEDIA_TYPES[report_format], headers=headers)


@router.post("/export/pine-script/{job_id}", responses=declared(404, 409, 422))
async def pine_script(job_id: JobId, parts: TheParts, principal: CurrentKey) -> PineScript:
    """The best of a job as a Pine v6 strategy for TradingView."""
    record = await run_in_threadpool(record_of, parts, principal, job_id, "look")
    return PineScript(pine_script=await parts.reports.pine_script(record))
