"""Changes of targets and of bars that a sound candidate should survive. Each is drawn from a generator that the caller seeds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from backtune.data.bars import Bars
from backtune.strategy.indicators import atr

ATR_PERIOD = 14


def delay_targets(targets: np.ndarray, n_bars: int = 1) -> np.ndarray:
    """Return (n_bars,) targets that are decided ``n_bars`` later; the first ones are 0."""
    late = np.zeros_like(targets)
    late[n_bars:] = targets[: len(targets) - n_bars]
    return late


def skip_trades(targets: np.ndarray, probability: float, random: np.random.Generator) -> np.ndarray:
    """Return (n_bars,) targets of which every stretch of a constant non-zero target is 0 with the given probability.

    Stretches are skipped independently of each other. A trade that is scaled in or out has several of them.
    """
    starts = np.flatnonzero(np.diff(targets, prepend=np.nan) != 0.0)
    lengths = np.diff(starts, append=len(targets))
    is_skipped = random.random(len(starts)) < probability
    return np.where(np.repeat(is_skipped, lengths), 0.0, targets)


def add_noise(bars: Bars, size: float, random: np.random.Generator) -> Bars:
    """Return the bars with normal noise on every open, high, low and close.

    A price is multiplied by exp(s z) with a standard normal z of its own and s = ``size`` ATR(14) / close, the average true
    range of Wilder (1978): so it stays positive, and for a small s it is the price plus ``size`` ATR z. The bar's own range
    stands for the ATR where there is none yet. High and low are then the highest and the lowest of the four. Times, volume
    and funding stay.

    The noise of a bar depends on the bars up to it and on how many there are before it: with the same generator, the
    first bars of a longer series get the same.
    """
    ranges = atr(bars.high, bars.low, bars.close, ATR_PERIOD)
    ranges = np.where(np.isnan(ranges), bars.high - bars.low, ranges)
    noise = random.standard_normal((len(bars), 4)).T
    prices = (bars.open, bars.high, bars.low, bars.close)
    open_, high, low, close = np.exp(size * ranges / bars.close * noise) * prices
    return replace(
        bars,
        open=open_,
        high=np.maximum.reduce((open_, high, low, close)),
        low=np.minimum.reduce((open_, high, low, close)),
        close=close,
    )
