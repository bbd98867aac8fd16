"""What a gateway is told when it starts."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Final

from backtune.gateway.security.guards import Guards
from backtune.gateway.security.principal import Role

VERSION: Final = version("backtune")
LOOPBACK: Final = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class SocketLimits:
    """What one socket may.

    Attributes:
        auth_seconds: until the key is there.
        send_seconds: for the client to take a message; the newest state waits meanwhile.
        check_seconds: between two looks whether the key still holds.
        jobs: watched at a time.
        messages_per_second: from the client, over the seconds of a minute.
    """

    auth_seconds: float = 10.0
    send_seconds: float = 30.0
    check_seconds: float = 15.0
    jobs: int = 100
    messages_per_second: float = 10.0


@dataclass(frozen=True)
class Limits:
    """What one gateway takes on.

    Attributes:
        body_bytes: of a request.
        trials: planned in a sweep, over all of its studies.
        studies: cells of a grid.
        active_jobs: sweeps at the cluster at a time; others wait in line.
        attempts: starts of a job that may be lost in a row, with its head or by a killed driver.
        reports: made at a time.
        report_seconds: for one.
        log_bytes: of a job's log, its end, in one answer.
        stop_seconds: for jobs to write what they have when a gateway ends that started the head.
        sockets: open at a time.
        socket: what each of them may.
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
    """Of one gateway.

    Attributes:
        runs: the runs folder, which the cluster sees under the same path.
        data_root: of the market data, for every sweep; a folder that the cluster sees too, or ``s3://bucket/prefix``.
        address: of the dashboard of a Ray cluster; None for a head of the gateway's own.
        database: SQLAlchemy's URL of the records; None for a SQLite file in the runs folder.
        host, port: where it listens.
        role_without_key: what anyone may who comes without a key; None where keys are asked for.
        alerts: file that says who is told when jobs end; None to tell nobody.
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
    guards: Guards = field(default_factory=Guards)

    @property
    def own_folder(self) -> Path:
        """What the gateway itself keeps in the runs folder."""
        return self.runs / ".gateway"

    @property
    def database_url(self) -> str:
        return self.database or f"sqlite:///{self.own_folder / 'gateway.db'}"
