"""An estimate of the work that is left of a sweep: candidates, units, core time, wall time. It writes and starts nothing."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from backtune.data.load import BarsRef
from backtune.results.log.segments import count_trials
from backtune.results.permuted_searches.missing_permutations import list_missing_permutations
from backtune.results.progress import list_unfinished_studies
from backtune.results.runs_folder import find_study_folders
from backtune.results.stored_sweep import StoredSweep
from backtune.search.executors.unit import Unit
from backtune.search.planning.cost import ComputeCost, ComputePrices, count_candidates
from backtune.search.planning.packing import pack_units
from backtune.search.study_loop.study import Study
from backtune.spec import SweepSpec
from backtune.storage.location import Location

# The time between the end of a unit and the start of the next one on a running worker.
_SECONDS_PER_UNIT = 0.1


@dataclass(frozen=True)
class StudyGroup:
    """The unfinished studies of one strategy in one timeframe.

    Attributes:
        n_studies: The number of these studies.
        n_bars: The mean number of bars of their train windows.
        cost: The total cost of these studies.
    """

    strategy: str
    timeframe: str
    n_studies: int
    n_bars: int
    cost: ComputeCost


@dataclass(frozen=True)
class Estimate:
    """The work that is left of a sweep.

    Attributes:
        shares: The unfinished studies by strategy and timeframe in the grid's order, without the permuted searches.
        permuted: The permuted searches that are left, by strategy and timeframe. Which searches lead is unknown as long as a
            study is not finished; until then the most expensive ones stand for them.
        n_studies: The number of studies.
        n_open: The number of studies that are not finished.
        n_candidates: The number of planned candidates.
        n_logged: The number of candidates that are in the log.
        n_left: The number of candidates to evaluate, including those of permuted searches.
        unit_seconds: The time of every unit without reading bars, the longest first.
        loading_seconds: The total time for which workers read bars.
        core_seconds: The total time for which cpus are taken.
        wall_seconds: The time until the last worker is done, without the start of Ray and of its workers.
        slots: The number of units that run at a time.
    """

    shares: tuple[StudyGroup, ...]
    permuted: tuple[StudyGroup, ...]
    n_studies: int
    n_open: int
    n_candidates: int
    n_logged: int
    n_left: int
    unit_seconds: tuple[float, ...]
    loading_seconds: float
    core_seconds: float
    wall_seconds: float
    slots: int

    @property
    def cost(self) -> ComputeCost:
        """The total cost of all studies and permuted searches."""
        return sum((share.cost for share in (*self.shares, *self.permuted)), ComputeCost())

    @property
    def n_permuted(self) -> int:
        """The number of studies of permuted searches that are left."""
        return sum(share.n_studies for share in self.permuted)


def estimate_sweep(
    spec: SweepSpec, run: StoredSweep, studies: Sequence[Study], prices: ComputePrices, n_cpus: int
) -> Estimate:
    """Estimate the work that is left of a sweep, on ``n_cpus``.

    Trials of the same studies in other sweeps of the runs folder count as logged, because a run takes them over.
    """
    logged = _count_logged(run)
    planned = {study.id: count_candidates(study.search, study.space) for study in studies}
    open_ids = {entry.id for entry in list_unfinished_studies(run)}
    todo = [study for study in studies if study.id in open_ids]
    costs = {study.id: prices.estimate_cost(study, logged[study.id]) for study in todo}
    seconds = {name: cost.seconds for name, cost in costs.items()}
    slots = max(1, int(n_cpus / spec.compute.cpus_per_unit))
    units = pack_units(todo, unit_seconds=spec.compute.unit_seconds, slots=slots, seconds=seconds)
    wall, loading = _simulate_schedule(units, seconds, prices, slots)
    permuted = _plan_permuted_studies(spec, run, studies, prices)
    permuted_costs = {study.id: prices.estimate_cost(study) for study in permuted}
    permuted_seconds = {name: cost.seconds for name, cost in permuted_costs.items()}
    permuted_units = pack_units(
        permuted, unit_seconds=spec.compute.unit_seconds, slots=slots, seconds=permuted_seconds
    )
    # Permuted searches start when all studies are done.
    permuted_wall, permuted_loading = _simulate_schedule(permuted_units, permuted_seconds, prices, slots)
    total = sum(seconds.values()) + sum(permuted_seconds.values()) + loading + permuted_loading
    unit_seconds = [
        *(_sum_seconds(unit, seconds) for unit in units),
        *(_sum_seconds(unit, permuted_seconds) for unit in permuted_units),
    ]
    return Estimate(
        shares=_group_studies(todo, costs),
        permuted=_group_studies(permuted, permuted_costs),
        n_studies=len(studies),
        n_open=len(todo),
        n_candidates=sum(planned.values()),
        n_logged=sum(min(n, planned[name]) for name, n in logged.items()),
        n_left=sum(cost.n_left for cost in (*costs.values(), *permuted_costs.values())),
        unit_seconds=tuple(sorted(unit_seconds, reverse=True)),
        loading_seconds=loading + permuted_loading,
        core_seconds=total * spec.compute.cpus_per_unit,
        wall_seconds=wall + permuted_wall,
        slots=slots,
    )


def estimate_seconds_left(
    studies: Sequence[Study], studies_folder: Location, prices: ComputePrices
) -> dict[str, float]:
    """Return the time that is left of each study, by id, as :func:`~backtune.search.planning.packing.pack_units` needs it."""
    return {
        study.id: prices.estimate_cost(study, count_trials(studies_folder / study.id)).seconds
        for study in studies
    }


def _count_logged(run: StoredSweep) -> dict[str, int]:
    """Return the number of logged trials by study, including those that :func:`~backtune.results.runs_folder.adopt_repeated_studies` takes over."""
    started, ids = set(run.list_started_studies()), {study.id for study in run.studies}
    folders = find_study_folders(run.folder.parent, ids - started)
    folders |= {study_id: run.study_folder(study_id) for study_id in ids & started}
    return {study_id: count_trials(folders[study_id]) if study_id in folders else 0 for study_id in ids}


def _plan_permuted_studies(
    spec: SweepSpec, run: StoredSweep, studies: Sequence[Study], prices: ComputePrices
) -> list[Study]:
    """Return studies that cost as much as the permuted searches that are left; their bars are the real ones."""
    if not spec.validation.has_permutations:
        return []
    by_id = {study.id: study for study in studies}
    if list_unfinished_studies(run):
        searches: dict[str, list[Study]] = {}
        for study in studies:
            searches.setdefault(min((study.id, *study.peers)), []).append(study)
        costs = {
            name: sum(prices.estimate_cost(study).seconds for study in islands)
            for name, islands in searches.items()
        }
        most_expensive = sorted(costs, key=lambda name: -costs[name])[: spec.validation.permuted_rows]
        numbers: Sequence[int] = range(spec.validation.permutations)
        missing = [(searches[name], numbers) for name in most_expensive]
    else:
        missing = [
            ([by_id[entry.id] for entry in found.islands], found.numbers)
            for found in list_missing_permutations(run)
        ]
    return [
        replace(study, id=f"{study.id}.{number}", peers=tuple(f"{peer}.{number}" for peer in study.peers))
        for islands, numbers in missing
        for number in numbers
        for study in islands
    ]


def _simulate_schedule(
    units: Sequence[Unit], seconds: Mapping[str, float], prices: ComputePrices, slots: int
) -> tuple[float, float]:
    """Return the time at which the last slot is done, and the total time of reading bars. A slot keeps the bars that it has read."""
    free = [(0.0, slot) for slot in range(min(slots, len(units)))]
    read: list[set[BarsRef]] = [set() for _ in free]
    loading = 0.0
    for unit in units:
        since, slot = heapq.heappop(free)
        missing = {study.bars for study in unit} - read[slot]
        reading = sum(prices.loading_seconds(bars) for bars in missing)
        read[slot] |= missing
        loading += reading
        heapq.heappush(free, (since + _SECONDS_PER_UNIT + reading + _sum_seconds(unit, seconds), slot))
    return max((since for since, _ in free), default=0.0), loading


def _group_studies(studies: Sequence[Study], costs: Mapping[str, ComputeCost]) -> tuple[StudyGroup, ...]:
    groups: dict[tuple[str, str], list[Study]] = {}
    for study in studies:
        groups.setdefault((study.strategy.name, study.bars.timeframe), []).append(study)
    return tuple(
        StudyGroup(
            strategy=strategy,
            timeframe=timeframe,
            n_studies=len(group),
            n_bars=round(sum(study.n_bars for study in group) / len(group)),
            cost=sum((costs[study.id] for study in group), ComputeCost()),
        )
        for (strategy, timeframe), group in groups.items()
    )


def _sum_seconds(unit: Unit, seconds: Mapping[str, float]) -> float:
    return sum(seconds[study.id] for study in unit)
