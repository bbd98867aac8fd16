"""The arithmetic of a range of numbers: levels, nearest value, random values, unit cube and codes for a search backend."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from backtune.errors import SearchError
from backtune.space.numbers import is_finite

if TYPE_CHECKING:
    import numpy as np

# A grid search cuts a continuous range into so many levels.
CONTINUOUS_LEVELS = 10

# 0 to 0.3 in steps of 0.1 has four levels, and 0.15000000000000002 is the level 0.15, rounding notwithstanding.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Scale:
    """The numbers from ``low`` to ``high``, all of them or in steps from ``low``.

    Attributes:
        low: The lowest value.
        high: The upper end of the range; the highest value is below it where the last step ends before.
        step: The distance between neighbouring values; None for a continuous range.
        is_log: True if values are spread evenly in the logarithm.
        is_whole: True if values are whole numbers.
    """

    low: float
    high: float
    step: float | None
    is_log: bool
    is_whole: bool

    @cached_property
    def is_continuous(self) -> bool:
        return self.step is None and self.low != self.high

    @cached_property
    def n_levels(self) -> int:
        """The number of values; of a continuous range the ten levels that a grid search visits."""
        if self.is_continuous:
            return CONTINUOUS_LEVELS
        return 1 if self.step is None else self.index_below(self.high) + 1

    @cached_property
    def last(self) -> float:
        """The highest value, before rounding is taken off at ``high``."""
        return self.high if self.step is None else self.low + (self.n_levels - 1) * self.step

    def level(self, index: int) -> int | float:
        """Return the value with an index, counted from ``low``."""
        if self.is_continuous:
            share = index / (CONTINUOUS_LEVELS - 1)
            value = self.high if share == 1 else min(self._interpolate(self.low, self.high, share), self.high)
        else:
            value = min(self.low + index * (self.step or 0), self.high)
        return value if self.is_whole else float(value)

    def levels(self) -> np.ndarray:
        """Return (n_levels,) values of a range with steps."""
        import numpy as np

        indices = np.arange(self.n_levels, dtype=np.float64)
        return np.minimum(self.low + indices * (self.step or 0), self.high)

    def middle(self) -> int | float:
        """Return the middle of the range: the middle level, or the lower one of two, where there are steps."""
        if self.step is not None:
            return self.level((self.n_levels - 1) // 2)
        return math.sqrt(self.low * self.high) if self.is_log else (self.low + self.high) / 2

    def index_below(self, value: float) -> int:
        """Return the index of the highest level that is not above a value."""
        return math.floor(self._steps_to(value) + _ROUNDING)

    def index_above(self, value: float) -> int:
        """Return the index of the lowest level that is not below a value."""
        return math.ceil(self._steps_to(value) - _ROUNDING)

    def nearest(self, value: float) -> int | float:
        """Return the value of the range that is nearest to a finite number."""
        if self.is_continuous:
            return float(min(max(value, self.low), self.high))
        return self.level(self._nearest_index(value))

    def draw(self, random: np.random.Generator) -> int | float:
        """Return a random value, uniform on the scale."""
        if self.is_continuous:
            return float(min(self._interpolate(self.low, self.high, float(random.random())), self.high))
        if self.is_whole and self.step is not None:
            half = self.step / 2
            return self.nearest(self._interpolate(self.low - half, self.last + half, float(random.random())))
        return self.level(int(random.integers(self.n_levels)))

    def to_unit(self, values: np.ndarray) -> np.ndarray:
        """Return (n,) positions of (n,) values, 0 at the lowest value and 1 at the highest."""
        import numpy as np

        if self.is_log:
            return np.asarray(np.log(values / self.low) / math.log(self.last / self.low))
        return np.asarray((values - self.low) / (self.last - self.low))

    def from_unit(self, position: float) -> float:
        """Return the number at a position from 0 to 1, whether or not it is a level."""
        return self._interpolate(self.low, self.last, position)

    def axis(self, levels_as_real: float) -> Scale:
        """Return the scale on which a backend searches this range.

        A continuous range is searched as it is. In place of levels a backend sees their indices, or on a log scale,
        where steps are 1, the whole numbers; these as a continuous range where there are ``levels_as_real`` or more.
        """
        if self.is_continuous:
            return self
        low, high = (int(self.low), int(self.high)) if self.is_log else (0, self.n_levels - 1)
        if self.n_levels >= levels_as_real:
            return Scale(low - 0.5, high + 0.5, None, self.is_log, is_whole=False)
        return Scale(low, high, 1, self.is_log, is_whole=True)

    def encode(self, value: object, *, key: str) -> int | float:
        """Return the number that stands for a value on the axis of a backend.

        Raises:
            SearchError: The value is outside of the range, or between two levels.
        """
        limits = f"[{self.low}, {self.high}]"
        if isinstance(value, bool) or not isinstance(value, int | float) or not is_finite(value):
            raise SearchError(f"{key}: {value!r} is outside of {limits}")
        is_inside = self.low <= value <= self.high
        if self.is_continuous and is_inside:
            return float(value)
        index = self._nearest_index(value)
        step = self.step or 1.0
        if self.is_continuous or abs(float(self.level(index)) - value) > _ROUNDING * step:
            has_type = not self.is_whole or float(value).is_integer()
            steps = f"is not {self.low} plus a whole number of steps of {step}"
            problem = steps if is_inside and has_type else f"is outside of {limits}"
            raise SearchError(f"{key}: {value!r} {problem}")
        return index + self._first_code

    def decode(self, code: float) -> int | float:
        """Return the value that a number on the axis of a backend stands for."""
        if self.is_continuous:
            return float(min(max(code, self.low), self.high))
        return self.level(min(max(round(code) - self._first_code, 0), self.n_levels - 1))

    @cached_property
    def _first_code(self) -> int:
        return int(self.low) if self.is_log else 0

    def _steps_to(self, value: float) -> float:
        return (value - self.low) / (self.step or 1.0)

    def _nearest_index(self, value: float) -> int:
        return min(max(round(self._steps_to(value)), 0), self.n_levels - 1)

    def _interpolate(self, low: float, high: float, share: float) -> float:
        if self.is_log:
            return float(low * (high / low) ** share)
        return low + (high - low) * share
