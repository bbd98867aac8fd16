"""The importance of each parameter for a study's objective, from its trial log alone."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.stats import rankdata

MOST_BINS = 10
LEAST_TRIALS = 20
_LEAST_IN_A_BIN = 5


def measure_importance(columns: Mapping[str, np.ndarray], values: np.ndarray) -> dict[str, float]:
    """Return the share of the variance of the ranks of ``values`` that each parameter explains by itself.

    A parameter's values are cut into bins of about equal numbers of trials, ten at most; the share is that of the
    variance between the bins' means, less what as many bins of unrelated trials would show: epsilon squared (Kelley
    1935, *An unbiased correlation ratio measure*), on ranks so that no single trial decides. It is the first-order
    effect of a functional analysis of variance. Effects of several parameters together are in none of the shares, so that
    they need not sum to 1. A sampler tries good regions more often: the shares describe the trials, not the whole space.

    Args:
        columns: (n,) values of each parameter by name, NaN where it was inactive; choices as their positions.
        values: (n,) finite values of the objective.

    Returns:
        Shares in [0, 1], the largest first; empty below 20 trials or where all values are equal.
    """
    if len(values) < LEAST_TRIALS or values.min() == values.max():
        return {}
    ranks = rankdata(values)
    shares = {name: _share(column, ranks) for name, column in columns.items()}
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


def _share(column: np.ndarray, ranks: np.ndarray) -> float:
    bins = _bins(column)
    counts = np.bincount(bins)
    n, k = len(ranks), len(counts)
    if k < 2 or n <= k:
        return 0.0
    total = float(np.square(ranks - ranks.mean()).sum())
    means = np.bincount(bins, ranks) / counts
    between = float((counts * np.square(means - ranks.mean())).sum())
    by_chance = (k - 1) * (total - between) / (n - k)
    return max(0.0, (between - by_chance) / total)


def _bins(column: np.ndarray) -> np.ndarray:
    """Return the (n,) bin numbers without gaps; equal values share a bin, and missing values have their own."""
    present = ~np.isnan(column)
    known = column[present]
    most = min(MOST_BINS, len(known) // _LEAST_IN_A_BIN)
    if len(np.unique(known)) > max(most, 2):
        edges = np.quantile(known, np.linspace(0, 1, max(most, 2) + 1)[1:-1])
        placed = np.searchsorted(edges, known, side="right")
    else:
        placed = np.searchsorted(np.unique(known), known)
    bins = np.full(len(column), -1)
    bins[present] = placed
    return np.unique(bins, return_inverse=True)[1]
