"""The interface of a strategy, and the check of what it returns."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np

from backtune.data.bars import Bars
from backtune.data.window import to_datetime
from backtune.errors import StrategyError
from backtune.space import Space


class BaseStrategy(ABC):
    """A rule that turns bars into target exposures.

    A strategy is built from its parameters, given by keyword: ``MyStrategy(**params)`` with the names of
    :meth:`space`. It keeps no state between calls of :meth:`positions`.
    """

    name: ClassVar[str]

    def __init_subclass__(cls) -> None:
        """Give a class without a name of its own the name of the class."""
        if "name" not in vars(cls):
            cls.name = cls.__name__

    def __init__(self, **params: Any) -> None:
        """Set every parameter as an attribute; a dataclass or another ``__init__`` may replace this."""
        for parameter, value in params.items():
            setattr(self, parameter, value)

    @classmethod
    @abstractmethod
    def space(cls) -> Space:
        """Return the parameters that may vary, with their ranges and defaults."""

    @abstractmethod
    def positions(self, bars: Bars) -> np.ndarray:
        """Return (n_bars,) float64 target exposures in [-1, 1].

        ``positions[i]`` is decided at the close of bar i from bars up to i and filled at the open of bar
        i + 1. Warm-up bars are 0; no value is NaN.
        """

    @classmethod
    def lookback(cls, space: Space) -> int:
        """Return the number of earlier bars on which a position of any candidate of ``space`` may depend.

        The fading memory of recursive indicators does not count. Unless it is overridden, this is the largest whole
        number of the space: right where periods are whole numbers and no indicator is taken of another.
        """
        return max(
            (end for parameter in space.values() for end in parameter.ends() if type(end) is int), default=0
        )


def compute_lookback(strategy: type[BaseStrategy], space: Space) -> int:
    """Compute the lookback of a strategy over a space.

    Raises:
        StrategyError: The strategy's own method raises, or does not return a whole number of bars.
    """
    try:
        bars = strategy.lookback(space)
    except Exception as error:
        raise StrategyError(f"{strategy.name}: lookback: {type(error).__name__}: {error}") from error
    if type(bars) is not int or bars < 0:
        raise StrategyError(f"{strategy.name}: lookback is {bars!r}, not a whole number of bars of 0 or more")
    return bars


def check_periods(*periods: int) -> None:
    """Check that averages can have these periods.

    Raises:
        ValueError: A period is below 1.
    """
    if min(periods) < 1:
        raise ValueError(f"a period must be 1 or more, not {min(periods)}")


def check_positions(
    positions: object, n_bars: int, strategy: str, times: np.ndarray | None = None
) -> np.ndarray:
    """Check positions and return them as (n_bars,) contiguous float64.

    Args:
        positions: Positions as a strategy, or a user, gives them.
        n_bars: Number of bars.
        strategy: Name for messages.
        times: (n_bars,) open times of the bars in microseconds, for messages.

    Raises:
        StrategyError: Positions are not numbers, not one per bar, NaN or outside [-1, 1].
    """
    try:
        targets = np.ascontiguousarray(positions, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise StrategyError(f"{strategy}: positions are not numbers: {error}") from error
    if targets.shape != (n_bars,):
        raise StrategyError(
            f"{strategy}: positions have shape {targets.shape}, expected ({n_bars},): one per bar"
        )
    # NaN fails the comparison too.
    broken = ~(np.abs(targets) <= 1.0)
    if broken.any():
        if np.isnan(targets).any():
            problem = describe_nan(targets, times, "np.nan_to_num(positions)")
            raise StrategyError(f"{strategy}: positions are {problem}")
        row = int(np.argmax(broken))
        raise StrategyError(f"{strategy}: position {targets[row]} at bar {row} is not in [-1, 1]")
    return targets


def describe_nan(values: np.ndarray, times: np.ndarray | None, remedy: str) -> str:
    """Describe the bars at which values are NaN, their times, and the way out.

    Args:
        values: (n_bars,) float64, one or more of them NaN.
        times: (n_bars,) open times of the bars in microseconds; None where they are not known.
        remedy: Code that puts 0 in the place of NaN.
    """
    rows = np.flatnonzero(np.isnan(values))
    first = int(rows[0])
    n_adjacent = int(np.argmax(np.diff(rows, append=rows[-1] + 2) > 1)) + 1
    last, n_more = int(rows[n_adjacent - 1]), len(rows) - n_adjacent
    where = f"bar {first}" if first == last else f"bars {first} to {last}"
    if times is not None:
        moments = dict.fromkeys(f"{to_datetime(int(times[row])):%Y-%m-%d %H:%M}" for row in (first, last))
        where += f" ({' to '.join(moments)})"
    if len(rows) == len(values):
        where = f"every bar, {where}"
    elif n_more:
        where += f" and at {n_more:,} more"
    elif first == 0:
        where += ", the warm-up"
    return f"NaN at {where}; return 0 where no position is known, as {remedy} does"
