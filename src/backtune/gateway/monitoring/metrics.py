"""The metrics for Prometheus. The only door to prometheus_client."""

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
# The creation time of every counter is of no use here.
disable_created_metrics()  # type: ignore[no-untyped-call]
_BUCKETS = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120)


class Metrics:
    """The metrics of one gateway."""

    def __init__(self, count_jobs: Callable[[], Mapping[str, int]]) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "backtune_requests", "Requests answered.", ("method", "route", "status"), registry=self._registry
        )
        self.request_seconds = Histogram(
            "backtune_request_seconds",
            "Time to answer.",
            ("route",),
            buckets=_BUCKETS,
            registry=self._registry,
        )
        self.submissions = Counter(
            "backtune_submissions", "Jobs handed to Ray, every attempt.", registry=self._registry
        )
        self.ended_jobs = Counter(
            "backtune_jobs_ended", "Jobs that ended.", ("status",), registry=self._registry
        )
        self.lost_attempts = Counter(
            "backtune_attempts_lost", "Attempts lost with their head or driver.", registry=self._registry
        )
        self._sockets = Gauge("backtune_sockets", "Sockets open.", registry=self._registry)
        self.n_sockets = 0
        self._registry.register(_JobCollector(count_jobs))

    @contextmanager
    def count_socket(self) -> Iterator[None]:
        """Count a socket as open during the block; for the event loop's thread."""
        self.n_sockets += 1
        self._sockets.set(self.n_sockets)
        try:
            yield
        finally:
            self.n_sockets -= 1
            self._sockets.set(self.n_sockets)

    def render(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self._registry)


class _JobCollector(Collector):
    """A collector that counts jobs at each scrape, because several gateways may share the database."""

    def __init__(self, count_jobs: Callable[[], Mapping[str, int]]) -> None:
        self._count_jobs = count_jobs

    def collect(self) -> Iterable[GaugeMetricFamily]:
        family = GaugeMetricFamily("backtune_jobs", "Jobs in the records.", labels=("status",))
        for status, n_jobs in self._count_jobs().items():
            family.add_metric([status], n_jobs)
        yield family
