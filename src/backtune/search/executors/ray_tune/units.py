"""Units as Tune trials.

Tune schedules: placement, retries, demand for the autoscaler. It carries no data and no results: workers read bars from the
catalog and write segments, so that a retried unit goes on where its log ends.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Any

from backtune.errors import ClusterError, ResultsError
from backtune.search.executors.node_check import NodeCheck
from backtune.search.executors.queue import UnitQueue, UnitSlice
from backtune.search.executors.ray_tune.connection import RayConnection, last_line
from backtune.search.executors.unit import (
    ThrottledStop,
    Unit,
    UnitContext,
    note_unit_death,
    read_progress,
    run_unit,
)
from backtune.search.planning.calibration import calibrate, select_sample
from backtune.search.planning.cost import ComputePrices
from backtune.search.study_loop.study import Stop, Study

# After a stop, running units have this time to write their trials before they are ended.
_DRAIN_SECONDS = 2.0
_PENDING_UNITS = 200
# This includes the start of a worker and the compilation of strategies.
_CALIBRATION_SECONDS = 15.0


@dataclass(frozen=True)
class UnitResources:
    """The cpus that a unit takes, and the number of failures in a row that it may have without progress."""

    cpus: float
    max_failures: int


def calibrate_on_ray(studies: Sequence[Study]) -> ComputePrices:
    """Return the measured prices of candidates on the connected Ray; rough prices where measuring takes too long.

    A worker measures them, because a user's own code may end the process that it runs in.
    """
    import ray
    from ray.exceptions import RayError

    measured = ray.remote(num_cpus=0, max_retries=0)(calibrate).remote(select_sample(studies))
    try:
        prices: ComputePrices = ray.get(measured, timeout=_CALIBRATION_SECONDS)
    except RayError:
        ray.cancel(measured, force=True)
        return ComputePrices()
    return prices


def run_units(
    connection: RayConnection,
    units: Sequence[Unit],
    context: UnitContext,
    resources: UnitResources,
    check: NodeCheck | None = None,
) -> dict[str, str]:
    """Run all units on the connected Ray.

    Args:
        connection: The connected Ray.
        units: The planned units.
        context: The folder and the rules of the units.
        resources: The resources of each unit.
        check: The check of a node before its first unit, where there are several nodes; new ones may join at any time.

    Returns:
        The reason for every study that was given up, by its id. Its finished trials are in its log.
    """
    import ray
    from ray import tune

    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)
    # All units that are ready are pending in Ray, so that its autoscaler sees the demand.
    os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(max(_PENDING_UNITS, round(1.1 * connection.cpus)))
    queue, stop = UnitQueue(units, resources.max_failures), ThrottledStop(context)
    # Each unit is an object of its own: a worker fetches only the units that it runs, and the config of a trial stays tiny.
    references = [ray.put(list(unit)) for unit in units]
    trainable = tune.with_parameters(_run_slice, units=references, context=context, check=check)
    callback = _make_callback(queue, context)
    tuner = tune.Tuner(
        tune.with_resources(trainable, {"cpu": resources.cpus}),
        tune_config=tune.TuneConfig(
            search_alg=_make_searcher(queue, stop), num_samples=-1, reuse_actors=True
        ),
        run_config=tune.RunConfig(
            name=context.folder.name,
            storage_path=str(connection.scratch),
            stop=_make_stopper(stop),
            callbacks=[callback],
            verbose=0,
        ),
    )
    try:
        tuner.fit()
    except _UndrainedError:
        for trial in callback.running:
            if trial.temporary_state.ray_actor is not None:
                ray.kill(trial.temporary_state.ray_actor)
    return queue.lost


class _UndrainedError(BaseException):
    """Raised where units have not stopped in time; it ends Tune's loop at once, which would wait for them longer."""


def _run_slice(
    config: dict[str, Any], *, units: list[Any], context: UnitContext, check: NodeCheck | None
) -> dict[str, Any]:
    import ray

    part = UnitSlice(*config["slice"])
    differences = check.find_differences() if check is not None else []
    if differences:
        address = ray.util.get_node_ip_address()  # type: ignore[no-untyped-call]
        return {"problem": f"node {address}: {', '.join(differences)}", "is_parked": False}
    unit = ray.get(units[part.unit])[part.first : part.last]
    try:
        return {"problem": "", "is_parked": not run_unit(unit, context)}
    except ResultsError as error:
        # Returned, not raised: an exception would cost a worker.
        return {"problem": last_line(error), "is_parked": False}


def _make_searcher(queue: UnitQueue, stop: Stop) -> Any:
    from ray.tune.search import Searcher

    class UnitSearcher(Searcher):
        """Gives Tune the slices of the queue as trials, as long as there are any."""

        def suggest(self, trial_id: str) -> Any:  # noqa: ARG002
            if stop() or queue.is_finished:
                return Searcher.FINISHED
            part = queue.take()
            return {"slice": astuple(part)} if part is not None else None

        def set_search_properties(self, *_: Any, **__: Any) -> bool:
            return True

        def on_trial_complete(self, *_: Any, **__: Any) -> None:
            """Do nothing: the callback below knows more."""

        def save(self, checkpoint_path: str) -> None:
            """Do nothing: the trial logs are the only state."""

        def restore(self, checkpoint_path: str) -> None:
            """Do nothing."""

        def __reduce__(self) -> Any:
            # Tune pickles its settings, which must not include the units.
            return str, ()

    return UnitSearcher()


def _make_callback(queue: UnitQueue, context: UnitContext) -> Any:
    from ray.exceptions import RayTaskError
    from ray.tune import Callback

    class UnitCallback(Callback):
        """Tells the queue the result of each slice."""

        def __init__(self) -> None:
            self.running: set[Any] = set()

        def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:  # noqa: ARG002
            self.running.add(trial)

        def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:  # noqa: ARG002
            self.running.discard(trial)
            part, result = UnitSlice(*trial.config["slice"]), trial.last_result
            if result["problem"]:
                queue.mark_failed(part, result["problem"], read_progress(queue.studies(part), context))
            else:
                queue.mark_done(part, is_parked=result["is_parked"])

        def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **_: Any) -> None:  # noqa: ARG002
            self.running.discard(trial)
            part = UnitSlice(*trial.config["slice"])
            studies, error = queue.studies(part), trial.get_pickled_error()
            if not isinstance(error, RayTaskError):
                note_unit_death(studies, context)
            reason = last_line(error or ClusterError("the worker died"))
            queue.mark_failed(part, reason, read_progress(studies, context))

        def __reduce__(self) -> Any:
            return str, ()

    return UnitCallback()


def _make_stopper(stop: Stop) -> Any:
    from ray.tune.stopper import Stopper

    class DrainStopper(Stopper):
        """Ends units that still run when the time to drain them after a stop is over."""

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

    return DrainStopper()
