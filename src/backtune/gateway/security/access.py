"""Who asks, for routes: :mod:`backtune.gateway.security.admission` has let them in."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from backtune.gateway.security.principal import Principal


async def current_key(request: Request) -> Principal:
    """Whose request it is."""
    principal: Principal = request.state.principal
    return principal


CurrentKey = Annotated[Principal, Depends(current_key)]
