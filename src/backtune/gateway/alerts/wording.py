"""What a job's end is worth telling, and in which words."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from backtune.gateway.alerts.rules import AlertRules, Kind
from backtune.gateway.records.values import JobRecord
from backtune.gateway.result import result_of
from backtune.gateway.schemas import Result

_MOST_LINES: Final = 20
_MOST_CHARACTERS: Final = 300
# Control characters, and what Slack takes for a call to a whole channel: errors quote what users wrote.
_NOT_TO_BE_SENT: Final = re.compile(r"[\x00-\x1f\x7f]+|<[!@#]")


@dataclass(frozen=True)
class Message:
    """A thing to tell."""

    kind: Kind
    title: str
    body: str


def messages_of(record: JobRecord, rules: AlertRules) -> list[Message]:
    """What is to be told of a job that has ended; nothing of one that was cancelled."""
    if record.state == "failed":
        return [_message("failed", record, "failed", [f"error: {record.error or 'not known'}"])]
    if record.state not in ("completed", "partial"):
        return []
    result = result_of(record)
    lines = ["nothing was found"] if result is None else _lines(result)
    told = [_message("finished", record, record.state, lines)]
    if result is None:
        return told
    drawdown, sharpe = result.max_drawdown, result.sharpe_ratio
    if rules.max_drawdown is not None and drawdown is not None and drawdown > rules.max_drawdown:
        told.append(
            _message("drawdown", record, f"drawdown {drawdown:.0%} over {rules.max_drawdown:.0%}", lines)
        )
    if rules.min_sharpe is not None and (sharpe is None or sharpe < rules.min_sharpe):
        told.append(
            _message("sharpe", record, f"Sharpe ratio {_number(sharpe)} under {rules.min_sharpe:g}", lines)
        )
    return told


def together(titles: list[str]) -> Message:
    """Several things in one message."""
    lines = [f"- {title}" for title in titles[:_MOST_LINES]]
    if len(titles) > _MOST_LINES:
        lines.append(f"and {len(titles) - _MOST_LINES} more")
    return Message("finished", f"backtune: {len(titles)} alerts", "\n".join(lines))


def _message(kind: Kind, record: JobRecord, event: str, lines: list[str]) -> Message:
    body = [*lines, f"job {record.id}, attempt {record.attempt}, sweep {record.sweep_id}"]
    return Message(
        kind, f"backtune: {_plain(record.name)}: {event}", "\n".join(_plain(line) for line in body)
    )


def _lines(result: Result) -> list[str]:
    parameters = ", ".join(f"{name}={value}" for name, value in result.best_parameters.items())
    cell = f"{result.strategy_name} {result.asset} {result.timeframe}, {result.sample.replace('_', ' ')}"
    metrics = (
        f"Sharpe ratio {_number(result.sharpe_ratio)}",
        f"total return {_percent(result.total_return)}",
        f"maximum drawdown {_percent(result.max_drawdown)}",
    )
    luck = (
        []
        if result.family_p is None
        else [
            f"family-wise p {result.family_p:.2f}: Sharpe ratio {_number(result.haircut_sharpe_ratio)} after the haircut for all tests"
        ]
    )
    return [
        f"{cell}: {', '.join(metrics)}",
        *luck,
        f"best of {result.n_trials:,} trials: {parameters}",
        *(f"warning: {warning}" for warning in result.warnings[:3]),
    ]


def _plain(text: str) -> str:
    return _NOT_TO_BE_SENT.sub(" ", text)[:_MOST_CHARACTERS]


def _number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.2f}"


def _percent(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.1%}"
