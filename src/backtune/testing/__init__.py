"""Conformance suites: tests that a suggester, a strategy or another part of one's own must pass. They need pytest.

A suite is a class of tests. Subclass it in a test module and say what is tested::

    class TestMyStrategy(StrategySuite):
        @pytest.fixture
        def strategy(self):
            return MyStrategy
"""

import pytest

pytest.register_assert_rewrite(
    "backtune.testing.storages", "backtune.testing.strategies", "backtune.testing.suggesters"
)

from backtune.testing.storages import StorageSuite  # noqa: E402 - asserts are rewritten on import
from backtune.testing.strategies import StrategySuite  # noqa: E402 - asserts are rewritten on import
from backtune.testing.suggesters import SuggesterSuite  # noqa: E402

__all__ = ["StorageSuite", "StrategySuite", "SuggesterSuite"]
