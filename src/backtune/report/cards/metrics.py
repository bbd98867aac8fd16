"""The card of all metrics, in sample beside out of sample."""

from __future__ import annotations

from backtune.report.cards.elements import Card, CardTable, TableCell
from backtune.report.formatting import format_metric, format_metric_title, metric_names
from backtune.results.trial import Metrics


def build_metrics_card(is_metrics: Metrics, oos_metrics: Metrics | None) -> Card:
    """Build the card with a line for each metric; without validation the out-of-sample column is empty."""
    outside = oos_metrics or {}
    lines = tuple(
        (
            TableCell(format_metric_title(name)),
            TableCell(format_metric(name, is_metrics[name])),
            TableCell(format_metric(name, outside.get(name)), is_out=True),
        )
        for name in metric_names()
    )
    return Card("Metrics", (CardTable("Metrics of the winner", ("", "In sample", "Out of sample"), lines),))
