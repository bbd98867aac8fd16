"""The text of an alert about the end of a job."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from backtune.gateway.alerts.rules import AlertKind, AlertRules
from backtune.gateway.jobs.job_record import JobRecord
from backtune.gateway.jobs.result import make_result
from backtune.wire.answers import JobResult

_MAX_LINES: Final = 20
_MAX_LINE_CHARACTERS: Final = 300
_MAX_WARNINGS: Final = 3
# Control characters, and the marks with which Slack notifies a whole channel: errors quote what users wrote.
_UNSAFE: Final = re.compile(r"[\x00-\x1f\x7f]+|<[!@#]")


@dataclass(frozen=True)
class AlertMessage:
    """A title of one line, and a body of one or more lines."""

    title: str
    body: str


def compose_message(
    record: JobRecord, rules: AlertRules, kinds: Collection[AlertKind]
) -> AlertMessage | None:
    """Return one message about all events of these kinds in the end of a job; None if there is no such event."""
    events = [event for kind, event in _find_events(record, rules).items() if kind in kinds]
    if not events:
        return None
    lines = [
        *_describe_end(record),
        f"job {record.id}, attempt {record.attempt}, sweep {record.sweep_id}",
    ]
    return AlertMessage(
        title=f"backtune: {_sanitize(record.name)}: {', '.join(events)}",
        body="\n".join(_sanitize(line) for line in lines),
    )


def combine_messages(messages: Sequence[AlertMessage]) -> AlertMessage:
    """Return one message that lists the titles of several."""
    lines = [f"- {message.title}" for message in messages[:_MAX_LINES]]
    if len(messages) > _MAX_LINES:
        lines.append(f"and {len(messages) - _MAX_LINES} more")
    return AlertMessage(f"backtune: {len(messages)} alerts", "\n".join(lines))


def _find_events(record: JobRecord, rules: AlertRules) -> dict[AlertKind, str]:
    """Return the events in the end of a job, in words; a cancelled job has none."""
    if record.state == "failed":
        return {"failed": "failed"}
    if record.state not in ("completed", "partial"):
        return {}
    events: dict[AlertKind, str] = {"finished": record.state}
    result = make_result(record)
    if result is None:
        return events
    drawdown, sharpe = result["max_drawdown"], result["sharpe_ratio"]
    if rules.max_drawdown is not None and drawdown is not None and drawdown > rules.max_drawdown:
        events["drawdown"] = f"drawdown {drawdown:.0%} over {rules.max_drawdown:.0%}"
    if rules.min_sharpe is not None and (sharpe is None or sharpe < rules.min_sharpe):
        events["sharpe"] = f"Sharpe ratio {_format_number(sharpe)} under {rules.min_sharpe:g}"
    return events


def _describe_end(record: JobRecord) -> list[str]:
    if record.state == "failed":
        return [f"error: {record.error or 'not known'}"]
    result = make_result(record)
    return ["nothing was found"] if result is None else _describe_result(result)


def _describe_result(result: JobResult) -> list[str]:
    cell = " ".join((result["strategy_name"], result["asset"], result["timeframe"]))
    sample = result["sample"].replace("_", " ")
    sharpe_ratio = _format_number(result["sharpe_ratio"])
    total_return = _format_percent(result["total_return"])
    drawdown = _format_percent(result["max_drawdown"])
    lines = [
        f"{cell}, {sample}: Sharpe ratio {sharpe_ratio}, total return {total_return}, maximum drawdown {drawdown}"
    ]
    family_p = result["family_p"]
    if family_p is not None:
        haircut = _format_number(result["haircut_sharpe_ratio"])
        lines.append(f"family-wise p {family_p:.2f}: Sharpe ratio {haircut} after the haircut for all tests")
    n_trials = result["n_trials"]
    parameters = ", ".join(f"{name}={value}" for name, value in result["best_parameters"].items())
    lines.append(f"best of {n_trials:,} trials: {parameters}")
    lines += [f"warning: {warning}" for warning in result["warnings"][:_MAX_WARNINGS]]
    return lines


def _sanitize(text: str) -> str:
    return _UNSAFE.sub(" ", text)[:_MAX_LINE_CHARACTERS]


def _format_number(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.2f}"


def _format_percent(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.1%}"
