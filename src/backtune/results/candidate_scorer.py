"""From candidates to trials. Picklable, and knows no cluster."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from backtune.errors import StrategyError
from backtune.results.trial import Metrics, Trial
from backtune.simulation.costs import costs_of, split_params
from backtune.simulation.metrics import METRICS
from backtune.simulation.simulation import Result, Score, chained, equity, score
from backtune.simulation.types import N_BLOCKS, Costs, Moves
from backtune.simulation.window import BarWindow
from backtune.space import Params, Space
from backtune.spec import DISTANCES, Constraint, Execution, Objective
from backtune.strategy.base import BaseStrategy, BatchedStrategy, check_positions
from backtune.strategy.registry import StrategyRef
from backtune.validation.kfold_objective import LOSS_METRICS, combine_part_values

A_TRADE = Constraint(metric="total_trades", at_least=True, limit=1.0)


class _Candidate(NamedTuple):
    strategy: BaseStrategy
    costs: Costs


class _Scored(NamedTuple):
    """Scores on a window and on each of its parts."""

    whole: Score
    parts: tuple[Score, ...]


@dataclass(frozen=True)
class CandidateScorer:
    """Scores candidates of one strategy on one window under one set of costs.

    Where the window has parts, each of which starts flat, an objective is the mean of its metric over them, worsened by
    ``deviation`` times their standard deviation; see :mod:`backtune.validation.kfold_objective`, also for a metric that is
    undefined in one. It is undefined where the metric is undefined on the whole window. All else is of the window as a
    whole.
    """

    strategy: StrategyRef
    execution: Execution
    objectives: tuple[Objective, ...]
    constraints: tuple[Constraint, ...]
    deviation: float = 0.0

    @cached_property
    def _strategy_class(self) -> type[BaseStrategy]:
        return self.strategy.load()

    @cached_property
    def _space(self) -> Space:
        """The strategy's own."""
        return self._strategy_class.space()

    @cached_property
    def _defaults(self) -> Params:
        """For the parameters that a candidate leaves out."""
        return self._space.defaults()

    @cached_property
    def _costs(self) -> Costs:
        """Of a candidate that sets no distance of a stop."""
        return costs_of(self.execution)

    @cached_property
    def _all_constraints(self) -> tuple[Constraint, ...]:
        return (A_TRADE, *self.constraints)

    def trials(self, candidates: Sequence[tuple[int, Params]], window: BarWindow) -> Iterator[Trial]:
        """Evaluate numbered candidates in order, each when it is asked for. What the strategy does wrong becomes a
        failed trial, not an exception.
        """
        started = time.perf_counter()
        for (number, params), scored in zip(
            candidates, self._scores([p for _, p in candidates], window), strict=True
        ):
            seconds = time.perf_counter() - started
            if isinstance(scored, _Scored):
                yield self._judged(number, params, scored, seconds)
            else:
                yield self.failed(number, params, scored, seconds)
            started = time.perf_counter()

    def score(self, params: Params, window: BarWindow) -> Score:
        """The metrics of a candidate on a window.

        Raises:
            SpecError: a parameter is unknown, or its value not of its type.
            StrategyError: the strategy fails or its positions are not usable; says why.
        """
        (scored,) = self._scores([self._typed(params)], window)
        if isinstance(scored, _Scored):
            return scored.whole
        raise StrategyError(f"{self.strategy.name}: {scored}")

    def values(self, params: Params, window: BarWindow) -> tuple[float, ...] | None:
        """The objectives of a candidate on a window; None where the strategy fails or one of them is undefined."""
        (scored,) = self._scores([params], window)
        if not isinstance(scored, _Scored):
            return None
        values = [self._value(objective, scored) for objective in self.objectives]
        defined = tuple(value for value in values if value is not None)
        return defined if len(defined) == len(values) else None

    def chained(self, pieces: Sequence[tuple[Params | None, BarWindow]]) -> Result:
        """Candidates on windows side by side, as one backtest; see :func:`~backtune.simulation.simulation.chained`.

        For the tests of a walk-forward: each fold's winner on its :func:`validation_window`. Without a candidate nothing is
        traded in that window.

        Raises:
            SpecError: a parameter is unknown, or its value not of its type.
            StrategyError: the strategy fails or its positions are not usable; says why.
            ValueError: there is no piece, or windows are not side by side.
        """
        return self.chained_targets(
            [(params, self.targets(params, window), window) for params, window in pieces]
        )

    def chained_targets(self, pieces: Sequence[tuple[Params | None, np.ndarray, BarWindow]]) -> Result:
        """Backtest given targets on windows side by side, as :meth:`chained` does those of its candidates.

        Args:
            pieces: Candidates, whose distances of stops count, their (n_bars,) checked targets for all of their window's
                bars, and the windows.

        Raises:
            SpecError: A distance is not between 0 and 1.
            ValueError: There is no piece, or windows are not side by side.
        """
        return chained([self._simulated(*piece) for piece in pieces])

    def targets(self, params: Params | None, window: BarWindow) -> np.ndarray:
        """Return the (n_bars,) checked targets of a candidate for all of ``window.bars``; 0 without a candidate.

        Raises:
            SpecError: A parameter is unknown, or its value not of its type.
            StrategyError: The strategy fails or its positions are not usable; says why.
        """
        if params is None:
            return np.zeros(len(window.bars))
        one = self._built(self._typed(params))
        targets = one if isinstance(one, str) else self._targets(one, window)
        if isinstance(targets, str):
            raise StrategyError(f"{self.strategy.name}: {targets}")
        return targets

    def equity(self, params: Params, window: BarWindow) -> np.ndarray:
        """(n_bars,) equity of a candidate at every close of a window.

        Raises:
            SpecError: a parameter is unknown, or its value not of its type.
            StrategyError: the strategy fails or its positions are not usable; says why.
        """
        return equity(*self._simulated(params, self.targets(params, window), window))

    def score_targets(self, params: Params | None, targets: np.ndarray, window: BarWindow) -> Score:
        """Return the metrics of given targets on a window, under the rules of a candidate, whose distances of stops count.

        Args:
            params: The candidate; None for targets that no candidate decided, which have no stops.
            targets: (n_bars,) checked targets for all of ``window.bars``.
        """
        return score(*self._simulated(params, targets, window))

    def score_holding(self, window: BarWindow) -> Score:
        """Return the metrics of buying at the first open of a window and holding to its end, under the same costs."""
        return self.score_targets(None, np.ones(len(window.bars)), window)

    def _simulated(
        self, params: Params | None, targets: np.ndarray, window: BarWindow
    ) -> tuple[Moves, BarWindow, Costs]:
        # No distance matters where nothing is traded.
        distances = dict.fromkeys(DISTANCES) if params is None else split_params(params)[1]
        costs = costs_of(self.execution.with_distances(distances)) if distances else self._costs
        return window.moves(targets, allow_short=self.execution.allow_short), window, costs

    def _scores(self, candidates: Sequence[Params], window: BarWindow) -> Iterator[_Scored | str]:
        """A score for each candidate, or why there is none."""
        built = [self._built(params) for params in candidates]
        batch: list[Any] = [one.strategy for one in built if isinstance(one, _Candidate)]
        is_batched = batch and issubclass(self._strategy_class, BatchedStrategy)
        sides = batch[0].sides(batch, window.columns) if is_batched else iter(())
        for one in built:
            if not isinstance(one, _Candidate):
                yield one
            elif is_batched:
                yield self._of_sides(next(sides), window, one.costs)
            else:
                targets = self._targets(one, window)
                yield targets if isinstance(targets, str) else self._of_targets(targets, window, one.costs)

    def _of_sides(self, sides: np.ndarray, window: BarWindow, costs: Costs) -> _Scored:
        def scored(one: BarWindow) -> Score:
            moves = one.moves_of_sides(sides[: len(one.bars)], allow_short=self.execution.allow_short)
            return score(moves, one, costs)

        return _Scored(scored(window), tuple(map(scored, window.parts)))

    def _of_targets(self, targets: np.ndarray, window: BarWindow, costs: Costs) -> _Scored:
        def scored(one: BarWindow) -> Score:
            moves = one.moves(targets[: len(one.bars)], allow_short=self.execution.allow_short)
            return score(moves, one, costs)

        return _Scored(scored(window), tuple(map(scored, window.parts)))

    def _typed(self, params: Params) -> Params:
        """Parameters that come from a file or a log; those of a search in progress are of their types."""
        own, distances = split_params(params)
        return {**self._space.complete(own), **distances}

    def _built(self, params: Params) -> _Candidate | str:
        own, distances = split_params(params)
        try:
            strategy = self._strategy_class(**{**self._defaults, **own})
            rules = self.execution.with_distances(distances) if distances else None
            return _Candidate(strategy, self._costs if rules is None else costs_of(rules))
        except Exception as error:  # noqa: BLE001
            return _in_one_line(error)

    def _targets(self, one: _Candidate, window: BarWindow) -> np.ndarray | str:
        """Checked positions for all bars of a window, or why there are none."""
        try:
            bars = window.bars
            return check_positions(
                one.strategy.positions(bars), len(bars), self.strategy.name, bars.timestamp
            )
        except MemoryError:
            # The machine's fault, not the candidate's: a row would make it permanent.
            raise
        except Exception as error:  # noqa: BLE001
            return _in_one_line(error)

    def violations(self, metrics: Metrics) -> tuple[float, ...]:
        """One number per constraint, 0 where it holds: ruin, a closed trade, then those of the spec."""
        return (_ruin(metrics), *[bound.violation(metrics[bound.metric]) for bound in self._all_constraints])

    def told(self, trial: Trial) -> tuple[float, ...]:
        """What of :meth:`violations` a search is told: not that a candidate never trades, where its value of 0 says enough.

        Good candidates often trade rarely, and are found beside those that never do. Told that all of these are
        infeasible, TPE keeps away from both. It has to be told where 0 is the best there is, and where constraints of
        the spec would else make of it the only candidate that keeps them.
        """
        if trial.state == "complete":
            return self._nothing_violated
        ruin, never_trades, *others = self.violations(trial.metrics)
        return (ruin, never_trades, *others) if self._tells_of_no_trade else (ruin, *others)

    @cached_property
    def _nothing_violated(self) -> tuple[float, ...]:
        return (0.0,) * (1 + self._tells_of_no_trade + len(self.constraints))

    @cached_property
    def _tells_of_no_trade(self) -> bool:
        zero_is_best = any(
            objective.minimize or objective.metric in LOSS_METRICS for objective in self.objectives
        )
        return zero_is_best or bool(self.constraints)

    def _judged(self, number: int, params: Params, scored: _Scored, seconds: float) -> Trial:
        score = scored.whole
        values = [self._value(objective, scored) for objective in self.objectives]
        reason = self._infeasibility(score.metrics)
        if not reason and None in values:
            undefined = self.objectives[values.index(None)].metric
            return self.failed(number, params, f"objective {undefined} is undefined", seconds)
        return Trial(
            number=number,
            params=params,
            state="infeasible" if reason else "complete",
            reason=reason,
            values=tuple(value if value is not None else 0.0 for value in values),
            metrics=score.metrics,
            blocks=score.blocks,
            duration_seconds=seconds,
        )

    def _value(self, objective: Objective, scored: _Scored) -> float | None:
        whole = scored.whole.metrics[objective.metric]
        if not scored.parts or whole is None:
            return whole
        return combine_part_values(objective, whole, [part.metrics for part in scored.parts], self.deviation)

    def _infeasibility(self, metrics: Metrics) -> str:
        ruin, *violations = found = self.violations(metrics)
        if not any(found):
            return ""
        if ruin > 0:
            return "ruined: equity reached zero"
        bound = next(
            b for b, violation in zip(self._all_constraints, violations, strict=True) if violation > 0
        )
        value = metrics[bound.metric]
        return f"{bound} does not hold ({'undefined' if value is None else f'{value:.6g}'})"

    def failed(self, number: int, params: Params, reason: str, seconds: float = 0.0) -> Trial:
        """A trial without a result."""
        return Trial(
            number, params, "failed", reason, None, dict.fromkeys(METRICS), np.zeros((N_BLOCKS, 3)), seconds
        )


def violations_of(metrics: Metrics, constraints: Sequence[Constraint]) -> dict[str, float]:
    """By constraint, how far it is from holding, at most 0 where it does: ruin, a closed trade, then ``bounds``."""
    found = {f"{number}: {bound}": bound for number, bound in enumerate((A_TRADE, *constraints), start=1)}
    return {
        "0: ruin": _ruin(metrics),
        **{name: bound.violation(metrics[bound.metric]) for name, bound in found.items()},
    }


def _ruin(metrics: Metrics) -> float:
    total_return = metrics["total_return"]
    return 1.0 if total_return is None or total_return <= -1.0 else 0.0


def _in_one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    kind = type(error).__name__
    return f"{kind}: {text}"[:500] if text else kind
