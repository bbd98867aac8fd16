"""The holder of the key that a request came with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from fastapi import Depends, Request

Role = Literal["viewer", "trader", "risk_manager", "admin"]


@dataclass(frozen=True)
class Principal:
    """The holder of a key.

    Attributes:
        key_id: The public name of the key, which owns the jobs that it submits.
        name: The name of the holder, for people.
        role: The role, which says what the holder may do.
    """

    key_id: str
    name: str
    role: Role

    @classmethod
    def without_key(cls, role: Role) -> Principal:
        """Return the principal that all clients share where no keys are required."""
        return cls("anyone", "anyone", role)


# A coroutine, because FastAPI would call a plain function in a thread.
async def _find_principal(request: Request) -> Principal:
    principal: Principal = request.state.principal
    return principal


CurrentPrincipal = Annotated[Principal, Depends(_find_principal)]
