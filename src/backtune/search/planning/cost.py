"""What a study costs, in seconds of one core. Estimates: they decide what runs beside what, never a result."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from backtune.data.bars_ref import BarsRef
from backtune.search.study_loop.study import Study
from backtune.search.suggesters.samplers import describe_backend
from backtune.space import Space
from backtune.spec import Search

# A row of the log, and a study's files, as measured on a local disk.
_SECONDS_PER_ROW = 0.00004
_SECONDS_PER_STUDY = 0.01


@dataclass(frozen=True)
class Line:
    """``base + slope * x`` seconds."""

    base: float
    slope: float

    def at(self, x: float) -> float:
        return self.base + self.slope * x

    def total(self, n: int) -> float:
        """The sum of ``at(0)`` to ``at(n - 1)``."""
        return n * self.base + self.slope * n * (n - 1) / 2


# For what was not measured. The backends' own growth is far apart; a strategy of a user's own is dearer than a built-in one.
_ROUGH_EVALUATION = Line(0.0004, 18e-9)
_ROUGH_SUGGESTION = {"rustuna": Line(0.00002, 4.5e-7), "optuna": Line(0.0008, 4e-6)}
_ROUGH_LOADING = 2.5e-9


@dataclass(frozen=True)
class ComputeCost:
    """What is left to do of a study.

    Attributes:
        n_left: candidates that the log does not have.
        evaluation_seconds: of these candidates.
        sampler_seconds: of all candidates, for those in the log are asked and told again.
        other_seconds: writing and opening files.
    """

    n_left: int = 0
    evaluation_seconds: float = 0.0
    sampler_seconds: float = 0.0
    other_seconds: float = 0.0

    def __add__(self, other: ComputeCost) -> ComputeCost:
        return ComputeCost(
            self.n_left + other.n_left,
            self.evaluation_seconds + other.evaluation_seconds,
            self.sampler_seconds + other.sampler_seconds,
            self.other_seconds + other.other_seconds,
        )

    @property
    def seconds(self) -> float:
        return self.evaluation_seconds + self.sampler_seconds + self.other_seconds


@dataclass(frozen=True)
class ComputePrices:
    """Seconds of one core on one machine, rough where nothing was measured.

    Attributes:
        evaluation: of a candidate, by strategy and over the number of bars.
        suggestion: of asking for a candidate and telling its result, by strategy and over the trials told before.
        loading: of reading bars, per second of market time.
    """

    evaluation: Mapping[str, Line] = field(default_factory=dict)
    suggestion: Mapping[str, Line] = field(default_factory=dict)
    loading: float = _ROUGH_LOADING

    def cost(self, study: Study, n_logged: int = 0) -> ComputeCost:
        """What a study costs that has ``n_logged`` trials in its log."""
        budget = n_candidates(study.search, study.space)
        n_left = max(0, budget - n_logged)
        # A candidate that was there before is answered from the log.
        n_fresh = min(n_left, n_combinations(study.space) or n_left)
        evaluation = self.evaluation.get(study.strategy.name, _ROUGH_EVALUATION)
        suggestion = self.suggestion.get(study.strategy.name) or _rough_suggestion(study.search)
        return ComputeCost(
            n_left=n_left,
            evaluation_seconds=n_fresh * evaluation.at(study.n_bars),
            sampler_seconds=suggestion.total(budget),
            other_seconds=n_left * _SECONDS_PER_ROW + _SECONDS_PER_STUDY,
        )

    def loading_seconds(self, bars: BarsRef) -> float:
        """What a worker pays once for bars that it does not have."""
        return self.loading * (bars.end - bars.start).total_seconds()


def n_candidates(search: Search, space: Space) -> int:
    """How many trials a study ends with: its budget, or less where the search exhausts the space before."""
    n_combinations = math.prod(parameter.n_levels for parameter in space.values())
    return (
        search.trials
        if search.sampler != "grid" and n_combinations > 1
        else min(search.trials, n_combinations)
    )


def n_combinations(space: Space) -> int | None:
    """How many different candidates a space has; None where a range is continuous."""
    if any(parameter.is_continuous for parameter in space.values()):
        return None
    return math.prod(parameter.n_levels for parameter in space.values())


def _rough_suggestion(search: Search) -> Line:
    return _ROUGH_SUGGESTION.get(describe_backend(search).split()[0], _ROUGH_SUGGESTION["rustuna"])
