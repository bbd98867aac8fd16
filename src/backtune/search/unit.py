"""One unit: whole studies, one after the other. What both executors run."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from backtune.errors import ResultsError
from backtune.results.summary import StudySummary
from backtune.search.study import Stop, Study, run_study

Unit = Sequence[Study]


@dataclass(frozen=True)
class Brake:
    """When to stop asking: at a point in time, or once a file is there. Picklable, so that it works across processes.

    Attributes:
        file: a stop is asked for by making it.
        deadline: seconds since the epoch, or None.
    """

    file: Path
    deadline: float | None

    def __call__(self) -> bool:
        return (self.deadline is not None and time.time() >= self.deadline) or self.file.exists()

    @property
    def out_of_time(self) -> bool:
        return self.deadline is not None and time.time() >= self.deadline

    def pull(self) -> None:
        self.file.touch()

    def release(self) -> None:
        self.file.unlink(missing_ok=True)


def run_unit(unit: Unit, studies_folder: Path, stop: Stop) -> None:
    """Run the studies of a unit. What goes wrong in one is written beside it and costs the others nothing.

    Raises:
        ResultsError: the runs folder cannot be written, which no other study would survive either.
        MemoryError: the machine is too small or too busy; the unit may be tried again elsewhere.
    """
    for study in unit:
        if stop():
            return
        folder = studies_folder / study.id
        try:
            run_study(study, folder, stop)
        except MemoryError:
            raise
        except ResultsError as error:
            if isinstance(error.__cause__, OSError):
                raise
            _note_failure(folder, error)
        except Exception as error:  # noqa: BLE001
            _note_failure(folder, error)


def _note_failure(folder: Path, error: Exception) -> None:
    text = " ".join(str(error).split())
    StudySummary(state="failed", reason=f"{type(error).__name__}: {text}"[:1000]).write(folder)
