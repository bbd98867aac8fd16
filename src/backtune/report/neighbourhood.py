"""The neighbourhood of a search's best candidate: trials by their distance from it, and those that count as neighbours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl

from backtune.results.evidence.search_evidence import SearchedCandidates
from backtune.results.log.probes import Probe
from backtune.space import Params, Space
from backtune.spec import Objective
from backtune.validation.plateau import RADIUS, Plateau, measure_plateau
from backtune.validation.unit_cube import UnitCube

_ROUNDING = 1e-9


@dataclass(frozen=True, eq=False)
class NeighbourComparison:
    """Distances and values of a search's trials, followed by its probes, relative to its best candidate.

    Attributes:
        best: Parameters of the best candidate.
        best_value: Value of the first objective of the best candidate, in the metric's own sign.
        distances: (n,) largest difference in any numeric parameter, as a share of its range; NaN with other choices.
        values: (n,) values of the first objective in the metric's own sign, NaN where not complete.
        is_near: (n,) booleans that tell whether the trial is a neighbour; the best candidate itself is none.
        box: The lowest and the highest neighbouring value of each numeric parameter.
        neighbourhood: The median value of the neighbours, None without any.
        elsewhere: The median value of all other trials, None without any.
        stability: The stability of the plateau; None where undefined.
    """

    best: Params
    best_value: float
    distances: np.ndarray
    values: np.ndarray
    is_near: np.ndarray
    box: Mapping[str, tuple[float, float]]
    neighbourhood: float | None
    elsewhere: float | None
    stability: float | None

    @property
    def n_near(self) -> int:
        """Return the number of neighbours, complete or not."""
        return int(self.is_near.sum())

    @property
    def n_near_without_value(self) -> int:
        """Return the number of neighbours that are infeasible or failed."""
        return int((self.is_near & np.isnan(self.values)).sum())


def measure_neighbourhood(
    log: pl.DataFrame, space: Space, objective: Objective, probes: Sequence[Probe] = ()
) -> NeighbourComparison | None:
    """Measure the neighbourhood of the best candidate of a search from its log and its probes, over all islands.

    Returns:
        The neighbourhood; None without a complete trial or without a numeric parameter that varies.
    """
    found = SearchedCandidates.of(log, space, objective, probes)
    if found is None:
        return None
    stand = measure_plateau(space, found.columns, found.gains, best=found.best)
    return None if stand is None else _seen_from(stand, UnitCube(space), found, objective)


def _seen_from(
    stand: Plateau,
    cube: UnitCube,
    found: SearchedCandidates,
    objective: Objective,
) -> NeighbourComparison:
    sign = -1.0 if objective.minimize else 1.0
    best, gains = found.params(found.best), found.gains
    points, kinds = cube.points(found.columns), cube.kinds(found.columns)
    low, high = cube.box(best, RADIUS)
    same_kind = kinds == kinds[stand.best]
    moved = np.abs(points - points[stand.best])
    inside = ((points >= low - _ROUNDING) & (points <= high + _ROUNDING)).all(axis=1)
    ends = cube.params(low, best), cube.params(high, best)
    return NeighbourComparison(
        best=best,
        best_value=sign * float(gains[stand.best]),
        distances=np.where(same_kind, moved.max(axis=1), np.nan),
        values=sign * gains,
        is_near=inside & same_kind & (moved > _ROUNDING).any(axis=1),
        box={name: (float(ends[0][name]), float(ends[1][name])) for name in cube.axes if name in best},
        neighbourhood=None if stand.neighbourhood is None else sign * stand.neighbourhood,
        elsewhere=None if stand.elsewhere is None else sign * stand.elsewhere,
        stability=stand.stability,
    )
