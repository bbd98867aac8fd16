"""The projection of a sweep's studies as they finish."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from backtune.errors import BacktuneError
from backtune.results.stored_sweep import StoredStudy, StoredSweep
from backtune.storage.files import read_stamp
from backtune.tracking.sync import SweepTracker

_LONGEST_PAUSE_SECONDS = 60.0

_Stamp = tuple[tuple[int, int] | None, ...]


@dataclass
class LiveSync:
    """Projects what is new in a sweep's folder; after a failure it pauses, each time longer.

    Attributes:
        run: Sweep to project.
        tracker: Connection to the MLflow store.
        problem: Reason of the latest failure, else None.
        n_failures: Number of consecutive failures.
        not_before: Time of the next attempt, by the monotonic clock.
        seen: Stamp of every study that was projected or refused; it is skipped until the stamp changes.
        waiting: Studies that are new.
    """

    run: StoredSweep
    tracker: SweepTracker
    problem: str | None = None
    n_failures: int = 0
    not_before: float = 0.0
    seen: dict[str, _Stamp] = field(default_factory=dict)
    waiting: deque[StoredStudy] = field(default_factory=deque)

    def scan(self) -> None:
        """Find the studies that have finished with all of their islands, and have changed since the last scan."""
        if not self.waiting:
            stamps = ((study, _read_stamps(self.run, study)) for study in self.run.studies)
            self.waiting.extend(
                study for study, stamp in stamps if all(stamp) and stamp != self.seen.get(study.id)
            )

    def project_next(self) -> bool:
        """Project one new study, and return whether there was one."""
        if not self.waiting or time.monotonic() < self.not_before:
            return False
        self._project([self.waiting.popleft()])
        return True

    def finish(self, on_step: Callable[[], None]) -> None:
        """Project all that is new, and the sweep as a whole."""
        studies = self.run.studies
        new = [study for study in studies if _read_stamps(self.run, study) != self.seen.get(study.id)]
        self._project(new, finish=True, on_step=on_step)

    def _project(
        self,
        studies: Sequence[StoredStudy],
        *,
        finish: bool = False,
        on_step: Callable[[], None] = lambda: None,
    ) -> None:
        stamps = {study.id: _read_stamps(self.run, study) for study in studies}
        try:
            report = self.tracker.project(studies, finish=finish, on_step=on_step)
            self.problem = _summarize_problems(report.problems)
        except BacktuneError as error:
            self.problem = str(error)
            self.n_failures += 1
            self.not_before = time.monotonic() + min(_LONGEST_PAUSE_SECONDS, 2.0**self.n_failures)
        else:
            self.seen.update(stamps)
            self.n_failures = 0


def _summarize_problems(problems: Sequence[str]) -> str | None:
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return f"tracking: {problems[0]}{more}" if problems else None


def _read_stamps(run: StoredSweep, study: StoredStudy) -> _Stamp:
    """Return the stamps of the summaries of a study and of the other islands of its search, None for a missing one."""
    return tuple(read_stamp(run.study_folder(name) / "summary.json") for name in (study.id, *study.peers))
