"""Who asks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Role = Literal["viewer", "trader", "risk_manager", "admin"]


@dataclass(frozen=True)
class Principal:
    """The holder of a key.

    Attributes:
        key_id: names the key, not the secret; owner of the jobs that it submits.
        name: for people.
        role: what it may.
    """

    key_id: str
    name: str
    role: Role
