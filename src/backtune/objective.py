"""From candidates to trials. Picklable, and knows no cluster."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from backtune.data.bars import Bars
from backtune.engine.backtest import Score, Window, score_positions
from backtune.engine.kernels import N_BLOCKS
from backtune.engine.metrics import METRICS
from backtune.errors import CatalogError
from backtune.space import Params
from backtune.spec import Constraint, Execution, Goal
from backtune.strategy.base import BaseStrategy, check_positions
from backtune.strategy.registry import StrategyRef
from backtune.validation.folds import Span

State = Literal["complete", "infeasible", "failed"]
Metrics = dict[str, float | None]

A_TRADE = Constraint(metric="total_trades", at_least=True, bound=1.0)


@dataclass(frozen=True)
class Trial:
    """A candidate with its result.

    Attributes:
        number: place in the study, from 0.
        params: values by name.
        state: ``complete``; ``infeasible`` where a constraint is violated, there is no closed trade or equity
            reached zero; ``failed`` where the strategy raised or an objective is undefined.
        reason: why it is not complete, else empty.
        values: one per objective, as the metric is, None where failed; 0 stands for an undefined objective of an
            infeasible trial.
        metrics: on the train window, None where undefined; all None where failed.
        blocks: (16, 3) count, sum and sum of squares of bar returns in equal blocks of time; zeros where failed.
        duration_seconds: of the evaluation; 0 where the answer came from the log.
    """

    number: int
    params: Params
    state: State
    reason: str
    values: tuple[float, ...] | None
    metrics: Metrics
    blocks: np.ndarray
    duration_seconds: float


@dataclass(frozen=True)
class Objective:
    """Scores candidates of one strategy on one window under one set of costs."""

    strategy: StrategyRef
    execution: Execution
    goals: tuple[Goal, ...]
    bounds: tuple[Constraint, ...]

    @cached_property
    def _strategy_class(self) -> type[BaseStrategy]:
        return self.strategy.load()

    def trial(self, number: int, params: Params, window: Window) -> Trial:
        """Evaluate one candidate. What the strategy does wrong becomes a failed trial, not an exception."""
        started = time.perf_counter()
        try:
            score = self.score(params, window)
        except MemoryError:
            # The machine's fault, not the candidate's: a row would make it permanent.
            raise
        except Exception as error:  # noqa: BLE001
            return self._failed(number, params, _in_one_line(error), time.perf_counter() - started)
        return self._judged(number, params, score, time.perf_counter() - started)

    def score(self, params: Params, window: Window) -> Score:
        """The metrics of a candidate on a window.

        Raises:
            StrategyError: the strategy's positions are not usable; whatever else the strategy raises travels too.
        """
        strategy = self._strategy_class(**params)
        targets = check_positions(strategy.positions(window.bars), len(window.bars), self.strategy.name)
        return score_positions(targets, window, self.execution)

    def violations(self, metrics: Metrics) -> tuple[float, ...]:
        """One number per constraint, at most 0 where it holds: ruin, a closed trade, then those of the spec."""
        total_return = metrics["total_return"]
        ruined = total_return is None or total_return <= -1.0
        return (float(ruined), *(bound.violation(metrics[bound.metric]) for bound in (A_TRADE, *self.bounds)))

    def _judged(self, number: int, params: Params, score: Score, seconds: float) -> Trial:
        values = [score.metrics[goal.metric] for goal in self.goals]
        reason = self._infeasibility(score.metrics)
        if not reason and None in values:
            undefined = self.goals[values.index(None)].metric
            return self._failed(number, params, f"objective {undefined} is undefined", seconds)
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

    def _infeasibility(self, metrics: Metrics) -> str:
        ruin, *violations = self.violations(metrics)
        if ruin > 0:
            return "ruined: equity reached zero"
        for bound, violation in zip((A_TRADE, *self.bounds), violations, strict=True):
            if violation > 0:
                value = metrics[bound.metric]
                return f"{bound} does not hold ({'undefined' if value is None else f'{value:.6g}'})"
        return ""

    def _failed(self, number: int, params: Params, reason: str, seconds: float) -> Trial:
        return Trial(
            number, params, "failed", reason, None, dict.fromkeys(METRICS), np.zeros((N_BLOCKS, 3)), seconds
        )


def search_window(bars: Bars, train: Span) -> Window:
    """The window of the search; its bars end where the train window ends.

    Raises:
        CatalogError: there is no bar in it.
    """
    rows = np.searchsorted(bars.timestamp, [train.start, train.end])
    return _window(bars[int(rows[0]) : int(rows[1])], 0, "train")


def validation_window(bars: Bars, test: Span) -> Window:
    """The window of the winner's test, with all bars before it as warm-up.

    Raises:
        CatalogError: there is no bar in it.
    """
    rows = np.searchsorted(bars.timestamp, [test.start, test.end])
    return _window(bars[: int(rows[1])], int(rows[0]), "test")


def _window(bars: Bars, start: int, name: str) -> Window:
    if start >= len(bars):
        raise CatalogError(
            f"{bars.asset} {bars.timeframe}: the {name} window has no bar; give the sweep more time"
        )
    return Window.of(bars, start)


def _in_one_line(error: Exception) -> str:
    text = " ".join(str(error).split())
    kind = type(error).__name__
    return f"{kind}: {text}"[:500] if text else kind
