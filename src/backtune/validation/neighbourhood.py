"""The trials of a search as points, and what lies around one of them.

The neighbourhood of a candidate are the trials with the same choices whose every number is within a tenth of its range
(:class:`~backtune.validation.unit_cube.UnitCube`). A search puts its trials where they pay, so medians here
weigh the cells of a grid alike, not the trials (declustering: A. Journel, "Nonparametric Estimation of Spatial
Distributions", Mathematical Geology 15, 1983).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from backtune.space import Params, Space, Value
from backtune.validation.unit_cube import UnitCube

# Centres that are looked at; each costs one look at all trials.
_MOST_CENTRES = 200
# Boxes of a grid with up to so many candidates are listed, larger ones are drawn from.
_MOST_LISTED = 1_000
# Less of the radius than this between a candidate and the end of a range is no side of it.
_NO_ROOM = 0.01
_ROUNDING = 1e-9


def compute_median_of_cells(values: np.ndarray, cells: np.ndarray) -> float:
    """Return the median where every cell weighs the same; ``cells`` is (n, k) whole numbers."""
    _, cell, counts = np.unique(cells, axis=0, return_inverse=True, return_counts=True)
    weights = 1.0 / counts[cell.ravel()]
    order = np.argsort(values, kind="stable")
    share = np.cumsum(weights[order]) / weights.sum()
    # The lower and the upper median, so that an even number of cells has the mean of its middle ones.
    low, high = np.searchsorted(share, [0.5 - _ROUNDING, 0.5 + _ROUNDING])
    return float((values[order[low]] + values[order[min(high, len(order) - 1)]]) / 2.0)


@dataclass(frozen=True)
class PlacedTrials:
    """The trials of a search as points.

    Attributes:
        cube: The varying numbers of the space as axes.
        columns: The n values of each parameter, None or NaN where it is inactive.
        values: (n,) the objective, higher is better; NaN for an infeasible or failed trial.
        radius: Half the width of a neighbourhood, as a share of each range.
    """

    cube: UnitCube
    columns: dict[str, list[Value]]
    values: np.ndarray
    radius: float

    @classmethod
    def of(
        cls,
        space: Space,
        columns: Mapping[str, Sequence[Any] | np.ndarray],
        values: np.ndarray,
        radius: float,
    ) -> PlacedTrials | None:
        """Return the trials as points; None where no trial has a value, or the space has no number that varies."""
        listed = {name: np.asarray(columns[name], dtype=object).tolist() for name in space}
        trials = cls(UnitCube(space), listed, np.asarray(values, dtype=np.float64), radius)
        return trials if np.isfinite(trials.values).any() and trials.cube.axes else None

    @cached_property
    def points(self) -> np.ndarray:
        return self.cube.points(self.columns)

    @cached_property
    def kinds(self) -> np.ndarray:
        return self.cube.kinds(self.columns)

    @cached_property
    def floored(self) -> np.ndarray:
        """The values, with the lowest of all for infeasible and failed trials."""
        return np.where(np.isfinite(self.values), self.values, np.nanmin(self.values))

    @cached_property
    def cells(self) -> np.ndarray:
        """(n, n_axes + 1) the cell of each trial in a grid as wide as a neighbourhood, choices apart."""
        return np.column_stack([self.kinds, np.floor(self.points / (2.0 * self.radius)).astype(np.int64)])

    def params(self, trial: int) -> Params:
        """Return the parameters of a trial, without inactive ones."""
        return {name: column[trial] for name, column in self.columns.items() if _is_given(column[trial])}

    def find_neighbourhood(self, trial: int) -> Neighbourhood:
        """Return the neighbourhood of a trial."""
        low, high = self.cube.box(self.params(trial), self.radius)
        inside = (self.points >= low - _ROUNDING).all(axis=1) & (self.points <= high + _ROUNDING).all(axis=1)
        inside &= (self.kinds == self.kinds[trial]) & (
            np.abs(self.points - self.points[trial]) > _ROUNDING
        ).any(axis=1)
        return Neighbourhood(self, trial, low, high, inside)

    def iterate_peaks(self, n: int) -> Iterator[Neighbourhood]:
        """Yield the neighbourhoods of the best trials, each outside of those before; at most n."""
        left = np.where(np.isfinite(self.values), self.values, -np.inf)
        for _ in range(n):
            best = int(np.argmax(left))
            if left[best] == -np.inf:
                return
            near = self.find_neighbourhood(best)
            yield near
            same = (np.abs(self.points - self.points[best]) <= _ROUNDING).all(axis=1)
            left[near.inside | (same & (self.kinds == self.kinds[best]))] = -np.inf

    def find_centre(self) -> tuple[int | None, float | None]:
        """Return the best of the dense centres, the higher value first among equals; the best of each small cell is tried."""
        order = np.argsort(-np.where(np.isfinite(self.values), self.values, -np.inf), kind="stable")
        order = order[: int(np.isfinite(self.values).sum())]
        small = np.column_stack([self.kinds, np.floor(self.points / self.radius).astype(np.int64)])[order]
        _, first = np.unique(small, axis=0, return_index=True)
        found: int | None = None
        height: float | None = None
        for trial in order[np.sort(first)[:_MOST_CENTRES]]:
            near = self.find_neighbourhood(int(trial))
            if near.is_dense and (height is None or near.median() > height):
                found, height = int(trial), near.median()
        return found, height


@dataclass(frozen=True)
class Neighbourhood:
    """The neighbours of a trial.

    Attributes:
        trials: All trials.
        centre: The index of the trial in the middle.
        low, high: (n_axes,) the ends of the box.
        inside: (n,) True for every other trial in the box.
    """

    trials: PlacedTrials
    centre: int
    low: np.ndarray
    high: np.ndarray
    inside: np.ndarray

    @cached_property
    def offsets(self) -> np.ndarray:
        """(n_neighbours, n_axes) from the centre, -1 and 1 at the edges of the box."""
        here = self.trials.points[self.centre]
        moved = self.trials.points[self.inside] - here
        reach = np.where(moved < 0.0, here - self.low, self.high - here)
        offsets: np.ndarray = np.divide(moved, reach, out=np.zeros(moved.shape), where=reach > _ROUNDING)
        return offsets

    @cached_property
    def n_distinct(self) -> int:
        return len(np.unique(np.round(self.trials.points[self.inside], 9), axis=0))

    @cached_property
    def n_needed(self) -> float:
        enough = max(8.0, 4.0 * int(np.sum(self.low < self.high)))
        room = self.trials.cube.size(self.low, self.high) - 1.0
        if room < _MOST_LISTED and self.trials.cube.space.rules:
            allowed = (point for point in self._list_points() if self._is_allowed(self._params(point)))
            # Enough is enough: each look costs a rule.
            room = len(list(itertools.islice(allowed, int(enough) + 1))) - 1.0
        return min(room, enough)

    @cached_property
    def open_sides(self) -> list[np.ndarray]:
        """Points three quarters of the way on the sides on which nobody has gone half-way, though candidates are there."""
        here = self.trials.points[self.centre]
        found = []
        for axis, sign in itertools.product(range(len(here)), (-1.0, 1.0)):
            room = (self.high[axis] if sign > 0.0 else self.low[axis]) - here[axis]
            reached = (self.offsets[:, axis] * sign >= 0.5 - _ROUNDING).any()
            point = here.copy()
            point[axis] += 0.75 * room
            if (
                abs(room) > _NO_ROOM * self.trials.radius
                and not reached
                and self._is_allowed(self._params(point))
            ):
                found.append(point)
        return found

    @cached_property
    def is_dense(self) -> bool:
        """Tell whether there are enough neighbours, see :func:`~backtune.validation.plateau.measure_plateau`."""
        return self.n_distinct >= max(1.0, self.n_needed) and not self.open_sides

    def median(self) -> float:
        """Return the median of the neighbours, in a grid of three cells on each axis."""
        cells = np.clip(np.floor((self.offsets + 1.0) * 1.5), 0.0, 2.0).astype(np.int64)
        return compute_median_of_cells(self.trials.floored[self.inside], cells)

    def propose_probes(self, seed: int) -> tuple[Params, ...]:
        """Return candidates that make the neighbourhood dense: on the open sides first, then anywhere in the box."""
        here = self.trials.points[self.centre]
        taken = {_round_point(point) for point in self.trials.points[self.inside]} | {_round_point(here)}
        found: list[Params] = []
        sides = ((point, True) for point in self.open_sides)
        for point, is_needed in itertools.chain(sides, ((point, False) for point in self._draw_points(seed))):
            if not is_needed and len(taken) - 1 >= self.n_needed:
                break
            params = self._params(point)
            reached = self.trials.cube.points({name: [value] for name, value in params.items()})[0]
            # The nearest value of a grid may lie outside.
            inside = (reached >= self.low - _ROUNDING).all() and (reached <= self.high + _ROUNDING).all()
            if inside and _round_point(reached) not in taken and self._is_allowed(params):
                taken.add(_round_point(reached))
                found.append(params)
        return tuple(found)

    def _draw_points(self, seed: int) -> Iterator[np.ndarray]:
        random = np.random.default_rng(seed)
        if self.trials.cube.size(self.low, self.high) <= _MOST_LISTED:
            yield from random.permutation(self._list_points())
            return
        for _ in range(int(100 * self.n_needed)):
            yield random.uniform(self.low, self.high)

    def _list_points(self) -> np.ndarray:
        return self.trials.cube.grid(self.low, self.high)

    def _params(self, point: np.ndarray) -> Params:
        return self.trials.cube.params(point, self.trials.params(self.centre))

    def _is_allowed(self, params: Params) -> bool:
        return self.trials.cube.space.find_broken_rule(params) is None


def _is_given(value: object) -> bool:
    """Tables write None or NaN for an inactive parameter."""
    return value is not None and value == value  # noqa: PLR0124


def _round_point(point: np.ndarray) -> tuple[float, ...]:
    return tuple(np.round(point, 9).tolist())
