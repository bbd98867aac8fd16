"""Units as Tune trials.

Tune schedules: placement, retries, demand for the autoscaler. It carries no data and no results: workers read bars
from the catalog and write segments, so a retried unit goes on where its log ends.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Any

from backtune.errors import ClusterError, ResultsError
from backtune.search.executors.queue import Piece, UnitQueue
from backtune.search.executors.sight import Sight
from backtune.search.executors.tune.connection import Connection, last_line
from backtune.search.executors.unit import Place, Seldom, Unit, note_unit_death, run_unit, state_of
from backtune.search.planning.calibration import calibrate, sample_of
from backtune.search.planning.cost import ComputePrices
from backtune.search.study_loop.study import Stop, Study

# After a stop, running units get this long to write what they have before they are ended.
_DRAIN_SECONDS = 2.0
_PENDING_UNITS = 200
# With starting a worker and compiling what is not compiled yet.
_CALIBRATION_SECONDS = 15.0


@dataclass(frozen=True)
class UnitResources:
    """What a unit takes, and how often it may fail in a row without getting any further."""

    cpus: float
    max_failures: int


def calibrated(studies: Sequence[Study]) -> ComputePrices:
    """What candidates cost on the connected Ray; rough prices where that cannot be found out in a short time.

    Measured in a worker: a user's own code may end the process that it runs in.
    """
    import ray
    from ray.exceptions import RayError

    measured = ray.remote(num_cpus=0, max_retries=0)(calibrate).remote(sample_of(studies))
    try:
        prices: ComputePrices = ray.get(measured, timeout=_CALIBRATION_SECONDS)
    except RayError:
        ray.cancel(measured, force=True)
        return ComputePrices()
    return prices


def run_units(
    connection: Connection,
    units: Sequence[Unit],
    place: Place,
    resources: UnitResources,
    sight: Sight | None = None,
) -> dict[str, str]:
    """Run all units on the connected Ray.

    Args:
        sight: what a node has to see, where there are several: one that has joined since is asked before its first unit.

    Returns:
        For every study whose unit was given up: why. Its finished trials are in its log.
    """
    import ray
    from ray import tune

    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    # All that is ready waits in Ray's sight, so that its autoscaler sees the demand.
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(max(_PENDING_UNITS, round(1.1 * connection.cpus)))
    queue, stop = UnitQueue(units, resources.max_failures), Seldom(place)
    # Each in an object of its own: a worker fetches what it runs, and the trial's config stays tiny.
    references = [ray.put(list(unit)) for unit in units]
    trainable = tune.with_parameters(_trainable, units=references, place=place, sight=sight)
    reports = _reports(queue, place)
    tuner = tune.Tuner(
        tune.with_resources(trainable, {"cpu": resources.cpus}),
        tune_config=tune.TuneConfig(search_alg=_search(queue, stop), num_samples=-1, reuse_actors=True),
        run_config=tune.RunConfig(
            name=place.folder.name,
            storage_path=str(connection.scratch),
            stop=_stopper(stop),
            callbacks=[reports],
            verbose=0,
        ),
    )
    try:
        tuner.fit()
    except _UndrainedError:
        for trial in reports.running:
            if trial.temporary_state.ray_actor is not None:
                ray.kill(trial.temporary_state.ray_actor)
    return queue.lost


class _UndrainedError(BaseException):
    """Units that were asked to stop have not: ends Tune's loop at once, past its own patience with them."""


def _trainable(
    config: dict[str, Any], *, units: list[Any], place: Place, sight: Sight | None
) -> dict[str, Any]:
    import ray

    piece = Piece(*config["piece"])
    problems = sight.problems() if sight is not None else []
    if problems:
        address = ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]
        return {"problem": f"node {address}: {', '.join(problems)}", "parked": False}
    unit = ray.get(units[piece.unit])[piece.first : piece.last]
    try:
        return {"problem": "", "parked": not run_unit(unit, place)}
    except ResultsError as error:
        # A value, not an exception, which would cost a worker.
        return {"problem": last_line(error), "parked": False}


def _search(queue: UnitQueue, stop: Stop) -> Any:
    from ray.tune.search import Searcher

    class Pieces(Searcher):
        """Gives Tune the queue's pieces as trials, for as long as there are any."""

        def suggest(self, trial_id: str) -> Any:  # noqa: ARG002
            if stop() or queue.finished:
                return Searcher.FINISHED
            piece = queue.next()
            return {"piece": astuple(piece)} if piece is not None else None

        def set_search_properties(self, *_: Any, **__: Any) -> bool:
            return True

        def on_trial_complete(self, *_: Any, **__: Any) -> None:
            """The callback below knows more."""

        def save(self, checkpoint_path: str) -> None:
            """Nothing: the trial logs are the only state."""

        def restore(self, checkpoint_path: str) -> None:
            """Nothing."""

        def __reduce__(self) -> Any:
            # Tune pickles its settings; the units are not among them.
            return str, ()

    return Pieces()


def _reports(queue: UnitQueue, place: Place) -> Any:
    from ray.exceptions import RayTaskError
    from ray.tune import Callback

    class Reports(Callback):
        """Tells the queue what became of its pieces."""

        def __init__(self) -> None:
            self.running: set[Any] = set()

        def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:  # noqa: ARG002
            self.running.add(trial)

        def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:  # noqa: ARG002
            self.running.discard(trial)
            piece, result = Piece(*trial.config["piece"]), trial.last_result
            if result["problem"]:
                queue.failed(piece, result["problem"], state_of(queue.studies(piece), place))
            else:
                queue.done(piece, parked=result["parked"])

        def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:  # noqa: ARG002
            self.running.discard(trial)
            piece = Piece(*trial.config["piece"])
            studies, error = queue.studies(piece), trial.get_pickled_error()
            if not isinstance(error, RayTaskError):
                note_unit_death(studies, place)
            queue.failed(piece, last_line(error or ClusterError("the worker died")), state_of(studies, place))

        def __reduce__(self) -> Any:
            return str, ()

    return Reports()


def _stopper(stop: Stop) -> Any:
    from ray.tune.stopper import Stopper

    class AfterDraining(Stopper):
        """Gives up on units that go on after the brake has been on for as long as draining may take."""

        def __init__(self) -> None:
            self._since: float | None = None

        def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:  # noqa: ARG002
            return False

        def stop_all(self) -> bool:
            if self._since is None and stop():
                self._since = time.monotonic()
            if self._since is not None and time.monotonic() - self._since > _DRAIN_SECONDS:
                raise _UndrainedError
            return False

    return AfterDraining()
