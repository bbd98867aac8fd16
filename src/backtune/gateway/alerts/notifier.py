"""The thread that looks for jobs that have ended and notifies the targets."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from backtune.errors import BacktuneError
from backtune.gateway.alerts.delivery import Delivery
from backtune.gateway.alerts.messages import AlertMessage, combine_messages, compose_message
from backtune.gateway.alerts.rules import AlertRules, Target
from backtune.gateway.jobs.job_record import JobRecord
from backtune.gateway.jobs.records import JobRecords
from backtune.gateway.monitoring.logs import log
from backtune.gateway.sql.leases import Lease

_ROUND_SECONDS: Final = 2.0
_MAX_JOBS_PER_ROUND: Final = 200
# More alerts than these that wait for a target are combined into one message.
_MAX_SEPARATE_MESSAGES: Final = 3
# After an alert, later ones wait so long and go out together: a flood of failing jobs is a few messages.
_PAUSE_SECONDS: Final = 60.0
_FIRST_RETRY_SECONDS: Final = 10.0
_MAX_RETRY_SECONDS: Final = 3600.0


@dataclass
class _Recipient:
    """A target, and the time from which it may be notified again.

    Attributes:
        not_before: The earliest time of the next message, on the notifier's clock.
        retry_seconds: The pause after the next failure.
    """

    target: Target
    delivery: Delivery
    not_before: float = float("-inf")
    retry_seconds: float = _FIRST_RETRY_SECONDS


class AlertNotifier:
    """A loop that works while it holds the lease, so that one of several gateways on a database notifies.

    Every target is notified of every end at least once; twice if the gateway is killed after it sent a message and before
    it recorded so. A target that does not accept a message is tried again until it does.
    """

    def __init__(
        self,
        rules: AlertRules,
        records: JobRecords,
        lease: Lease,
        clock: Callable[[], float] = time.monotonic,
        round_seconds: float = _ROUND_SECONDS,
    ) -> None:
        self._rules = rules
        self._records = records
        self._lease = lease
        self._clock = clock
        self._round_seconds = round_seconds
        self._recipients = [_Recipient(target, Delivery(target)) for target in rules.targets]
        self._is_stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="backtune-alerts", daemon=True)

    def start(self) -> None:
        """Start the loop in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """Finish the round and end the loop."""
        self._is_stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def notify_targets(self) -> None:
        """Notify every target of the ends that it was not notified of yet.

        Raises:
            RecordsError: The database does not answer.
        """
        for recipient in self._recipients:
            if recipient.not_before <= self._clock():
                self._notify(recipient)
        self._records.close_notifications([target.name for target in self._rules.targets])

    def _run(self) -> None:
        while not self._is_stopped.wait(self._round_seconds):
            try:
                if self._lease.hold():
                    self.notify_targets()
            except BacktuneError as error:
                log.error("alerts", error=str(error))
            except Exception:  # noqa: BLE001
                # Nothing may end the loop: nobody would be notified any more.
                log.exception("alerts")
        try:
            self._lease.release()
        except BacktuneError as error:
            log.warning("lease", error=str(error))

    def _notify(self, recipient: _Recipient) -> None:
        target = recipient.target
        waiting: list[tuple[JobRecord, AlertMessage]] = []
        uninteresting: list[JobRecord] = []
        for record in self._records.list_to_notify(target.name, _MAX_JOBS_PER_ROUND):
            message = compose_message(record, self._rules, target.when)
            if message is None:
                uninteresting.append(record)
            else:
                waiting.append((record, message))
        if uninteresting:
            self._records.record_notified(uninteresting, target.name)
        if not waiting:
            return
        if len(waiting) > _MAX_SEPARATE_MESSAGES:
            records, messages = zip(*waiting, strict=True)
            is_accepted = self._send(recipient, records, combine_messages(messages))
        else:
            # All are tried, so that one that is never accepted keeps no other waiting.
            outcomes = [self._send(recipient, [record], message) for record, message in waiting]
            is_accepted = all(outcomes)
        if is_accepted:
            recipient.not_before = self._clock() + _PAUSE_SECONDS
            recipient.retry_seconds = _FIRST_RETRY_SECONDS
        else:
            recipient.not_before = self._clock() + recipient.retry_seconds
            recipient.retry_seconds = min(2 * recipient.retry_seconds, _MAX_RETRY_SECONDS)

    def _send(self, recipient: _Recipient, records: Sequence[JobRecord], message: AlertMessage) -> bool:
        """Send a message and record so; return whether it was sent."""
        # A slow target may have cost this gateway the lease; then another one sends the message.
        if not self._lease.hold():
            return False
        name = recipient.target.name
        if not recipient.delivery.send(message):
            log.warning("alert not accepted", target=name, jobs=len(records))
            return False
        self._records.record_notified(records, name)
        log.info("alert sent", target=name, jobs=len(records))
        return True
