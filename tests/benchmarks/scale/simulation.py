"""A hundred thousand studies on a thousand slots: the real planner and queue, a simulated pool."""

import time
import tracemalloc
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from backtune.search.executors.unit import Unit
from backtune.search.planning.cost import ComputePrices
from backtune.search.planning.packing import pack_units
from backtune.search.planning.plan import plan_studies
from backtune.search.study_loop.study import Study
from backtune.spec import SweepSpec
from scale.measured import Measured
from scale.pool import Outcome, World, simulate

_MAX_FAILURES = 3


@dataclass(frozen=True)
class Plan:
    """Studies packed by the real planner.

    Attributes:
        seconds: what every study really takes; the planner did not know.
        pricing_seconds, packing_seconds: of this process, for all studies.
    """

    units: Sequence[Unit]
    seconds: dict[str, float]
    pricing_seconds: float
    packing_seconds: float


def planned(studies: Sequence[Study], measured: Measured, slots: int, unit_seconds: float, seed: int) -> Plan:
    """Units by the calibration's prices, and what the log says their studies would take."""
    begin = time.process_time()
    estimated = {study.id: measured.prices.estimate_cost(study).seconds for study in studies}
    priced = time.process_time()
    units = pack_units(studies, unit_seconds=unit_seconds, slots=slots, seconds=estimated)
    packed = time.process_time()
    return Plan(units, _real_seconds(studies, measured, seed), priced - begin, packed - priced)


def run(
    plan: Plan, prices: ComputePrices, slots: int, driver_seconds: float, seed: int
) -> dict[str, Outcome]:
    """The same units on an undisturbed pool and on one with preemptions and deadly studies; nothing lost or doubled."""
    ids = [study.id for unit in plan.units for study in unit]
    deadly = frozenset(np.random.default_rng(seed).choice(ids, 5, replace=False).tolist())
    calm = World(slots, plan.seconds, prices.loading_seconds, driver_seconds=driver_seconds)
    rough = World(slots, plan.seconds, calm.reading, 1.0, deadly, driver_seconds)
    found = {}
    for name, world in (("undisturbed", calm), ("disturbed", rough)):
        outcome = simulate(plan.units, world, _MAX_FAILURES, seed)
        assert set(outcome.lost) == world.deadly, "not the deadly studies were given up"
        assert dict(outcome.n_finished) == dict.fromkeys(set(ids) - world.deadly, 1), "lost or doubled"
        found[name] = outcome
    return found


def lower_bound(plan: Plan, slots: int) -> float:
    """Seconds before which no schedule ends: reading bars and handing out not counted."""
    longest = max(plan.seconds.values())
    return max(sum(plan.seconds.values()) / slots, longest)


def bytes_per_study(spec: SweepSpec) -> float:
    """Return the memory of the driver for the studies of a real plan."""
    plan_studies(spec)
    tracemalloc.start()
    studies = plan_studies(spec)
    held, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return held / len(studies)


def _real_seconds(studies: Sequence[Study], measured: Measured, seed: int) -> dict[str, float]:
    rng = np.random.default_rng(seed)
    seconds = {}
    for study in studies:
        evaluations = measured.evaluations[study.strategy.name]
        drawn = rng.choice(evaluations.spread, study.search.trials).sum()
        planned = measured.prices.estimate_cost(study)
        seconds[study.id] = (
            float(drawn) * evaluations.line.at(study.n_bars) + planned.sampler_seconds + planned.other_seconds
        )
    return seconds
