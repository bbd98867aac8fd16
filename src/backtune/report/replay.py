"""A study's winner once more, in full: the equity, the trades and the prices that a sweep does not keep."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isclose

import numpy as np
import polars as pl

from backtune.errors import BacktuneError, ReportError
from backtune.results.log.summary import Winner
from backtune.results.stored_sweep import StoredStudy, StoredSweep
from backtune.results.trial import Metrics
from backtune.search.planning.plan import studies_of
from backtune.search.study_loop.study import Study
from backtune.simulation.regimes import performance_by_regime
from backtune.simulation.simulation import Result
from backtune.simulation.window import BarWindow
from backtune.validation.folds import purge_fold
from backtune.validation.windows import search_window, validation_window


@dataclass(frozen=True, eq=False)
class Part:
    """The winner on one window.

    Attributes:
        opens: (n,) microseconds since the epoch, UTC, at which the bars open.
        close: (n,) prices at the closes.
        equity: (n,) at the closes, from the spec's initial cash, as the metrics of this window have it.
        trades: the closed trades, see :class:`~backtune.simulation.simulation.Result`.
        regimes: a row a regime, see :func:`~backtune.simulation.regimes.performance_by_regime`.
    """

    opens: np.ndarray
    close: np.ndarray
    equity: np.ndarray
    trades: pl.DataFrame
    regimes: pl.DataFrame

    @property
    def start(self) -> int:
        """When the first bar opens."""
        return int(self.opens[0])


@dataclass(frozen=True, eq=False)
class Replay:
    """The winner on what the search saw and on what it did not.

    Attributes:
        initial_cash: equity before the first bar.
        train: in-sample.
        test: out-of-sample; None without validation.
    """

    initial_cash: float
    train: Part
    test: Part | None

    @property
    def parts(self) -> tuple[Part, ...]:
        return (self.train,) if self.test is None else (self.train, self.test)

    @property
    def opens(self) -> np.ndarray:
        """(n,) of both parts."""
        return np.concatenate([part.opens for part in self.parts])

    @property
    def close(self) -> np.ndarray:
        """(n,) of both parts."""
        return np.concatenate([part.close for part in self.parts])

    @property
    def equity(self) -> np.ndarray:
        """(n,) the test's going on from where the search's window ended: it starts flat, with the equity of then."""
        linked = [self.train.equity]
        if self.test is not None:
            linked.append(self.test.equity * (self.train.equity[-1] / self.initial_cash))
        return np.concatenate(linked)

    @property
    def drawdown(self) -> np.ndarray:
        """(n,) fractions below the peak, which is counted anew in the test, as its metrics are."""
        found = []
        for part in self.parts:
            peak = np.maximum(np.maximum.accumulate(part.equity), self.initial_cash)
            found.append(1.0 - part.equity / peak)
        return np.concatenate(found)


class Replayer:
    """Replays the winners of a run from the bars of its spec; what cannot be had is said once for all of them.

    Args:
        run: its spec is planned once more, which reads the catalog's manifest.
    """

    def __init__(self, run: StoredSweep) -> None:
        self._studies: Sequence[Study] = ()
        self._problem = ""
        try:
            self._studies = studies_of(run.spec, run.folder.parent)
        except (BacktuneError, OSError) as error:
            self._problem = str(error)

    def replay(self, entry: StoredStudy, winner: Winner) -> Replay:
        """The winner of a study.

        Raises:
            ReportError: the bars or the strategy are not there, or give other numbers than the sweep has.
        """
        if self._problem:
            raise ReportError(self._problem)
        study = next((study for study in self._studies if _cell(study) == _cell_of(entry)), None)
        if study is None:
            raise ReportError("the spec no longer has this study")
        try:
            return _replayed(study, winner)
        except ReportError:
            raise
        except (BacktuneError, OSError) as error:
            raise ReportError(str(error)) from error


def _replayed(study: Study, winner: Winner) -> Replay:
    bars = study.bars.load()
    fold = purge_fold(study.fold, bars.timestamp)
    train = search_window(bars, fold.train, fold.parts)
    test = None if fold.test is None else validation_window(bars, fold.test)
    inside = _result(study, winner, train, winner.is_metrics)
    outside = None if test is None else _result(study, winner, test, winner.oos_metrics or {})
    cash = study.execution.initial_cash
    return Replay(
        initial_cash=cash,
        train=_part(train, inside, cash),
        test=None if test is None or outside is None else _part(test, outside, cash),
    )


def _result(study: Study, winner: Winner, window: BarWindow, metrics: Metrics) -> Result:
    result = study.scorer.chained([(winner.params, window)])
    for name, value in metrics.items():
        again = result.metrics[name]
        if (again is None) != (value is None) or not isclose(again or 0.0, value or 0.0, rel_tol=1e-9):
            raise ReportError(
                f"the bars or the code are no longer those of the sweep: {name} is {again} now, and was {value}"
            )
    return result


def _part(window: BarWindow, result: Result, initial_cash: float) -> Part:
    return Part(
        opens=window.prices.timestamp,
        close=window.prices.close,
        equity=result.equity,
        trades=result.trades,
        regimes=performance_by_regime(result.equity, window.bars, initial_cash),
    )


def _cell(study: Study) -> tuple[str, ...]:
    return study.strategy.name, study.bars.asset, study.bars.timeframe, study.fold.name


def _cell_of(entry: StoredStudy) -> tuple[str, ...]:
    return entry.strategy, entry.asset, entry.timeframe, entry.fold
