"""Block moments for tests of what is computed from them."""

from __future__ import annotations

import numpy as np


def blocks_of(returns: np.ndarray, n_blocks: int = 16) -> np.ndarray:
    """(n_trials, n_blocks, 3) count, sum and sum of squares of (n_trials, n_bars) returns."""
    parts = np.array_split(np.asarray(returns, dtype=np.float64), n_blocks, axis=1)
    return np.stack(
        [np.stack([np.full(len(p), p.shape[1]), p.sum(axis=1), (p**2).sum(axis=1)], axis=1) for p in parts],
        axis=1,
    )
