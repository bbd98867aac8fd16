"""For all tests."""

import os

from hypothesis import settings

# No deadlines: other programs may keep the machine busy.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

# Clusters that tests start have tokens of their own, whatever the shell is set up for.
for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
    os.environ.pop(name, None)
