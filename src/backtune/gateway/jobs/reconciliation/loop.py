"""The loop of the reconciler: a thread that does a round a second, or sooner if there is something new."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final, Literal

from backtune.errors import BacktuneError
from backtune.gateway.jobs.reconciliation.cluster import ClusterJobs
from backtune.gateway.jobs.reconciliation.reconciler import Reconciler
from backtune.gateway.monitoring.logs import log
from backtune.gateway.sql.leases import Lease

_ROUND_SECONDS: Final = 1.0

LoopState = Literal["stopped", "working", "standing by", "failing"]


class ReconcilerLoop:
    """A loop that works while it holds the lease, so that one of several gateways on a database does."""

    def __init__(
        self, reconciler: Reconciler, lease: Lease, cluster: ClusterJobs, prepare: Callable[[], None]
    ) -> None:
        self._reconciler = reconciler
        self._lease = lease
        self._cluster = cluster
        self._prepare = prepare
        self._is_woken = threading.Event()
        self._is_stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="backtune-reconciler", daemon=True)
        self.state: LoopState = "stopped"

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wake(self) -> None:
        """Begin the next round at once, because there is something new."""
        self._is_woken.set()

    def stop(self) -> None:
        """Finish the round, end the thread, and let another gateway take over."""
        self._is_stopped.set()
        self._is_woken.set()
        if self._thread.is_alive():
            self._thread.join()
        self.state = "stopped"

    def _run(self) -> None:
        while not self._is_stopped.is_set():
            self._is_woken.clear()
            self._do_round()
            self._is_woken.wait(_ROUND_SECONDS)
        try:
            self._lease.release()
        except BacktuneError as error:
            log.warning("lease", error=str(error))

    def _do_round(self) -> None:
        try:
            self._prepare()
            self._cluster.check()
            if not self._lease.hold():
                self.state = "standing by"
                return
            self._reconciler.reconcile_jobs()
            self.state = "working"
        except BacktuneError as error:
            self.state = "failing"
            log.error("round", error=str(error))
        except Exception:  # noqa: BLE001
            # Nothing may end the loop: all jobs would stay as they are.
            self.state = "failing"
            log.exception("round")
