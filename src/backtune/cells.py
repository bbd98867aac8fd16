"""The cells of a spec, looked up: everything that it names is there, or it is refused before any work."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from backtune.data.catalog import Catalog
from backtune.data.window import to_microseconds
from backtune.engine.metrics import METRICS
from backtune.errors import CatalogError, SpecError
from backtune.space import Space
from backtune.spec import SweepSpec
from backtune.strategy.base import lookback_of
from backtune.strategy.registry import StrategyRef, strategy_ref
from backtune.timeframe import Timeframe
from backtune.validation.folds import Fold, Span, folds_of


@dataclass(frozen=True)
class Cell:
    """A strategy on an asset in a timeframe.

    Attributes:
        start, end: of its bars: the spec's window, or all that there are.
        space: what is searched: the strategy's, with the spec's changes.
        folds: one search each.
    """

    strategy: StrategyRef
    asset: str
    timeframe: str
    start: datetime
    end: datetime
    space: Space
    folds: tuple[Fold, ...]


def cells_of(spec: SweepSpec, catalog: Catalog) -> list[Cell]:
    """All cells, in the grid's order; reads no bars.

    Raises:
        SpecError: a strategy, asset, timeframe, metric or range is not possible; names the key and what is.
        StrategyError: a strategy file cannot be used.
        CatalogError: a window has no bars, or too few for the folds.
    """
    _check_metrics(spec)
    refs = [strategy_ref(entry) for entry in spec.grid.strategies]
    windows = {
        (asset, timeframe): _window(spec, catalog, asset, timeframe)
        for asset in spec.grid.assets
        for timeframe in spec.grid.timeframes
    }
    return [_cell(spec, ref, *names, *window) for ref in refs for names, window in windows.items()]


def _cell(
    spec: SweepSpec, ref: StrategyRef, asset: str, timeframe: str, start: datetime, end: datetime
) -> Cell:
    space = _space(spec, ref, asset, timeframe)
    span = Span(to_microseconds(start), to_microseconds(end))
    bar = Timeframe.parse(timeframe).microseconds
    try:
        folds = folds_of(spec.validation, span, bar=bar, lookback=lookback_of(ref.load(), space))
    except CatalogError as error:
        raise CatalogError(f"validation: {asset} {timeframe}: {error}") from None
    return Cell(ref, asset, timeframe, start, end, space, tuple(folds))


def _space(spec: SweepSpec, ref: StrategyRef, asset: str, timeframe: str) -> Space:
    cell = (ref.name, asset, timeframe)
    own = ref.load().space().override(spec.overrides(*cell), key=f"space.{ref.name}")
    whole = own.extend(spec.execution.searched, key="execution")
    return whole.with_rules(spec.rules(*cell), key=f"space.{ref.name}")


def _window(spec: SweepSpec, catalog: Catalog, asset: str, timeframe: str) -> tuple[datetime, datetime]:
    if asset not in catalog.assets():
        raise SpecError(
            "grid.assets", f"{asset!r} is not in {spec.data.location}", value=asset, allowed=catalog.assets()
        )
    try:
        first, last = catalog.span(asset, timeframe)
    except CatalogError as error:
        raise SpecError("grid.timeframes", str(error), value=timeframe) from None
    start, end = spec.data.start or first, spec.data.end or last
    if start >= end or not catalog.rows(asset, timeframe, start, end):
        raise CatalogError(
            f"data.start, data.end: {asset} {timeframe} has no bars from {start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M}; "
            f"it has them from {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M}"
        )
    return start, end


def _check_metrics(spec: SweepSpec) -> None:
    for goal in spec.search.goals:
        if goal.metric not in METRICS:
            raise SpecError(
                "search.objectives", f"{goal.metric!r} is not a metric", value=goal.metric, allowed=METRICS
            )
    for metric in spec.search.constraints:
        if metric not in METRICS:
            raise SpecError(
                "search.constraints", f"{metric!r} is not a metric", value=metric, allowed=METRICS
            )
