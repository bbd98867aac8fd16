"""How failures are told: one line for every reason."""

from backtune.cli.run import _describe_failures


def test_equal_reasons_are_told_once():
    reasons = {f"s{i}": "no space left" for i in range(5)} | {"t": "no bars", "u": "no space left"}
    assert list(_describe_failures(reasons)) == [
        "failed: s0, s1, s2 and 3 more: no space left",
        "failed: t: no bars",
    ]
    assert list(_describe_failures({})) == []
