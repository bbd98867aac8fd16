"""The client of a gateway. Light: it needs neither Ray nor the libraries of the gateway.

::

    optimizer, optimizer_async   the two clients, which say the same things
    calls         every request as a value
    answers       what comes back, as plain data with types
    retries       when to try again, in one place
    line          one try: signed, sent, answered; the only door to httpx2
    monitor       jobs as they change, over a socket; watch: what is watched
    socket_line   the only door to websockets
    ray_job       a sweep as a Ray job, without a gateway
"""

from __future__ import annotations

from backtune.client.answers import Job, JobLogs, JobSummary, JobUpdate, Result, Strategy
from backtune.client.calls import OptimizationConfig
from backtune.client.monitor import RealTimeMonitor
from backtune.client.optimizer import HyperOptClient
from backtune.client.optimizer_async import AsyncHyperOptClient
from backtune.client.retries import Retries

__all__ = [
    "AsyncHyperOptClient",
    "HyperOptClient",
    "Job",
    "JobLogs",
    "JobSummary",
    "JobUpdate",
    "OptimizationConfig",
    "RealTimeMonitor",
    "Result",
    "Retries",
    "Strategy",
]
