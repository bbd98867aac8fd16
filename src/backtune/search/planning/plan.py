"""The plan of a sweep: the studies of its grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from backtune.checks.cells import Cell, build_cells
from backtune.data.catalog import Catalog
from backtune.data.load import BarsRef
from backtune.data.window import to_datetime, to_microseconds
from backtune.results.runs_folder import locate_runs_folder
from backtune.results.stored_sweep import StoredStudy, StoredSweep
from backtune.search.planning.identity import derive_study_seed, identify_strategy
from backtune.search.planning.results_version import shared_results_version
from backtune.search.study_loop.study import Study
from backtune.search.study_loop.warm_start import WarmStart, find_warm_start, open_earlier_sweep
from backtune.search.suggesters.samplers import describe_backend, make_suggester
from backtune.space import Params, Space
from backtune.spec import SweepSpec, hash_content
from backtune.spec.origin import Origin
from backtune.storage.location import Location, parse_location
from backtune.strategy.registry import StrategyRef
from backtune.validation.folds import Fold


def plan_studies(spec: SweepSpec, runs: Location | None = None) -> list[Study]:
    """Return all studies of a sweep, in the grid's order. Every error that can be found before any work is raised here.

    Args:
        spec: The spec of the sweep.
        runs: The runs folder, in which ``search.warm_start`` may name an earlier sweep; see ``locate_runs_folder``.

    Raises:
        SpecError: A strategy, asset, timeframe, metric, range or sampler is not possible; names the key and the alternatives.
        StrategyError: A strategy file cannot be used.
        CatalogError: There is no catalog, or the window has no bars.
    """
    catalog = Catalog.open(spec.data.location)
    earlier = open_earlier_sweep(spec.search.warm_start, runs) if spec.search.warm_start is not None else None
    bars: dict[tuple[str, str], BarsRef] = {}
    studies = []
    for cell in build_cells(spec, catalog):
        names = (cell.asset, cell.timeframe)
        bars[names] = bars.get(names) or _make_bars_ref(spec, catalog, cell)
        studies += [_plan_study(spec, cell, bars[names], fold, catalog, earlier) for fold in cell.folds]
    return [island for study in studies for island in _split_into_islands(study)]


def describe_study(study: Study) -> StoredStudy:
    """Return the entry of a study in the folder of its sweep."""
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
        results_version=hash_content([shared_results_version(), identify_strategy(study.strategy)])[:12],
    )


def describe_sweep(
    spec: SweepSpec, runs: str | Location | None, studies: Sequence[Study], *, version: str
) -> StoredSweep:
    """Return the folder of a sweep in the runs folder, whether it exists or not. Nothing is written."""
    return StoredSweep(
        folder=parse_location(runs if runs is not None else locate_runs_folder()) / spec.id,
        sweep_id=spec.id,
        name=spec.name,
        spec=spec,
        studies=tuple(describe_study(study) for study in studies),
        version=version,
    )


def _plan_study(
    spec: SweepSpec, found: Cell, bars: BarsRef, fold: Fold, catalog: Catalog, earlier: StoredSweep | None
) -> Study:
    ref, space = found.strategy, found.space
    cell = (ref.name, bars.asset, bars.timeframe)
    seed = derive_study_seed(spec.search.seed, *cell, fold.name)
    # Raises an error here, before any work, where the sampler cannot search this space.
    batch_size = make_suggester(spec.search, space, seed).batch_size
    start = WarmStart()
    if earlier is not None:
        start = find_warm_start(earlier, cell, fold, space, batch_size)
    train = (to_datetime(fold.train.start), to_datetime(fold.train.end))
    return Study(
        id=_make_study_id(spec, ref, bars, fold, space, start.candidates),
        strategy=ref,
        bars=bars,
        fold=fold,
        space=space,
        execution=spec.execution,
        search=spec.search,
        seed=seed,
        n_bars=catalog.rows(bars.asset, bars.timeframe, *train),
        first_candidates=start.candidates,
        known_until=start.known_until,
        sources=start.sources,
    )


def _split_into_islands(study: Study) -> list[Study]:
    """Return the study itself, or the islands that share its budget."""
    n, trials = study.search.islands, study.search.trials
    if n == 1:
        return [study]
    ids = [f"{study.id}-{k}" for k in range(n)]
    return [
        replace(
            study,
            id=own,
            seed=derive_study_seed(study.seed, "island", str(k)),
            search=study.search.model_copy(update={"trials": trials // n + (k < trials % n)}),
            peers=tuple(other for other in ids if other != own),
        )
        for k, own in enumerate(ids)
    ]


def _make_study_id(
    spec: SweepSpec, ref: StrategyRef, bars: BarsRef, fold: Fold, space: Space, first: tuple[Params, ...]
) -> str:
    search = spec.search.model_dump(mode="json", exclude={"trials", "backend", "warm_start"})
    content = [
        shared_results_version(),
        identify_strategy(ref),
        describe_backend(spec.search),
        ref.name,
        bars.asset,
        bars.timeframe,
        bars.fingerprint,
        bars.start.isoformat(),
        bars.end.isoformat(),
        bars.calendar,
        repr(fold),
        space.to_json(),
        spec.execution.model_dump(mode="json"),
        search,
        *([list(first)] if first else []),
    ]
    return f"{ref.name}-{bars.asset}-{bars.timeframe}-{fold.name}-{hash_content(content)[:12]}"


def _make_bars_ref(spec: SweepSpec, catalog: Catalog, cell: Cell) -> BarsRef:
    data, window = spec.data, (cell.asset, cell.timeframe, cell.start, cell.end)
    origin = Origin.parse(data.origin)
    fingerprint = catalog.fingerprint(*window, funding=data.funding, origin=origin)
    return BarsRef(data.location, *window, data.calendar, fingerprint, data.funding, data.origin)
