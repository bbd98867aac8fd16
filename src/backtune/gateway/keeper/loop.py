"""The loop: one thread that does a round a second, or sooner when there is something new."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final, Literal

from backtune.errors import BacktuneError
from backtune.gateway.keeper.cluster import Cluster
from backtune.gateway.keeper.work import Work
from backtune.gateway.observing.logs import log
from backtune.gateway.records.leases import Lease

_ROUND_SECONDS: Final = 1.0

KeeperState = Literal["stopped", "working", "standing by", "failing"]


class Keeper:
    """Works while it holds the lease; of several gateways on one database one does.

    Args:
        prepare: called before every round, such as to start a head that has died.
    """

    def __init__(self, work: Work, lease: Lease, cluster: Cluster, prepare: Callable[[], None]) -> None:
        self._work = work
        self._lease = lease
        self._cluster = cluster
        self._prepare = prepare
        self._new = threading.Event()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="backtune-keeper", daemon=True)
        self.state: KeeperState = "stopped"

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wake(self) -> None:
        """There is something new: do not wait for the next round."""
        self._new.set()

    def stop(self) -> None:
        """Finish the round, and let another gateway take over."""
        self._over.set()
        self._new.set()
        if self._thread.is_alive():
            self._thread.join()
        self.state = "stopped"

    def _run(self) -> None:
        while not self._over.is_set():
            self._new.clear()
            self._round()
            self._new.wait(_ROUND_SECONDS)
        self._release()

    def _round(self) -> None:
        try:
            self._prepare()
            self._cluster.look()
            if not self._lease.hold():
                self.state = "standing by"
                return
            self._work.round()
            self.state = "working"
        except BacktuneError as error:
            self.state = "failing"
            log().error("round", error=str(error))
        except Exception:  # noqa: BLE001
            # Nothing may end the loop: all jobs would stay as they are.
            self.state = "failing"
            log().exception("round")

    def _release(self) -> None:
        try:
            self._lease.release()
        except BacktuneError as error:
            log().warning("lease", error=str(error))
