"""The p-value of a permutation test: counted by hand."""

import math

import pytest

from backtune.validation.permutation import compute_permutation_p_value

NOTHING = -math.inf


@pytest.mark.parametrize(
    ("observed", "permuted", "p"),
    [
        (2.0, [1.0] * 19, 0.05),
        (2.0, [1.0] * 18 + [3.0], 0.1),
        (2.0, [2.0] + [1.0] * 18, 0.1),
        (2.0, [3.0] * 19, 1.0),
        (2.0, [NOTHING] * 199, 0.005),
        (-1.0, [-2.0, -0.5, NOTHING], 0.5),
        (2.0, [], 1.0),
    ],
)
def test_permutation_p_value(observed, permuted, p):
    assert compute_permutation_p_value(observed, permuted) == pytest.approx(p)
