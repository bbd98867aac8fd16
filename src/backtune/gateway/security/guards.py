"""What is asked of requests before they reach a route."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Guards:
    """Of one gateway. Limits are written as ``100/second;3000/minute``.

    Attributes:
        rate: requests of a key that has no limit of its own.
        work_rate: of those, the ones that change something or take seconds.
        failure_rate: attempts from one address that let nobody in.
        refusal_rate: refusals that are written into the audit log, from everywhere together.
        redis: where all workers count together; None where each counts for itself.
        window_seconds: that a signed request's timestamp may be off.
        header_bytes, n_headers: of a request.
        url_bytes: of its path and query.
        body_seconds: for all of its body to come.
        trusted_proxies: addresses whose X-Forwarded-For is believed.
    """

    rate: str = "6000/minute"
    work_rate: str = "120/minute"
    failure_rate: str = "30/minute"
    refusal_rate: str = "600/minute"
    redis: str | None = None
    window_seconds: int = 300
    header_bytes: int = 1 << 14
    n_headers: int = 100
    url_bytes: int = 1 << 13
    body_seconds: float = 30.0
    trusted_proxies: tuple[str, ...] = ()
