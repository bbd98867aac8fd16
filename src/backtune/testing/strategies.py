"""The conformance suite of strategies."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from backtune.checks.lookahead import check_lookahead, choose_candidates
from backtune.checks.lookahead_perturbations import make_read_only
from backtune.data.bars import Bars
from backtune.data.synthetic import synthetic_bars
from backtune.space import Params, Space
from backtune.strategy.base import BaseStrategy, check_positions


class StrategySuite:
    """The contract of a strategy: positions in [-1, 1] at every bar, the same at every call, and none from a later bar."""

    @pytest.fixture
    def strategy(self) -> type[BaseStrategy]:
        """Return the strategy to test."""
        raise NotImplementedError("override the fixture 'strategy'")

    @pytest.fixture
    def bars(self) -> Bars:
        """Return the bars to test on; they must be longer than the strategy's warm-up."""
        return synthetic_bars("TEST", "1h", "2021-01-01", "2021-02-01", seed=1)

    @pytest.fixture
    def params_list(self, strategy: type[BaseStrategy]) -> list[Params]:
        """Return the parameter sets to test: the defaults, the corners of the space and random ones."""
        return choose_candidates(strategy.space())

    def test_the_space_has_valid_defaults(self, strategy: type[BaseStrategy]) -> None:
        space = strategy.space()
        assert isinstance(space, Space)
        defaults = space.defaults()
        assert all(value in space[name] for name, value in defaults.items())
        assert space.find_broken_rule(space.select_active(defaults)) is None

    def test_every_bar_has_a_position(
        self, strategy: type[BaseStrategy], bars: Bars, params_list: list[Params]
    ) -> None:
        for params in params_list:
            for n_bars in (1, 2, len(bars)):
                shown = bars[:n_bars]
                positions = strategy(**strategy.space().complete(params)).positions(shown)
                assert len(check_positions(positions, n_bars, strategy.name, shown.timestamp)) == n_bars

    def test_equal_bars_give_equal_positions(
        self, strategy: type[BaseStrategy], bars: Bars, params_list: list[Params]
    ) -> None:
        for params in params_list:
            instance = strategy(**strategy.space().complete(params))
            first = np.array(instance.positions(bars))
            # The bars of another market in between would show a state that the strategy keeps.
            instance.positions(replace(bars, close=bars.close[::-1].copy()))
            np.testing.assert_array_equal(instance.positions(bars), first)
            np.testing.assert_array_equal(
                strategy(**strategy.space().complete(params)).positions(bars), first
            )

    def test_bars_are_left_as_they_are(
        self, strategy: type[BaseStrategy], bars: Bars, params_list: list[Params]
    ) -> None:
        for params in params_list:
            strategy(**strategy.space().complete(params)).positions(make_read_only(bars))

    def test_no_position_depends_on_a_later_bar(
        self, strategy: type[BaseStrategy], bars: Bars, params_list: list[Params]
    ) -> None:
        report = check_lookahead(strategy, params_list, bars)
        assert report.is_clean, [violation.describe() for violation in report.violations]
