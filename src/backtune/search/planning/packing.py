"""The packing of studies into units of similar cost."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from backtune.search.executors.unit import Unit
from backtune.search.planning.cost import ComputePrices
from backtune.search.study_loop.study import Study

# Units shorter than this cost more to hand out than they balance.
SHORTEST_UNIT_SECONDS = 1.0
# With so many units, the last ones leave the other slots idle for an eighth of the time at most.
_UNITS_PER_SLOT = 8


def pack_units(
    studies: Sequence[Study], *, unit_seconds: float, slots: int, seconds: Mapping[str, float] | None = None
) -> list[Unit]:
    """Return units of similar cost, the longest first. The packing changes no result.

    No unit of several studies is longer than the target, and at most one is shorter than half of it. Studies of the same
    bars are packed together, and those of one asset where possible, because a worker keeps the bars that it has read and the
    bars that these are built from. The islands of a search are divided into no more parts than there are slots, so that no
    island waits for one that cannot run. Slots that take the units in order are done within ``total / slots + (1 - 1 / slots) * max(target, longest study)`` (Graham 1969), of which
    ``max(total / slots, longest study)`` cannot be helped.

    Args:
        studies: The studies to pack.
        unit_seconds: The longest time that a unit of small studies should take.
        slots: The number of units that run at a time. Small sweeps are divided more finely, so that every slot has work.
        seconds: The time that is left of each study, by id; by default an estimate from rough prices.
    """
    if seconds is None:
        seconds = {study.id: ComputePrices().estimate_cost(study).seconds for study in studies}
    target = choose_unit_seconds(
        sum(seconds[study.id] for study in studies), unit_seconds=unit_seconds, slots=slots
    )
    by_bars: dict[tuple[str, str], list[_Bin]] = {}
    for group in _group_islands(studies, slots):
        cost = sum(seconds[study.id] for study in group)
        bars = group[0].bars
        by_bars.setdefault((bars.asset, bars.timeframe), []).append(_Bin(cost, group[0].id, group))
    by_asset: dict[str, list[_Bin]] = {}
    for (asset, _), same_bars in by_bars.items():
        by_asset.setdefault(asset, []).extend(_fill_bins(same_bars, target))
    filled = [each for same_asset in by_asset.values() for each in _fill_bins(same_asset, target)]
    return [each.studies for each in sorted(_fill_bins(filled, target))]


def choose_unit_seconds(total: float, *, unit_seconds: float, slots: int) -> float:
    """Return the time that a unit of small studies may take, for ``total`` seconds of work on a number of slots."""
    return min(unit_seconds, max(total / (slots * _UNITS_PER_SLOT), SHORTEST_UNIT_SECONDS))


def _group_islands(studies: Sequence[Study], slots: int) -> list[list[Study]]:
    """Return the groups that stay together: a single study, or the islands of a search that share a slot."""
    groups: dict[tuple[str, int], list[Study]] = {}
    n_islands: Counter[str] = Counter()
    for study in studies:
        search = min((study.id, *study.peers))
        groups.setdefault((search, n_islands[search] % slots), []).append(study)
        n_islands[search] += 1
    return list(groups.values())


@dataclass
class _Bin:
    """A group of studies that stay together. Bins sort by falling cost, then by the id of the first study."""

    seconds: float
    name: str
    studies: list[Study]

    def __lt__(self, other: _Bin) -> bool:
        return (-self.seconds, self.name) < (-other.seconds, other.name)


def _fill_bins(bins: Sequence[_Bin], target: float) -> list[_Bin]:
    """Merge bins as long as they fit into the target: the longest first, each where it leaves the least room."""
    filled: list[_Bin] = []
    # The room that is left and the place in ``filled``, sorted by room.
    rooms: list[tuple[float, int]] = []
    for one in sorted(bins):
        found = bisect_left(rooms, (one.seconds, -1))
        if found == len(rooms):
            place = len(filled)
            filled.append(_Bin(one.seconds, one.name, [*one.studies]))
        else:
            _, place = rooms.pop(found)
            filled[place].seconds += one.seconds
            filled[place].studies += one.studies
        insort(rooms, (target - filled[place].seconds, place))
    return filled
