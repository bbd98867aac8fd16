"""The results that luck alone is expected to show in a planned sweep."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from backtune.data.calendar import SECONDS_PER_YEAR
from backtune.search.study_loop.study import Study
from backtune.validation.multiple_tests import BestByLuck
from backtune.validation.track_record import compute_min_backtest_years

_YEAR = SECONDS_PER_YEAR * 1e6


@dataclass(frozen=True)
class PlannedLuck:
    """The results that luck alone is expected to show in a sweep.

    Attributes:
        n_trials: The total number of trials of all searches.
        search_years: The length of the shortest window of a search, in years.
        min_backtest_years: The length of a window over which the best of this number of independent trials without skill shows an
            annual Sharpe ratio of 1 on average; over a shorter window it shows more.
        best_test: The result of the best of all tests; None without validation.
    """

    n_trials: int
    search_years: float
    min_backtest_years: float
    best_test: BestByLuck | None

    @classmethod
    def of(cls, studies: Sequence[Study]) -> PlannedLuck:
        """Return the expected results for the studies of a sweep, of which there is at least one.

        The islands of a search are one test, and so are the folds of a walk-forward's cell.
        """
        n_trials = sum(study.search.trials for study in studies)
        tests: dict[tuple[str, str, str], dict[str, int]] = {}
        for study in studies:
            if study.fold.test is not None:
                cell = (study.strategy.name, study.bars.asset, str(study.bars.timeframe))
                tests.setdefault(cell, {})[study.fold.name] = study.fold.test.length
        errors = [1.0 / math.sqrt(sum(lengths.values()) / _YEAR) for lengths in tests.values()]
        return cls(
            n_trials=n_trials,
            search_years=min(study.fold.train.length for study in studies) / _YEAR,
            min_backtest_years=compute_min_backtest_years(n_trials),
            best_test=BestByLuck.of(errors) if errors else None,
        )

    def describe(self) -> list[str]:
        """Return the expected results in sentences."""
        shown = math.sqrt(self.min_backtest_years / self.search_years)
        search = (
            f"without skill the best of {self.n_trials:,} trials shows a Sharpe ratio of up to {shown:.1f} in sample, over "
            f"{self.search_years:.1f} years; {self.min_backtest_years:.1f} years would bring it down to 1"
        )
        if self.best_test is None:
            return [search]
        luck = self.best_test
        among = "the test" if luck.n_tests == 1 else f"the best of {luck.n_tests:,} tests"
        test = f"out of sample {among} then shows {luck.mean:.1f} on average, and stays below {luck.upper:.1f} in 95 of 100 sweeps"
        return [search, test]

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain data."""
        return asdict(self)
