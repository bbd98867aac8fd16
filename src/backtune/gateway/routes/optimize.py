"""New jobs: checked, recorded, and from then on sure to be run."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Annotated, Any, Final

from fastapi import APIRouter, Body, Header, Request
from fastapi.routing import APIRoute
from starlette.responses import Response

from backtune.gateway.failpoints import failpoint
from backtune.gateway.parts import Parts, TheParts
from backtune.gateway.problems import Problem, declared
from backtune.gateway.records.jobs import OtherRequestError
from backtune.gateway.records.values import NewJob
from backtune.gateway.schemas import Accepted, OptimizeSingle
from backtune.gateway.security.access import CurrentKey
from backtune.gateway.security.principal import Principal
from backtune.gateway.specs import batch_spec, single_spec
from backtune.spec import SweepSpec, hash_content
from backtune.spec.documents import RepeatedKeyError, check_json_keys


class _StrictRoute(APIRoute):
    """A route that refuses a body in which a key stands twice, of which JSON's reader would keep the last."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def checked(request: Request) -> Response:
            try:
                check_json_keys(await request.body())
            except RepeatedKeyError as error:
                raise Problem(422, str(error), where=error.path) from None
            return await handle(request)

        return checked


router = APIRouter(prefix="/optimize", tags=["optimize"], route_class=_StrictRoute)

IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$",
        description="The client's own name for the request: sent again, it gets the same job.",
    ),
]  # fmt: skip
_RESPONSES = declared(409, 422)
_A_SPEC: Final[dict[str, Any]] = {
    "name": "crypto-overnight",
    "data": {"start": "2018-01-01", "end": "2020-01-01"},
    "grid": {
        "strategies": ["RSIStrategy", "MACDStrategy"],
        "assets": ["BTCUSD", "ETHUSD"],
        "timeframes": ["1h", "4h"],
    },
    "search": {"trials": 500},
    "validation": {"method": "holdout", "test_fraction": 0.3},
    "compute": {"time_budget": "8h"},
}


@router.post("/single", status_code=202, responses=_RESPONSES)
def single(
    body: OptimizeSingle,
    request: Request,
    parts: TheParts,
    principal: CurrentKey,
    idempotency_key: IdempotencyKey = None,
) -> Accepted:
    """Optimise one strategy on one asset in one timeframe."""
    spec = single_spec(body, parts.settings.data_root, parts.settings.limits)
    return _recorded(parts, request, principal, spec, idempotency_key)


@router.post("/batch", status_code=202, responses=_RESPONSES)
def batch(
    body: Annotated[
        dict[str, Any], Body(description="A spec, as `backtune run` takes it.", examples=[_A_SPEC])
    ],
    request: Request,
    parts: TheParts,
    principal: CurrentKey,
    idempotency_key: IdempotencyKey = None,
) -> Accepted:
    """Run a whole sweep: strategies x assets x timeframes."""
    spec = batch_spec(body, parts.settings.data_root, parts.settings.limits)
    return _recorded(parts, request, principal, spec, idempotency_key)


def _recorded(
    parts: Parts, request: Request, principal: Principal, spec: SweepSpec, idempotency_key: str | None
) -> Accepted:
    document = spec.to_json()
    new = NewJob(
        owner=principal.key_id,
        request_id=request.state.request_id,
        spec=document,
        sweep_id=spec.id,
        name=spec.name,
        body_hash=hash_content(document),
        idempotency_key=idempotency_key,
    )
    try:
        record, is_new = parts.records.add(new)
    except OtherRequestError as error:
        raise Problem(409, str(error), where="Idempotency-Key") from None
    request.state.job_id = record.id
    if is_new:
        failpoint("recorded")
        parts.keeper.wake()
    return Accepted(job_id=record.id, status=record.status, sweep_id=record.sweep_id)
