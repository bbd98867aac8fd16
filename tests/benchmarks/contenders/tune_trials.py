"""The usual way: Ray Tune asks OptunaSearch for every candidate, and an actor (reused) evaluates it.

Given the best that it can have: Tune's loggers off, one Ray for all studies, bars and all that the kernel shares kept
in the actor, and the number of open trials that turns out fastest here.
"""

import time
import warnings
from collections.abc import Sequence
from typing import Any

from backtune.results.trial import Trial
from backtune.search.executors.ray_tune import RayConnection, RayTarget, connect_to_ray
from backtune.search.study_loop.study import Study
from backtune.simulation.bar_window import BarWindow
from backtune.validation.windows import search_window
from contenders.optuna_alone import distributions
from contenders.processes import cpu_seconds, cpu_since
from contenders.setting import Finding, best_of, name_of

OPEN_TRIALS = (2, 4, 8, 16, 32)
_CALIBRATION_TRIALS = 96

_windows: dict[str, BarWindow] = {}


def evaluated(study: Study, params: dict[str, Any]) -> Trial:
    """One candidate, on a window that this process keeps."""
    if study.id not in _windows:
        _windows[study.id] = search_window(study.bars.load(), study.fold.train)
    (trial,) = study.evaluator(_windows[study.id]).evaluate([(0, params)])
    return trial


def run(studies: Sequence[Study], *, workers: int) -> tuple[Finding, dict[int, float]]:
    """All studies, one Tune run each, and what the numbers of open trials that were tried gave per second."""
    warnings.simplefilter("ignore")
    started = time.perf_counter()
    with connect_to_ray(RayTarget(workers=workers)) as connection:
        connect_seconds = time.perf_counter() - started
        # The first run starts the workers, which is not held against any number of open trials.
        fit(studies[0], 8, 2, connection)
        tried = {
            n: _CALIBRATION_TRIALS / fit(studies[0], _CALIBRATION_TRIALS, n, connection)[0]
            for n in OPEN_TRIALS
        }
        open_trials = max(tried, key=tried.__getitem__)
        before, begin = cpu_seconds(), time.perf_counter()
        seconds, best, n_candidates = 0.0, {}, 0
        for study in studies:
            took, values = fit(study, study.search.trials, open_trials, connection)
            seconds += took
            best[name_of(study)] = best_of(values)
            n_candidates += study.search.trials
        sweep_seconds = time.perf_counter() - begin
        # Every Tune run ends its workers, whose time is not in /proc any more.
        used = {kind: spent for kind, spent in cpu_since(before).items() if kind not in ("workers", "other")}
        ended = time.perf_counter()
    whole = connect_seconds + sweep_seconds + time.perf_counter() - ended
    return Finding(n_candidates, seconds, sweep_seconds, whole, best, used), tried


def fit(
    study: Study, n_trials: int, open_trials: int, connection: RayConnection
) -> tuple[float, list[float]]:
    """Seconds of Tune's loop, and the values of complete trials."""
    from ray import tune
    from ray.tune.search.optuna import OptunaSearch

    search = OptunaSearch(space=distributions(study.space), metric="value", mode="max", seed=study.seed)
    tuner = tune.Tuner(
        tune.with_resources(tune.with_parameters(_evaluate, study=study), {"cpu": 1}),
        tune_config=tune.TuneConfig(
            search_alg=search, num_samples=n_trials, max_concurrent_trials=open_trials, reuse_actors=True
        ),
        run_config=tune.RunConfig(name="peer", storage_path=str(connection.scratch), verbose=0),
    )
    started = time.perf_counter()
    results = tuner.fit()
    seconds = time.perf_counter() - started
    assert len(results) == n_trials
    assert not results.errors
    metrics = [results[i].metrics or {} for i in range(len(results))]
    return seconds, [m["value"] for m in metrics if m["complete"]]


def _evaluate(config: dict[str, Any], study: Study) -> dict[str, Any]:
    # Imported by name, so that the window is kept between calls: what Tune pickles is made anew for every trial.
    from contenders.tune_trials import evaluated

    trial = evaluated(study, dict(config))
    return {
        "value": trial.values[0] if trial.values is not None else 0.0,
        "complete": trial.state == "complete",
    }
