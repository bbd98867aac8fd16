"""The scores of candidates of one strategy on a window of bars."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np

from backtune.errors import StrategyError
from backtune.simulation.accelerated.forms import BATCHED_FORMS
from backtune.simulation.bar_window import BarWindow
from backtune.simulation.costs import build_costs, split_params
from backtune.simulation.simulate import (
    Result,
    Score,
    score_target_changes,
    simulate_equity,
    simulate_in_sequence,
)
from backtune.simulation.types import Costs, TargetChanges
from backtune.space import Params, Space
from backtune.spec import DISTANCES, Execution
from backtune.strategy.base import BaseStrategy, check_positions
from backtune.strategy.registry import StrategyRef


class WindowScores(NamedTuple):
    """The scores of a candidate on a window and on each of its parts."""

    whole: Score
    parts: tuple[Score, ...]


class _BuiltCandidate(NamedTuple):
    strategy: BaseStrategy
    costs: Costs


@dataclass(frozen=True)
class CandidateScorer:
    """Scores candidates of one strategy under one set of execution rules. Picklable.

    Attributes:
        strategy: The strategy.
        execution: The execution rules; a candidate may set the distances of its stops itself.
    """

    strategy: StrategyRef
    execution: Execution

    @cached_property
    def _strategy_class(self) -> type[BaseStrategy]:
        return self.strategy.load()

    @cached_property
    def _space(self) -> Space:
        return self._strategy_class.space()

    @cached_property
    def _default_params(self) -> Params:
        return self._space.defaults()

    @cached_property
    def _default_costs(self) -> Costs:
        return build_costs(self.execution)

    def score(self, params: Params, window: BarWindow) -> Score:
        """Return the metrics of a candidate on a window.

        Raises:
            SpecError: A parameter is unknown, or its value has the wrong type.
            StrategyError: The strategy fails or its positions cannot be used.
        """
        (scores,) = self.score_batch([self._convert_types(params)], window)
        if isinstance(scores, WindowScores):
            return scores.whole
        raise StrategyError(f"{self.strategy.name}: {scores}")

    def score_batch(self, candidates: Sequence[Params], window: BarWindow) -> Iterator[WindowScores | str]:
        """Yield the scores of each candidate, or the reason why it has none. A candidate runs when its scores are asked for.

        Args:
            candidates: Parameters of the types of the space, as a search proposes them.
            window: The bars that the candidates run on.
        """
        built = [self._build(params) for params in candidates]
        batch = [each.strategy for each in built if isinstance(each, _BuiltCandidate)]
        decide_batch = BATCHED_FORMS.get(self._strategy_class)
        all_sides = iter(()) if decide_batch is None else decide_batch(batch, window.shared_columns)
        for candidate in built:
            if not isinstance(candidate, _BuiltCandidate):
                yield candidate
            elif decide_batch is not None:
                yield self._score_sides(next(all_sides), window, candidate.costs)
            else:
                targets = self._decide_targets(candidate, window)
                if isinstance(targets, str):
                    yield targets
                else:
                    yield self._score_targets(targets, window, candidate.costs)

    def score_targets(self, params: Params | None, targets: np.ndarray, window: BarWindow) -> Score:
        """Return the metrics of given targets on a window, under the execution rules of a candidate.

        Args:
            params: The candidate, whose stop distances count; None for targets without a candidate, which have no stops.
            targets: (n_bars,) checked targets for all of ``window.bars``.
            window: The bars that are traded.
        """
        return score_target_changes(*self._prepare_simulation(params, targets, window))

    def score_holding(self, window: BarWindow) -> Score:
        """Return the metrics of buying at the first open of a window and holding to its end, under the same costs."""
        return self.score_targets(None, np.ones(len(window.bars)), window)

    def decide_targets(self, params: Params | None, window: BarWindow) -> np.ndarray:
        """Return the (n_bars,) checked targets of a candidate for all of ``window.bars``; 0 without a candidate.

        Raises:
            SpecError: A parameter is unknown, or its value has the wrong type.
            StrategyError: The strategy fails or its positions cannot be used.
        """
        if params is None:
            return np.zeros(len(window.bars))
        candidate = self._build(self._convert_types(params))
        targets = candidate if isinstance(candidate, str) else self._decide_targets(candidate, window)
        if isinstance(targets, str):
            raise StrategyError(f"{self.strategy.name}: {targets}")
        return targets

    def simulate_equity(self, params: Params, window: BarWindow) -> np.ndarray:
        """Return the (n_bars,) equity of a candidate at every close of a window.

        Raises:
            SpecError: A parameter is unknown, or its value has the wrong type.
            StrategyError: The strategy fails or its positions cannot be used.
        """
        return simulate_equity(*self._prepare_simulation(params, self.decide_targets(params, window), window))

    def backtest_chain(self, pieces: Sequence[tuple[Params | None, BarWindow]]) -> Result:
        """Backtest candidates on adjacent windows, as one; see :func:`~backtune.simulation.simulate.simulate_in_sequence`.

        A walk-forward is tested like that: the winner of each fold trades the :func:`~backtune.validation.windows.validation_window`
        of that fold. In a window without a candidate nothing is traded.

        Raises:
            SpecError: A parameter is unknown, or its value has the wrong type.
            StrategyError: The strategy fails or its positions cannot be used.
            ValueError: There is no piece, or the windows are not adjacent.
        """
        return self.backtest_target_chain(
            [(params, self.decide_targets(params, window), window) for params, window in pieces]
        )

    def backtest_target_chain(self, pieces: Sequence[tuple[Params | None, np.ndarray, BarWindow]]) -> Result:
        """Backtest given targets on adjacent windows, as :meth:`backtest_chain` does those of its candidates.

        Args:
            pieces: The candidates, whose stop distances count, their (n_bars,) checked targets for all bars of their window,
                and the windows.

        Raises:
            SpecError: A distance is not between 0 and 1.
            ValueError: There is no piece, or the windows are not adjacent.
        """
        return simulate_in_sequence([self._prepare_simulation(*piece) for piece in pieces])

    def _prepare_simulation(
        self, params: Params | None, targets: np.ndarray, window: BarWindow
    ) -> tuple[TargetChanges, BarWindow, Costs]:
        # No distance matters where nothing is traded.
        distances = dict.fromkeys(DISTANCES) if params is None else split_params(params)[1]
        costs = build_costs(self.execution.with_distances(distances)) if distances else self._default_costs
        return window.find_target_changes(targets, allow_short=self.execution.allow_short), window, costs

    def _score_sides(self, sides: np.ndarray, window: BarWindow, costs: Costs) -> WindowScores:
        allow_short = self.execution.allow_short
        return _score_with_parts(
            window,
            costs,
            lambda each: each.find_side_changes(sides[: len(each.bars)], allow_short=allow_short),
        )

    def _score_targets(self, targets: np.ndarray, window: BarWindow, costs: Costs) -> WindowScores:
        allow_short = self.execution.allow_short
        return _score_with_parts(
            window,
            costs,
            lambda each: each.find_target_changes(targets[: len(each.bars)], allow_short=allow_short),
        )

    def _convert_types(self, params: Params) -> Params:
        """Return parameters from a file or a log in the types of the space; a search proposes them in these types."""
        own, distances = split_params(params)
        return {**self._space.complete(own), **distances}

    def _build(self, params: Params) -> _BuiltCandidate | str:
        """Return the strategy and costs of a candidate, or the reason why it cannot be built."""
        own, distances = split_params(params)
        try:
            strategy = self._strategy_class(**{**self._default_params, **own})
            rules = self.execution.with_distances(distances) if distances else None
            return _BuiltCandidate(strategy, self._default_costs if rules is None else build_costs(rules))
        except Exception as error:  # noqa: BLE001
            return _describe_in_one_line(error)

    def _decide_targets(self, candidate: _BuiltCandidate, window: BarWindow) -> np.ndarray | str:
        """Return the checked targets for all bars of a window, or the reason why there are none."""
        try:
            bars = window.bars
            positions = candidate.strategy.positions(bars)
            return check_positions(positions, len(bars), self.strategy.name, bars.timestamp)
        except MemoryError:
            # The fault of the machine, not of the candidate: a row would make it permanent.
            raise
        except Exception as error:  # noqa: BLE001
            return _describe_in_one_line(error)


def _score_with_parts(
    window: BarWindow, costs: Costs, find_changes: Callable[[BarWindow], TargetChanges]
) -> WindowScores:
    whole, *parts = (
        score_target_changes(find_changes(each), each, costs) for each in (window, *window.parts)
    )
    return WindowScores(whole, tuple(parts))


def _describe_in_one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    kind = type(error).__name__
    return f"{kind}: {text}"[:500] if text else kind
