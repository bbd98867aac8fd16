"""Sharpe ratios from the block moments that every trial keeps.

``blocks`` is (n_trials, n_blocks, 3): count, sum and sum of squares of a trial's bar returns in equal blocks of time.
All ratios here are per bar; times sqrt(bars per year) they are annual.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

# A spread below this share of the sum of squares is rounding, and a ratio of it noise.
ROUNDING = 1e-14


def compute_bar_returns(equity: np.ndarray, initial_cash: float) -> np.ndarray:
    """Return the (n,) returns from close to close of (n,) equity, the first from the initial cash; 0 after ruin."""
    before = np.concatenate([[initial_cash], equity[:-1]])
    returns: np.ndarray = equity - before
    if before.min() > 0.0:
        # Ten times as fast as where some are left out.
        returns /= before
        return returns
    return np.divide(returns, before, out=np.zeros(len(equity)), where=before > 0.0)  # type: ignore[no-any-return]


def compute_block_moments(returns: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """Return the (n_blocks, 3) moments of (n,) bar returns between the (n_blocks + 1,) rows that cut them into blocks."""
    blocks = (returns[a:b] for a, b in pairwise(edges.tolist()))
    return np.array([(len(block), block.sum(), sum_products(block, block)) for block in blocks])


def compute_sharpe_from_sums(count: np.ndarray, total: np.ndarray, squares: np.ndarray) -> np.ndarray:
    """Return mean / std (ddof 1) of bar returns, from arrays of their count, sum and sum of squares.

    NaN where there are fewer than two returns or they do not vary.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = squares - total * total / count
        ratio = total / count / np.sqrt(spread / (count - 1.0))
    return np.where((count >= 2) & (spread > ROUNDING * squares), ratio, np.nan)


def sum_products(one: np.ndarray, other: np.ndarray) -> float:
    """Return the dot product of two series, in one thread: those of BLAS wait for each other where all cores are busy."""
    return float(np.einsum("i,i->", one, other))


def compute_trial_sharpes(blocks: np.ndarray) -> np.ndarray:
    """Return the (n_trials,) Sharpe ratio per bar over all blocks; NaN for a failed trial and for one without variation."""
    sums = blocks.sum(axis=1)
    return compute_sharpe_from_sums(sums[:, 0], sums[:, 1], sums[:, 2])


def select_distinct_trials(blocks: np.ndarray) -> np.ndarray:
    """Return the blocks of those trials that have a Sharpe ratio, equal ones once, in their order.

    A search of a discrete space meets the same candidate again, and different parameters may trade alike: neither is
    another trial.

    Raises:
        ValueError: the shape is not (n_trials, n_blocks, 3).
    """
    blocks = np.asarray(blocks, dtype=np.float64)
    if blocks.ndim != 3 or blocks.shape[2] != 3:
        raise ValueError(f"blocks must be (n_trials, n_blocks, 3), not {blocks.shape}")
    defined = blocks[np.isfinite(compute_trial_sharpes(blocks))]
    _, first = np.unique(defined.reshape(len(defined), blocks.shape[1] * 3), axis=0, return_index=True)
    distinct: np.ndarray = defined[np.sort(first)]
    return distinct
