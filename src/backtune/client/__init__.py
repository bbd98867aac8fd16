"""The client of a gateway, which needs neither Ray nor the libraries of the gateway.

::

    optimizer_async    the client for an event loop, with every route of the API
    optimizer          the client for blocking calls, made from the methods of the other one
    http_messages      requests and their outcomes, as values
    retries            errors of failed requests, and pauses before the next try
    transport          transport of requests over HTTP; the only door to httpx2
    monitor            updates of jobs, over a socket
    job_watch          state of the jobs that a monitor watches
    socket_connection  connection to the socket; the only door to websockets
    ray_job            submission of a sweep as a Ray job, without a gateway
"""

from __future__ import annotations

from backtune.client.http_messages import OptimizationConfig
from backtune.client.monitor import RealTimeMonitor
from backtune.client.optimizer import HyperOptClient
from backtune.client.optimizer_async import AsyncHyperOptClient
from backtune.client.retries import RetryLimits
from backtune.wire.answers import Job, JobLogs, JobResult, JobSummary, JobUpdate, Strategy

__all__ = [
    "AsyncHyperOptClient",
    "HyperOptClient",
    "Job",
    "JobLogs",
    "JobResult",
    "JobSummary",
    "JobUpdate",
    "OptimizationConfig",
    "RealTimeMonitor",
    "RetryLimits",
    "Strategy",
]
