"""The plateau test: a search's best may stand on a plateau, or on the tip of a needle.

Neighbourhoods are those of :mod:`backtune.validation.neighbourhood`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from backtune.space import Params, Space
from backtune.validation.neighbourhood import PlacedTrials, compute_median_of_cells

RADIUS = 0.1


@dataclass(frozen=True)
class Plateau:
    """The standing of a search's best among its neighbours.

    Trials are named by their place in what was given; values are in the unit of the objective, higher is better.

    Attributes:
        best: the trial with the highest value; the first of equal ones.
        stability: (neighbourhood - elsewhere) / (value of the best - elsewhere): 1 where the neighbours are as good as
            the best, 0 where they are like any other trial, below 0 where they are worse; None where a part is.
        neighbourhood: median of the best's neighbours, None where there are too few; an infeasible or failed one counts as the
            lowest value of all.
        elsewhere: median of the feasible trials outside the neighbourhood, None where there is none.
        n_neighbours: distinct candidates in the neighbourhood, the best apart.
        centre: the trial with the highest median of neighbours, among those with enough of them; None where none has.
        centre_neighbourhood: that median.
        centre_stability: (centre_neighbourhood - elsewhere) / (value of the best - elsewhere), to be held against
            ``stability``; None where a part is.
        probes: candidates to evaluate where the best has too few neighbours, else empty; they keep the space's rules. With
            them among the trials there are enough.
    """

    best: int
    stability: float | None
    neighbourhood: float | None
    elsewhere: float | None
    n_neighbours: int
    centre: int | None
    centre_neighbourhood: float | None
    centre_stability: float | None
    probes: tuple[Params, ...]


def measure_plateau(
    space: Space,
    columns: Mapping[str, Sequence[Any] | np.ndarray],
    values: np.ndarray,
    *,
    best: int | None = None,
    radius: float = RADIUS,
    seed: int = 0,
) -> Plateau | None:
    """Measure the standing of the best of a search's trials among its neighbours.

    There are enough neighbours where they number four for each axis, and at least eight (or all that the grid has), and
    where on both sides of every axis, unless the range ends there, one is at least half-way to the edge of the
    neighbourhood.

    Args:
        space: The space of the search.
        columns: A column of n values for each parameter of the space, None or NaN where it is inactive.
        values: (n,) the objective, higher is better; NaN for an infeasible or failed trial.
        best: The index of the search's best, where there are candidates among them that the search did not try; None for the
            highest value.
        radius: Half the width of a neighbourhood, as a share of each range.
        seed: The seed of the probes that are drawn at random.

    Returns:
        None where no trial has a value, or the space has no number that varies.
    """
    trials = PlacedTrials.of(space, columns, values, radius)
    if trials is None:
        return None
    best = int(np.nanargmax(trials.values)) if best is None else best
    near = trials.find_neighbourhood(best)
    neighbourhood = near.median() if near.is_dense else None
    outside = np.isfinite(trials.values) & ~near.inside & (np.arange(len(trials.values)) != best)
    elsewhere = (
        compute_median_of_cells(trials.values[outside], trials.cells[outside]) if outside.any() else None
    )
    centre, height = trials.find_centre()
    value = float(trials.values[best])
    return Plateau(
        best=best,
        stability=_stability(value, neighbourhood, elsewhere),
        neighbourhood=neighbourhood,
        elsewhere=elsewhere,
        n_neighbours=near.n_distinct,
        centre=centre,
        centre_neighbourhood=height,
        centre_stability=_stability(value, height, elsewhere),
        probes=() if near.is_dense else near.propose_probes(seed),
    )


def propose_probes(
    space: Space,
    columns: Mapping[str, Sequence[Any] | np.ndarray],
    values: np.ndarray,
    *,
    most: int,
    n_centres: int = 3,
    radius: float = RADIUS,
    seed: int = 0,
) -> tuple[Params, ...]:
    """Return candidates to evaluate so that the best trials, each outside of the neighbourhoods of better ones, have enough neighbours.

    With them :func:`measure_plateau` knows how the best stands, and compares it with other peaks when it looks for the centre.

    Args:
        space, columns, values, radius, seed: The arguments of :func:`measure_plateau`.
        most: The largest number of candidates; the best gets as many as it needs, another peak none where they would be more.
        n_centres: The largest number of peaks.
    """
    trials = PlacedTrials.of(space, columns, values, radius)
    found: list[Params] = []
    for k, peak in enumerate(trials.iterate_peaks(n_centres) if trials is not None else ()):
        own = () if peak.is_dense else peak.propose_probes(seed)
        fresh = [params for params in own if params not in found]
        if k == 0 or len(found) + len(fresh) <= most:
            found += fresh
    return tuple(found)


def _stability(best: float, neighbourhood: float | None, elsewhere: float | None) -> float | None:
    if neighbourhood is None or elsewhere is None or not best > elsewhere:
        return None
    return (neighbourhood - elsewhere) / (best - elsewhere)
