"""Sweeps: the one place where the core is put together."""

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
from backtune.search.executors.node_check import NodeCheck
from backtune.search.executors.unit import StopFlag, UnitContext
from backtune.search.planning.estimate import estimate_seconds_left
from backtune.search.planning.packing import pack_units
from backtune.search.planning.plan import describe_sweep, plan_studies
from backtune.search.study_loop.permuted_searches import run_permuted_searches
from backtune.search.study_loop.study import Study
from backtune.spec import SweepSpec
from backtune.storage.location import Location, get_local_path, parse_location

if TYPE_CHECKING:
    import polars as pl

    from backtune.results.portfolio import SweepPortfolio
    from backtune.tracking.live_sync_process import LiveSyncProcess

ExecutorName = Literal["ray", "inline"]
ExitStatus = Literal[0, 1, 3]
StoppedBy = Literal["", "signal", "time"]
# The number of different reasons of failed studies that the outcome of a sweep contains.
_MOST_REASONS = 20
_PROGRESS_SECONDS, _S3_PROGRESS_SECONDS = 1.0, 5.0


@dataclass(frozen=True)
class Options:
    """The options of one start of a sweep. They change no result.

    Attributes:
        executor: The executor: ``ray``, or ``inline`` for this process alone.
        address: The address of a Ray cluster to join; without it a private one is started on this machine.
        workers: The number of workers of the private cluster, by default one per cpu.
        tracking: True where results are projected to MLflow.
        on_progress: A function that is called about once a second (every five seconds with results in S3) from a thread.
        on_results: A function that is called when the search is over, before MLflow has caught up with it.
    """

    executor: ExecutorName = "ray"
    address: str | None = None
    workers: int | None = None
    tracking: bool = True
    on_progress: Callable[[Progress], None] | None = None
    on_results: Callable[[SweepResult], None] | None = None


