"""The writer of a study's finished trials."""

from __future__ import annotations

import time

from backtune.results.log.segments import TrialLog
from backtune.results.trial import Trial

# A crash loses the trials of so many seconds at most; more frequent files would cost more than they save.
FLUSH_SECONDS = 1.0


class SegmentWriter:
    """Collects finished trials and appends them to the log as segments, about one a second."""

    def __init__(self, log: TrialLog) -> None:
        self._log = log
        self._unwritten: list[Trial] = []
        self._written_at = time.monotonic()

    def add(self, trial: Trial) -> None:
        """Take in a finished trial.

        Raises:
            ResultsError: The log cannot be written.
        """
        self._unwritten.append(trial)
        if time.monotonic() - self._written_at >= FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write all trials that are not written yet.

        Raises:
            ResultsError: The log cannot be written.
        """
        if self._unwritten:
            self._log.append(self._unwritten)
            self._unwritten = []
        self._written_at = time.monotonic()
