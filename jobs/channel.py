"""A strategy of one's own: the breakout of a price channel."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from backtune import Bars, BaseStrategy, Int, Space


@dataclass(frozen=True)
class Channel(BaseStrategy):
    """Long from a close above the highest of the last bars until a close below the lowest of fewer."""

    name: ClassVar[str] = "Channel"
    entry_period: int = 20
    exit_period: int = 10

    @classmethod
    def space(cls) -> Space:
        return Space(entry_period=Int(10, 120, default=20), exit_period=Int(5, 60, default=10))

    def positions(self, bars: Bars) -> np.ndarray:
        targets = np.zeros(len(bars))
        held = 0.0
        for i in range(max(self.entry_period, self.exit_period), len(bars)):
            if bars.close[i] > bars.close[i - self.entry_period : i].max():
                held = 1.0
            elif bars.close[i] < bars.close[i - self.exit_period : i].min():
                held = 0.0
            targets[i] = held
        return targets
