"""The cells of a spec. Everything that the spec names must be there, or it is refused before any work."""

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
from backtune.strategy.base import compute_lookback
from backtune.strategy.registry import StrategyRef, resolve_strategy
from backtune.validation.folds import Fold, TimeWindow, build_folds


@dataclass(frozen=True)
class Cell:
    """A strategy on an asset in a timeframe.

    Attributes:
        start: Start of the spec's window; the open of the first bar where the spec has none.
        end: End of the spec's window; the end of the last bar where the spec has none.
        space: Space of the strategy with the spec's changes.
        folds: Folds, each with a search of its own.
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
    """The bounds of the bars of an asset in a timeframe: those of the spec, or of the data where the spec has none.

    Attributes:
        bars: Bounds around whole bars of the timeframe.
        data: Bounds around the stored bars, which all timeframes built from them share.
    """

    bars: TimeWindow
    data: TimeWindow


def build_cells(spec: SweepSpec, catalog: Catalog) -> list[Cell]:
    """Build all cells, in the grid's order; no bars are read.

    Raises:
        SpecError: A strategy, asset, timeframe, metric or range is not possible; names the key and what is.
        StrategyError: A strategy file cannot be used.
        CatalogError: A window has no bars, or too few for the folds.
    """
    _check_metrics(spec)
    refs = [resolve_strategy(entry) for entry in spec.grid.strategies]
    origin = Origin.parse(spec.data.origin, key="data.origin")
    bounds = {
        (asset, timeframe): _find_bounds(spec, catalog, asset, timeframe, origin)
        for asset in spec.grid.assets
        for timeframe in spec.grid.timeframes
    }
    return [_build_cell(spec, ref, *names, found) for ref in refs for names, found in bounds.items()]


def _build_cell(spec: SweepSpec, ref: StrategyRef, asset: str, timeframe: str, bounds: _Bounds) -> Cell:
    space = _build_space(spec, ref, asset, timeframe)
    bar = Timeframe.parse(timeframe).longest_microseconds
    try:
        # Cut where the data is, so that cuts are the same for all timeframes.
        folds = build_folds(
            spec.validation, bounds.data, bar=bar, lookback=compute_lookback(ref.load(), space)
        )
    except CatalogError as error:
        raise CatalogError(f"validation: {asset} {timeframe}: {error}") from None
    start, end = to_datetime(bounds.bars.start), to_datetime(bounds.bars.end)
    whole = tuple(fold.widened(bounds.data, bounds.bars) for fold in folds)
    return Cell(ref, asset, timeframe, start, end, space, whole)


def _build_space(spec: SweepSpec, ref: StrategyRef, asset: str, timeframe: str) -> Space:
    cell = (ref.name, asset, timeframe)
    own = ref.load().space().override(spec.overrides(*cell), key=f"space.{ref.name}")
    whole = own.extend(spec.execution.searched, key="execution")
    return whole.with_rules(spec.rules(*cell), key=f"space.{ref.name}")


def _find_bounds(spec: SweepSpec, catalog: Catalog, asset: str, timeframe: str, origin: Origin) -> _Bounds:
    if asset not in catalog.assets():
        raise SpecError(
            "grid.assets", f"{asset!r} is not in {spec.data.location}", value=asset, allowed=catalog.assets()
        )
    try:
        source = catalog.source_timeframe(asset, timeframe)
    except CatalogError as error:
        raise SpecError("grid.timeframes", str(error), value=timeframe) from None
    stored, built = catalog.span(asset, source), catalog.span_of_bars(asset, timeframe, origin)
    data, bars = (
        TimeWindow(to_microseconds(spec.data.start or first), to_microseconds(spec.data.end or end))
        for first, end in (stored, built)
    )
    opens = TimeRange(bars.start, bars.end).opens(Timeframe.parse(timeframe), source, origin)
    if opens.is_empty or not catalog.partitions(asset, source, opens):
        start, end, first, last = (
            f"{moment:%Y-%m-%d %H:%M}" for moment in (*map(to_datetime, (bars.start, bars.end)), *stored)
        )
        window = f"from {start} to {end}" if bars.start < bars.end else f"from {start} on"
        raise CatalogError(
            f"data.start, data.end: {asset} {timeframe} has no bars {window}; it has bars of {source} from {first} to {last}"
        )
    return _Bounds(bars, data)


def _check_metrics(spec: SweepSpec) -> None:
    metrics = [
        *(("search.objectives", objective.metric) for objective in spec.search.objectives),
        *(("search.constraints", constraint.metric) for constraint in spec.search.constraints),
    ]
    for key, metric in metrics:
        if metric not in METRICS:
            raise SpecError(key, f"{metric!r} is not a metric", value=metric, allowed=METRICS)
