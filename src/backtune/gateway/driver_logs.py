"""What drivers printed: Ray has it while its head lives, and a file keeps it from then on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from backtune.gateway.problems import without_paths
from backtune.storage.files import write_bytes

_KEPT_BYTES: Final = 1 << 20


class DriverLogs:
    """The logs of all attempts.

    Args:
        folder: where they are kept.
        fetch: asks Ray for the log of a submission; raises ``ClusterError`` where that fails.
    """

    def __init__(self, folder: Path, fetch: Callable[[str], str]) -> None:
        self._folder = folder
        self._fetch = fetch

    def keep(self, submission_id: str) -> str:
        """Put a log aside, its end where it is long, and return that.

        Raises:
            ClusterError: Ray does not have it, or does not answer.
            ResultsError: it cannot be written.
        """
        text = self._fetch(submission_id).encode()[-_KEPT_BYTES:]
        write_bytes(self._path(submission_id), text)
        return text.decode(errors="replace")

    def read(self, submission_id: str) -> str:
        """A log without the places of this machine: as it was put aside, else as Ray has it now.

        Raises:
            ClusterError: it is neither kept nor to be had from Ray.
        """
        try:
            text = self._path(submission_id).read_text(encoding="utf-8", errors="replace")
        except OSError:
            text = self._fetch(submission_id)
        return without_paths(text)

    def _path(self, submission_id: str) -> Path:
        return self._folder / f"{submission_id}.log"


def last_error(text: str) -> str | None:
    """The error that a command told at its end."""
    lines = [line.removeprefix("error: ") for line in text.splitlines() if line.startswith("error: ")]
    return lines[-1] if lines else None
