"""All metrics, in sample beside out of sample."""

from __future__ import annotations

from backtune.report.cards.card import Card, Table, TableCell
from backtune.report.wording import metric_names, metric_text, metric_title
from backtune.results.trial import Metrics


def metrics_card(is_metrics: Metrics, oos_metrics: Metrics | None) -> Card:
    """A line a metric; without validation the second column is empty."""
    outside = oos_metrics or {}
    lines = tuple(
        (
            TableCell(metric_title(name)),
            TableCell(metric_text(name, is_metrics[name])),
            TableCell(metric_text(name, outside.get(name)), is_out=True),
        )
        for name in metric_names()
    )
    return Card("Metrics", (Table("Metrics of the winner", ("", "In sample", "Out of sample"), lines),))
