"""The output of drivers: Ray has it while its head lives, and a file keeps it afterwards."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from backtune.gateway.error_answers import hide_paths
from backtune.storage.files import write_bytes

_SAVED_BYTES: Final = 1 << 20


class DriverLogs:
    """The logs of all attempts."""

    def __init__(self, folder: Path, fetch: Callable[[str], str]) -> None:
        self._folder = folder
        self._fetch = fetch

    def save(self, submission_id: str) -> str:
        """Save the log of a submission, cut to its end if it is long, and return the saved text.

        Raises:
            ClusterError: Ray does not have the log, or does not answer.
            ResultsError: The log cannot be written.
        """
        text = self._fetch(submission_id).encode()[-_SAVED_BYTES:]
        write_bytes(self._path(submission_id), text)
        return text.decode(errors="replace")

    def read(self, submission_id: str) -> str:
        """Return the saved log of a submission, else the log that Ray has now, without paths of this machine.

        Raises:
            ClusterError: The log was not saved, and Ray does not have it or does not answer.
        """
        try:
            text = self._path(submission_id).read_text(encoding="utf-8", errors="replace")
        except OSError:
            text = self._fetch(submission_id)
        return hide_paths(text)

    def _path(self, submission_id: str) -> Path:
        return self._folder / f"{submission_id}.log"


def find_last_error(text: str) -> str | None:
    """Return the last error in the output of a command; None if there is none."""
    lines = [line.removeprefix("error: ") for line in text.splitlines() if line.startswith("error: ")]
    return lines[-1] if lines else None
