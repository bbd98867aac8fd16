"""Whether the gateway lives, and whether it can do all of its work."""

from __future__ import annotations

import os

from fastapi import APIRouter, Response

from backtune.errors import RecordsError
from backtune.gateway.parts import Parts, TheParts
from backtune.gateway.problems import declared
from backtune.gateway.schemas import Health, Ready
from backtune.gateway.settings import VERSION

router = APIRouter(tags=["health"])


@router.get("/health", responses=declared())
async def health() -> Health:
    """The process answers."""
    return Health(status="ok", version=VERSION)


@router.get("/ready", responses={**declared(), 503: {"model": Ready}})
def ready(parts: TheParts, response: Response) -> Ready:
    """The gateway itself, the database, the runs folder, the cluster and the loop that keeps the jobs."""
    checks = {
        "gateway": "draining" if parts.draining.is_on else "ok",
        "database": _database(parts),
        "runs": "ok" if os.access(parts.settings.runs, os.W_OK) else "cannot be written",
        "cluster": "ok" if parts.cluster.answers else "does not answer",
        "keeper": parts.keeper.state,
    }
    is_ready = (
        checks["keeper"] in ("working", "standing by")
        and {checks[name] for name in ("gateway", "database", "runs", "cluster")} == {"ok"}
    )  # fmt: skip
    response.status_code = 200 if is_ready else 503
    return Ready(ready=is_ready, **checks)


def _database(parts: Parts) -> str:
    try:
        parts.records.counts()
    except RecordsError:
        return "does not answer"
    return "ok"
