"""Finding the candidate that ends its worker: a note beside the log of what is being evaluated.

Costs nothing as long as nothing dies. When a worker died, the driver leaves a note with the study that it was at. The
next worker of that study writes down each candidate before it starts on it; where it dies too, the driver counts that
against the candidate. One that was started so often in vain is not started again: it gets a failed row.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from backtune.storage.files import read_json, remove, write_json
from backtune.storage.location import Location

_FILE = ".deaths.json"
# Trials are written once a second, so whatever was evaluated when the worker died comes up again within that.
_WARY_SECONDS = 3.0
MAX_DEADLY_CANDIDATES = 5
DEADLY = "its worker died whenever it was evaluated"


@dataclass(frozen=True)
class Note:
    """What is known of the deaths of a study's workers.

    Attributes:
        number: the candidate on which a worker started last, None where it was not looked at yet.
        deaths: how many workers died after they had started on it.
    """

    number: int | None = None
    deaths: int = 0

    @classmethod
    def read(cls, folder: Location) -> Note | None:
        content = read_json(folder / _FILE)
        return cls(**content) if content is not None else None

    def write(self, folder: Location) -> None:
        write_json(folder / _FILE, {"number": self.number, "deaths": self.deaths})


def note_death(folder: Location) -> Note:
    """A worker died at this study: let the next one be wary, and count it against the candidate it was at.

    Raises:
        ResultsError: the folder cannot be written.
    """
    before = Note.read(folder)
    note = Note(before.number, before.deaths + 1) if before and before.number is not None else Note()
    note.write(folder)
    return note


class Watch:
    """What a worker does about an earlier death at its study.

    Args:
        max_deaths: how many workers a candidate may cost.
    """

    def __init__(self, folder: Location, max_deaths: int) -> None:
        self._folder = folder
        self._max_deaths = max_deaths
        self._note = Note.read(folder)
        self._suspect = self._note.number if self._note and self._note.number is not None else -1
        self._until: float | None = None

    @property
    def suspect(self) -> int:
        """The candidate on which a worker died last, -1 where that is not known."""
        return self._suspect

    @property
    def is_wary(self) -> bool:
        """Whether to evaluate one candidate at a time, each announced with :meth:`before`."""
        return self._note is not None

    def before(self, number: int) -> str:
        """Announce a candidate; returns why it must not be evaluated, or nothing."""
        if self._note is None:
            return ""
        self._until = self._until or time.monotonic() + _WARY_SECONDS
        deaths = self._note.deaths if self._note.number == number else 0
        if deaths >= max(self._max_deaths, 1):
            return DEADLY
        if number > self._suspect and time.monotonic() > self._until:
            self.end()
            return ""
        self._note = Note(number, deaths)
        self._note.write(self._folder)
        return ""

    def end(self) -> None:
        """The study was brought to its end, or further than the death was."""
        self._note = None
        remove(self._folder / _FILE)
