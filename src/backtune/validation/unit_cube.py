"""Candidates as points: every varying number of a space from 0 to 1, so that distances mean the same in all of them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from backtune.space import Choice, Float, Int, Params, Space, Value


@dataclass(frozen=True)
class UnitCube:
    """A space's varying numbers as axes; on a log scale where the parameter has one. Choices are no axis.

    A parameter that a candidate leaves out, because a condition makes it inactive, lies at 0 on its axis.
    """

    space: Space

    @cached_property
    def axes(self) -> dict[str, Float | Int]:
        """The parameters that have an axis, in the order of the space."""
        return {
            name: parameter
            for name, parameter in self.space.items()
            if not isinstance(parameter, Choice) and _last(parameter) > parameter.low
        }

    @property
    def choices(self) -> tuple[str, ...]:
        """The names of the choices with more than one value."""
        return tuple(name for name, p in self.space.items() if isinstance(p, Choice) and len(p.choices) > 1)

    def points(self, columns: Mapping[str, Sequence[Any] | np.ndarray]) -> np.ndarray:
        """(n, n_axes) coordinates of n candidates, given as a column for each parameter."""
        n = len(next(iter(columns.values()), ()))
        coordinates = [
            np.nan_to_num(_to_unit(p, np.asarray(columns.get(name, [None] * n), dtype=np.float64)))
            for name, p in self.axes.items()
        ]
        return np.column_stack(coordinates) if coordinates else np.zeros((n, 0))

    def kinds(self, columns: Mapping[str, Sequence[Any] | np.ndarray]) -> np.ndarray:
        """(n,) a number for each combination of choices and of inactive numbers; equal ones have the same."""
        n = len(next(iter(columns.values()), ()))
        chosen = [list(map(repr, columns[name])) for name in self.choices]
        inactive = [np.isnan(np.asarray(columns[name], dtype=np.float64)).tolist() for name in self.axes]
        keys = list(zip(*chosen, *inactive, strict=True)) or [()] * n
        numbers = {key: i for i, key in enumerate(dict.fromkeys(keys))}
        return np.array([numbers[key] for key in keys], dtype=np.int64)

    def params(self, point: np.ndarray, other: Params) -> Params:
        """The candidate nearest to a point, with what has no axis, or is left out, as in ``other``."""
        found: Params = dict(other)
        for (name, parameter), x in zip(self.axes.items(), point, strict=True):
            if name in other:
                found[name] = _from_unit(parameter, float(min(1.0, max(0.0, x))))
        return found

    def box(self, params: Params, radius: float) -> tuple[np.ndarray, np.ndarray]:
        """(n_axes,) lower and upper ends of what lies within ``radius`` of a candidate on every axis.

        Where an axis has steps, both ends are values of it: the last ones within ``radius``, or the next ones where none is.
        """
        ends = [
            _reach(parameter, float(params[name]), radius) if name in params else (0.0, 0.0)
            for name, parameter in self.axes.items()
        ]
        low, high = np.array(ends).T
        return low, high

    def size(self, low: np.ndarray, high: np.ndarray) -> float:
        """How many candidates, choices apart, a box holds; infinite where an axis is continuous."""
        if any(p.step is None and a < b for p, a, b in zip(self.axes.values(), low, high, strict=True)):
            return math.inf
        return float(math.prod(map(len, self._values(low, high))))

    def grid(self, low: np.ndarray, high: np.ndarray) -> np.ndarray:
        """(size, n_axes) all points of a box whose :meth:`size` is finite."""
        return np.array(list(itertools.product(*self._values(low, high))))

    def _values(self, low: np.ndarray, high: np.ndarray) -> list[np.ndarray]:
        """The coordinates of each axis inside a box."""
        found = []
        for parameter, a, b in zip(self.axes.values(), low, high, strict=True):
            values = _to_unit(
                parameter, np.array(parameter.grid() if a < b else [parameter.low], dtype=np.float64)
            )
            found.append(values[(values >= a - 1e-9) & (values <= b + 1e-9)])
        return found


def _last(parameter: Float | Int) -> float:
    """The highest value that is reached."""
    if parameter.step is None:
        return parameter.high
    return (
        parameter.low + math.floor((parameter.high - parameter.low) / parameter.step + 1e-9) * parameter.step
    )


def _to_unit(parameter: Float | Int, values: np.ndarray) -> np.ndarray:
    low, high = parameter.low, _last(parameter)
    if parameter.log:
        return np.asarray(np.log(values / low) / math.log(high / low))
    return np.asarray((values - low) / (high - low))


def _reach(parameter: Float | Int, value: float, radius: float) -> tuple[float, float]:
    """The lower and the upper end of what is near a value."""
    here = float(_to_unit(parameter, np.array(value)))
    low, high = max(0.0, here - radius), min(1.0, here + radius)
    if parameter.step is None:
        return low, high
    first, step, last = parameter.low, parameter.step, _last(parameter)
    lowest = first + math.ceil((_value_at(parameter, low) - first) / step - 1e-9) * step
    highest = first + math.floor((_value_at(parameter, high) - first) / step + 1e-9) * step
    near = np.clip([min(lowest, value - step), max(highest, value + step)], first, last)
    below, above = _to_unit(parameter, near)
    return float(below), float(above)


def _value_at(parameter: Float | Int, x: float) -> float:
    low, high = parameter.low, _last(parameter)
    return low * (high / low) ** x if parameter.log else low + x * (high - low)


def _from_unit(parameter: Float | Int, x: float) -> Value:
    value = _value_at(parameter, x)
    if parameter.step is None:
        return min(max(value, parameter.low), parameter.high)
    k = round((value - parameter.low) / parameter.step)
    return parameter.low + k * parameter.step if isinstance(parameter, Int) else parameter.at(k)
