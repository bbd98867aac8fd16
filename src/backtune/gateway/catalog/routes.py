"""The routes of strategies and assets."""

from __future__ import annotations

from fastapi import APIRouter

from backtune.errors import DataError
from backtune.gateway.error_answers import ErrorAnswer, declare_errors
from backtune.gateway.services import InjectedServices
from backtune.wire.answers import Assets, Strategies

router = APIRouter(tags=["strategies"])


@router.get("/strategies", responses=declare_errors())
async def list_strategies(services: InjectedServices) -> Strategies:
    """List the strategies that are installed, with the parameters that may vary."""
    return Strategies(strategies=services.catalog.strategies)


@router.get("/assets", responses=declare_errors())
def list_assets(services: InjectedServices) -> Assets:
    """List the assets that the gateway has bars of."""
    try:
        return Assets(assets=services.catalog.list_assets())
    except DataError as error:
        raise ErrorAnswer(503, f"there is no market data: {error}") from None
