"""The tests of a sweep's rows taken together: what is left of each once it is known to be one of many."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from backtune.validation.deflated_sharpe import ReturnShape
from backtune.validation.multiple_tests import (
    BestByLuck,
    adjust_by_holm,
    compute_false_discovery_rates,
    compute_haircut_sharpe,
    compute_sharpe_p_value,
    estimate_share_with_effect,
)

# The level of a test: what has no skill passes it once in twenty times.
SIGNIFICANCE_LEVEL = 0.05
# With so many tests, the rate of false discoveries says more than the probability of a single one.
LARGE_FAMILY = 100


class RowTest(NamedTuple):
    """The test of one row: the shape of its bar returns out of sample, and the number of bars a year."""

    shape: ReturnShape
    bars_per_year: float


@dataclass(frozen=True)
class FamilyResult:
    """One row's test among those of all rows.

    Attributes:
        p: The family-wise p-value: how often, at most, some row of such a sweep tests as well without skill (Holm).
        haircut_sharpe_ratio: The annual Sharpe ratio that is left of the row's own, at least 0 (Harvey and Liu).
        q: The rate of false discoveries among the rows that test as well; None for fewer than 100 tests.
        share_with_edge: The estimated share of rows with an edge; None for fewer than 100 tests.
        luck: The Sharpe ratios that the best of these tests shows without skill.
    """

    p: float
    haircut_sharpe_ratio: float
    q: float | None
    share_with_edge: float | None
    luck: BestByLuck

    @property
    def is_significant(self) -> bool:
        """Tell whether the test is better than luck would be, at the level of 5 %."""
        return self.p <= SIGNIFICANCE_LEVEL


def family_to_json(result: FamilyResult | None) -> dict[str, Any]:
    """Return the fields of a result as flat, plain data; all null without one."""
    luck = result.luck if result else None
    return {
        "family_p": result.p if result else None,
        "haircut_sharpe_ratio": result.haircut_sharpe_ratio if result else None,
        "q_value": result.q if result else None,
        "share_with_edge": result.share_with_edge if result else None,
        "n_tests": luck.n_tests if luck else None,
        "luck_sharpe_mean": luck.mean if luck else None,
        "luck_sharpe_upper": luck.upper if luck else None,
    }


def compare_tests(tests: Sequence[RowTest | None]) -> list[FamilyResult | None]:
    """Return the result of each row, in their order; None for a row without a test.

    Args:
        tests: One a row, None for a row that has no winner, was not tested, or did not trade in its test.
    """
    known = [test for test in tests if test is not None]
    if not known:
        return [None] * len(tests)
    p_values = [compute_sharpe_p_value(test.shape) for test in known]
    adjusted = adjust_by_holm(p_values)
    is_large = len(known) >= LARGE_FAMILY
    rates: Sequence[float | None] = (
        compute_false_discovery_rates(p_values) if is_large else [None] * len(known)
    )
    share = estimate_share_with_effect(p_values) if is_large else None
    luck = BestByLuck.of([math.sqrt(one.bars_per_year / (one.shape.n_returns - 1)) for one in known])
    results = iter(
        FamilyResult(p, compute_haircut_sharpe(p, test.shape.n_returns, test.bars_per_year), q, share, luck)
        for test, p, q in zip(known, adjusted, rates, strict=True)
    )
    return [None if test is None else next(results) for test in tests]
