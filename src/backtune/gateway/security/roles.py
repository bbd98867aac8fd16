"""What a role may."""

from __future__ import annotations

from typing import Final, Literal

from backtune.gateway.security.principal import Principal, Role

Action = Literal["look", "submit", "steer", "export"]

# "look" is at strategies, assets, jobs, logs and reports; "steer" is to cancel and resume.
ROLES: Final[dict[Action, tuple[Role, ...]]] = {
    "look": ("viewer", "trader", "risk_manager", "admin"),
    "submit": ("trader", "admin"),
    "steer": ("trader", "risk_manager", "admin"),
    "export": ("trader", "risk_manager", "admin"),
}
# Whose jobs: a trader has those of its own key, these have everyone's.
_SEES_ALL: Final[tuple[Role, ...]] = ("viewer", "risk_manager", "admin")
_STEERS_ALL: Final[tuple[Role, ...]] = ("risk_manager", "admin")


def may(principal: Principal, action: Action) -> bool:
    """Whether its role allows the action at all."""
    return principal.role in ROLES[action]


def owns(principal: Principal, owner: str, action: Action) -> bool:
    """Whether it may do so with a job of that owner."""
    everyones = _STEERS_ALL if action == "steer" else _SEES_ALL
    return principal.key_id == owner or principal.role in everyones
