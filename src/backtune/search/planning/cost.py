"""The compute time of studies, in seconds of one core. These are estimates: they decide how work is divided, never a result."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from backtune.data.load import BarsRef
from backtune.search.study_loop.study import Study
from backtune.search.suggesters.samplers import describe_backend
from backtune.space import Space
from backtune.spec import Search

# The time of a row of the log, and of the files of a study, as measured on a local disk.
_SECONDS_PER_ROW = 0.00004
_SECONDS_PER_STUDY = 0.01


@dataclass(frozen=True)
class LinearTime:
    """A time of ``base + slope * x`` seconds."""

    base: float
    slope: float

    def at(self, x: float) -> float:
        return self.base + self.slope * x

    def total(self, n: int) -> float:
        """Return the sum of ``at(0)`` to ``at(n - 1)``."""
        return n * self.base + self.slope * n * (n - 1) / 2


# Rough times where nothing was measured. The backends differ widely; a user's own strategy is slower than a built-in one.
_ROUGH_EVALUATION = LinearTime(0.0004, 18e-9)
_ROUGH_SUGGESTION = {"rustuna": LinearTime(0.00002, 4.5e-7), "optuna": LinearTime(0.0008, 4e-6)}
_ROUGH_LOADING = 2.5e-9


@dataclass(frozen=True)
class ComputeCost:
    """The work that is left of a study.

    Attributes:
        n_left: The number of candidates that the log does not have.
        evaluation_seconds: The time to evaluate these candidates.
        sampler_seconds: The time to ask for all candidates and tell their results; those of the log are asked and told again.
        other_seconds: The time to write and open files.
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
    """Times on one core of one machine, rough where nothing was measured.

    Attributes:
        evaluation: The time of an evaluation over the number of bars, by strategy.
        suggestion: The time to ask for a candidate and tell its result over the number of trials told before, by strategy.
        loading: The time to read bars, in seconds per second of market time.
    """

    evaluation: Mapping[str, LinearTime] = field(default_factory=dict)
    suggestion: Mapping[str, LinearTime] = field(default_factory=dict)
    loading: float = _ROUGH_LOADING

    def estimate_cost(self, study: Study, n_logged: int = 0) -> ComputeCost:
        """Return the cost of a study that has ``n_logged`` trials in its log."""
        budget = count_candidates(study.search, study.space)
        n_left = max(0, budget - n_logged)
        # A repeated candidate is answered from the log.
        n_different = min(n_left, count_combinations(study.space) or n_left)
        evaluation = self.evaluation.get(study.strategy.name, _ROUGH_EVALUATION)
        backend = describe_backend(study.search).split()[0]
        rough_suggestion = _ROUGH_SUGGESTION.get(backend, _ROUGH_SUGGESTION["rustuna"])
        suggestion = self.suggestion.get(study.strategy.name, rough_suggestion)
        return ComputeCost(
            n_left=n_left,
            evaluation_seconds=n_different * evaluation.at(study.n_bars),
            sampler_seconds=suggestion.total(budget),
            other_seconds=n_left * _SECONDS_PER_ROW + _SECONDS_PER_STUDY,
        )

    def loading_seconds(self, bars: BarsRef) -> float:
        """Return the time that a worker takes to read bars that it does not have."""
        return self.loading * (bars.end - bars.start).total_seconds()


def count_candidates(search: Search, space: Space) -> int:
    """Return the number of trials that a study ends with: its budget, or fewer where the search exhausts the space before."""
    n_combinations = math.prod(parameter.n_levels for parameter in space.values())
    is_exhaustible = search.sampler == "grid" or n_combinations == 1
    return min(search.trials, n_combinations) if is_exhaustible else search.trials


def count_combinations(space: Space) -> int | None:
    """Return the number of different candidates of a space; None where a range is continuous."""
    if any(parameter.is_continuous for parameter in space.values()):
        return None
    return math.prod(parameter.n_levels for parameter in space.values())
