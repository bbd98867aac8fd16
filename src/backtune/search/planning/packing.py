"""From studies to units of similar cost."""

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
# So many, that the last ones to end leave the other slots idle for an eighth of the time at most.
_UNITS_PER_SLOT = 8


def pack(
    studies: Sequence[Study], *, unit_seconds: float, slots: int, seconds: Mapping[str, float] | None = None
) -> list[Unit]:
    """Units of similar cost, the longest first; how studies are packed changes no result.

    No unit of several studies is longer than the target, and at most one is shorter than half of it. Studies of the
    same bars lie side by side, and those of one asset where they can, because a worker keeps the bars it has read and
    what they are built from. The islands of a search are cut into no
    more parts than there are slots, so that none waits for one that cannot run. Slots that take the units in order are
    done within ``total / slots + (1 - 1 / slots) * max(target, longest study)`` (Graham 1969), of which
    ``max(total / slots, longest study)`` cannot be helped.

    Args:
        unit_seconds: the longest a unit of small studies should take.
        slots: how many units run at a time; small sweeps are cut finer so that all have work.
        seconds: what is left of each study, by id; rough prices where it is not given.
    """
    if seconds is None:
        seconds = {study.id: ComputePrices().cost(study).seconds for study in studies}
    target = target_seconds(
        sum(seconds[study.id] for study in studies), unit_seconds=unit_seconds, slots=slots
    )
    by_bars: dict[tuple[str, str], list[_Bin]] = {}
    for company in _companies(studies, slots):
        cost = sum(seconds[study.id] for study in company)
        bars = company[0].bars
        by_bars.setdefault((bars.asset, bars.timeframe), []).append(_Bin(cost, company[0].id, company))
    by_asset: dict[str, list[_Bin]] = {}
    for (asset, _), group in by_bars.items():
        by_asset.setdefault(asset, []).extend(_filled(group, target))
    bins = _filled([one for group in by_asset.values() for one in _filled(group, target)], target)
    return [one.studies for one in sorted(bins)]


def target_seconds(total: float, *, unit_seconds: float, slots: int) -> float:
    """How long a unit of small studies may take, for ``total`` seconds of work on so many slots."""
    return min(unit_seconds, max(total / (slots * _UNITS_PER_SLOT), SHORTEST_UNIT_SECONDS))


def _companies(studies: Sequence[Study], slots: int) -> list[list[Study]]:
    """What stays together: a study, or the islands of a search that share a slot."""
    companies: dict[tuple[str, int], list[Study]] = {}
    n_met: Counter[str] = Counter()
    for study in studies:
        search = min((study.id, *study.peers))
        companies.setdefault((search, n_met[search] % slots), []).append(study)
        n_met[search] += 1
    return list(companies.values())


@dataclass
class _Bin:
    """Studies that stay together. Sorts by falling cost, then by the first study's id."""

    seconds: float
    name: str
    studies: list[Study]

    def __lt__(self, other: _Bin) -> bool:
        return (-self.seconds, self.name) < (-other.seconds, other.name)


def _filled(bins: Sequence[_Bin], target: float) -> list[_Bin]:
    """Put bins together while they fit into the target: the longest first, each where least room is left over."""
    filled: list[_Bin] = []
    # Room that is left and place in ``filled``, by rising room.
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
