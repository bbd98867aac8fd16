"""What Prometheus is told. The only door to prometheus_client."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
# A time beside every counter, which nobody asks for.
disable_created_metrics()  # type: ignore[no-untyped-call]
_BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120)


class Metrics:
    """Of one gateway.

    Args:
        jobs: how many there are now, by status.
    """

    def __init__(self, jobs: Callable[[], Mapping[str, int]]) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "backtune_requests", "Requests answered.", ("method", "route", "status"), registry=self._registry
        )
        self.seconds = Histogram(
            "backtune_request_seconds",
            "Time to answer.",
            ("route",),
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self.submissions = Counter(
            "backtune_submissions", "Jobs handed to Ray, every attempt.", registry=self._registry
        )
        self.ended = Counter("backtune_jobs_ended", "Jobs that ended.", ("status",), registry=self._registry)
        self.lost = Counter(
            "backtune_attempts_lost", "Attempts lost with their head or driver.", registry=self._registry
        )
        self._sockets = Gauge("backtune_sockets", "Sockets open.", registry=self._registry)
        self.sockets_open = 0
        self._registry.register(_Jobs(jobs))

    @contextmanager
    def socket(self) -> Iterator[None]:
        """Count a socket while it is open; in the event loop's thread."""
        self.sockets_open += 1
        self._sockets.set(self.sockets_open)
        try:
            yield
        finally:
            self.sockets_open -= 1
            self._sockets.set(self.sockets_open)

    def text(self) -> bytes:
        """All of it, in Prometheus' text format."""
        return generate_latest(self._registry)


class _Jobs(Collector):
    """Counts jobs when asked, as several gateways may share the records."""

    def __init__(self, count: Callable[[], Mapping[str, int]]) -> None:
        self._count = count

    def collect(self) -> Iterable[GaugeMetricFamily]:
        family = GaugeMetricFamily("backtune_jobs", "Jobs in the records.", labels=("status",))
        for status, number in self._count().items():
            family.add_metric([status], number)
        yield family
