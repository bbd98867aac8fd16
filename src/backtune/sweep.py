"""Sweeps: the one place where the parts are put together."""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, Self

import backtune
from backtune.results.leaderboard.ranking import build_leaderboard
from backtune.results.leaderboard.row import Row
from backtune.results.log.segments import count_trials
from backtune.results.permuted_searches.missing_permutations import list_missing_permutations
from backtune.results.permuted_searches.permuted_folder import (
    list_failed_permutations,
    locate_permuted_folder,
)
from backtune.results.progress import Progress, ProgressReader, list_unfinished_studies
from backtune.results.runs_folder import adopt_repeated_studies, locate_runs_folder
from backtune.results.start_outcome import StartOutcome, read_start_name
from backtune.results.stored_sweep import StoredSweep
from backtune.search.executors.sight import Sight
from backtune.search.executors.unit import Brake, Place
from backtune.search.planning.estimate import seconds_left
from backtune.search.planning.packing import pack
from backtune.search.planning.plan import run_of, studies_of
from backtune.search.study_loop.permuted import run_permuted_searches
from backtune.search.study_loop.study import Study
from backtune.spec import SweepSpec
from backtune.storage.location import Location, S3Path, location

if TYPE_CHECKING:
    import polars as pl

    from backtune.results.portfolio import SweepPortfolio
    from backtune.tracking.projection import Projection

ExecutorName = Literal["ray", "inline"]
ExitStatus = Literal[0, 1, 3]
StoppedBy = Literal["", "signal", "time"]
# Of a sweep of a hundred thousand studies, so many reasons why some failed are told.
_TOLD_REASONS = 20
_LOOK_SECONDS, _S3_LOOK_SECONDS = 1.0, 5.0


@dataclass(frozen=True)
class Options:
    """How a sweep is run; changes no result.

    Attributes:
        executor: ``ray``, or ``inline`` for this process alone.
        address: of a Ray cluster to join; without it a private one is started on this machine.
        workers: of the private cluster, by default as many as there are cpus.
        tracking: whether results are projected to MLflow.
        on_progress: called about once a second, with results in S3 every few, from a thread of its own.
        on_results: called when the search is over, before what is missing in MLflow is made up for.
    """

    executor: ExecutorName = "ray"
    address: str | None = None
    workers: int | None = None
    tracking: bool = True
    on_progress: Callable[[Progress], None] | None = None
    on_results: Callable[[SweepResult], None] | None = None


