"""The routes of new jobs, which are checked and recorded, and from then on certain to be run."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Annotated, Any, Final

from fastapi import APIRouter, Body, Header, Request
from fastapi.routing import APIRoute
from starlette.responses import Response

from backtune.gateway.error_answers import ErrorAnswer, declare_errors
from backtune.gateway.failpoints import pass_failpoint
from backtune.gateway.jobs.job_record import NewJob
from backtune.gateway.jobs.records import IdempotencyKeyError
from backtune.gateway.jobs.schemas import SingleRequest
from backtune.gateway.jobs.specs import build_batch_spec, build_single_spec
from backtune.gateway.keys.principal import CurrentPrincipal, Principal
from backtune.gateway.services import InjectedServices, Services
from backtune.spec import SweepSpec, hash_content
from backtune.spec.documents import RepeatedKeyError, check_json_keys
from backtune.wire.answers import Accepted


class _UniqueKeyRoute(APIRoute):
    """A route that refuses a body in which a key appears twice; a JSON reader would silently use the last one."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def check_and_handle(request: Request) -> Response:
            try:
                check_json_keys(await request.body())
            except RepeatedKeyError as error:
                raise ErrorAnswer(422, str(error), where=error.path) from None
            return await handle(request)

        return check_and_handle


router = APIRouter(prefix="/optimize", tags=["optimize"], route_class=_UniqueKeyRoute)

IdempotencyKey = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="The client's own name of the request: a request that is sent again gets the same job.",
    ),
]
_EXAMPLE_SPEC: Final[dict[str, Any]] = {
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


@router.post("/single", status_code=202, responses=declare_errors(409, 422))
def submit_single(
    body: SingleRequest,
    request: Request,
    services: InjectedServices,
    principal: CurrentPrincipal,
    idempotency_key: IdempotencyKey = None,
) -> Accepted:
    """Optimise one strategy on one asset in one timeframe."""
    spec = build_single_spec(body, services.settings.data_root, services.settings.limits)
    return _record_job(services, request, principal, spec, idempotency_key)


@router.post("/batch", status_code=202, responses=declare_errors(409, 422))
def submit_batch(
    body: Annotated[
        dict[str, Any], Body(description="A spec, as `backtune run` takes it.", examples=[_EXAMPLE_SPEC])
    ],
    request: Request,
    services: InjectedServices,
    principal: CurrentPrincipal,
    idempotency_key: IdempotencyKey = None,
) -> Accepted:
    """Run a whole sweep: strategies x assets x timeframes."""
    spec = build_batch_spec(body, services.settings.data_root, services.settings.limits)
    return _record_job(services, request, principal, spec, idempotency_key)


def _record_job(
    services: Services, request: Request, principal: Principal, spec: SweepSpec, idempotency_key: str | None
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
        record, is_new = services.job_records.add(new)
    except IdempotencyKeyError as error:
        raise ErrorAnswer(409, str(error), where="Idempotency-Key") from None
    # The audit log reads it there.
    request.state.job_id = record.id
    if is_new:
        pass_failpoint("recorded")
        services.reconciler_loop.wake()
    return Accepted(job_id=record.id, status=record.status, sweep_id=record.sweep_id)
