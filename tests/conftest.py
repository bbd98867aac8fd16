"""For all tests."""

from hypothesis import settings

# No deadlines: other programs may keep the machine busy.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
