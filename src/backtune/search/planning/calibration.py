"""A short measurement of the time that candidates take on this machine, with the code that the search runs."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import lru_cache

from backtune.data.bars import Bars
from backtune.data.load import BarsRef, load_bars
from backtune.errors import DataError
from backtune.search.planning.cost import ComputePrices, LinearTime
from backtune.search.study_loop.study import Study
from backtune.search.study_loop.window_evaluator import WindowEvaluator
from backtune.search.suggesters.feedback import Feedback
from backtune.search.suggesters.samplers import describe_backend, make_suggester
from backtune.search.suggesters.suggester import Suggester
from backtune.simulation.bar_window import BarWindow
from backtune.space import Params
from backtune.spec import Objective
from backtune.spec.timeframe import Timeframe
from backtune.strategy.registry import BUILT_IN, StrategyRef

CALIBRATION_SECONDS = 1.0

_MOST_BARS = 50_000
_FEWEST_BARS = 1_000
_N_CANDIDATES = 16
# Between these numbers of trials the cost of a sampler is linear. Both are reached fast, for many results can be told at once.
_FEW_TRIALS, _MANY_TRIALS, _MANY_SLOW_TRIALS = 32, 500, 128
_N_ROUNDS = 5

# The measurements of this process, by everything that they depend on.
_evaluations: dict[tuple[StrategyRef, str], LinearTime | None] = {}
_suggestions: dict[str, LinearTime] = {}


def calibrate(studies: Sequence[Study], *, seconds: float = CALIBRATION_SECONDS) -> ComputePrices:
    """Measure each strategy on the first bars of the grid, and its sampler.

    A strategy keeps its rough price where it raises an error or no time is left. All prices stay rough where the bars cannot
    be read, which the studies will report.

    Args:
        studies: The studies of a sweep.
        seconds: The time after which no further strategy is begun. Reading bars does not count, nor does the first candidate
            of each strategy, which compiles it; 0 measures nothing.
    """
    if not studies or seconds <= 0:
        return ComputePrices()
    try:
        bars, loading = _load_first_bars(max(studies, key=lambda study: study.n_bars).bars)
    except DataError:
        return ComputePrices()
    by_strategy = {study.strategy.name: study for study in reversed(studies)}
    # A user's own strategy comes first, because its rough price is a guess.
    order = sorted(by_strategy.values(), key=lambda s: (s.strategy.name in BUILT_IN, s.strategy.name))
    budget = _TimeBudget(seconds, share=seconds / len(order))
    evaluation: dict[str, LinearTime] = {}
    suggestion: dict[str, LinearTime] = {}
    for study in order:
        if budget.left <= 0:
            break
        measured = _measure_evaluation(study, bars, budget)
        if measured is not None:
            evaluation[study.strategy.name] = measured
        suggestion[study.strategy.name] = _measure_suggestion(study, budget)
    return ComputePrices(evaluation, suggestion, loading)


def select_sample(studies: Sequence[Study]) -> list[Study]:
    """Return the fewest studies for which :func:`calibrate` gives the same prices."""
    by_strategy = {study.strategy.name: study for study in reversed(studies)}
    return [max(studies, key=lambda study: study.n_bars), *by_strategy.values()] if studies else []


@dataclass
class _TimeBudget:
    """The time that a calibration may take.

    Attributes:
        left: The time until no further strategy is begun, in seconds.
        share: The time that one strategy may take, in seconds.
    """

    left: float
    share: float

    def spend_since(self, started: float) -> float:
        """Subtract the seconds since ``started``, and return them."""
        seconds = time.perf_counter() - started
        self.left -= seconds
        return seconds


@lru_cache(maxsize=2)
def _load_first_bars(ref: BarsRef) -> tuple[Bars, float]:
    """Return the first bars, and the seconds that reading takes per second of market time."""
    started = time.perf_counter()
    longest = timedelta(seconds=_MOST_BARS * Timeframe.parse(ref.timeframe).seconds)
    end = ref.end if ref.end - ref.start < longest else ref.start + longest
    bars = load_bars(
        ref.root,
        ref.asset,
        ref.timeframe,
        ref.start,
        end,
        ref.calendar,
        funding=ref.funding,
        origin=ref.origin,
    )
    return bars, (time.perf_counter() - started) / (end - ref.start).total_seconds()


def _measure_evaluation(study: Study, bars: Bars, budget: _TimeBudget) -> LinearTime | None:
    """Return the seconds per candidate over the number of bars; None where no candidate can be evaluated."""
    key = (study.strategy, repr((study.execution, study.space, study.bars)))
    if key not in _evaluations:
        try:
            _evaluations[key] = _measure_two_windows(study, bars, budget)
        except Exception:  # noqa: BLE001
            # Whatever the error is, the study will meet it again and report it.
            _evaluations[key] = None
    return _evaluations[key]


def _measure_two_windows(study: Study, bars: Bars, budget: _TimeBudget) -> LinearTime | None:
    few = min(_FEWEST_BARS, max(1, len(bars) // 4))
    # An objective that is always defined: the time must not depend on how good a candidate is.
    small = WindowEvaluator(study.scorer, BarWindow.of(bars[:few]), (Objective(metric="total_return"),))
    suggester = make_suggester(study.search, study.space, study.seed)
    n_asked = _round_up_to_batches(_N_CANDIDATES, suggester.batch_size)
    candidates = _drop_failing(suggester.ask(n_asked)[:_N_CANDIDATES], small)
    if not candidates:
        return None
    low = _time_candidate(candidates, small, budget)
    if low > budget.left or few == len(bars):
        return LinearTime(0.0, low / few)
    # The time of most strategies grows in proportion to the bars, or less.
    affordable = int(few * budget.share / 8 / low)
    many = min(len(bars), max(affordable, 2 * few))
    high = _time_candidate(candidates, replace(small, window=BarWindow.of(bars[:many])), budget)
    slope = max(0.0, (high - low) / (many - few))
    return LinearTime(max(0.0, high - slope * many), slope)


def _drop_failing(candidates: Sequence[Params], evaluator: WindowEvaluator) -> Sequence[Params]:
    """Return the candidates from the first one on that can be evaluated; its evaluation compiles the code of the strategy."""
    for i in range(min(4, len(candidates))):
        (trial,) = evaluator.evaluate([(0, candidates[i])])
        if trial.state != "failed":
            return candidates[i:]
    return ()


def _time_candidate(candidates: Sequence[Params], evaluator: WindowEvaluator, budget: _TimeBudget) -> float:
    """Return the seconds per candidate: of the first alone where it is slow, else the mean over as many as there is time for."""
    first = _time_batch(candidates[:1], evaluator, budget)
    if first < budget.share / 2:
        # The first run also makes the columns of the window.
        first = min(first, _time_batch(candidates[:1], evaluator, budget))
    n = min(len(candidates), int(budget.share / 8 / first))
    if n < 2:
        return first
    return min(_time_batch(candidates[:n], evaluator, budget) for _ in range(2)) / n


def _time_batch(candidates: Sequence[Params], evaluator: WindowEvaluator, budget: _TimeBudget) -> float:
    started = time.perf_counter()
    for _ in evaluator.evaluate(list(enumerate(candidates))):
        pass
    return budget.spend_since(started)


def _measure_suggestion(study: Study, budget: _TimeBudget) -> LinearTime:
    """Return the seconds to ask for a candidate and tell its result, over the number of trials told before."""
    search, free = study.search, [p for p in study.space.values() if p.n_levels > 1]
    shape = sorted((type(p).__name__, not p.is_continuous and p.n_levels < _N_CANDIDATES) for p in free)
    key = repr(
        (search.sampler, describe_backend(search), len(search.objectives), bool(search.constraints), shape)
    )
    if key not in _suggestions:
        few, low = _time_suggestion(study, _FEW_TRIALS, budget)
        is_slow = low * _MANY_TRIALS / _FEW_TRIALS > budget.share / 8
        many, high = _time_suggestion(study, _MANY_SLOW_TRIALS if is_slow else _MANY_TRIALS, budget)
        slope = max(0.0, (high - low) / (many - few)) if many > few else 0.0
        _suggestions[key] = LinearTime(max(0.0, low - slope * few), slope)
    return _suggestions[key]


def _time_suggestion(study: Study, n_told: int, budget: _TimeBudget) -> tuple[int, float]:
    """Return the number of trials that a suggester was told at first, and the seconds per candidate after that.

    The first trials are asked all at once. Before any result, samplers draw them at random, which is fast; later candidates
    cost as much as if the results had come one by one.
    """
    suggester = make_suggester(study.search, study.space, study.seed)
    n_asked = len(suggester.ask(_round_up_to_batches(n_told, suggester.batch_size)))
    suggester.tell(_make_up_results(study, 0, n_asked))
    # The first round is not timed, because backends load what they need on first use.
    number = n_asked + _ask_and_tell(study, suggester, n_asked)
    began = time.perf_counter()
    rounds: list[float] = []
    while len(rounds) < _N_ROUNDS and (not rounds or time.perf_counter() - began < budget.share / 4):
        started = time.perf_counter()
        n = _ask_and_tell(study, suggester, number)
        rounds.append((time.perf_counter() - started) / max(1, n))
        number += n
    budget.spend_since(began)
    # The second fastest: other work on the machine only ever adds time, and one round may do less than the others.
    return n_asked, sorted(rounds)[min(1, len(rounds) - 1)]


def _ask_and_tell(study: Study, suggester: Suggester, number: int) -> int:
    """Ask for one batch and tell its results; return the number of candidates, which is smaller in an exhausted space."""
    n = len(suggester.ask(suggester.batch_size))
    suggester.tell(_make_up_results(study, number, n))
    return n


def _make_up_results(study: Study, first: int, n: int) -> list[Feedback]:
    n_objectives, n_constraints = len(study.search.objectives), len(study.search.constraints)
    return [
        Feedback(tuple(math.sin(i * (k + 1.3)) for k in range(n_objectives)), (0.0,) * (n_constraints + 2))
        for i in range(first, first + n)
    ]


def _round_up_to_batches(n: int, batch_size: int) -> int:
    return math.ceil(n / batch_size) * batch_size
