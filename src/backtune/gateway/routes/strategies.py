"""What may be optimised, and on what."""

from __future__ import annotations

from fastapi import APIRouter

from backtune.errors import DataError
from backtune.gateway.parts import TheParts
from backtune.gateway.problems import Problem, declared
from backtune.gateway.schemas import Assets, Strategies

router = APIRouter(tags=["strategies"])


@router.get("/strategies", responses=declared())
async def strategies(parts: TheParts) -> Strategies:
    """The strategies that are installed, with what may vary."""
    return Strategies(strategies=parts.offer.strategies)


@router.get("/assets", responses=declared())
def assets(parts: TheParts) -> Assets:
    """The assets that there are bars of."""
    try:
        return Assets(assets=parts.offer.assets())
    except DataError as error:
        raise Problem(503, f"there is no market data: {error}") from None