@dataclass(frozen=True)
class SweepResult:
    """What a sweep found, read from its folder.

    Attributes:
        run: the sweep's folder.
        stopped_by: a signal or the time budget, where one of them ended it early.
        lost: for every study whose unit was given up: why.
        problems: what went wrong beside the search, such as a tracker that is down.
    """

    run: StoredSweep
    stopped_by: StoppedBy = ""
    lost: dict[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    @property
    def exit_status(self) -> ExitStatus:
        """0 when nothing is missing, 3 when the rest can be had by going on, 1 when a study failed."""
        if self.failures():
            return 1
        return 3 if list_unfinished_studies(self.run) or list_missing_permutations(self.run) else 0

    def failures(self) -> dict[str, str]:
        """Studies that failed, and why; those of permuted searches among them."""
        failed = {**self.lost, **list_failed_permutations(self.run)}
        for study in self.run.studies:
            summary = self.run.read_summary(study)
            if summary is not None and summary.failure:
                failed[study.id] = summary.failure
        return failed

    def rows(self, top: int | None = None) -> list[Row]:
        """The leaderboard, the best first; see :func:`~backtune.results.leaderboard.ranking.build_leaderboard`."""
        return build_leaderboard(self.run, top=top)

    def leaderboard(self) -> pl.DataFrame:
        """The leaderboard as a frame, the best first; see :func:`~backtune.results.leaderboard.row.build_leaderboard_frame`."""
        from backtune.results.leaderboard.row import build_leaderboard_frame

        return build_leaderboard_frame(self.rows())

    def portfolio(self, method: str | None = None, top: int | None = None) -> SweepPortfolio:
        """Weights over the winners; see :func:`~backtune.results.portfolio.portfolio_of`."""
        from backtune.results.portfolio import portfolio_of

        return portfolio_of(self.run, method, top)

    def best(self) -> dict[str, Any] | None:
        """The first row of the leaderboard as plain data; None where no study has a winner."""
        first = next((row for row in self.rows(top=1) if row.values is not None), None)
        return first.to_json() if first is not None else None

    def trials(self, study: str | None = None) -> pl.DataFrame:
        """The trials of one study, or of all with a column ``study``; see :func:`~backtune.results.log.segments.read_log`."""
        import polars as pl

        frames = [self.run.read_trials(s.id) for s in self.run.studies if study in (None, s.id)]
        found = [frame for frame in frames if frame is not None]
        return pl.concat(found, how="diagonal") if found else pl.DataFrame()


def run_sweep(
    spec: SweepSpec, runs: str | Location | None = None, options: Options | None = None
) -> SweepResult:
    """Run a sweep, or go on with it where its folder is there already.

    Args:
        spec: what to search.
        runs: the runs folder, or ``s3://bucket/prefix``; ``$BACKTUNE_RUNS`` or ``runs`` by default.

    Raises:
        SpecError, StrategyError, CatalogError: the sweep is not possible; nothing was started.
        ResultsError: the runs folder cannot be written, or another driver runs this sweep.
        ClusterError: Ray cannot be used.
    """
    options = options or Options()
    started = time.time()
    root = location(runs if runs is not None else locate_runs_folder())
    studies = studies_of(spec, root)
    run = run_of(spec, root, studies, version=backtune.__version__)
    with run.lock():
        run.write()
        deadline = started + spec.compute.time_budget if spec.compute.time_budget is not None else None
        brake = Brake(run.folder.resolve() / ".stop", deadline)
        brake.release()
        adopt_repeated_studies(run)
        open_ids = {entry.id for entry in list_unfinished_studies(run)}
        todo = [study for study in studies if study.id in open_ids]
        result = _execute(_Start(spec, run, studies, todo, brake, options))
        if read_start_name():
            _outcome(result, read_start_name()).write(run.folder)
        return result


@dataclass(frozen=True)
class _Start:
    """One start of a sweep: what is to be done, and how.

    Attributes:
        studies, todo: all studies of the sweep, and those that are not finished.
    """

    spec: SweepSpec
    run: StoredSweep
    studies: list[Study]
    todo: list[Study]
    brake: Brake
    options: Options

    @property
    def place(self) -> Place:
        """Where the studies run."""
        folder = (self.run.folder / "studies").resolve()
        return Place(folder, self.brake, self.spec.compute.max_failures)

    @property
    def permuted_place(self) -> Place:
        """Where the studies of permuted searches run."""
        return replace(self.place, folder=locate_permuted_folder(self.run).resolve(), keeps_trials=False)


def _execute(start: _Start) -> SweepResult:
    projection = _projection(start.spec, start.run) if start.options.tracking else None
    with _Signals(start.brake) as signals:
        try:
            result = _searched(start, signals, projection)
            if start.options.on_results is not None:
                start.options.on_results(result)
        finally:
            problem = _close(projection, signals)
    return replace(result, problems=(problem,) if problem else ())


def _searched(start: _Start, signals: _Signals, projection: Projection | None) -> SweepResult:
    lost: dict[str, str] = {}
    with _watched(start.run, start.options):
        if projection is not None:
            projection.start()
        try:
            if start.todo or list_missing_permutations(start.run):
                lost = _run_units(start, signals)
                if start.spec.validation.method == "walk_forward":
                    # Joins the folds while the bars are at hand; whoever asks later need not have them.
                    build_leaderboard(start.run, top=0)
        finally:
            signals.is_over = True
            start.brake.release()
    stopped_by: StoppedBy = "signal" if signals.came else "time" if start.brake.out_of_time else ""
    return SweepResult(start.run, stopped_by, lost)


def _outcome(result: SweepResult, start: str) -> StartOutcome:
    reasons = Counter(result.failures().values())
    return StartOutcome(
        start=start,
        exit_status=result.exit_status,
        stopped_by=result.stopped_by,
        best=result.best(),
        n_trials=sum(count_trials(result.run.study_folder(study.id)) for study in result.run.studies),
        ended_at=time.time(),
        failures=dict(reasons.most_common(_TOLD_REASONS)),
        problems=result.problems,
    )


def _run_units(start: _Start, signals: _Signals) -> dict[str, str]:
    if start.options.executor == "inline":
        from backtune.search.executors import inline

        return _run_all(start, lambda studies, place: inline.run_units([studies], place))
    try:
        return _run_on_ray(start, signals)
    except SystemExit:
        # Ray takes SIGTERM for itself when it starts, and makes this of it until it is taken back.
        signals.n += 1
        return {}


def _run_all(start: _Start, execute: Callable[[list[Study], Place], dict[str, str]]) -> dict[str, str]:
    """Run the studies, and then the permuted searches of those that lead."""
    lost = execute(start.todo, start.place) if start.todo else {}
    if start.brake() or not start.spec.validation.has_permutations:
        return lost
    return lost | run_permuted_searches(
        start.run, start.studies, lambda studies: execute(studies, start.permuted_place), start.brake
    )


def _run_on_ray(start: _Start, signals: _Signals) -> dict[str, str]:
    from backtune.search.executors import tune

    compute = start.spec.compute
    with tune.connected(tune.Cluster(start.options.address, start.options.workers)) as connection:
        signals.arm()
        sight = Sight.of(start.spec, start.run) if start.options.address is not None else None
        if sight is not None:
            tune.check_nodes(sight, compute.cpus_per_unit)
        slots = max(1, int(connection.cpus / compute.cpus_per_unit))
        resources = tune.UnitResources(compute.cpus_per_unit, compute.max_failures)

        def execute(studies: list[Study], place: Place) -> dict[str, str]:
            seconds = seconds_left(studies, place.folder, tune.calibrated(studies))
            units = pack(studies, unit_seconds=compute.unit_seconds, slots=slots, seconds=seconds)
            return tune.run_units(connection, units, place, resources, sight)

        return _run_all(start, execute)


def _projection(spec: SweepSpec, run: StoredSweep) -> Projection:
    from backtune.tracking.projection import Projection

    return Projection(run, spec.tracking.uri)


def _close(projection: Projection | None, signals: _Signals) -> str | None:
    """Wait for the projection, until a signal more says not to."""
    if projection is None:
        return None
    before = signals.n
    projection.close(stopped=lambda: signals.n > before)
    return projection.problem


@contextmanager
def _watched(run: StoredSweep, options: Options) -> Iterator[None]:
    """Report progress from a thread until the block ends, and once more then."""
    report = options.on_progress
    if report is None:
        yield
        return
    over = threading.Event()
    reader = ProgressReader(run)

    def watch() -> None:
        while not over.wait(_S3_LOOK_SECONDS if isinstance(run.folder, S3Path) else _LOOK_SECONDS):
            report(reader.read())

    thread = threading.Thread(target=watch, name="backtune-progress", daemon=True)
    report(reader.read())
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        report(reader.read())


class _Signals:
    """The first SIGINT or SIGTERM pulls the brake, so that all is drained and written; a second one interrupts the
    search. Once that is over, they are counted alone."""

    def __init__(self, brake: Brake) -> None:
        self._brake = brake
        self._before: dict[int, Any] = {}
        self.n = 0
        self.is_over = False

    @property
    def came(self) -> bool:
        return self.n > 0

    def __enter__(self) -> Self:
        self.arm()
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def arm(self) -> None:
        """Take the signals, again where a library has taken them since; only a main thread can."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in (signal.SIGINT, signal.SIGTERM):
            before = signal.signal(number, self._pull)
            self._before.setdefault(number, before)

    def _pull(self, _number: int, _frame: object) -> None:
        self.n += 1
        if self.is_over:
            return
        if self.n > 1:
            raise KeyboardInterrupt
        self._brake.pull()
