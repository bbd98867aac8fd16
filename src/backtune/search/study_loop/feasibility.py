"""The conditions that a candidate must keep: it is not ruined, closes a trade, and meets the constraints of the spec."""

from __future__ import annotations

from collections.abc import Sequence

from backtune.results.trial import Metrics
from backtune.spec import Constraint

_CLOSES_A_TRADE = Constraint(metric="total_trades", at_least=True, limit=1.0)


def measure_violations(metrics: Metrics, constraints: Sequence[Constraint]) -> tuple[float, ...]:
    """Return one number per condition, 0 where it is kept: ruin, no closed trade, then the constraints."""
    total_return = metrics["total_return"]
    ruin = 1.0 if total_return is None or total_return <= -1.0 else 0.0
    conditions = (_CLOSES_A_TRADE, *constraints)
    return (ruin, *[each.violation(metrics[each.metric]) for each in conditions])


def describe_infeasibility(metrics: Metrics, constraints: Sequence[Constraint]) -> str:
    """Return a sentence about the first condition that is violated; an empty text where none is."""
    ruin, *violations = found = measure_violations(metrics, constraints)
    if not any(found):
        return ""
    if ruin > 0:
        return "ruined: equity reached zero"
    conditions = (_CLOSES_A_TRADE, *constraints)
    violated = next(each for each, size in zip(conditions, violations, strict=True) if size > 0)
    value = metrics[violated.metric]
    return f"{violated} does not hold ({'undefined' if value is None else f'{value:.6g}'})"


def name_violations(metrics: Metrics, constraints: Sequence[Constraint]) -> dict[str, float]:
    """Return the numbers of :func:`measure_violations`, each under a name of its own."""
    names = ["ruin", *map(str, (_CLOSES_A_TRADE, *constraints))]
    violations = measure_violations(metrics, constraints)
    return {f"{k}: {name}": size for k, (name, size) in enumerate(zip(names, violations, strict=True))}
