"""Bootstrap intervals of Sharpe ratios, without an assumption about the distribution of returns.

Sources: D. Politis and J. Romano, "The Stationary Bootstrap", JASA 89 (1994); D. Politis and H. White, "Automatic
Block-Length Selection for the Dependent Bootstrap", Econometric Reviews 23 (2004), with the correction by A. Patton and them, 28
(2009).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit

from backtune.validation.return_moments import ROUNDING, compute_sharpe_from_sums, sum_products

# So many blocks tell an interval's width to sqrt(2 / 500) = 6 %, not far from the 4 % of a thousand resamples; more cost
# time, and there is an interval for every study.
_MOST_BLOCKS = 500


@dataclass(frozen=True)
class SharpeInterval:
    """A percentile interval.

    Attributes:
        low, high: The ends of the interval, in the unit of ``sharpe``.
        sharpe: The Sharpe ratio of the sample, times sqrt(bars_per_year).
        confidence: The share of resamples inside the interval.
        block_bars: The mean length of the blocks.
        probability_of_loss: The share of resamples with a ratio below zero.
    """

    low: float
    high: float
    sharpe: float
    confidence: float
    block_bars: float
    probability_of_loss: float


def bootstrap_sharpe_interval(
    returns: np.ndarray,
    bars_per_year: float,
    *,
    seed: int,
    confidence: float = 0.95,
    n_resamples: int = 1_000,
    block_bars: float | None = None,
) -> SharpeInterval | None:
    """Return a bootstrap interval of the annual Sharpe ratio of bar returns.

    A resample joins blocks that start anywhere and have geometric lengths; the series is a circle (Politis and Romano
    1994). Only sums over blocks are needed, which prefix sums give. A resample whose returns do not vary counts as a
    ratio of 0: nothing was traded.

    Args:
        returns: (n_bars,) bar returns, finite.
        bars_per_year: The number of bars a year; 1 leaves the ratio per bar.
        seed: The seed of the resamples.
        confidence: The share of resamples inside the interval.
        n_resamples: The number of resamples.
        block_bars: The mean block length; None for that of :func:`estimate_block_length` of the returns' part in the Sharpe
            ratio, at least n / 500, which for 210,000 bars is 420: blocks that are too long bias nothing
            while there are so many.

    Returns:
        None where there are fewer than two returns or they do not vary.
    """
    values = np.ascontiguousarray(returns, dtype=np.float64)
    influence = _compute_influence(values)
    if influence is None:
        return None
    if block_bars is None:
        block_bars = max(estimate_block_length(influence), len(values) / _MOST_BLOCKS)
    blocks = min(max(block_bars, 1.0), float(len(values)))
    random = np.random.default_rng(seed)
    sums = _resample_sums(
        _compute_prefix_sums(values), _compute_prefix_sums(values * values), blocks, n_resamples, random
    )
    ratios = np.nan_to_num(
        compute_sharpe_from_sums(np.full(n_resamples, len(values)), sums[:, 0], sums[:, 1])
    )
    tail = (1.0 - confidence) / 2.0
    year = math.sqrt(bars_per_year)
    low, high = np.quantile(ratios, [tail, 1.0 - tail]) * year
    sharpe = float(values.mean() / values.std(ddof=1)) * year
    return SharpeInterval(float(low), float(high), sharpe, confidence, blocks, float(np.mean(ratios < 0.0)))


def estimate_block_length(values: np.ndarray) -> float:
    """Return the mean block length that suits the stationary bootstrap of a mean, at least 1 (Politis and White 2004, 2009).

    (2 G^2 / D)^(1/3) n^(1/3) with D = 2 g^2, g the spectral density at zero and G the sum of |k| R(k), autocovariances R taken
    with a flat-top window of twice the lag m after which max(5, log10 n) autocorrelations stay within 2 sqrt(log10(n) / n).

    Args:
        values: (n,) finite; a series that does not vary, or is shorter than 10, has blocks of 1.
    """
    n = len(values)
    centred = values - values.mean()
    variance = sum_products(centred, centred) / n
    if n < 10 or variance <= ROUNDING * sum_products(values, values) / n:
        return 1.0
    m, covariances = _measure_memory(centred, variance)
    lags = np.arange(1, len(covariances))
    weights = np.minimum(1.0, 2.0 * (1.0 - lags / max(m, 1)))
    slope = 2.0 * float((weights * lags) @ covariances[1:])
    density = variance + 2.0 * float(weights @ covariances[1:])
    if density <= 0.0:
        return 1.0
    longest = math.ceil(min(3.0 * math.sqrt(n), n / 3.0))
    return min(max(1.0, math.cbrt(slope**2 / density**2 * n)), float(longest))


def _measure_memory(centred: np.ndarray, variance: float) -> tuple[int, np.ndarray]:
    """Return the window's width and the autocovariances of lags up to it."""
    n = len(centred)
    run = max(5, int(math.log10(n)))
    most = math.ceil(math.sqrt(n)) + run
    bound = 2.0 * math.sqrt(math.log10(n) / n)
    covariances = [variance]
    quiet = last_loud = 0
    while quiet < run and len(covariances) <= min(most, n - 1):
        lag = len(covariances)
        covariances.append(sum_products(centred[lag:], centred[:-lag]) / n)
        loud = abs(covariances[lag]) >= bound * variance
        quiet, last_loud = (0, lag) if loud else (quiet + 1, last_loud)
    width = min(2 * max(last_loud, 1), most, n - 1)
    for lag in range(len(covariances), width + 1):
        covariances.append(sum_products(centred[lag:], centred[:-lag]) / n)
    return width, np.array(covariances[: width + 1])


def _compute_influence(values: np.ndarray) -> np.ndarray | None:
    """Return the (n,) influence of each return on the Sharpe ratio: z - SR (z^2 - 1) / 2, z standardized; its mean is zero.

    Blocks must be long enough for the dependence of this, not of the returns alone: volatility comes in clusters.
    """
    if len(values) < 2:
        return None
    centred = values - values.mean()
    variance = float(np.mean(centred**2))
    if not variance > ROUNDING * float(np.mean(values**2)):
        return None
    z = centred / math.sqrt(variance)
    influence: np.ndarray = z - float(values.mean()) / math.sqrt(variance) * (z**2 - 1.0) / 2.0
    return influence


def _compute_prefix_sums(values: np.ndarray) -> np.ndarray:
    """Return the (n + 1,) sums of the first i values."""
    return np.concatenate([[0.0], np.cumsum(values)])


@njit(cache=True)
def _resample_sums(
    sums: np.ndarray, squares: np.ndarray, block_bars: float, n_resamples: int, random: np.random.Generator
) -> np.ndarray:
    """Return the (n_resamples, 2) sum and sum of squares of n values of resamples of a series with these prefix sums."""
    n = len(sums) - 1
    out = np.zeros((n_resamples, 2))
    # A geometric length is 1 + floor(e / -log(1 - p)), e exponential; blocks of one bar have p = 1.
    scale = -1.0 / math.log1p(-1.0 / block_bars) if block_bars > 1.0 else 0.0
    for k in range(n_resamples):
        total = squared = 0.0
        left = n
        while left > 0:
            start = int(random.random() * n)
            length = min(left, 1 + int(min(random.standard_exponential() * scale, float(n))))
            left -= length
            end = start + length
            if end > n:
                end -= n
                total += sums[n]
                squared += squares[n]
            total += sums[end] - sums[start]
            squared += squares[end] - squares[start]
        out[k] = total, squared
    return out
