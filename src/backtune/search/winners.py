"""What a study's winners do, on the bars of the search once more and on those that only they meet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from backtune.engine.window import Window
from backtune.objective import Objective, Trial
from backtune.results.summary import Winner
from backtune.space import Params
from backtune.validation.bootstrap import sharpe_interval
from backtune.validation.deflated_sharpe import ReturnShape
from backtune.validation.moments import bar_returns


class Windows(NamedTuple):
    """Of the search, and of its winners' test; no test without validation."""

    search: Window
    test: Window | None


def tested(best: Sequence[Trial], objective: Objective, windows: Windows, seed: int) -> list[Winner]:
    """The winners among a study's trials, with what is kept of their bar returns.

    Args:
        seed: of the bootstrap.

    Raises:
        Exception: whatever a strategy raises on these windows.
    """
    return [_tested(trial, objective, windows, seed) for trial in best]


def _tested(trial: Trial, objective: Objective, windows: Windows, seed: int) -> Winner:
    test = windows.test
    interval = None
    if test is not None:
        returns = _returns(objective, trial.params, test)
        interval = sharpe_interval(returns, test.bars.bars_per_year, seed=seed)
    return Winner(
        number=trial.number,
        params=trial.params,
        values=trial.values or (),
        is_metrics=trial.metrics,
        oos_metrics=objective.score(trial.params, test).metrics if test is not None else None,
        is_shape=ReturnShape.of(_returns(objective, trial.params, windows.search)),
        oos_interval=interval,
    )


def _returns(objective: Objective, params: Params, window: Window) -> np.ndarray:
    equity = objective.equity(params, window)
    return bar_returns(equity, objective.execution.initial_cash)
