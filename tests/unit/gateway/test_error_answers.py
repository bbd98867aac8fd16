"""What a refusal tells, and what it does not."""

import pytest

from backtune.gateway.error_answers import hide_paths


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/home/me/runs/x.json: cannot be read", "<path>: cannot be read"),
        ("'AAA' is not in /srv/data", "'AAA' is not in <path>"),
        ("(/srv/data)", "(<path>)"),
        ("file:///srv/data/x", "<path>"),
        ("at ~/data/market now", "at <path> now"),
        ("[Errno 13] denied: '/root/.ssh/id'", "[Errno 13] denied: '<path>'"),
        # Not a place of this machine.
        ("calendar must be 24/7 or sessions-252", "calendar must be 24/7 or sessions-252"),
        ("data.calendar: 'nyse' is unknown; allowed: 24/7, sessions-252, auto",) * 2,
        ("calendar 24/7 counts 365 bars a year, the bars of ACME 1d show 261; 261 is used",) * 2,
        ("must be Strategy, Strategy/ASSET or Strategy/ASSET/TIMEFRAME",) * 2,
        ("*/AAA/1h is not in the grid",) * 2,
        ("3 / 4 of the trials",) * 2,
        ("half of runs/x",) * 2,
    ],
)
def test_a_text_without_paths(text, shown):
    assert hide_paths(text) == shown
