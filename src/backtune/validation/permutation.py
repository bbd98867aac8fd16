"""The p-value of a permutation test."""

from __future__ import annotations

from collections.abc import Iterable


def compute_permutation_p_value(observed: float, permuted: Iterable[float]) -> float:
    """Return the chance of a value as high as the observed one where the order of the data means nothing.

    ``p = (1 + #{permuted >= observed}) / (n_permuted + 1)``: the observed value is one of the orders, so that p is never 0 and a
    test at a level of ``k / (n_permuted + 1)`` is exact (Phipson and Smyth 2010, "Permutation p-values should never be zero").

    Args:
        observed: The value of the real data, higher is better; finite.
        permuted: (n_permuted,) values of the permuted data; minus infinity where nothing was found.
    """
    values = list(permuted)
    return (1 + sum(value >= observed for value in values)) / (len(values) + 1)
