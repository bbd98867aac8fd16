"""For all tests."""

import os

from hypothesis import settings

# No deadlines: other programs may keep the machine busy.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

# Ray reads it once in a process, and many tests share one; processes that tests start are told for themselves.
os.environ["RAY_AUTH_MODE"] = "disabled"
