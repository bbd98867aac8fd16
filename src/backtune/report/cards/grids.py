"""Tables of a report that are the same in every format: the grid of cells and the returns by month."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
import polars as pl

from backtune.report.backtest_history import BacktestHistory
from backtune.report.content import ReportContent


@dataclass(frozen=True)
class StrategyGrid:
    """The winners of one strategy, by cell.

    Attributes:
        strategy: Name of the strategy.
        metric: Name of the first objective.
        assets: Names of the lines.
        timeframes: Names of the columns.
        values: Mean value of each cell's winners over the folds, None where undefined; out of sample, or in sample
            without validation.
        has_few_trades: Booleans that tell whether a winner of the cell has fewer than 30 trades in either sample.
    """

    strategy: str
    metric: str
    assets: tuple[str, ...]
    timeframes: tuple[str, ...]
    values: tuple[tuple[float | None, ...], ...]
    has_few_trades: tuple[tuple[bool, ...], ...]


def build_grids(content: ReportContent) -> list[StrategyGrid]:
    """Return the grid of each strategy, in the order of the spec."""
    studies = content.run.studies
    metric = content.objectives[0].metric
    found: dict[tuple[str, str, str], dict[str, float | None]] = {}
    few = {row.cell for row in content.rows if row.values is not None and row.has_few_trades}
    for row in content.rows:
        value = (row.oos_metrics if content.is_validated else row.is_metrics)[metric]
        # The first row of a search is the best of its Pareto front.
        found.setdefault((row.strategy, row.asset, row.timeframe), {}).setdefault(content.fold(row), value)
    return [
        StrategyGrid(
            strategy,
            metric,
            assets,
            timeframes,
            tuple(tuple(_mean(found.get((strategy, a, t), {}).values()) for t in timeframes) for a in assets),
            tuple(tuple((strategy, a, t) in few for t in timeframes) for a in assets),
        )
        for strategy in dict.fromkeys(study.strategy for study in studies)
        for own in [[study for study in studies if study.strategy == strategy]]
        for assets in [tuple(dict.fromkeys(study.asset for study in own))]
        for timeframes in [tuple(dict.fromkeys(study.timeframe for study in own))]
    ]


@dataclass(frozen=True)
class MonthlyReturns:
    """Returns by calendar month, UTC, of the bars that open in it.

    Attributes:
        years: Calendar years in ascending order.
        returns: (12, n_years) fractions, None where there is no bar.
        totals: Total return of each year.
        outside: (12, n_years) booleans that tell whether some of the month is out of sample.
    """

    years: tuple[int, ...]
    returns: tuple[tuple[float | None, ...], ...]
    totals: tuple[float, ...]
    outside: tuple[tuple[bool, ...], ...]


def compute_monthly_returns(course: BacktestHistory) -> MonthlyReturns:
    """Compute returns from the equity at the ends of the months."""
    frame = pl.DataFrame(
        {"open": pl.Series(course.opens).cast(pl.Datetime("us", "UTC")), "equity": course.equity}
    )
    ends = frame.group_by(pl.col("open").dt.truncate("1mo")).agg(pl.col("equity").last()).sort("open")
    equity = ends["equity"].to_numpy()
    before = np.concatenate([[course.initial_cash], equity[:-1]])
    gains = np.divide(equity, before, out=np.ones(len(equity)), where=before > 0)
    moments: list[datetime] = ends["open"].to_list()
    by_month = {(m.year, m.month): float(gain) for m, gain in zip(moments, gains, strict=True)}
    returns = {month: gain - 1.0 for month, gain in by_month.items()}
    years = tuple(range(moments[0].year, moments[-1].year + 1))
    cut = (years[-1] + 1, 1)
    if course.oos_start is not None:
        moment = datetime.fromtimestamp(course.oos_start / 1e6, UTC)
        cut = (moment.year, moment.month)
    return MonthlyReturns(
        years=years,
        returns=tuple(tuple(returns.get((year, month)) for year in years) for month in range(1, 13)),
        totals=tuple(
            float(np.prod([g for (y, _), g in by_month.items() if y == year])) - 1 for year in years
        ),
        outside=tuple(tuple((year, month) >= cut for year in years) for month in range(1, 13)),
    )


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
