"""A winner where trading is dearer, comes later, loses some of its trades, or meets prices with noise."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np

from backtune.results.stress.winner_backtest import WinnerBacktest
from backtune.results.trial import Metrics
from backtune.simulation.metrics import METRICS
from backtune.spec import Execution, Objective
from backtune.validation.stress_perturbations import add_noise, delay_targets, skip_trades

Name = Literal["costs_doubled", "one_bar_later", "trades_skipped", "noise_on_prices"]

COST_FACTOR: Final = 2.0
SKIPPED_SHARE: Final = 0.01
NOISE_ATR: Final = 0.1
N_DRAWS: Final = 20
WORST_SHARE: Final = 0.1
# The metrics that judge a draw beside the objectives; True where less is better.
_JUDGED: Final = {"total_return": False, "sharpe_ratio": False, "max_drawdown": True}


@dataclass(frozen=True)
class Condition:
    """A winner under a condition that it was not searched under.

    Attributes:
        name: The key of the condition.
        metrics: Its metrics; where the condition is drawn, the median over the draws of each.
        n_draws: The number of draws; 1 where nothing is drawn.
        worst_tenth: The total return, the Sharpe ratio, the drawdown and the objectives, each at the value that one draw in ten is
            no better than; None where nothing is drawn.
    """

    name: Name
    metrics: Metrics
    n_draws: int = 1
    worst_tenth: Metrics | None = None


def score_conditions(
    winner: WinnerBacktest, objectives: Sequence[Objective], seed: int
) -> tuple[Condition, ...]:
    """Return the winner under all conditions.

    Args:
        objectives: The objectives of the search.
        seed: Decides all draws.
    """
    dearer = scale_costs(winner.scorer.execution, COST_FACTOR)
    return (
        Condition("costs_doubled", winner.score_execution(dearer)),
        Condition("one_bar_later", winner.score_targets(delay_targets)),
        score_skipped(winner, objectives, seed),
        score_noise(winner, objectives, seed),
    )


def scale_costs(execution: Execution, factor: float) -> Execution:
    """Return rules with every fee and the slippage multiplied by ``factor``; funding is the market's and stays."""
    maker = execution.maker_fee_bps
    costs = ("fee_bps", "slippage_bps", "fee_per_order", "fee_per_share", "minimum_fee")
    scaled = {name: factor * getattr(execution, name) for name in costs}
    return execution.model_copy(update={**scaled, "maker_fee_bps": None if maker is None else factor * maker})


def score_skipped(
    winner: WinnerBacktest, objectives: Sequence[Objective], seed: int, share: float = SKIPPED_SHARE
) -> Condition:
    """Return the winner where each trade is skipped with a probability of ``share``."""

    def score(random: np.random.Generator) -> Metrics:
        return winner.score_targets(lambda targets: skip_trades(targets, share, random))

    return _score_draws("trades_skipped", score, objectives, seed)


def score_noise(
    winner: WinnerBacktest, objectives: Sequence[Objective], seed: int, size: float = NOISE_ATR
) -> Condition:
    """Return the winner on prices with normal noise of ``size`` average true ranges, where it decides anew."""

    def score(random: np.random.Generator) -> Metrics:
        return winner.score_bars(lambda bars: add_noise(bars, size, random))

    return _score_draws("noise_on_prices", score, objectives, seed)


def _score_draws(
    name: Name, score: Callable[[np.random.Generator], Metrics], objectives: Sequence[Objective], seed: int
) -> Condition:
    draws = [score(np.random.default_rng([seed, draw])) for draw in range(N_DRAWS)]
    judged = {**_JUDGED, **{objective.metric: objective.minimize for objective in objectives}}
    return Condition(
        name=name,
        metrics={metric: compute_median([draw[metric] for draw in draws]) for metric in METRICS},
        n_draws=N_DRAWS,
        worst_tenth={
            metric: compute_worst_tenth([draw[metric] for draw in draws], minimize=minimize)
            for metric, minimize in judged.items()
        },
    )


def compute_median(values: Sequence[float | None]) -> float | None:
    """Return the median of the values; None where half of them or more are undefined."""
    known = sorted(value for value in values if value is not None)
    return float(np.median(known)) if 2 * len(known) > len(values) else None


def compute_worst_tenth(values: Sequence[float | None], *, minimize: bool) -> float | None:
    """Return the value that one in ten is no better than; an undefined one is worse than all others, and then None."""
    worst = math.inf if minimize else -math.inf
    ordered = sorted((worst if value is None else value for value in values), reverse=minimize)
    found = ordered[math.ceil(WORST_SHARE * len(values)) - 1]
    return found if math.isfinite(found) else None
