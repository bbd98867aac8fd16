"""A short measurement of what candidates cost here, with the code that the search runs."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import lru_cache

from backtune.data.bars import Bars
from backtune.data.bars_ref import BarsRef
from backtune.data.load import load_bars
from backtune.errors import DataError
from backtune.results.candidate_scorer import CandidateScorer
from backtune.search.planning.cost import ComputePrices, Line
from backtune.search.study_loop.study import Study
from backtune.search.suggesters.feedback import Feedback
from backtune.search.suggesters.samplers import describe_backend, make_suggester
from backtune.search.suggesters.suggester import Suggester
from backtune.simulation.window import BarWindow
from backtune.space import Params
from backtune.spec import Objective
from backtune.spec.timeframe import Timeframe
from backtune.strategy.registry import BUILT_IN, StrategyRef

CALIBRATION_SECONDS = 1.0

_MOST_BARS = 50_000
_FEWEST_BARS = 1_000
_N_CANDIDATES = 16
# From here to there a sampler's cost is a line; neither takes long to reach, for results can be told many at a time.
_FEW_TRIALS, _MANY_TRIALS, _MANY_SLOW_TRIALS = 32, 500, 128
_N_ROUNDS = 5

# What a process has measured, by what it depends on.
_evaluations: dict[tuple[StrategyRef, str], Line | None] = {}
_suggestions: dict[str, Line] = {}


def calibrate(studies: Sequence[Study], *, seconds: float = CALIBRATION_SECONDS) -> ComputePrices:
    """Measure each strategy on the first bars of the grid, and its sampler.

    A strategy that raises, or for which no time is left, keeps the rough price; so does all where the bars cannot be
    read, which is for the studies to report.

    Args:
        seconds: when to begin no further strategy, reading bars and each strategy's first candidate (which compiles
            it) not counted; 0 measures nothing.
    """
    if not studies or seconds <= 0:
        return ComputePrices()
    try:
        bars, loading = _first_bars(max(studies, key=lambda study: study.n_bars).bars)
    except DataError:
        return ComputePrices()
    by_strategy = {study.strategy.name: study for study in reversed(studies)}
    # The rough price knows nothing of a user's own strategy, so it comes first.
    order = sorted(by_strategy.values(), key=lambda s: (s.strategy.name in BUILT_IN, s.strategy.name))
    clock = _Clock(seconds, share=seconds / len(order))
    evaluation: dict[str, Line] = {}
    suggestion: dict[str, Line] = {}
    for study in order:
        if clock.left <= 0:
            break
        line = _evaluation(study, bars, clock)
        if line is not None:
            evaluation[study.strategy.name] = line
        suggestion[study.strategy.name] = _suggestion(study, clock)
    return ComputePrices(evaluation, suggestion, loading)


def sample_of(studies: Sequence[Study]) -> list[Study]:
    """As few studies as give :func:`calibrate` the same prices."""
    by_strategy = {study.strategy.name: study for study in reversed(studies)}
    return [max(studies, key=lambda study: study.n_bars), *by_strategy.values()] if studies else []


@dataclass
class _Clock:
    """Counts what the measurement takes.

    Attributes:
        left: seconds until no further strategy is begun.
        share: seconds that one strategy may take.
    """

    left: float
    share: float

    def took(self, started: float) -> float:
        """Seconds since ``started``, which are counted."""
        seconds = time.perf_counter() - started
        self.left -= seconds
        return seconds


@lru_cache(maxsize=2)
def _first_bars(ref: BarsRef) -> tuple[Bars, float]:
    """The first bars, and the seconds that reading takes per second of market time."""
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


def _evaluation(study: Study, bars: Bars, clock: _Clock) -> Line | None:
    """Seconds a candidate over the number of bars, from two sizes of window; None where none can be evaluated."""
    key = (study.strategy, repr((study.execution, study.space, study.bars)))
    if key not in _evaluations:
        # An objective that is always defined: what is timed must not depend on how good it is.
        scorer = replace(study.scorer, objectives=(Objective(metric="total_return"),), constraints=())
        try:
            _evaluations[key] = _fitted_evaluation(_Timing(scorer, clock), _first_candidates(study), bars)
        except Exception:  # noqa: BLE001
            # Whatever it is, the study will meet it again and report it.
            _evaluations[key] = None
    return _evaluations[key]


def _fitted_evaluation(timing: _Timing, candidates: Sequence[Params], bars: Bars) -> Line | None:
    few = min(_FEWEST_BARS, max(1, len(bars) // 4))
    small = BarWindow.of(bars[:few])
    sound = timing.sound(candidates, small)
    if not sound:
        return None
    low = timing.seconds(sound, small)
    if low > timing.clock.left or few == len(bars):
        return Line(0.0, low / few)
    # Most strategies cost in proportion to the bars, or less.
    affordable = int(few * timing.clock.share / 8 / low)
    many = min(len(bars), max(affordable, 2 * few))
    high = timing.seconds(sound, BarWindow.of(bars[:many]))
    slope = max(0.0, (high - low) / (many - few))
    return Line(max(0.0, high - slope * many), slope)


@dataclass(frozen=True)
class _Timing:
    scorer: CandidateScorer
    clock: _Clock

    def sound(self, candidates: Sequence[Params], window: BarWindow) -> Sequence[Params]:
        """The candidates from the first one on that can be evaluated; its evaluation compiles what is to be compiled."""
        for i in range(min(4, len(candidates))):
            (trial,) = self.scorer.trials([(0, candidates[i])], window)
            if trial.state != "failed":
                return candidates[i:]
        return ()

    def seconds(self, candidates: Sequence[Params], window: BarWindow) -> float:
        """Seconds a candidate: of the first alone where it is slow, else of as many as there is time for."""
        first = self._run(candidates[:1], window)
        if first < self.clock.share / 2:
            # Its first run makes the window's columns, too.
            first = min(first, self._run(candidates[:1], window))
        n = min(len(candidates), int(self.clock.share / 8 / first))
        if n < 2:
            return first
        return min(self._run(candidates[:n], window) for _ in range(2)) / n

    def _run(self, candidates: Sequence[Params], window: BarWindow) -> float:
        started = time.perf_counter()
        for _ in self.scorer.trials(list(enumerate(candidates)), window):
            pass
        return self.clock.took(started)


def _first_candidates(study: Study) -> list[Params]:
    suggester = make_suggester(study.search, study.space, study.seed)
    return suggester.ask(_whole_batches(_N_CANDIDATES, suggester.batch_size))[:_N_CANDIDATES]


def _suggestion(study: Study, clock: _Clock) -> Line:
    """Seconds to ask for a candidate and tell its result, over the trials told before."""
    search, free = study.search, [p for p in study.space.values() if p.n_levels > 1]
    shape = sorted((type(p).__name__, not p.is_continuous and p.n_levels < _N_CANDIDATES) for p in free)
    key = repr(
        (search.sampler, describe_backend(search), len(search.objectives), bool(search.constraints), shape)
    )
    if key not in _suggestions:
        few, low = _ask_and_tell(study, _FEW_TRIALS, clock)
        slow = low * _MANY_TRIALS / _FEW_TRIALS > clock.share / 8
        many, high = _ask_and_tell(study, _MANY_SLOW_TRIALS if slow else _MANY_TRIALS, clock)
        slope = max(0.0, (high - low) / (many - few)) if many > few else 0.0
        _suggestions[key] = Line(max(0.0, low - slope * few), slope)
    return _suggestions[key]


def _ask_and_tell(study: Study, n_told: int, clock: _Clock) -> tuple[int, float]:
    """How many trials a suggester was told at first, and the seconds that a candidate took it then.

    The first trials are asked all at once. Before any result samplers draw them at random, which is quick, and later
    they cost as much as if they had come one by one.
    """
    suggester = make_suggester(study.search, study.space, study.seed)
    n_asked = len(suggester.ask(_whole_batches(n_told, suggester.batch_size)))
    suggester.tell(_made_up(study, 0, n_asked))
    # Backends load what they need when they need it first.
    number = n_asked + _round(study, suggester, n_asked)
    began = time.perf_counter()
    rounds: list[float] = []
    while len(rounds) < _N_ROUNDS and (not rounds or time.perf_counter() - began < clock.share / 4):
        started = time.perf_counter()
        n = _round(study, suggester, number)
        rounds.append((time.perf_counter() - started) / max(1, n))
        number += n
    clock.took(began)
    # Next to the quickest: other work on the machine only ever adds, and one round may do less than the others.
    return n_asked, sorted(rounds)[min(1, len(rounds) - 1)]


def _round(study: Study, suggester: Suggester, number: int) -> int:
    """Ask and tell one batch; returns how many candidates there were, fewer where the space is exhausted."""
    n = len(suggester.ask(suggester.batch_size))
    suggester.tell(_made_up(study, number, n))
    return n


def _made_up(study: Study, first: int, n: int) -> list[Feedback]:
    n_objectives, n_constraints = len(study.search.objectives), len(study.search.constraints)
    return [
        Feedback(tuple(math.sin(i * (k + 1.3)) for k in range(n_objectives)), (0.0,) * (n_constraints + 2))
        for i in range(first, first + n)
    ]


def _whole_batches(n: int, batch_size: int) -> int:
    return math.ceil(n / batch_size) * batch_size
