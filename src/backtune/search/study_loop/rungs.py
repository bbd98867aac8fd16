"""Early stopping: a candidate that is hopeless on the first bars of the train window is not run on the rest.

A decision is a function of the rows with lower numbers, never of the rest of a batch, so that the rows depend neither on
where a search was cut off nor on its budget. That is how asynchronous successive halving decides (Li et al. 2020, "A
System for Massively Parallel Hyperparameter Tuning"), with "earlier" by number instead of by time. The yardstick is another:
halving stops a fixed share of candidates even where the first bars say little about the whole; here
the best complete trials set the bar, and where they did badly on the first bars themselves, hardly anything is stopped.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from backtune.results.candidate_scorer import CandidateScorer
from backtune.results.trial import Trial
from backtune.search.suggesters.feedback import Feedback
from backtune.simulation.metrics import METRICS
from backtune.simulation.types import N_BLOCKS
from backtune.simulation.window import BarWindow
from backtune.space import Params
from backtune.spec import EarlyStopping, Objective
from backtune.validation.windows import leading_window

Values = tuple[float, ...]


class Rungs:
    """Scores candidates rung by rung, and on the whole window where they pass all.

    Where an objective is undefined on a rung, as where the strategy fails or does not trade there, nothing is known of the
    candidate and it passes.
    """

    def __init__(
        self, setting: EarlyStopping, scorer: CandidateScorer, window: BarWindow, finished: Iterable[Trial]
    ) -> None:
        """
        Args:
            window: of the search; rungs are cut from it, so that nothing after it is seen.
            finished: the trials so far, each candidate once.
        """
        self._setting = setting
        self._scorer = scorer
        self._window = window
        self._windows = [leading_window(window, fraction) for fraction in setting.rungs]
        self._yardstick = Yardstick(setting, scorer.objectives)
        for trial in finished:
            self._yardstick.learn(trial)

    def trials(self, candidates: Sequence[tuple[int, Params]]) -> Iterator[Trial]:
        """Evaluate numbered candidates in order, each when it is asked for."""
        for number, params in candidates:
            started = time.perf_counter()
            trial = self._trial(number, params)
            self._yardstick.learn(trial)
            yield trial._replace(duration_seconds=time.perf_counter() - started)

    def _trial(self, number: int, params: Params) -> Trial:
        reached: list[Values | None] = [None] * len(self._windows)
        for k, window in enumerate(self._windows):
            values = reached[k] = self._scorer.values(params, window)
            if values is not None and self._yardstick.is_hopeless(k, values):
                return _stopped(number, params, self._reason(k, values), tuple(reached))
        (trial,) = self._scorer.trials([(number, params)], self._window)
        return trial._replace(rungs=tuple(reached))

    def _reason(self, k: int, values: Values) -> str:
        fraction = f"{100 * self._setting.rungs[k]:g} %"
        found = ", ".join(
            f"{objective.metric} {value:.6g}"
            for objective, value in zip(self._scorer.objectives, values, strict=True)
        )
        return (
            f"stopped early: on the first {fraction} of the bars worse than all of the best so far ({found})"
        )


class Yardstick:
    """The complete trials so far, and the rule made of them.

    Better means better in one objective and no worse in any. The top are the trials than which fewer than a share of
    ``top`` of the complete ones are better on the whole window. A candidate is hopeless on a rung where every
    one of the top was better there; top trials of which nothing is known on the rung do not take part, and are
    not counted in what there must be at the start.
    """

    def __init__(self, setting: EarlyStopping, objectives: Sequence[Objective]) -> None:
        self._setting = setting
        self._signs = _signs(objectives)
        # To be maximized: (n, n_objectives) on the whole window, and (n, n_rungs, n_objectives), NaN where not known.
        self._gains = np.empty((0, len(objectives)))
        self._on_rungs = np.empty((0, len(setting.rungs), len(objectives)))
        self._n_better = np.empty(0, np.int64)

    def learn(self, trial: Trial) -> None:
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
        """Whether a candidate with these objectives on rung ``k`` need not be run further."""
        known = ~np.isnan(self._on_rungs[:, k, 0])
        if known.sum() < self._setting.startup_trials:
            return False
        is_top = self._n_better < self._setting.top * len(self._gains)
        best = self._on_rungs[is_top & known, k]
        return len(best) > 0 and bool(_dominate(best, self._signs * values).all())


def told_of_stopped(trial: Trial, objectives: Sequence[Objective]) -> Feedback:
    """What a suggester is told of a stopped trial: infeasible, by less the further it came and the better it was there.

    The violation is a function of the row alone, and between 0 and 1.
    """
    rung, values = next(
        (k, values) for k, values in reversed([*enumerate(trial.rungs)]) if values is not None
    )
    badness = np.mean([0.5 - math.atan(gain) / math.pi for gain in _signs(objectives) * values])
    n_rungs = len(trial.rungs)
    return Feedback((0.0,) * len(objectives), ((n_rungs - 1 - rung + float(badness)) / n_rungs,))


def _stopped(number: int, params: Params, reason: str, reached: tuple[Values | None, ...]) -> Trial:
    nothing = dict.fromkeys(METRICS)
    return Trial(number, params, "infeasible", reason, None, nothing, np.zeros((N_BLOCKS, 3)), 0.0, reached)


def _dominate(ones: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Which of ``ones`` are better than ``others``; either may be a single row."""
    return np.asarray((ones >= others).all(axis=-1) & (ones > others).any(axis=-1))


def _signs(objectives: Sequence[Objective]) -> np.ndarray:
    return np.array([-1.0 if objective.minimize else 1.0 for objective in objectives])
