"""P-values as they are written for people."""

import pytest

from backtune.results.evidence.p_values import format_p_value


@pytest.mark.parametrize(
    ("p", "text"),
    [(1.0, "1.00"), (0.43, "0.43"), (0.056, "0.06"), (0.0526, "0.053"), (0.05, "0.050"), (0.0471, "0.047"), (0.044, "0.04"),
     (0.01, "0.01"), (0.0099, "<0.01"), (1e-300, "<0.01")],
)  # fmt: skip
def test_the_side_of_the_limit_can_be_seen(p, text):
    assert format_p_value(p) == text
