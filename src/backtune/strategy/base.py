"""What a strategy is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np

from backtune.data.bars import Bars
from backtune.data.window import to_datetime
from backtune.errors import StrategyError
from backtune.space import Space


class BaseStrategy(ABC):
    """Turns bars into target exposures.

    A strategy is built from its parameters, given by keyword: ``MyStrategy(**params)`` with the names of
    :meth:`space`. It keeps no state between calls of :meth:`positions`.
    """

    name: ClassVar[str]

    def __init_subclass__(cls) -> None:
        """A class without a name of its own is called as it is written."""
        if "name" not in vars(cls):
            cls.name = cls.__name__

    def __init__(self, **params: Any) -> None:
        """Set every parameter as an attribute; a dataclass or an ``__init__`` of one's own may replace this."""
        for parameter, value in params.items():
            setattr(self, parameter, value)

    @classmethod
    @abstractmethod
    def space(cls) -> Space:
        """What may vary, with defaults."""

    @abstractmethod
    def positions(self, bars: Bars) -> np.ndarray:
        """(n_bars,) float64 target exposures in [-1, 1].

        ``positions[i]`` is decided at the close of bar i from bars up to i and filled at the open of bar
        i + 1. Warm-up bars are 0; no value is NaN.
        """

    @classmethod
    def lookback(cls, space: Space) -> int:
        """How many bars before its own a position of any candidate of ``space`` may depend on.

        Without the fading memory of recursive indicators. Unless it is overridden, the largest whole number of the
        space: right where periods are whole numbers and no indicator is taken of another.
        """
        return max(
            (end for parameter in space.values() for end in parameter.ends() if type(end) is int), default=0
        )


def lookback_of(strategy: type[BaseStrategy], space: Space) -> int:
    """The lookback of a strategy over a space.

    Raises:
        StrategyError: it raises, or is not a whole number of bars.
    """
    try:
        bars = strategy.lookback(space)
    except Exception as error:
        raise StrategyError(f"{strategy.name}: lookback: {type(error).__name__}: {error}") from error
    if type(bars) is not int or bars < 0:
        raise StrategyError(f"{strategy.name}: lookback is {bars!r}, not a whole number of bars of 0 or more")
    return bars


def check_periods(*periods: int) -> None:
    """Refuse periods that no average can have.

    Raises:
        ValueError: one is below 1.
    """
    if min(periods) < 1:
        raise ValueError(f"a period must be 1 or more, not {min(periods)}")


def check_positions(
    positions: object, n_bars: int, strategy: str, times: np.ndarray | None = None
) -> np.ndarray:
    """Positions as (n_bars,) float64, contiguous.

    Args:
        times: (n_bars,) open times of the bars in microseconds, for messages.

    Raises:
        StrategyError: not numbers, another length, a value that is NaN or outside [-1, 1].
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
            problem = nan_problem(targets, times, "np.nan_to_num(positions)")
            raise StrategyError(f"{strategy}: positions are {problem}")
        row = int(np.argmax(broken))
        raise StrategyError(f"{strategy}: position {targets[row]} at bar {row} is not in [-1, 1]")
    return targets


def nan_problem(values: np.ndarray, times: np.ndarray | None, mended: str) -> str:
    """Tell where values are NaN, at which times, and the way out.

    Args:
        values: (n_bars,) float64, of which one or more are NaN.
        times: (n_bars,) open times of the bars in microseconds, where they are known.
        mended: code that has 0 instead.
    """
    rows = np.flatnonzero(np.isnan(values))
    first = int(rows[0])
    n_together = int(np.argmax(np.diff(rows, append=rows[-1] + 2) > 1)) + 1
    last, n_more = int(rows[n_together - 1]), len(rows) - n_together
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
    return f"NaN at {where}; return 0 where no position is known, as {mended} does"
