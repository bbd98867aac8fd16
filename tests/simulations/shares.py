"""Shares of simulated cases, with their binomial error."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Share:
    """The share of cases in which something holds.

    Attributes:
        n_hits: The number of cases in which it holds.
        n_cases: The number of all cases.
    """

    n_hits: int
    n_cases: int

    @classmethod
    def of(cls, cases: Iterable[bool]) -> Share:
        """Count the cases that hold."""
        found = [bool(case) for case in cases]
        return cls(sum(found), len(found))

    @property
    def value(self) -> float:
        """The share in [0, 1]; NaN without a case."""
        return self.n_hits / self.n_cases if self.n_cases else math.nan

    @property
    def error(self) -> float:
        """The standard error of the share, sqrt(p (1 - p) / n), with (hits + 1) / (n + 2) for p so that it is never 0."""
        share = (self.n_hits + 1) / (self.n_cases + 2)
        return math.sqrt(share * (1.0 - share) / max(1, self.n_cases))

    def __str__(self) -> str:
        return f"{self.value:.3f} +- {self.error:.3f}" if self.n_cases else "-"


def largest_plausible_hits(probability: float, n_cases: int, level: float = 1e-4) -> int:
    """Return the least k with P(X > k) <= ``level``, X binomial: the bound of a test that fails by chance once in 1 / ``level``."""
    remaining = 1.0
    for k in range(n_cases + 1):
        remaining -= math.comb(n_cases, k) * probability**k * (1.0 - probability) ** (n_cases - k)
        if remaining <= level:
            return k
    return n_cases
