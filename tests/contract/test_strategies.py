"""The built-in strategies keep the contract of ``BaseStrategy``."""

from __future__ import annotations

import pytest

from backtune.strategy.base import BaseStrategy
from backtune.strategy.registry import BUILT_IN
from backtune.testing import StrategySuite


class TestBuiltInStrategies(StrategySuite):
    @pytest.fixture(params=BUILT_IN)
    def strategy(self, request: pytest.FixtureRequest) -> type[BaseStrategy]:
        return BUILT_IN[request.param]
