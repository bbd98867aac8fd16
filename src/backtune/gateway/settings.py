"""The settings and limits of a gateway."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Final

from backtune.gateway.keys.principal import Role

VERSION: Final = version("backtune")


@dataclass(frozen=True)
class RequestLimits:
    """The limits that are checked before a request reaches its route. Rates are written as ``100/second;3000/minute``.

    Attributes:
        rate: The rate of requests of a key that has no limit of its own.
        work_rate: The rate of a key's requests that change something or take seconds.
        failure_rate: The rate of failed attempts to authenticate from one address.
        refusal_rate: The rate of refusals, from all clients together, that are written to the audit log.
        redis: The address of the Redis in which all workers count together; None if each worker counts for itself.
        window_seconds: The greatest difference between a signed request's timestamp and the gateway's clock, in seconds.
        header_bytes: The greatest size of all headers of a request, in bytes.
        n_headers: The greatest number of headers of a request.
        url_bytes: The greatest size of a path and its query, in bytes.
        body_seconds: The longest time in which a body may arrive, in seconds.
        trusted_proxies: The addresses whose X-Forwarded-For is believed.
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


@dataclass(frozen=True)
class SocketLimits:
    """The limits of one socket.

    Attributes:
        auth_seconds: The longest wait for the first message, which carries the key, in seconds.
        send_seconds: The longest time that a client may take to receive a message, in seconds.
        check_seconds: The time between two checks that the key is still valid, in seconds.
        jobs: The greatest number of jobs that are watched at a time.
        messages_per_second: The greatest rate of messages from the client, averaged over a minute.
    """

    auth_seconds: float = 10.0
    send_seconds: float = 30.0
    check_seconds: float = 15.0
    jobs: int = 100
    messages_per_second: float = 10.0


@dataclass(frozen=True)
class Limits:
    """The amount of work that one gateway accepts.

    Attributes:
        body_bytes: The greatest size of a request's body, in bytes.
        trials: The greatest number of planned trials of a sweep, over all of its studies.
        studies: The greatest number of studies of a sweep.
        active_jobs: The greatest number of sweeps on the cluster at a time; later ones wait in the queue.
        attempts: The number of attempts lost in a row, with the head or by a killed driver, after which a job has failed.
        reports: The greatest number of reports that are made at a time.
        report_seconds: The longest time for one report, in seconds.
        log_bytes: The greatest part of a job's log in one answer, counted from its end, in characters.
        stop_seconds: The time in which jobs may save their results when a gateway with a head of its own ends, in seconds.
        sockets: The greatest number of sockets open at a time.
        socket: The limits of each socket.
    """

    body_bytes: int = 1 << 20
    trials: int = 10_000_000
    studies: int = 100_000
    active_jobs: int = 4
    attempts: int = 5
    reports: int = 2
    report_seconds: float = 120.0
    log_bytes: int = 1 << 18
    stop_seconds: float = 20.0
    sockets: int = 300
    socket: SocketLimits = field(default_factory=SocketLimits)


@dataclass(frozen=True)
class Settings:
    """The settings of one gateway.

    Attributes:
        runs: The runs folder, which the cluster sees under the same path.
        data_root: The root of the market data of every sweep: a folder that the cluster sees too, or ``s3://bucket/prefix``.
        address: The address of the dashboard of a Ray cluster; None for a Ray head of the gateway's own.
        database: The SQLAlchemy URL of the database; None for a SQLite file in the runs folder.
        host: The address that the gateway listens on.
        port: The port that the gateway listens on.
        role_without_key: The role of every client that sends no key; None if keys are required.
        alerts: The file with the rules of alerts; None to send no alerts.
        limits: The amount of work that the gateway accepts.
        request_limits: The limits that are checked before a request reaches its route.
    """

    runs: Path
    data_root: str
    address: str | None = None
    database: str | None = None
    host: str = "127.0.0.1"
    port: int = 8080
    role_without_key: Role | None = None
    alerts: Path | None = None
    limits: Limits = field(default_factory=Limits)
    request_limits: RequestLimits = field(default_factory=RequestLimits)

    @property
    def own_folder(self) -> Path:
        """The folder inside the runs folder for the gateway's own files."""
        return self.runs / ".gateway"

    @property
    def database_url(self) -> str:
        """The SQLAlchemy URL of the database."""
        return self.database or f"sqlite:///{self.own_folder / 'gateway.db'}"
