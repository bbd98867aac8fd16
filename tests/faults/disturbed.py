"""A sweep that is run as real processes, disturbed and started again as often as a test wants."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import polars as pl
from sweeps import command, environment, wait_for

from backtune.errors import ResultsError
from backtune.results.log.segments import count_trials, read_log
from backtune.results.runs_folder import list_sweeps
from backtune.results.stored_sweep import StoredSweep
from backtune.storage.location import Location, resolve_location
from faults.traces import KEEPS_ENVIRONMENT, MARK, Process, Traces, processes

Rows = dict[str, pl.DataFrame]
# A candidate of a study, as the log and the journal both have it.
Key = tuple[str, ...]


@dataclass
class Disturbed:
    """One sweep in a folder of its own: ``backtune run`` as often as wanted, always with the same arguments.

    Attributes:
        folder: for all that the sweep writes.
        spec: the spec's file.
        arguments: of ``backtune run``, beside the usual ones.
        pace: seconds that an evaluation sleeps, so that a fault strikes in the middle, until it is told to ``hurry``.
        variables: more environment.
        runs: the runs folder, below ``folder`` unless it is absolute or in S3.
        before: put before the command line of the driver.
    """

    folder: Path
    spec: Path
    arguments: tuple[str, ...]
    pace: float = 0.002
    variables: dict[str, str] = field(default_factory=dict)
    runs: Location = Path("runs")
    before: tuple[str, ...] = ()
    mark: str = field(default_factory=lambda: uuid4().hex)
    logged: list[tuple[int, set[Key]]] = field(default_factory=list)
    drivers: list[subprocess.Popen[str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.runs = resolve_location(self.folder, self.runs)
        for name in ("home", "temporary", "journal"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self.traces = Traces(self.mark, own=(self.folder / "home", self.folder / "temporary"))

    @property
    def environment(self) -> dict[str, str]:
        """Of all processes of the sweep."""
        return environment(
            **KEEPS_ENVIRONMENT,
            **{
                MARK: self.mark,
                "HOME": str(self.folder / "home"),
                "TMPDIR": str(self.folder / "temporary"),
                "FAULTS_JOURNAL": str(self.folder / "journal"),
                "FAULTS_PACE": str(self.pace),
                "FAULTS_HURRY": str(self.folder / "hurry"),
                **self.variables,
            },
        )

    def start(self) -> subprocess.Popen[str]:
        """Start the driver."""
        driver = subprocess.Popen(
            [*self.before, *command("run", self.spec, *self.arguments, "--no-tracking", "--json", "--runs", str(self.runs))],
            cwd=self.folder, env=self.environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self.drivers.append(driver)
        return driver

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[str]]:
        """Start the driver, and see to it that none of the sweep's processes outlives the block."""
        with self._looking():
            driver = self.start()
            try:
                yield driver
            finally:
                self.end()

    def finish(self, seconds: float = 170.0) -> subprocess.CompletedProcess[str]:
        """Start the driver and wait for its end."""
        with self.running() as driver:
            out, err = driver.communicate(timeout=seconds)
            return subprocess.CompletedProcess(driver.args, driver.returncode, out, err)

    def hurry(self) -> None:
        """Let evaluations sleep no longer: what there was to see in the middle has been seen."""
        (self.folder / "hurry").touch()

    def end(self) -> None:
        """End the driver if it is running. What it leaves is for ``assert_unharmed`` to see."""
        for driver in self.drivers:
            if driver.poll() is None:
                driver.kill()
            driver.communicate()

    def clear(self) -> None:
        """End all processes that a failed test left."""
        for process in processes(self.mark):
            _signal(process.pid, signal.SIGKILL)

    def workers(self, *, busy_for: float = 0.0) -> list[Process]:
        """Workers of this sweep whose first evaluation is so many seconds ago and done, the longest first.

        Whoever strikes again and again must let them get past it, or it is to blame by all that can be seen.
        """
        begun = {
            int(file.name): _first_moment(file, n_evaluations=2 if busy_for else 1)
            for file in self._journals()
        }
        latest = time.time_ns() - busy_for * 1e9
        alive = {process.pid: process for process in processes(self.mark) if process.is_worker}
        return [
            alive[pid]
            for pid in sorted(begun, key=begun.__getitem__)
            if begun[pid] <= latest and pid in alive
        ]

    def strike(self, pid: int, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal, and remember what was in the log before."""
        self.note()
        _signal(pid, number)

    def resume(self, pid: int) -> None:
        """Let a stopped process go on."""
        _signal(pid, signal.SIGCONT)

    def note(self) -> None:
        """Remember what is in the log now: none of it may be evaluated again."""
        self.logged.append(self.snapshot())

    def n_trials(self) -> int:
        """How many trials are in the log."""
        return sum(
            count_trials(run.study_folder(name))
            for run in self._runs()
            for name in run.list_started_studies()
        )

    @property
    def has_begun(self) -> bool:
        """Whether the sweep has a folder."""
        return bool(self._runs())

    @property
    def run(self) -> StoredSweep:
        return self._runs()[0]

    def nodes(self) -> set[int]:
        """The raylets, by pid, whose workers have evaluated something."""
        lines = [file.read_text().split(None, 2) for file in self._journals()]
        return {int(line[1]) for line in lines if len(line) > 1}

    def n_evaluated(self) -> int:
        """How many candidates were evaluated for the log, at all starts together."""
        return len(self._searched())

    def evaluations_of(self, pid: int) -> list[Key]:
        """What a worker has begun to evaluate, in order."""
        lines = (self.folder / "journal" / str(pid)).read_text().splitlines()
        return [(*line.split()[2:4], *line.split()[5:]) for line in lines]

    def n_evaluated_since(self, moment: int, study: Key) -> int:
        """How many candidates of a study were evaluated since then, in nanoseconds since the epoch."""
        return sum(key[:2] == study and begun > moment for begun, key in self._searched())

    def last_evaluation(self) -> float:
        """When the last of them was begun, in seconds since the epoch."""
        return max(moment for moment, _ in self._searched()) * 1e-9

    def run_again(self) -> list[Key]:
        """Candidates that were evaluated although the log had them already when a fault struck."""
        return [
            key
            for moment, key in self._searched()
            if any(moment > struck and key in logged for struck, logged in self.logged)
        ]

    def _searched(self) -> list[tuple[int, Key]]:
        """What was evaluated and when, but for what is no trial."""
        lines = [line.split() for file in self._journals() for line in file.read_text().splitlines()]
        evaluations = [(int(line[0]), (*line[2:4], *line[5:]), int(line[4])) for line in lines]
        n_bars: dict[Key, int] = {}
        for _, key, n in evaluations:
            n_bars[key[:2]] = min(n, n_bars.get(key[:2], n))
        return [(moment, key) for moment, key, n in evaluations if n == n_bars[key[:2]]]

    def _runs(self) -> list[StoredSweep]:
        return list_sweeps(self.runs)

    def _journals(self) -> list[Path]:
        return list((self.folder / "journal").iterdir())

    def snapshot(self) -> tuple[int, set[Key]]:
        """The time in nanoseconds, and the candidates that were in the log before it."""
        keys: set[Key] = set()
        for run in self._runs():
            for study in run.studies:
                log = _log(run.study_folder(study.id))
                if log is not None and study.strategy == "Paced":
                    params = log.select(pl.col("^params_.*$")).rows()
                    keys.update((study.asset, study.timeframe, *map(repr, row)) for row in params)
        return time.time_ns(), keys

    @contextmanager
    def _looking(self) -> Iterator[None]:
        over = threading.Event()

        def look() -> None:
            while not over.wait(0.5):
                self.traces.look()

        thread = threading.Thread(target=look, daemon=True)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()


def until_done(
    driver: subprocess.Popen[str], fault: Callable[[], object], *, every: float, seconds: float
) -> str:
    """Repeat a fault until the driver ends; returns what it wrote to stderr.

    Raises:
        AssertionError: it did not end in time.
    """
    until = time.monotonic() + seconds
    while not wait_for(lambda: driver.poll() is not None, every):
        assert time.monotonic() < until, "the sweep did not come to its end"
        fault()
    return driver.communicate()[1]


def chance(name: str) -> random.Random:
    """A source of chance that is the same in every run."""
    return random.Random(name)  # noqa: S311


def _first_moment(journal: Path, *, n_evaluations: int) -> float:
    """When the first evaluation was begun; never, as long as there are not so many."""
    lines = journal.read_text().splitlines()
    return float(lines[0].split()[0]) if len(lines) >= n_evaluations else float("inf")


def _log(folder: Location) -> pl.DataFrame | None:
    try:
        return read_log(folder)
    except ResultsError:
        return None


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
