"""How one start of a sweep ended, told by its driver in the sweep's folder: no one else knows it as well."""

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
    """The end of a start.

    Attributes:
        start: what whoever started it calls it; generated, as it names a file.
        exit_status: 0 nothing is missing, 1 a study failed, 3 the rest can be had by going on.
        stopped_by: what ended it early; empty where nothing did.
        best: first row of the leaderboard, see :meth:`~backtune.results.leaderboard.ranking.Row.to_json`; None without one.
        n_trials: in the logs of all studies.
        failures: how many studies failed, by reason; the most common ones.
        problems: what went wrong beside the search.
        ended_at: seconds since the epoch.
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
        """Put it into the sweep's folder.

        Raises:
            ResultsError: it cannot be written.
        """
        write_json(_path(folder, self.start), asdict(self))

    @classmethod
    def read(cls, folder: Location, start: str) -> StartOutcome | None:
        """How that start ended; None where it has not, or not in order.

        Raises:
            ResultsError: it cannot be read.
        """
        content = read_json(_path(folder, start))
        if content is None:
            return None
        return cls(**{**content, "problems": tuple(content["problems"])})


def read_start_name() -> str:
    """What the start of this process is called, ``$BACKTUNE_START``; empty where nobody wants to know how it ends."""
    return os.environ.get(START_VARIABLE, "")


def _path(folder: Location, start: str) -> Location:
    return folder / _FOLDER / f"{start}.json"
