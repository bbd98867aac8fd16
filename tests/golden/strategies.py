"""Strategies of a user, in both forms."""

import numpy as np
import pandas as pd

from backtune import BaseStrategy, Float, Int, Space


class Breakout(BaseStrategy):
    """Long above the highest close of the last bars, short below the lowest, half a position in between."""

    @classmethod
    def space(cls) -> Space:
        return Space(period=Int(5, 80), share=Float(0.1, 0.9))

    def positions(self, bars):
        positions = np.zeros(len(bars))
        for i in range(self.period, len(bars)):
            before = bars.close[i - self.period : i]
            level = (bars.close[i] - before.min()) / (before.max() - before.min() + 1e-9)
            positions[i] = 1.0 if level > 1 else -1.0 if level < 0 else 0.5 if level > self.share else 0.0
        return positions


class PandasCross:
    """A crossing of moving averages in the form of a pandas frame with signals."""

    def __init__(self, **params):
        self.params = params

    @staticmethod
    def get_parameters():
        return {
            "fast": {"type": "int", "low": 3, "high": 20, "default": 8},
            "slow": {"type": "int", "low": 21, "high": 90, "default": 40},
        }

    def generate_signals(self, data: pd.DataFrame) -> pd.DataFrame:
        fast = data["close"].rolling(self.params["fast"]).mean()
        slow = data["close"].rolling(self.params["slow"]).mean()
        return pd.DataFrame(
            {"signal": np.where(fast > slow, 1, np.where(fast < slow, -1, 0))}, index=data.index
        )
