"""What a sweep would take from where it is: candidates, units, core time, wall time. Writes and starts nothing."""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from backtune.data.bars_ref import BarsRef
from backtune.results.log.segments import count_trials
from backtune.results.permuted_searches.missing_permutations import list_missing_permutations
from backtune.results.progress import list_unfinished_studies
from backtune.results.runs_folder import find_study_folders
from backtune.results.stored_sweep import StoredSweep
from backtune.search.executors.unit import Unit
from backtune.search.planning.cost import ComputeCost, ComputePrices, n_candidates
from backtune.search.planning.packing import pack
from backtune.search.study_loop.study import Study
from backtune.spec import SweepSpec
from backtune.storage.location import Location

# Between the end of a unit and the start of the next on a worker that runs already.
_SECONDS_PER_UNIT = 0.1


@dataclass(frozen=True)
class Share:
    """What is left of the studies of one strategy in one timeframe.

    Attributes:
        n_studies: those that are not finished.
        n_bars: that their searches see, on average.
        cost: of all of them together.
    """

    strategy: str
    timeframe: str
    n_studies: int
    n_bars: int
    cost: ComputeCost


@dataclass(frozen=True)
class Estimate:
    """What is left of a sweep.

    Attributes:
        shares: in the grid's order, without the permuted searches.
        permuted: what is left of the searches on permuted bars, by strategy and timeframe. As long as a study is not finished, it is
            not known which searches lead: the costliest ones stand for them then.
        n_studies, n_open: all studies, and those that are not finished.
        n_candidates, n_logged: planned, and of these in the log.
        n_left: candidates to evaluate, those of permuted searches among them.
        unit_seconds: of every unit, the longest first, reading bars not counted.
        loading_seconds: for which the workers read bars, all together.
        core_seconds: for which cpus are taken, all together.
        wall_seconds: until the last worker is done; the start of Ray and of its workers is not counted.
        slots: how many units run at a time.
    """

    shares: tuple[Share, ...]
    permuted: tuple[Share, ...]
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
        """Of all studies and permuted searches together."""
        return sum((share.cost for share in (*self.shares, *self.permuted)), ComputeCost())

    @property
    def n_permuted(self) -> int:
        """The number of studies of permuted searches that are left."""
        return sum(share.n_studies for share in self.permuted)


def estimate(
    spec: SweepSpec, run: StoredSweep, studies: Sequence[Study], prices: ComputePrices, n_cpus: int
) -> Estimate:
    """What is left of a sweep, on ``n_cpus``.

    Trials of the same studies in other sweeps of the runs folder count as logged: a run takes them over.
    """
    logged = _logged(run)
    planned = {study.id: n_candidates(study.search, study.space) for study in studies}
    open_ids = {entry.id for entry in list_unfinished_studies(run)}
    todo = [study for study in studies if study.id in open_ids]
    costs = {study.id: prices.cost(study, logged[study.id]) for study in todo}
    seconds = {name: cost.seconds for name, cost in costs.items()}
    slots = max(1, int(n_cpus / spec.compute.cpus_per_unit))
    units = pack(todo, unit_seconds=spec.compute.unit_seconds, slots=slots, seconds=seconds)
    wall, loading = _schedule(units, seconds, prices, slots)
    permuted = _permuted_studies(spec, run, studies, prices)
    permuted_costs = {study.id: prices.cost(study) for study in permuted}
    permuted_seconds = {name: cost.seconds for name, cost in permuted_costs.items()}
    permuted_units = pack(
        permuted, unit_seconds=spec.compute.unit_seconds, slots=slots, seconds=permuted_seconds
    )
    # They start when all studies are done.
    permuted_wall, permuted_loading = _schedule(permuted_units, permuted_seconds, prices, slots)
    total = sum(seconds.values()) + sum(permuted_seconds.values()) + loading + permuted_loading
    unit_seconds = [
        *(_unit_seconds(unit, seconds) for unit in units),
        *(_unit_seconds(unit, permuted_seconds) for unit in permuted_units),
    ]
    return Estimate(
        shares=_shares(todo, costs),
        permuted=_shares(permuted, permuted_costs),
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


def seconds_left(
    studies: Sequence[Study], studies_folder: Location, prices: ComputePrices
) -> dict[str, float]:
    """What is left of each study, by id: what :func:`~backtune.search.planning.packing.pack` packs by."""
    return {
        study.id: prices.cost(study, count_trials(studies_folder / study.id)).seconds for study in studies
    }


def _logged(run: StoredSweep) -> dict[str, int]:
    """Trials in the log by study, those included that :func:`~backtune.results.runs_folder.adopt_repeated_studies` would take over."""
    started, ids = set(run.list_started_studies()), {study.id for study in run.studies}
    folders = find_study_folders(run.folder.parent, ids - started)
    folders |= {study_id: run.study_folder(study_id) for study_id in ids & started}
    return {study_id: count_trials(folders[study_id]) if study_id in folders else 0 for study_id in ids}


def _permuted_studies(
    spec: SweepSpec, run: StoredSweep, studies: Sequence[Study], prices: ComputePrices
) -> list[Study]:
    """Return studies that cost what the permuted searches do that are left; their bars are the real ones."""
    if not spec.validation.has_permutations:
        return []
    by_id = {study.id: study for study in studies}
    if list_unfinished_studies(run):
        searches: dict[str, list[Study]] = {}
        for study in studies:
            searches.setdefault(min((study.id, *study.peers)), []).append(study)
        costs = {
            name: sum(prices.cost(study).seconds for study in islands) for name, islands in searches.items()
        }
        costliest = sorted(costs, key=lambda name: -costs[name])[: spec.validation.permuted_rows]
        numbers: Sequence[int] = range(spec.validation.permutations)
        missing = [(searches[name], numbers) for name in costliest]
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


def _schedule(
    units: Sequence[Unit], seconds: Mapping[str, float], prices: ComputePrices, slots: int
) -> tuple[float, float]:
    """When the last slot is done, and for how long bars are read. A slot keeps the bars that it has read."""
    free = [(0.0, slot) for slot in range(min(slots, len(units)))]
    read: list[set[BarsRef]] = [set() for _ in free]
    loading = 0.0
    for unit in units:
        since, slot = heapq.heappop(free)
        missing = {study.bars for study in unit} - read[slot]
        reading = sum(prices.loading_seconds(bars) for bars in missing)
        read[slot] |= missing
        loading += reading
        heapq.heappush(free, (since + _SECONDS_PER_UNIT + reading + _unit_seconds(unit, seconds), slot))
    return max((since for since, _ in free), default=0.0), loading


def _shares(studies: Sequence[Study], costs: Mapping[str, ComputeCost]) -> tuple[Share, ...]:
    groups: dict[tuple[str, str], list[Study]] = {}
    for study in studies:
        groups.setdefault((study.strategy.name, study.bars.timeframe), []).append(study)
    return tuple(
        Share(
            strategy=strategy,
            timeframe=timeframe,
            n_studies=len(group),
            n_bars=round(sum(study.n_bars for study in group) / len(group)),
            cost=sum((costs[study.id] for study in group), ComputeCost()),
        )
        for (strategy, timeframe), group in groups.items()
    )


def _unit_seconds(unit: Unit, seconds: Mapping[str, float]) -> float:
    return sum(seconds[study.id] for study in unit)
