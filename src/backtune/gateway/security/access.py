"""The point that every route passes: who asks, and whether they may."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request

from backtune.gateway.parts import Parts
from backtune.gateway.problems import Problem
from backtune.gateway.security.principal import Principal
from backtune.gateway.security.roles import Action, may


async def current_key(request: Request) -> Principal:
    """Whose request it is.

    Raises:
        Problem: 401 where that is not known.
    """
    role = Parts.of(request).settings.role_without_key
    if role is None:
        raise Problem(401, "no API key", headers={"WWW-Authenticate": "ApiKey"})
    return Principal("anyone", "anyone", role)


CurrentKey = Annotated[Principal, Depends(current_key)]


def needs(action: Action) -> Callable[[Principal], Awaitable[Principal]]:
    """A dependency that admits the roles that may do so.

    Raises:
        Problem: 403 for the others.
    """

    async def admitted(principal: CurrentKey) -> Principal:
        if not may(principal, action):
            raise Problem(403, f"the role {principal.role} may not {action}")
        return principal

    return admitted


Looks = Annotated[Principal, Depends(needs("look"))]
Submits = Annotated[Principal, Depends(needs("submit"))]
Steers = Annotated[Principal, Depends(needs("steer"))]
Exports = Annotated[Principal, Depends(needs("export"))]