@dataclass(frozen=True)
class SweepResult:
    """The results of a sweep, read from its folder.

    Attributes:
        run: The folder of the sweep.
        stopped_by: The cause of an early end: a signal or the time budget; empty where there was none.
        lost: The reason for every study whose unit was given up, by its id.
        problems: The problems beside the search, such as an unreachable tracking server.
    """

    run: StoredSweep
    stopped_by: StoppedBy = ""
    lost: dict[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()

    @property
    def exit_status(self) -> ExitStatus:
        """0 where nothing is missing, 3 where the sweep can be resumed, 1 where a study failed."""
        if self.failures():
            return 1
        return 3 if list_unfinished_studies(self.run) or list_missing_permutations(self.run) else 0

    def failures(self) -> dict[str, str]:
        """Return the reason for every study that failed, by its id, including the studies of permuted searches."""
        failed = {**self.lost, **list_failed_permutations(self.run)}
        for study in self.run.studies:
            summary = self.run.read_summary(study)
            if summary is not None and summary.failure:
                failed[study.id] = summary.failure
        return failed

    def rows(self, top: int | None = None) -> list[Row]:
        """Return the leaderboard, the best row first; see :func:`~backtune.results.leaderboard.ranking.build_leaderboard`."""
        return build_leaderboard(self.run, top=top)

    def leaderboard(self) -> pl.DataFrame:
        """Return the leaderboard as a frame, the best row first; see :func:`~backtune.results.leaderboard.row.build_leaderboard_frame`."""
        from backtune.results.leaderboard.row import build_leaderboard_frame

        return build_leaderboard_frame(self.rows())

    def portfolio(self, method: str | None = None, top: int | None = None) -> SweepPortfolio:
        """Return a portfolio of the winners; see :func:`~backtune.results.portfolio.portfolio_of`."""
        from backtune.results.portfolio import portfolio_of

        return portfolio_of(self.run, method, top)

    def best(self) -> dict[str, Any] | None:
        """Return the first row of the leaderboard as plain data; None where no study has a winner."""
        first = next((row for row in self.rows(top=1) if row.values is not None), None)
        return first.to_json() if first is not None else None

    def trials(self, study: str | None = None) -> pl.DataFrame:
        """Return the trials of one study, or of all studies with a column ``study``; see :func:`~backtune.results.log.segments.read_log`."""
        import polars as pl

        frames = [self.run.read_trials(s.id) for s in self.run.studies if study in (None, s.id)]
        found = [frame for frame in frames if frame is not None]
        return pl.concat(found, how="diagonal") if found else pl.DataFrame()


def run_sweep(
    spec: SweepSpec, runs: str | Location | None = None, options: Options | None = None
) -> SweepResult:
    """Run a sweep, or resume it where its folder exists already.

    Args:
        spec: The strategies, data and search settings of the sweep.
        runs: The runs folder, or ``s3://bucket/prefix``; ``$BACKTUNE_RUNS`` or ``runs`` by default.
        options: The executor and other options, which change no result.

    Raises:
        SpecError: The spec is not possible; nothing was started.
        StrategyError: A strategy cannot be used; nothing was started.
        CatalogError: The market data cannot be used; nothing was started.
        ResultsError: The runs folder cannot be written, or another driver runs this sweep.
        ClusterError: Ray cannot be used.
    """
    options = options or Options()
    started = time.time()
    root = parse_location(runs if runs is not None else locate_runs_folder())
    studies = plan_studies(spec, root)
    run = describe_sweep(spec, root, studies, version=backtune.__version__)
    with run.lock():
        run.write()
        deadline = started + spec.compute.time_budget if spec.compute.time_budget is not None else None
        stop_flag = StopFlag(run.folder.resolve() / ".stop", deadline)
        stop_flag.clear()
        adopt_repeated_studies(run)
        open_ids = {entry.id for entry in list_unfinished_studies(run)}
        todo = [study for study in studies if study.id in open_ids]
        result = _run_start(_SweepStart(spec, run, studies, todo, stop_flag, options))
        if read_start_name():
            _make_outcome(result, read_start_name()).write(run.folder)
        return result


@dataclass(frozen=True)
class _SweepStart:
    """One start of a sweep.

    Attributes:
        studies: All studies of the sweep.
        todo: The studies that are not finished.
    """

    spec: SweepSpec
    run: StoredSweep
    studies: list[Study]
    todo: list[Study]
    stop_flag: StopFlag
    options: Options

    @property
    def context(self) -> UnitContext:
        """The context of the units."""
        folder = (self.run.folder / "studies").resolve()
        return UnitContext(folder, self.stop_flag, self.spec.compute.max_failures)

    @property
    def permuted_context(self) -> UnitContext:
        """The context of the units of permuted searches."""
        return replace(self.context, folder=locate_permuted_folder(self.run).resolve(), keeps_trials=False)


def _run_start(start: _SweepStart) -> SweepResult:
    projection = None
    if start.options.tracking:
        from backtune.tracking.live_sync_process import LiveSyncProcess

        projection = LiveSyncProcess(start.run, start.spec.tracking.uri)
    with _Signals(start.stop_flag) as signals:
        try:
            result = _search(start, signals, projection)
            if start.options.on_results is not None:
                start.options.on_results(result)
        finally:
            problem = _close(projection, signals)
    return replace(result, problems=(problem,) if problem else ())


def _search(start: _SweepStart, signals: _Signals, projection: LiveSyncProcess | None) -> SweepResult:
    lost: dict[str, str] = {}
    with _report_progress(start.run, start.options):
        if projection is not None:
            projection.start()
        try:
            if start.todo or list_missing_permutations(start.run):
                lost = _run_units(start, signals)
                if start.spec.validation.method == "walk_forward":
                    # Joins the folds while the bars are at hand; later readers need not have them.
                    build_leaderboard(start.run, top=0)
        finally:
            signals.is_over = True
            start.stop_flag.clear()
    stopped_by: StoppedBy = ""
    if signals.n_received:
        stopped_by = "signal"
    elif start.stop_flag.is_out_of_time:
        stopped_by = "time"
    return SweepResult(start.run, stopped_by, lost)


def _make_outcome(result: SweepResult, start: str) -> StartOutcome:
    reasons = Counter(result.failures().values())
    return StartOutcome(
        start=start,
        exit_status=result.exit_status,
        stopped_by=result.stopped_by,
        best=result.best(),
        n_trials=sum(count_trials(result.run.study_folder(study.id)) for study in result.run.studies),
        ended_at=time.time(),
        failures=dict(reasons.most_common(_MOST_REASONS)),
        problems=result.problems,
    )


def _run_units(start: _SweepStart, signals: _Signals) -> dict[str, str]:
    if start.options.executor == "inline":
        from backtune.search.executors import inline

        return _run_searches(start, lambda studies, context: inline.run_units([studies], context))
    try:
        return _run_on_ray(start, signals)
    except SystemExit:
        # Ray takes SIGTERM when it starts, and raises this until the signal is taken back.
        signals.n_received += 1
        return {}


def _run_searches(
    start: _SweepStart, execute: Callable[[list[Study], UnitContext], dict[str, str]]
) -> dict[str, str]:
    """Run the studies, and then the permuted searches of the leading ones."""
    lost = execute(start.todo, start.context) if start.todo else {}
    if start.stop_flag() or not start.spec.validation.has_permutations:
        return lost
    return lost | run_permuted_searches(
        start.run, start.studies, lambda studies: execute(studies, start.permuted_context), start.stop_flag
    )


def _run_on_ray(start: _SweepStart, signals: _Signals) -> dict[str, str]:
    from backtune.search.executors import ray_tune

    compute, address = start.spec.compute, start.options.address
    target = ray_tune.RayTarget(address, start.options.workers)
    with ray_tune.connect_to_ray(target) as connection:
        signals.install()
        check = NodeCheck.from_driver(start.spec, start.run) if address is not None else None
        if check is not None:
            ray_tune.check_nodes(check, compute.cpus_per_unit)
        slots = max(1, int(connection.cpus / compute.cpus_per_unit))
        resources = ray_tune.UnitResources(compute.cpus_per_unit, compute.max_failures)

        def execute(studies: list[Study], context: UnitContext) -> dict[str, str]:
            prices = ray_tune.calibrate_on_ray(studies)
            seconds = estimate_seconds_left(studies, context.folder, prices)
            units = pack_units(studies, unit_seconds=compute.unit_seconds, slots=slots, seconds=seconds)
            return ray_tune.run_units(connection, units, context, resources, check)

        return _run_searches(start, execute)


def _close(projection: LiveSyncProcess | None, signals: _Signals) -> str | None:
    """Wait until the projection has caught up, or one more signal comes; return its problem."""
    if projection is None:
        return None
    before = signals.n_received
    projection.close(stopped=lambda: signals.n_received > before)
    return projection.problem


@contextmanager
def _report_progress(run: StoredSweep, options: Options) -> Iterator[None]:
    """Report progress from a thread until the block ends, and once more then."""
    report = options.on_progress
    if report is None:
        yield
        return
    is_over = threading.Event()
    reader = ProgressReader(run)

    def report_regularly() -> None:
        while not is_over.wait(_PROGRESS_SECONDS if get_local_path(run.folder) else _S3_PROGRESS_SECONDS):
            report(reader.read())

    thread = threading.Thread(target=report_regularly, name="backtune-progress", daemon=True)
    report(reader.read())
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
        report(reader.read())


class _Signals:
    """Counts SIGINT and SIGTERM.

    The first signal sets the stop flag, so that running units write their trials and end. A second one interrupts the search.
    Once the search is over, signals are only counted.
    """

    def __init__(self, stop_flag: StopFlag) -> None:
        self._stop_flag = stop_flag
        self._before: dict[int, Any] = {}
        self.n_received = 0
        self.is_over = False

    def __enter__(self) -> Self:
        self.install()
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def install(self) -> None:
        """Take the signals, also back from a library that has taken them since. Only a main thread can."""
        if threading.current_thread() is not threading.main_thread():
            return
        for number in (signal.SIGINT, signal.SIGTERM):
            before = signal.signal(number, self._receive)
            self._before.setdefault(number, before)

    def _receive(self, _number: int, _frame: object) -> None:
        self.n_received += 1
        if self.is_over:
            return
        if self.n_received > 1:
            raise KeyboardInterrupt
        self._stop_flag.set()
