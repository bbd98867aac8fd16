"""The loop: what has ended goes into the outbox, and what is in the outbox goes out."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Final

from backtune.errors import BacktuneError
from backtune.gateway.alerts.delivery import Delivery
from backtune.gateway.alerts.rules import AlertRules, Target
from backtune.gateway.alerts.wording import Message, messages_of, together
from backtune.gateway.observing.logs import log
from backtune.gateway.records.alerts import Alert, Outbox
from backtune.gateway.records.leases import Lease

_ROUND_SECONDS: Final = 2.0
_HOUR: Final = 3600.0
_MOST_TRIES: Final = 10
_FIRST_PAUSE: Final = 10.0
# So many at a time are told one by one; more are told together.
_ONE_BY_ONE: Final = 3


class AlertWatcher:
    """Works while it holds the lease: of several gateways on one database one does.

    A message is sent at least once: twice where a gateway is killed after sending it and before noting so.

    Args:
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        rules: AlertRules,
        outbox: Outbox,
        lease: Lease,
        clock: Callable[[], float] = time.time,
        round_seconds: float = _ROUND_SECONDS,
    ) -> None:
        self._rules = rules
        self._outbox = outbox
        self._lease = lease
        self._clock = clock
        self._seconds = round_seconds
        self._deliveries: Mapping[str, Delivery] = {one.name: Delivery(one) for one in rules.targets}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="backtune-alerts", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the round."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()

    def round(self) -> None:
        """Once over all.

        Raises:
            RecordsError: the database does not answer.
        """
        for record in self._outbox.ended_jobs():
            for message in messages_of(record, self._rules):
                for target in self._rules.targets:
                    if message.kind in target.when:
                        self._outbox.put(record, target.name, message.kind, message.title, message.body)
            self._outbox.looked_at(record)
        for target in self._rules.targets:
            self._send(target)

    def _run(self) -> None:
        while not self._over.wait(self._seconds):
            try:
                if self._lease.hold():
                    self.round()
            except BacktuneError as error:
                log().error("alerts", error=str(error))
            except Exception:  # noqa: BLE001
                # Nothing may end the loop: nobody would be told any more.
                log().exception("alerts")
        try:
            self._lease.release()
        except BacktuneError as error:
            log().warning("lease", error=str(error))

    def _send(self, target: Target) -> None:
        now = self._clock()
        free = target.per_hour - self._outbox.n_messages_since(target.name, now - _HOUR)
        due = self._outbox.due(target.name, now)
        if free <= 0 or not due:
            return
        if len(due) > min(_ONE_BY_ONE, free):
            self._tell(target, due, together([alert.title for alert in due]))
            return
        for alert in due:
            self._tell(target, [alert], Message("finished", alert.title, alert.body))

    def _tell(self, target: Target, alerts: list[Alert], message: Message) -> None:
        if self._deliveries[target.name].send(message.title, message.body):
            self._outbox.sent(alerts, self._clock())
            log().info("alert sent", target=target.name, alerts=len(alerts))
            return
        n_tries = max(alert.n_tries for alert in alerts) + 1
        if n_tries >= _MOST_TRIES:
            self._outbox.drop(alerts)
            log().error("alert dropped", target=target.name, alerts=len(alerts), tries=n_tries)
        else:
            self._outbox.failed(alerts, self._clock() + min(_FIRST_PAUSE * 2.0 ** (n_tries - 1), _HOUR))
            log().warning("alert not taken", target=target.name, alerts=len(alerts), tries=n_tries)
