"""From a grid to studies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from backtune.data.bars_ref import BarsRef
from backtune.data.catalog import Catalog
from backtune.engine.metrics import METRICS
from backtune.errors import CatalogError, SpecError
from backtune.results.runs import Run, StudyEntry, default_runs
from backtune.search.identity import code_version, strategy_version, study_seed
from backtune.search.samplers import engine_of, make_suggester
from backtune.search.study import Study
from backtune.search.warm_start import earlier_sweep, first_candidates
from backtune.space import Params, Space
from backtune.spec import SweepSpec, content_hash
from backtune.strategy.base import lookback_of
from backtune.strategy.registry import StrategyRef, strategy_ref
from backtune.timeframe import Timeframe
from backtune.validation.folds import Fold, Span, folds_of


def studies_of(spec: SweepSpec, runs: Path | None = None) -> list[Study]:
    """All studies of a sweep, in the grid's order. Everything that can be refused is refused here, before any work.

    Args:
        runs: the runs folder, in which an earlier sweep to start from may be named; see ``default_runs``.

    Raises:
        SpecError: a strategy, asset, timeframe, metric, range or sampler is not possible; names the key and what is.
        StrategyError: a strategy file cannot be used.
        CatalogError: there is no catalog, or the window has no bars.
    """
    _check_metrics(spec)
    catalog = Catalog.open(spec.data.location)
    earlier = earlier_sweep(spec.search.warm_start, runs) if spec.search.warm_start is not None else None
    refs = [strategy_ref(entry) for entry in spec.grid.strategies]
    windows = {
        (asset, timeframe): _bars_ref(spec, catalog, asset, timeframe)
        for asset in spec.grid.assets
        for timeframe in spec.grid.timeframes
    }
    studies = [
        _study(spec, ref, bars, space, fold, catalog, earlier)
        for ref in refs
        for bars in windows.values()
        for space in [_space(spec, ref, bars)]
        for fold in _folds(spec, ref, bars, space)
    ]
    return [island for study in studies for island in _islands(study)]


def entry_of(study: Study) -> StudyEntry:
    """What the sweep's folder says of a study."""
    return StudyEntry(
        id=study.id,
        strategy=study.strategy.name,
        asset=study.bars.asset,
        timeframe=study.bars.timeframe,
        fold=study.fold.name,
        objectives=list(study.search.objectives),
        budget=study.search.trials,
        space=study.space.to_json(),
        data_fingerprint=study.bars.fingerprint,
        engine=engine_of(study.search),
        peers=list(study.peers),
        span=[_microseconds(study.bars.start), _microseconds(study.bars.end)],
        windows=study.fold.to_json(),
    )


def run_of(spec: SweepSpec, runs: str | Path | None, studies: Sequence[Study], *, version: str) -> Run:
    """The folder that the sweep has or will have in the runs folder; nothing is written."""
    return Run(
        folder=Path(runs if runs is not None else default_runs()) / spec.id,
        sweep_id=spec.id,
        name=spec.name,
        spec=spec.model_dump(mode="json", by_alias=True),
        studies=tuple(entry_of(study) for study in studies),
        version=version,
    )


def _space(spec: SweepSpec, ref: StrategyRef, bars: BarsRef) -> Space:
    cell = (ref.name, bars.asset, bars.timeframe)
    own = ref.load().space().override(spec.overrides(*cell), key=f"space.{ref.name}")
    whole = own.extend(spec.execution.searched, key="execution")
    return whole.with_rules(spec.rules(*cell), key=f"space.{ref.name}")


def _folds(spec: SweepSpec, ref: StrategyRef, bars: BarsRef, space: Space) -> list[Fold]:
    span = Span(_microseconds(bars.start), _microseconds(bars.end))
    bar = Timeframe.parse(bars.timeframe).microseconds
    try:
        return folds_of(spec.validation, span, bar=bar, lookback=lookback_of(ref.load(), space))
    except CatalogError as error:
        raise CatalogError(f"validation: {bars.asset} {bars.timeframe}: {error}") from None


def _study(
    spec: SweepSpec,
    ref: StrategyRef,
    bars: BarsRef,
    space: Space,
    fold: Fold,
    catalog: Catalog,
    earlier: Run | None,
) -> Study:
    cell = (ref.name, bars.asset, bars.timeframe)
    seed = study_seed(spec.search.seed, *cell, fold.name)
    # Refuses a sampler that cannot search this space, while nothing has started yet.
    batch_size = make_suggester(spec.search, space, seed).batch_size
    first = first_candidates(earlier, cell, fold.name, space, batch_size) if earlier is not None else ()
    train = (_datetime(fold.train.start), _datetime(fold.train.end))
    return Study(
        id=_study_id(spec, ref, bars, fold, space, first),
        strategy=ref, bars=bars, fold=fold, space=space, execution=spec.execution, search=spec.search, seed=seed,
        n_bars=catalog.rows(bars.asset, bars.timeframe, *train), first=first,
    )  # fmt: skip


def _islands(study: Study) -> list[Study]:
    """A study, or the islands that share its budget."""
    n, trials = study.search.islands, study.search.trials
    if n == 1:
        return [study]
    ids = [f"{study.id}-{k}" for k in range(n)]
    return [
        replace(
            study, id=own, seed=study_seed(study.seed, "island", str(k)),
            search=study.search.model_copy(update={"trials": trials // n + (k < trials % n)}),
            peers=tuple(other for other in ids if other != own),
        )
        for k, own in enumerate(ids)
    ]  # fmt: skip


def _study_id(
    spec: SweepSpec, ref: StrategyRef, bars: BarsRef, fold: Fold, space: Space, first: tuple[Params, ...]
) -> str:
    search = spec.search.model_dump(mode="json", exclude={"trials", "engine", "warm_start"})
    content = [
        code_version(), strategy_version(ref), engine_of(spec.search), ref.name, bars.asset, bars.timeframe,
        bars.fingerprint, bars.start.isoformat(), bars.end.isoformat(), bars.calendar, repr(fold), space.to_json(),
        spec.execution.model_dump(mode="json"), search, *([list(first)] if first else []),
    ]  # fmt: skip
    return f"{ref.name}-{bars.asset}-{bars.timeframe}-{fold.name}-{content_hash(content)[:12]}"


def _bars_ref(spec: SweepSpec, catalog: Catalog, asset: str, timeframe: str) -> BarsRef:
    if asset not in catalog.assets():
        raise SpecError(
            "grid.assets", f"{asset!r} is not in {spec.data.location}", value=asset, allowed=catalog.assets()
        )
    try:
        first, last = catalog.span(asset, timeframe)
    except CatalogError as error:
        raise SpecError("grid.timeframes", str(error), value=timeframe) from None
    start, end = spec.data.start or first, spec.data.end or last
    if not catalog.rows(asset, timeframe, start, end):
        raise CatalogError(
            f"data.start, data.end: {asset} {timeframe} has no bars from {start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M}; "
            f"it has them from {first:%Y-%m-%d %H:%M} to {last:%Y-%m-%d %H:%M}"
        )
    data = spec.data
    fingerprint = catalog.fingerprint(asset, timeframe, start, end, funding=data.funding)
    return BarsRef(data.location, asset, timeframe, start, end, data.calendar, fingerprint, data.funding)


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


def _microseconds(moment: datetime) -> int:
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def _datetime(microseconds: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=microseconds)
