"""Candidates as points in the unit cube: every varying number of a space from 0 to 1, so that distances are comparable."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from backtune.space import Params, Scale, Space


@dataclass(frozen=True)
class UnitCube:
    """The varying numbers of a space as axes; on a log scale where the parameter has one. Choices have no axis.

    A parameter that a candidate leaves out, because a condition makes it inactive, lies at 0 on its axis.
    """

    space: Space

    @cached_property
    def axes(self) -> dict[str, Scale]:
        """The scales of the parameters that have an axis, in the order of the space."""
        return {
            name: parameter.scale
            for name, parameter in self.space.items()
            if parameter.scale is not None and parameter.n_levels > 1
        }

    @property
    def choices(self) -> tuple[str, ...]:
        """The names of the choices with more than one value."""
        return tuple(name for name, p in self.space.items() if p.scale is None and p.n_levels > 1)

    def points(self, columns: Mapping[str, Sequence[Any] | np.ndarray]) -> np.ndarray:
        """Return (n, n_axes) coordinates of n candidates, given as a column for each parameter."""
        n = len(next(iter(columns.values()), ()))
        coordinates = [
            np.nan_to_num(scale.to_unit(np.asarray(columns.get(name, [None] * n), dtype=np.float64)))
            for name, scale in self.axes.items()
        ]
        return np.column_stack(coordinates) if coordinates else np.zeros((n, 0))

    def kinds(self, columns: Mapping[str, Sequence[Any] | np.ndarray]) -> np.ndarray:
        """Return (n,) a number for each combination of choices and of inactive numbers; equal ones have the same."""
        n = len(next(iter(columns.values()), ()))
        chosen = [list(map(repr, columns[name])) for name in self.choices]
        inactive = [np.isnan(np.asarray(columns[name], dtype=np.float64)).tolist() for name in self.axes]
        keys = list(zip(*chosen, *inactive, strict=True)) or [()] * n
        numbers = {key: i for i, key in enumerate(dict.fromkeys(keys))}
        return np.array([numbers[key] for key in keys], dtype=np.int64)

    def params(self, point: np.ndarray, other: Params) -> Params:
        """Return the candidate nearest to a point; parameters without an axis, or left out, are as in ``other``."""
        found: Params = dict(other)
        for (name, scale), position in zip(self.axes.items(), point, strict=True):
            if name in other:
                found[name] = scale.nearest(scale.from_unit(float(min(1.0, max(0.0, position)))))
        return found

    def box(self, params: Params, radius: float) -> tuple[np.ndarray, np.ndarray]:
        """Return (n_axes,) lower and upper ends of the points within ``radius`` of a candidate on every axis.

        Where an axis has steps, both ends are levels: the last ones within ``radius``, or the next ones where none is.
        """
        ends = [
            _near_ends(scale, float(params[name]), radius) if name in params else (0.0, 0.0)
            for name, scale in self.axes.items()
        ]
        low, high = np.array(ends).T
        return low, high

    def size(self, low: np.ndarray, high: np.ndarray) -> float:
        """Return the number of candidates in a box, choices apart; infinite where an axis is continuous."""
        if any(
            scale.is_continuous and a < b for scale, a, b in zip(self.axes.values(), low, high, strict=True)
        ):
            return math.inf
        return float(math.prod(map(len, self._values(low, high))))

    def grid(self, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """Return (size, n_axes) all points of a box whose :meth:`size` is finite."""
        return np.array(list(itertools.product(*self._values(low, high))))

    def _values(self, low: np.ndarray, high: np.ndarray) -> list[np.ndarray]:
        """Return the coordinates of each axis inside a box."""
        found = []
        for scale, a, b in zip(self.axes.values(), low, high, strict=True):
            values = scale.to_unit(scale.levels() if a < b else np.array([scale.low], dtype=np.float64))
            found.append(values[(values >= a - 1e-9) & (values <= b + 1e-9)])
        return found


def _near_ends(scale: Scale, value: float, radius: float) -> tuple[float, float]:
    """Return the lowest and the highest position within ``radius`` of a value; the levels beside it where none is."""
    here = float(scale.to_unit(np.array(value)))
    low, high = max(0.0, here - radius), min(1.0, here + radius)
    if scale.step is None:
        return low, high
    lowest = scale.low + scale.index_above(scale.from_unit(low)) * scale.step
    highest = scale.low + scale.index_below(scale.from_unit(high)) * scale.step
    near = np.clip([min(lowest, value - scale.step), max(highest, value + scale.step)], scale.low, scale.last)
    below, above = scale.to_unit(near)
    return float(below), float(above)
