"""The cells of a spec, looked up: everything that it names is there, or it is refused before any work."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from backtune.data.catalog import Catalog
from backtune.data.window import TimeRange, to_datetime, to_microseconds
from backtune.errors import CatalogError, SpecError
from backtune.simulation.metrics import METRICS
from backtune.space import Space
from backtune.spec import SweepSpec
from backtune.spec.origin import Origin
from backtune.spec.timeframe import Timeframe
from backtune.strategy.base import lookback_of
from backtune.strategy.registry import StrategyRef, strategy_ref
from backtune.validation.folds import Fold, TimeWindow, build_folds


@dataclass(frozen=True)
class Cell:
    """A strategy on an asset in a timeframe.

    Attributes:
        start, end: of its bars: the spec's window; where it has no bound, the open of the first bar or the end of the last.
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


@dataclass(frozen=True)
class _Bounds:
    """Where the bars of an asset in a timeframe begin and end.

    Attributes:
        bars: around whole bars.
        data: where a bound is the data's, that of the stored bars, which all timeframes built from them share.
    """

    bars: TimeWindow
    data: TimeWindow


def cells_of(spec: SweepSpec, catalog: Catalog) -> list[Cell]:
    """All cells, in the grid's order; reads no bars.

    Raises:
        SpecError: a strategy, asset, timeframe, metric or range is not possible; names the key and what is.
        StrategyError: a strategy file cannot be used.
        CatalogError: a window has no bars, or too few for the folds.
    """
    _check_metrics(spec)
    refs = [strategy_ref(entry) for entry in spec.grid.strategies]
    origin = Origin.parse(spec.data.origin, key="data.origin")
    windows = {
        (asset, timeframe): _window(spec, catalog, asset, timeframe, origin)
        for asset in spec.grid.assets
        for timeframe in spec.grid.timeframes
    }
    return [_cell(spec, ref, *names, window) for ref in refs for names, window in windows.items()]


def _cell(spec: SweepSpec, ref: StrategyRef, asset: str, timeframe: str, bounds: _Bounds) -> Cell:
    space = _space(spec, ref, asset, timeframe)
    bar = Timeframe.parse(timeframe).longest_microseconds
    try:
        # Cut where the data is, so that cuts are the same for all timeframes.
        folds = build_folds(spec.validation, bounds.data, bar=bar, lookback=lookback_of(ref.load(), space))
    except CatalogError as error:
        raise CatalogError(f"validation: {asset} {timeframe}: {error}") from None
    start, end = to_datetime(bounds.bars.start), to_datetime(bounds.bars.end)
    whole = tuple(fold.widened(bounds.data, bounds.bars) for fold in folds)
    return Cell(ref, asset, timeframe, start, end, space, whole)


def _space(spec: SweepSpec, ref: StrategyRef, asset: str, timeframe: str) -> Space:
    cell = (ref.name, asset, timeframe)
    own = ref.load().space().override(spec.overrides(*cell), key=f"space.{ref.name}")
    whole = own.extend(spec.execution.searched, key="execution")
    return whole.with_rules(spec.rules(*cell), key=f"space.{ref.name}")


def _window(spec: SweepSpec, catalog: Catalog, asset: str, timeframe: str, origin: Origin) -> _Bounds:
    if asset not in catalog.assets():
        raise SpecError(
            "grid.assets", f"{asset!r} is not in {spec.data.location}", value=asset, allowed=catalog.assets()
        )
    try:
        source = catalog.source_timeframe(asset, timeframe)
    except CatalogError as error:
        raise SpecError("grid.timeframes", str(error), value=timeframe) from None
    stored, built = catalog.span(asset, source), catalog.span_of_bars(asset, timeframe, origin)
    data, bars = (_bounded(spec, *span) for span in (stored, built))
    opens = TimeRange(bars.start, bars.end).opens(Timeframe.parse(timeframe), source, origin)
    if opens.is_empty or not catalog.partitions_in(asset, source, opens):
        start, end, first, last = (
            f"{moment:%Y-%m-%d %H:%M}" for moment in (*map(to_datetime, (bars.start, bars.end)), *stored)
        )
        window = f"from {start} to {end}" if bars.start < bars.end else f"from {start} on"
        raise CatalogError(
            f"data.start, data.end: {asset} {timeframe} has no bars {window}; it has bars of {source} from {first} to {last}"
        )
    return _Bounds(bars, data)


def _bounded(spec: SweepSpec, first: datetime, end: datetime) -> TimeWindow:
    return TimeWindow(to_microseconds(spec.data.start or first), to_microseconds(spec.data.end or end))


def _check_metrics(spec: SweepSpec) -> None:
    for objective in spec.search.objectives:
        if objective.metric not in METRICS:
            raise SpecError(
                "search.objectives",
                f"{objective.metric!r} is not a metric",
                value=objective.metric,
                allowed=METRICS,
            )
    for constraint in spec.search.constraints:
        if constraint.metric not in METRICS:
            problem = f"{constraint.metric!r} is not a metric"
            raise SpecError("search.constraints", problem, value=constraint.metric, allowed=METRICS)
