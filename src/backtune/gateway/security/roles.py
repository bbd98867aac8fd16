"""What each role may: the whole of it is in these two tables. What is in neither, nobody may."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from starlette.routing import compile_path

from backtune.gateway.security.principal import Principal, Role

Roles = tuple[Role, ...]
Action = Literal["look", "steer"]

_ALL: Final[Roles] = ("viewer", "trader", "risk_manager", "admin")
_ALL_BUT_VIEWERS: Final[Roles] = ("trader", "risk_manager", "admin")
_TRADERS: Final[Roles] = ("trader", "admin")
_ANYONE: Final = None


@dataclass(frozen=True)
class Rule:
    """One route.

    Attributes:
        method: of HTTP; SOCKET for a WebSocket, whose key comes in its first message.
        path: as in the routes.
        roles: that may; None where no key is asked for.
        is_work: changes something or takes seconds: has a limit of its own and is in the audit log.
    """

    method: str
    path: str
    roles: Roles | None
    is_work: bool = False


ROUTES: Final[tuple[Rule, ...]] = (
    Rule("GET", "/health", _ANYONE),
    Rule("GET", "/ready", _ANYONE),
    Rule("GET", "/metrics", _ALL),
    Rule("SOCKET", "/ws", _ALL),
    Rule("GET", "/api/v1/openapi.json", _ANYONE),
    Rule("GET", "/api/v1/docs", _ANYONE),
    Rule("GET", "/api/v1/health", _ANYONE),
    Rule("GET", "/api/v1/ready", _ANYONE),
    Rule("GET", "/api/v1/metrics", _ALL),
    Rule("SOCKET", "/api/v1/ws", _ALL),
    Rule("GET", "/api/v1/strategies", _ALL),
    Rule("GET", "/api/v1/assets", _ALL),
    Rule("POST", "/api/v1/optimize/single", _TRADERS, is_work=True),
    Rule("POST", "/api/v1/optimize/batch", _TRADERS, is_work=True),
    Rule("GET", "/api/v1/jobs", _ALL),
    Rule("GET", "/api/v1/jobs/{job_id}", _ALL),
    Rule("GET", "/api/v1/jobs/{job_id}/logs", _ALL),
    Rule("POST", "/api/v1/jobs/{job_id}/cancel", _ALL_BUT_VIEWERS, is_work=True),
    Rule("POST", "/api/v1/jobs/{job_id}/resume", _TRADERS, is_work=True),
    Rule("GET", "/api/v1/reports/{job_id}", _ALL, is_work=True),
    Rule("POST", "/api/v1/export/pine-script/{job_id}", _ALL_BUT_VIEWERS, is_work=True),
)

# Who may do so with everyone's jobs; others, with those of their own key.
EVERYONES: Final[dict[Action, Roles]] = {
    "look": ("viewer", "risk_manager", "admin"),
    "steer": ("risk_manager", "admin"),
}


def rules_of(path: str) -> dict[str, Rule]:
    """The routes that a path is of, by method; none where it is unknown."""
    return {rule.method: rule for rule in ROUTES if _PATTERNS[rule.path].match(path) is not None}


def owns(principal: Principal, owner: str, action: Action) -> bool:
    """Whether it may do so with a job of that owner."""
    return principal.key_id == owner or principal.role in EVERYONES[action]


_PATTERNS: Final = {rule.path: compile_path(rule.path)[0] for rule in ROUTES}
