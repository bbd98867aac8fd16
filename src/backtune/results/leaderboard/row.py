"""A row of the leaderboard."""

from __future__ import annotations

import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from backtune.data.calendar import Annualisation
from backtune.data.window import iso
from backtune.results.evidence.evidence import FEW_TRADES, NO_EVIDENCE, Evidence
from backtune.results.trial import Metrics
from backtune.space import Params
from backtune.validation.folds import TimeWindow

_COLUMNS_OF_JSON = ("params", "plateau_centre", "centre_metrics", "warnings", "folds")


@dataclass(frozen=True)
class Row:
    """The winner of one study, or the winners of a walk-forward one after the other.

    A study with several objectives has a row for each point of its Pareto front. A walk-forward has one row a cell: its
    parameters are those of the last fold with a winner, ``values`` and ``is_metrics`` the means over folds, each on its own
    train window; ``oos_metrics`` are those of the tests as one backtest (:mod:`backtune.results.leaderboard.walk_forward_oos`).

    Attributes:
        study: The id of the study.
        strategy, asset, timeframe: The cell.
        params: The parameters of the winner; empty where there is none.
        trial: The number of the winner's trial; None where there is none.
        n_trials: The number of trials that the best was picked from.
        values: One value per objective; None where there is no winner.
        is_metrics, oos_metrics: The metrics in sample and out of sample; None where undefined or missing.
        warnings: The warnings, in words.
        evidence: The evidence for and against the winner.
        fold: The name of the study's fold.
        train, test: The windows as planned; ``test`` is None without validation.
        annualisation: The number of bars a year of the series; None where no study of it has run.
        folds: The rows of a walk-forward's folds in order of time, each about its own study; else empty.
    """

    study: str
    strategy: str
    asset: str
    timeframe: str
    params: Params
    trial: int | None
    n_trials: int
    values: tuple[float, ...] | None
    is_metrics: Metrics
    oos_metrics: Metrics
    warnings: tuple[str, ...]
    evidence: Evidence = NO_EVIDENCE
    fold: str = ""
    train: TimeWindow | None = None
    test: TimeWindow | None = None
    annualisation: Annualisation | None = None
    folds: tuple[Row, ...] = ()

    @property
    def cell(self) -> tuple[str, str, str]:
        """The strategy, the asset and the timeframe."""
        return self.strategy, self.asset, self.timeframe

    @property
    def weaknesses(self) -> dict[str, str]:
        """The weaknesses of the winner in words, by the attribute of the evidence that shows them."""
        return self.evidence.weaknesses(self.n_trials, self.oos_metrics.get("sharpe_ratio"))

    @property
    def has_few_trades(self) -> bool:
        """Tell whether the winner has fewer than 30 closed trades in sample or in its test."""
        counts = [self.is_metrics["total_trades"]]
        if any(value is not None for value in self.oos_metrics.values()):
            counts.append(self.oos_metrics["total_trades"])
        return any((count or 0.0) < FEW_TRADES for count in counts)

    @property
    def series(self) -> str:
        """The asset and the timeframe."""
        return f"{self.asset} {self.timeframe}"

    @property
    def disagreement(self) -> str:
        """The warning that the bars disagree with the calendar of the spec; empty where they agree."""
        return self.annualisation.disagreement(self.series) if self.annualisation else ""

    def to_json(self) -> dict[str, Any]:
        """Return flat, plain data: metrics as ``is_<metric>`` and ``oos_<metric>``, the evidence by its own names, windows as
        two ISO times, and the folds as a list of the same.
        """
        return {
            "study": self.study,
            "strategy": self.strategy,
            "asset": self.asset,
            "timeframe": self.timeframe,
            "fold": self.fold,
            "train": _format_window(self.train),
            "test": _format_window(self.test),
            "params": self.params,
            "trial": self.trial,
            "n_trials": self.n_trials,
            "values": list(self.values) if self.values is not None else None,
            **{f"is_{name}": value for name, value in self.is_metrics.items()},
            **{f"oos_{name}": value for name, value in self.oos_metrics.items()},
            **self.evidence.to_json(),
            "bars_per_year": self.annualisation.bars_per_year if self.annualisation else None,
            "warnings": list(self.warnings),
            "folds": [fold.to_json() for fold in self.folds],
        }


def _format_window(window: TimeWindow | None) -> list[str] | None:
    return [iso(window.start), iso(window.end)] if window is not None else None


def build_leaderboard_frame(rows: Sequence[Row]) -> pl.DataFrame:
    """Return a line for each row, in the columns of :meth:`Row.to_json`; what is not a plain value there is JSON text."""
    lines = [row.to_json() for row in rows]
    for line, name in itertools.product(lines, _COLUMNS_OF_JSON):
        line[name] = json.dumps(line[name]) if line[name] is not None else None
    return pl.DataFrame(lines, infer_schema_length=None)
