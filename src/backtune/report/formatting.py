"""Formatting of numbers and names for readers."""

from __future__ import annotations

from datetime import UTC, datetime

from backtune.results.evidence.p_values import format_p_value
from backtune.simulation.metrics import METRICS
from backtune.space import Params, Value
from backtune.validation.bootstrap import SharpeInterval

# Metrics that are fractions and are shown in per cent.
IN_PERCENT = frozenset(
    {
        "total_return",
        "annual_return",
        "volatility",
        "max_drawdown",
        "win_rate",
        "average_win",
        "average_loss",
        "largest_win",
        "largest_loss",
        "exposure",
    }
)
_ALREADY_IN_PERCENT = frozenset({"ulcer_index"})
_COUNTS = frozenset({"total_trades"})

_SHORT = {
    "total_return": "Return",
    "max_drawdown": "Drawdown",
    "sharpe_ratio": "Sharpe",
    "total_trades": "Trades",
}
_PEOPLE = frozenset({"sharpe", "sortino", "calmar", "burke"})

NO_VALUE = "-"


def format_metric_name(name: str) -> str:
    """Return the words of a metric's name: ``Sharpe ratio`` for ``sharpe_ratio``, ``total return`` for ``total_return``."""
    return " ".join(word.capitalize() if word in _PEOPLE else word for word in name.split("_"))


def format_metric_title(name: str) -> str:
    """Return the words of a metric's name with a capital first letter."""
    words = format_metric_name(name)
    return words[:1].upper() + words[1:]


def format_short_title(name: str) -> str:
    """Return the title of a metric for a narrow column."""
    return _SHORT.get(name, format_metric_title(name))


def format_metric(name: str, value: float | None) -> str:
    """Format a metric's value with its unit; ``-`` where it is undefined."""
    if value is None:
        return NO_VALUE
    if name in IN_PERCENT:
        return format_percent(value)
    if name in _COUNTS:
        return f"{value:,.0f}"
    text = f"{value:,.{2 if abs(value) < 1000 else 0}f}"
    return f"{text}%" if name in _ALREADY_IN_PERCENT else text


def format_percent(fraction: float | None) -> str:
    """Format a fraction in per cent."""
    if fraction is None:
        return NO_VALUE
    return f"{100 * fraction:,.0f}%" if abs(fraction) >= 10 else f"{100 * fraction:,.1f}%"


def format_share(value: float | None) -> str:
    """Format a number of the order of one with two decimals."""
    return NO_VALUE if value is None else f"{value:.2f}"


def format_optional_p_value(p: float | None) -> str:
    """Return a p-value as :func:`~backtune.results.evidence.p_values.format_p_value` writes it; ``-`` where there is none."""
    return NO_VALUE if p is None else format_p_value(p)


def format_interval(interval: SharpeInterval | None) -> str:
    """Format the ends of a confidence interval."""
    return NO_VALUE if interval is None else f"{interval.low:.1f} to {interval.high:.1f}"


def format_param(value: Value) -> str:
    """Format the value of a parameter."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def format_params(params: Params) -> str:
    """Format parameters in one line."""
    return ", ".join(f"{name} {format_param(value)}" for name, value in params.items())


def format_day(microseconds: int) -> str:
    """Return the UTC date of a time in microseconds since the epoch."""
    return f"{datetime.fromtimestamp(microseconds / 1e6, UTC):%Y-%m-%d}"


def format_count(n: int, word: str) -> str:
    """Return a number with its noun: ``1 study``, ``2 studies``."""
    if n == 1:
        return f"1 {word}"
    plural = f"{word[:-1]}ies" if word.endswith("y") else f"{word}s"
    return f"{n:,} {plural}"


def metric_names() -> list[str]:
    """Return the names of all metrics, in the order of the simulation."""
    return list(METRICS)
