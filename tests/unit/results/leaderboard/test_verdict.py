"""What a leaderboard comes to in a few sentences."""

from __future__ import annotations

import pytest

from backtune.results.evidence.evidence import NO_EVIDENCE, Evidence
from backtune.results.evidence.family import FamilyResult
from backtune.results.leaderboard.row import Row
from backtune.results.leaderboard.verdict import describe_verdict
from backtune.validation.multiple_tests import BestByLuck


def row(p, asset="AAA", trades=40.0, n_tests=12, share=None):
    family = None if p is None else FamilyResult(p, 1.0, None, share, BestByLuck(n_tests, 1.94, 2.91))
    metrics = {"total_trades": trades, "sharpe_ratio": 1.0}
    evidence = NO_EVIDENCE if family is None else Evidence(family=family)
    return Row("s", "S", asset, "1h", {}, 1, 9, (1.0,), metrics, metrics, (), evidence)


LUCK = "Without skill the best of 12 tests{} would show a Sharpe ratio of 1.9 on average, and less than 2.9 in 95 of 100 sweeps."


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], ""),
        ([row(None)], ""),
        ([row(0.3), row(1.0)], f"No row does better out of sample than luck would. {LUCK}"),
        ([row(0.3), row(0.05)], f"Row 2 does better out of sample than luck would. {LUCK}"),
        (
            [row(0.01), row(0.01, "BBB")],
            f"Rows 1 and 2 do better out of sample than luck would. {LUCK}",
        ),
        (
            [row(0.01), row(0.6), row(0.02), row(0.03)],
            f"Rows 1, 3 and 4 do better out of sample than luck would, all on AAA: that is one finding rather than 3. {LUCK}",
        ),
        (
            [row(0.3), row(0.01, trades=29.0)],
            f"No row does better out of sample than luck would. Row 2 does as well, with too few trades to count. {LUCK}",
        ),
        (
            [row(0.01), row(0.01, trades=3.0), row(0.01, trades=1.0)],
            f"Row 1 does better out of sample than luck would. Rows 2 and 3 do as well, with too few trades to count. {LUCK}",
        ),
        (
            [row(0.3, share=0.125)],
            f"No row does better out of sample than luck would. {LUCK} By the number of high p-values, 12 of 100 rows have an edge.",
        ),
        (
            [row(0.01, f"A{k}") for k in range(12)],
            f"Rows 1, 2, 3, 4, 5, 6, 7, 8, 9, 10 and 2 more do better out of sample than luck would. {LUCK}",
        ),
    ],
)  # fmt: skip
def test_sentences(rows, expected):
    assert describe_verdict(rows) == expected.format("")


def test_rows_without_a_test_are_told():
    rows = [row(0.3)] * 12 + [row(None)] * 3
    assert describe_verdict(rows).endswith(LUCK.format(" (3 of 15 rows have none)"))


def test_a_single_test():
    assert describe_verdict([row(0.4, n_tests=1)]) == (
        "The test is no better than luck. Without skill one test would show a Sharpe ratio of 1.9 on average, and less than 2.9 in "
        "95 of 100 sweeps."
    )
