"""From a grid to studies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from backtune.checks.cells import Cell, cells_of
from backtune.data.bars_ref import BarsRef
from backtune.data.catalog import Catalog
from backtune.data.window import to_datetime, to_microseconds
from backtune.results.runs_folder import locate_runs_folder
from backtune.results.stored_sweep import StoredStudy, StoredSweep
from backtune.search.planning.identity import strategy_version, study_seed
from backtune.search.planning.results_version import shared_results_version
from backtune.search.study_loop.study import Study
from backtune.search.study_loop.warm_start import HeadStart, earlier_sweep, head_start
from backtune.search.suggesters.samplers import describe_backend, make_suggester
from backtune.space import Params, Space
from backtune.spec import SweepSpec, hash_content
from backtune.spec.origin import Origin
from backtune.storage.location import Location, location
from backtune.strategy.registry import StrategyRef
from backtune.validation.folds import Fold


def studies_of(spec: SweepSpec, runs: Location | None = None) -> list[Study]:
    """All studies of a sweep, in the grid's order. Everything that can be refused is refused here, before any work.

    Args:
        runs: the runs folder, in which an earlier sweep to start from may be named; see ``default_runs``.

    Raises:
        SpecError: a strategy, asset, timeframe, metric, range or sampler is not possible; names the key and what is.
        StrategyError: a strategy file cannot be used.
        CatalogError: there is no catalog, or the window has no bars.
    """
    catalog = Catalog.open(spec.data.location)
    earlier = earlier_sweep(spec.search.warm_start, runs) if spec.search.warm_start is not None else None
    bars: dict[tuple[str, str], BarsRef] = {}
    studies = []
    for cell in cells_of(spec, catalog):
        names = (cell.asset, cell.timeframe)
        bars[names] = bars.get(names) or _bars_ref(spec, catalog, cell)
        studies += [_study(spec, cell, bars[names], fold, catalog, earlier) for fold in cell.folds]
    return [island for study in studies for island in _islands(study)]


def entry_of(study: Study) -> StoredStudy:
    """What the sweep's folder says of a study."""
    return StoredStudy(
        id=study.id,
        strategy=study.strategy.name,
        asset=study.bars.asset,
        timeframe=study.bars.timeframe,
        fold=study.fold,
        objectives=study.search.objectives,
        budget=study.search.trials,
        space=study.space.to_json(),
        data_fingerprint=study.bars.fingerprint,
        backend=describe_backend(study.search),
        peers=study.peers,
        span=(to_microseconds(study.bars.start), to_microseconds(study.bars.end)),
        known_until=study.known_until,
        sources=study.sources,
        results_version=hash_content([shared_results_version(), strategy_version(study.strategy)])[:12],
    )


def run_of(
    spec: SweepSpec, runs: str | Location | None, studies: Sequence[Study], *, version: str
) -> StoredSweep:
    """The folder that the sweep has or will have in the runs folder; nothing is written."""
    return StoredSweep(
        folder=location(runs if runs is not None else locate_runs_folder()) / spec.id,
        sweep_id=spec.id,
        name=spec.name,
        spec=spec,
        studies=tuple(entry_of(study) for study in studies),
        version=version,
    )


def _study(
    spec: SweepSpec, found: Cell, bars: BarsRef, fold: Fold, catalog: Catalog, earlier: StoredSweep | None
) -> Study:
    ref, space = found.strategy, found.space
    cell = (ref.name, bars.asset, bars.timeframe)
    seed = study_seed(spec.search.seed, *cell, fold.name)
    # Refuses a sampler that cannot search this space, while nothing has started yet.
    batch_size = make_suggester(spec.search, space, seed).batch_size
    head = HeadStart()
    if earlier is not None:
        head = head_start(earlier, cell, fold, space, batch_size)
    train = (to_datetime(fold.train.start), to_datetime(fold.train.end))
    return Study(
        id=_study_id(spec, ref, bars, fold, space, head.candidates),
        strategy=ref, bars=bars, fold=fold, space=space, execution=spec.execution, search=spec.search, seed=seed,
        n_bars=catalog.rows(bars.asset, bars.timeframe, *train), first=head.candidates, known_until=head.known_until, sources=head.sources,
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
    search = spec.search.model_dump(mode="json", exclude={"trials", "backend", "warm_start"})
    content = [
        shared_results_version(), strategy_version(ref), describe_backend(spec.search), ref.name, bars.asset, bars.timeframe,
        bars.fingerprint, bars.start.isoformat(), bars.end.isoformat(), bars.calendar, repr(fold), space.to_json(),
        spec.execution.model_dump(mode="json"), search, *([list(first)] if first else []),
    ]  # fmt: skip
    return f"{ref.name}-{bars.asset}-{bars.timeframe}-{fold.name}-{hash_content(content)[:12]}"


def _bars_ref(spec: SweepSpec, catalog: Catalog, cell: Cell) -> BarsRef:
    data, window = spec.data, (cell.asset, cell.timeframe, cell.start, cell.end)
    origin = Origin.parse(data.origin)
    fingerprint = catalog.fingerprint(*window, funding=data.funding, origin=origin)
    return BarsRef(data.location, *window, data.calendar, fingerprint, data.funding, data.origin)
