"""For Prometheus."""

from __future__ import annotations

from fastapi import APIRouter, Response

from backtune.gateway.observing.metrics import CONTENT_TYPE
from backtune.gateway.parts import TheParts
from backtune.gateway.problems import declared

router = APIRouter(tags=["metrics"])


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}, **declared()},
)
def metrics(parts: TheParts) -> Response:
    """Requests, jobs and attempts, in Prometheus' text format."""
    return Response(parts.metrics.text(), media_type=CONTENT_TYPE)
