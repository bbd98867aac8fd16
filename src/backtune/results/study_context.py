"""What a study ran on, from what its sweep's folder says of it: the bars, the windows and the rules."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import isclose

from backtune.data.bars import Bars
from backtune.data.bars_ref import BarsRef
from backtune.data.window import to_datetime
from backtune.errors import ResultsError
from backtune.results.candidate_scorer import CandidateScorer
from backtune.results.stored_sweep import StoredStudy, StoredSweep
from backtune.results.trial import Metrics
from backtune.simulation.window import BarWindow
from backtune.strategy.registry import StrategyRef, strategy_ref
from backtune.validation.folds import Fold, purge_fold
from backtune.validation.windows import search_window, validation_window


@dataclass(frozen=True)
class StudyContext:
    """What the candidates of a study meet.

    Attributes:
        bars: of the whole span.
        fold: its windows, purged for these bars.
        objective: the strategy under the rules of the spec.
    """

    bars: Bars
    fold: Fold
    scorer: CandidateScorer

    @property
    def search(self) -> BarWindow:
        """What the search saw.

        Raises:
            CatalogError: there is no bar in it.
        """
        return search_window(self.bars, self.fold.train, self.fold.parts)

    @property
    def test(self) -> BarWindow | None:
        """What only the winner met; None without validation.

        Raises:
            CatalogError: there is no bar in it.
        """
        return validation_window(self.bars, self.fold.test) if self.fold.test is not None else None


def check_same_metrics(now: Metrics, before: Metrics, name: str) -> None:
    """The strategy or an installed package may have changed since the sweep, which no fingerprint of bars tells.

    Args:
        name: of what was backtested again.

    Raises:
        ResultsError: a metric is another one now.
    """
    for metric, value in before.items():
        again = now[metric]
        if (again is None) != (value is None) or not isclose(again or 0.0, value or 0.0, rel_tol=1e-9):
            raise ResultsError(
                f"the bars or the code are no longer those of the sweep: {metric} of {name} is {again} now, and was {value}"
            )


class StudyContextLoader:
    """The stages of a run's studies. Bars come from this process's cache, strategies are looked up once.

    Args:
        run: its spec names the catalog and the strategies, which may have changed since; their fingerprint is checked, and
            a strategy's results must be compared with those that are there.
    """

    def __init__(self, run: StoredSweep) -> None:
        self._run = run

    def of(self, study: StoredStudy) -> StudyContext:
        """The stage of one study.

        Raises:
            ResultsError: the folder is from before windows were kept in it.
            DataError: the bars are gone, or are others now.
            SpecError, StrategyError: the strategy cannot be found.
        """
        fold = study.planned
        if fold is None:
            raise ResultsError(
                f"{self._run.folder}: does not say which windows {study.id} had; run the sweep again"
            )
        bars = self._bars(study).load()
        search = self._run.spec.search
        scorer = CandidateScorer(
            self._strategies[study.strategy],
            self._run.spec.execution,
            search.objectives,
            search.constraints,
            fold.deviation,
        )
        return StudyContext(bars, purge_fold(fold, bars.timestamp), scorer)

    @cached_property
    def _strategies(self) -> dict[str, StrategyRef]:
        refs = map(strategy_ref, self._run.spec.grid.strategies)
        return {ref.name: ref for ref in refs}

    def _bars(self, study: StoredStudy) -> BarsRef:
        data = self._run.spec.data
        start, end = map(to_datetime, study.span)
        return BarsRef(
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
