"""The outcome of one start of a sweep, which its driver writes into the sweep's folder."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from backtune.storage.files import read_json, write_json
from backtune.storage.location import Location

START_VARIABLE = "BACKTUNE_START"
_FOLDER = "starts"


@dataclass(frozen=True)
class StartOutcome:
    """The outcome of a start.

    Attributes:
        start: The name that the starter gave the start; generated, as it names a file.
        exit_status: 0 where nothing is missing, 1 where a study failed, 3 where starting again can complete the sweep.
        stopped_by: The cause of an early end; empty where there was none.
        best: The first row of the leaderboard, see :meth:`~backtune.results.leaderboard.ranking.Row.to_json`; None without one.
        n_trials: The number of trials in the logs of all studies.
        failures: The number of studies that failed, by reason; the most common reasons.
        problems: The problems beside the search, in words.
        ended_at: The time of the end, in seconds since the epoch.
    """

    start: str
    exit_status: int
    stopped_by: Literal["", "signal", "time"]
    best: dict[str, Any] | None
    n_trials: int
    ended_at: float
    failures: dict[str, int] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    def write(self, folder: Location) -> None:
        """Write the outcome into the sweep's folder.

        Raises:
            ResultsError: It cannot be written.
        """
        write_json(_path(folder, self.start), asdict(self))

    @classmethod
    def read(cls, folder: Location, start: str) -> StartOutcome | None:
        """Return the outcome of a start; None where it has not ended, or was killed.

        Raises:
            ResultsError: It cannot be read.
        """
        content = read_json(_path(folder, start))
        if content is None:
            return None
        return cls(**{**content, "problems": tuple(content["problems"])})


def read_start_name() -> str:
    """Return the name of this process's start, ``$BACKTUNE_START``; empty where nobody waits for its outcome."""
    return os.environ.get(START_VARIABLE, "")


def _path(folder: Location, start: str) -> Location:
    return folder / _FOLDER / f"{start}.json"
