"""The projection of a running sweep into MLflow: beside the search, and never in its path.

The work is done by a process of its own. In a thread, MLflow's import and its database migrations would take the
driver's interpreter for two to three seconds, MLflow's settings would be the driver's, and a call that hangs could
not be ended.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from typing import IO

from backtune.errors import TrackingError
from backtune.results.stored_sweep import StoredSweep
from backtune.tracking.address import check_mlflow, resolve_tracking_uri

# The share of this machine's processors for the projection while the search runs.
_SHARE = 0.01
_POLL_SECONDS = 0.02
# The longest time without an answer: the report of many studies on many bars takes a while.
_PATIENCE_SECONDS = 60.0
# The time for one more attempt where tracking has failed before.
_LAST_CHANCE_SECONDS = 3.0


class LiveSyncProcess:
    """The handle of the process that projects a running sweep.

    Nothing here raises: what goes wrong with tracking is in :attr:`problem`, and the search goes on. The sweep's folder
    must hold its ``sweep.json`` before the start. The process ends with :meth:`close`, or when this one is gone. Until
    then it uses at most a ``share`` of the machine's processors.
    """

    def __init__(self, run: StoredSweep, uri: str | None = None, share: float = _SHARE) -> None:
        self._run = run
        self._share = share
        self._uri, self._problem = _resolve_store(run, uri)
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] | None = None
        self._answers = b""
        self._finished = False

    @property
    def problem(self) -> str | None:
        """Return the known problem of tracking with its remedy; None without one."""
        self._read_answers()
        return self._problem

    def start(self) -> None:
        """Start the process."""
        if self._uri is None:
            return
        module = "backtune.tracking.live_sync"
        command = [sys.executable, "-P", "-m", module, str(self._run.folder), self._uri, str(self._share)]
        try:
            self._errors = tempfile.TemporaryFile()  # noqa: SIM115
            # A session of its own: Ctrl-C is for the driver, which then asks for the last projection.
            self._process = subprocess.Popen(  # noqa: S603
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                start_new_session=True,
            )
        except OSError as error:
            self._problem = self._describe_failure(f"cannot start a process: {error.strerror}")
            return
        for pipe in (self._process.stdin, self._process.stdout):
            os.set_blocking(pipe.fileno(), False)  # type: ignore[union-attr]

    def close(self, patience: float = _PATIENCE_SECONDS, stopped: Callable[[], bool] = lambda: False) -> None:
        """Project the rest, and end the process.

        It is killed where it gives no answer for ``patience`` seconds, which doubles nothing.
        """
        process = self._process
        if process is None:
            return
        if self.problem is not None:
            patience = min(patience, _LAST_CHANCE_SECONDS)
        self._send_word("last")
        try:
            reason = self._wait(process, patience, stopped)
        except BaseException:
            reason = "interrupted"
            raise
        finally:
            if process.poll() is None:
                process.kill()
                self._problem = self._problem or self._describe_failure(reason)
            process.wait()
            self._read_answers()
            self._close_pipes(process)

    def _wait(self, process: subprocess.Popen[bytes], patience: float, stopped: Callable[[], bool]) -> str:
        """Wait until the process has ended, and return the reason for giving up, else an empty text."""
        end = time.monotonic() + patience
        while process.poll() is None:
            if self._read_answers():
                patience = min(patience, _LAST_CHANCE_SECONDS) if self._problem else patience
                end = time.monotonic() + patience
            if stopped():
                return "stopped before all was there"
            if time.monotonic() > end:
                return f"no answer within {patience:g} s"
            time.sleep(_POLL_SECONDS)
        return ""

    def _send_word(self, word: str) -> None:
        if self._process is not None and self._process.stdin is not None:
            # A full pipe holds enough words, and the loss of the process is noticed at the end.
            with suppress(OSError):
                os.write(self._process.stdin.fileno(), f"{word}\n".encode())

    def _read_answers(self) -> bool:
        """Read the answers of the process, and return whether there were any."""
        if self._process is None or self._process.stdout is None:
            return False
        while chunk := _read_pipe(self._process.stdout):
            self._answers += chunk
        *lines, self._answers = self._answers.split(b"\n")
        for line in lines:
            answer = json.loads(line)
            self._problem, self._finished = answer["problem"], answer["last"]
        return bool(lines)

    def _close_pipes(self, process: subprocess.Popen[bytes]) -> None:
        if not self._finished and self._problem is None:
            self._problem = self._describe_failure(f"its process ended: {self._read_last_error()}")
        for file in (process.stdin, process.stdout, self._errors):
            if file is not None:
                file.close()
        self._process = None

    def _read_last_error(self) -> str:
        if self._errors is None:
            return ""
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1][:300] if lines else "without a reason"

    def _describe_failure(self, reason: str) -> str:
        return f"tracking failed: {reason}; `backtune sync {self._run.folder}` makes up for it"


def _resolve_store(run: StoredSweep, uri: str | None) -> tuple[str | None, str | None]:
    """Return the address of the store, or the reason why there is none."""
    try:
        check_mlflow()
        return resolve_tracking_uri(run, uri), None
    except TrackingError as error:
        return None, str(error)


def _read_pipe(pipe: IO[bytes]) -> bytes:
    try:
        return os.read(pipe.fileno(), 65_536)
    except BlockingIOError:
        return b""
