"""The permissions of roles: the table of routes and the table of actions on jobs. What is in neither is forbidden."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from starlette.routing import compile_path

from backtune.gateway.keys.principal import Principal, Role

Roles = tuple[Role, ...]
Action = Literal["read", "control"]

_ALL: Final[Roles] = ("viewer", "trader", "risk_manager", "admin")
_ALL_BUT_VIEWERS: Final[Roles] = ("trader", "risk_manager", "admin")
_TRADERS: Final[Roles] = ("trader", "admin")
_ANYONE: Final = None


@dataclass(frozen=True)
class RouteRule:
    """The permissions of one route.

    Attributes:
        method: The HTTP method; SOCKET for a WebSocket, whose key comes in its first message.
        path: The path as the route declares it.
        roles: The roles that may use the route; None if no key is required.
        is_work: True if the route changes something or takes seconds: it has a rate limit of its own and is audited.
    """

    method: str
    path: str
    roles: Roles | None
    is_work: bool = False


ROUTES: Final[tuple[RouteRule, ...]] = (
    RouteRule("GET", "/health", _ANYONE),
    RouteRule("GET", "/ready", _ANYONE),
    RouteRule("GET", "/metrics", _ALL),
    RouteRule("SOCKET", "/ws", _ALL),
    RouteRule("GET", "/api/v1/openapi.json", _ANYONE),
    RouteRule("GET", "/api/v1/docs", _ANYONE),
    RouteRule("GET", "/api/v1/health", _ANYONE),
    RouteRule("GET", "/api/v1/ready", _ANYONE),
    RouteRule("GET", "/api/v1/metrics", _ALL),
    RouteRule("SOCKET", "/api/v1/ws", _ALL),
    RouteRule("GET", "/api/v1/strategies", _ALL),
    RouteRule("GET", "/api/v1/assets", _ALL),
    RouteRule("POST", "/api/v1/optimize/single", _TRADERS, is_work=True),
    RouteRule("POST", "/api/v1/optimize/batch", _TRADERS, is_work=True),
    RouteRule("GET", "/api/v1/jobs", _ALL),
    RouteRule("GET", "/api/v1/jobs/{job_id}", _ALL),
    RouteRule("GET", "/api/v1/jobs/{job_id}/logs", _ALL),
    RouteRule("POST", "/api/v1/jobs/{job_id}/cancel", _ALL_BUT_VIEWERS, is_work=True),
    RouteRule("POST", "/api/v1/jobs/{job_id}/resume", _TRADERS, is_work=True),
    RouteRule("GET", "/api/v1/reports/{job_id}", _ALL, is_work=True),
    RouteRule("POST", "/api/v1/export/pine-script/{job_id}", _ALL_BUT_VIEWERS, is_work=True),
)

# The roles that may do an action with the jobs of all keys; any other role may do it with the jobs of its own key.
ROLES_FOR_ALL_JOBS: Final[dict[Action, Roles]] = {
    "read": ("viewer", "risk_manager", "admin"),
    "control": ("risk_manager", "admin"),
}


def find_rules(path: str) -> dict[str, RouteRule]:
    """Return the rules of a path by method; none if the path is unknown."""
    return {rule.method: rule for rule in ROUTES if _PATTERNS[rule.path].match(path) is not None}


def is_allowed(principal: Principal, owner: str, action: Action) -> bool:
    """Return whether a principal may do an action with the jobs of an owner."""
    return principal.key_id == owner or principal.role in ROLES_FOR_ALL_JOBS[action]


_PATTERNS: Final = {rule.path: compile_path(rule.path)[0] for rule in ROUTES}
