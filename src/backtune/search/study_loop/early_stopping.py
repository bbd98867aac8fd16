"""The evaluator that stops candidates early: one that is hopeless on the first bars is not run on the rest.

A decision depends on the rows with lower numbers, never on the rest of a batch, so that the rows depend neither on the
point where a search was cut off nor on its budget. Asynchronous successive halving decides like that (Li et al. 2020, "A
System for Massively Parallel Hyperparameter Tuning"), with "earlier" by number instead of by time. The yardstick differs:
halving stops a fixed share of candidates even where the first bars say little about the whole window. Here the best
complete trials are the yardstick, and where they did badly on the first bars themselves, hardly any candidate is stopped.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from backtune.results.trial import Trial
from backtune.search.study_loop.evaluator import Evaluator, NumberedCandidate
from backtune.search.study_loop.window_evaluator import WindowEvaluator
from backtune.space import Params
from backtune.spec import EarlyStopping, Objective
from backtune.validation.windows import leading_window

Values = tuple[float, ...]


class EarlyStopper(Evaluator):
    """Runs candidates rung by rung, and on the whole window where they pass all rungs.

    A candidate passes a rung on which one of its objectives is undefined, for instance because the strategy fails or does
    not trade there.
    """

    def __init__(self, setting: EarlyStopping, inner: WindowEvaluator, finished: Iterable[Trial]) -> None:
        """Wrap the evaluator of the whole window.

        Args:
            setting: The rungs and the rule of the spec.
            inner: The evaluator on the window of the search. Rungs are cut from it, so that they contain no later bars.
            finished: The trials so far, each candidate once.
        """
        self._setting = setting
        self._inner = inner
        self._rungs = [
            replace(inner, window=leading_window(inner.window, fraction)) for fraction in setting.rungs
        ]
        self._yardstick = Yardstick(setting, inner.objectives)
        for trial in finished:
            self._yardstick.add(trial)

    def evaluate(self, candidates: Sequence[NumberedCandidate]) -> Iterator[Trial]:
        """Yield the trials of the candidates."""
        for number, params in candidates:
            started = time.perf_counter()
            trial = self._evaluate_on_rungs(number, params)
            self._yardstick.add(trial)
            yield trial._replace(duration_seconds=time.perf_counter() - started)

    def _evaluate_on_rungs(self, number: int, params: Params) -> Trial:
        reached: list[Values | None] = [None] * len(self._rungs)
        for k, rung in enumerate(self._rungs):
            values = reached[k] = rung.measure_objectives(params)
            if values is not None and self._yardstick.is_hopeless(k, values):
                reason = self._describe_stop(k, values)
                return Trial.without_result(number, params, "infeasible", reason, rungs=tuple(reached))
        (trial,) = self._inner.evaluate([(number, params)])
        return trial._replace(rungs=tuple(reached))

    def _describe_stop(self, k: int, values: Values) -> str:
        fraction = f"{100 * self._setting.rungs[k]:g} %"
        found = ", ".join(
            f"{objective.metric} {value:.6g}"
            for objective, value in zip(self._inner.objectives, values, strict=True)
        )
        return (
            f"stopped early: on the first {fraction} of the bars worse than all of the best so far ({found})"
        )


class Yardstick:
    """The complete trials so far, and the rule that compares a candidate with the best of them.

    A trial is better than another if it is better in one objective and worse in none. The top trials are those that fewer
    than a share of ``top`` of all complete trials are better than, on the whole window. A candidate is hopeless on a rung
    where every top trial was better. Trials without values on the rung are left out, both of the top and of the count of
    trials that must be there at the start.
    """

    def __init__(self, setting: EarlyStopping, objectives: Sequence[Objective]) -> None:
        self._setting = setting
        self._signs = np.array([-1.0 if objective.minimize else 1.0 for objective in objectives])
        # Values to be maximized: (n, n_objectives) on the whole window, and (n, n_rungs, n_objectives) on the rungs, NaN
        # where they are not known.
        self._gains = np.empty((0, len(objectives)))
        self._on_rungs = np.empty((0, len(setting.rungs), len(objectives)))
        self._n_better = np.empty(0, np.int64)

    def add(self, trial: Trial) -> None:
        """Take in a finished trial of a new candidate."""
        if trial.state != "complete":
            return
        gain = self._signs * trial.values
        unknown = (math.nan,) * len(self._signs)
        on_rungs = self._signs * [values or unknown for values in trial.rungs]
        n_better = _dominate(self._gains, gain).sum()
        self._n_better = np.append(self._n_better + _dominate(gain, self._gains), n_better)
        self._gains = np.vstack([self._gains, gain])
        self._on_rungs = np.concatenate([self._on_rungs, on_rungs[np.newaxis]])

    def is_hopeless(self, k: int, values: Values) -> bool:
        """Return whether a candidate with these objectives on rung ``k`` need not be run further."""
        known = ~np.isnan(self._on_rungs[:, k, 0])
        if known.sum() < self._setting.startup_trials:
            return False
        is_top = self._n_better < self._setting.top * len(self._gains)
        best = self._on_rungs[is_top & known, k]
        return len(best) > 0 and bool(_dominate(best, self._signs * values).all())


def _dominate(ones: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return a mask of the rows of ``ones`` that are better than ``others``; either may be a single row."""
    return np.asarray((ones >= others).all(axis=-1) & (ones > others).any(axis=-1))
