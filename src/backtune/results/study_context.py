"""The context of a study, from what its sweep's folder says of it: the bars, the windows and the rules."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import isclose

from backtune.data.bars import Bars
from backtune.data.load import BarsRef
from backtune.data.window import to_datetime
from backtune.errors import ResultsError, SpecError
from backtune.results.candidate_scorer import CandidateScorer
from backtune.results.stored_sweep import StoredStudy, StoredSweep
from backtune.results.trial import Metrics
from backtune.simulation.bar_window import BarWindow
from backtune.simulation.simulate import Result
from backtune.space import Params
from backtune.strategy.registry import StrategyRef, resolve_strategy
from backtune.validation.folds import Fold, purge_fold
from backtune.validation.windows import search_window, validation_window


@dataclass(frozen=True)
class StudyContext:
    """The bars, the windows and the rules under which the candidates of a study are scored.

    Attributes:
        bars: The bars of the whole span.
        fold: The windows, purged for these bars.
        scorer: The strategy under the rules of the spec.
    """

    bars: Bars
    fold: Fold
    scorer: CandidateScorer

    @classmethod
    def load(cls, bars: BarsRef, fold: Fold, scorer: CandidateScorer) -> StudyContext:
        """Load the bars, from this process's cache where they are there, and purge the planned fold.

        Raises:
            DataError: The bars are gone, or are others now.
        """
        loaded = bars.load()
        return cls(loaded, purge_fold(fold, loaded.timestamp), scorer)

    @property
    def train_window(self) -> BarWindow:
        """The window that the search saw.

        Raises:
            CatalogError: There is no bar in it.
        """
        return search_window(self.bars, self.fold.train, self.fold.parts)

    @property
    def test_window(self) -> BarWindow | None:
        """The window that only the winner met; None without validation.

        Raises:
            CatalogError: There is no bar in it.
        """
        return validation_window(self.bars, self.fold.test) if self.fold.test is not None else None

    def backtest_again(self, params: Params, window: BarWindow, expected: Metrics, name: str) -> Result:
        """Backtest a winner of the sweep, and compare its metrics with those that the sweep has.

        Args:
            params: The winner.
            window: The window to backtest it on.
            expected: The metrics that the sweep has for this window.
            name: The name of the winner in an error message.

        Raises:
            ResultsError: A metric is another one now.
            StrategyError: The strategy fails.
        """
        result = self.scorer.backtest_chain([(params, window)])
        check_same_metrics(result.metrics, expected, name)
        return result


def check_same_metrics(now: Metrics, before: Metrics, name: str) -> None:
    """Compare the metrics of a winner with those that the sweep has.

    The strategy or an installed package may have changed since the sweep, which no fingerprint of bars tells.

    Args:
        now: The metrics of the winner when it is backtested again.
        before: The metrics that the sweep has.
        name: The name of the winner in an error message.

    Raises:
        ResultsError: A metric is another one now.
    """
    for metric, value in before.items():
        again = now[metric]
        if (again is None) != (value is None) or not isclose(again or 0.0, value or 0.0, rel_tol=1e-9):
            raise ResultsError(
                f"the bars or the code are no longer those of the sweep: {metric} of {name} is {again} now, and was {value}"
            )


class StudyContextLoader:
    """Loads the contexts of the studies of one sweep.

    Args:
        run: The sweep. Its spec names the catalog and the strategies, which may have changed since: a fingerprint tells of other
            bars, a comparison of metrics (:meth:`StudyContext.backtest_again`) of another strategy.
    """

    def __init__(self, run: StoredSweep) -> None:
        self._run = run

    def load(self, study: StoredStudy) -> StudyContext:
        """Return the context of one study.

        Raises:
            DataError: The bars are gone, or are others now.
            SpecError, StrategyError: The strategy cannot be found.
        """
        data = self._run.spec.data
        start, end = map(to_datetime, study.span)
        bars = BarsRef(
            data.location,
            study.asset,
            study.timeframe,
            start,
            end,
            data.calendar,
            study.data_fingerprint,
            data.funding,
            data.origin,
        )
        if study.strategy not in self._strategies:
            raise SpecError(
                "grid.strategies",
                f"{study.strategy!r} is not in the spec",
                value=study.strategy,
                allowed=list(self._strategies),
            )
        scorer = CandidateScorer(self._strategies[study.strategy], self._run.spec.execution)
        return StudyContext.load(bars, study.fold, scorer)

    @cached_property
    def _strategies(self) -> dict[str, StrategyRef]:
        refs = map(resolve_strategy, self._run.spec.grid.strategies)
        return {ref.name: ref for ref in refs}
