"""The value of an objective over the parts of a search's window, also where its metric is undefined in one of them.

A metric is undefined in a part for one of three reasons: nothing was traded, no trade of the kind that it averages was
closed, or nothing was lost that a ratio could be divided by. A single number in place of all three would make some
candidates better off idle, or better off with a loss.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from backtune.spec import Objective

Metrics = Mapping[str, float | None]

# Metrics of at most 0, which is the value of a candidate that never trades.
LOSS_METRICS = frozenset({"average_loss", "largest_loss"})
# Ratios that are undefined where nothing was lost, however much was gained.
_RATIOS_OVER_LOSS = frozenset({"sortino_ratio", "calmar_ratio", "burke_ratio", "profit_factor"})
# Ratios of either sign, so that 0 is not the best there is even where they are minimized.
_RATIOS_OF_RETURN = frozenset({"sharpe_ratio", "sortino_ratio", "calmar_ratio", "burke_ratio"})
# Metrics of at least 0 that are undefined where the part has nothing that they could be of.
_NOT_NEGATIVE = frozenset({"win_rate", "average_win", "largest_win", "average_trade_hours", "turnover"})


def combine_part_values(
    objective: Objective, whole: float, parts: Sequence[Metrics], deviation: float
) -> float:
    """Return the mean of :func:`compute_part_value` over the parts, worsened by ``deviation`` times its standard deviation.

    The standard deviation has ddof 1 and is 0 for a single part. Worsening lowers a maximized objective and raises a
    minimized one. Up to a deviation of 1 / sqrt(n_parts), a part that gets worse never makes the objective better: a
    value that falls by d takes d / n_parts from the mean, and from the standard deviation at most d / sqrt(n_parts).
    Beyond that, a candidate may be better off with less in its best part.

    Args:
        objective: The objective.
        whole: The metric on the whole window.
        parts: The metrics of each part, None where undefined; one part at least.
        deviation: The number of standard deviations, at least 0.
    """
    values = np.array([compute_part_value(objective, part, whole) for part in parts])
    worse = deviation * float(values.std(ddof=1)) if len(values) > 1 else 0.0
    return float(values.mean()) + (worse if objective.minimize else -worse)


def compute_part_value(objective: Objective, part: Metrics, whole: float) -> float:
    """Return what a part counts for: its metric, or a number that rewards neither idleness nor a loss.

    - A part in which there is nothing to measure counts 0, except where 0 would be the best there is, as for a minimized
      ``win_rate`` or a maximized ``largest_loss``. There it counts as the whole window does.
    - A ratio over a loss is undefined where nothing was lost, and a Sharpe ratio where the returns do not vary. A part that
      gained counts as the whole window then. So that a loss makes no part better, and one lucky part no candidate, every
      part counts for at most the whole window where a ratio over a loss is maximized.
    - A part that has winning trades and no losing one counts 0 for ``average_loss`` and ``largest_loss``: it lost nothing.
    - What is undefined for another reason, as the volatility of a single bar, counts as the whole window does.

    Args:
        objective: The objective.
        part: The metrics of the part, None where undefined.
        whole: The metric of the objective on the whole window.
    """
    value = part[objective.metric]
    if value is None:
        value = _undefined_value(objective, part, whole)
    is_capped = objective.metric in _RATIOS_OVER_LOSS and not objective.minimize
    return min(value, whole) if is_capped else value


def _undefined_value(objective: Objective, part: Metrics, whole: float) -> float:
    if objective.metric in _RATIOS_OF_RETURN:
        return whole if (part["total_return"] or 0.0) > 0.0 else 0.0
    if objective.metric == "profit_factor":
        has_won = part["largest_win"] is not None
        return whole if has_won or objective.minimize else 0.0
    if objective.metric in LOSS_METRICS:
        has_traded = part["largest_win"] is not None
        return 0.0 if has_traded or objective.minimize else whole
    if objective.metric in _NOT_NEGATIVE:
        return whole if objective.minimize else 0.0
    return whole
