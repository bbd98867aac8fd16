"""Descriptions of sweeps and studies in Markdown, for their pages in MLflow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from backtune.report.formatting import (
    format_count,
    format_metric,
    format_metric_title,
    format_optional_p_value,
    format_params,
    format_share,
)
from backtune.report.markdown import escape_markdown
from backtune.results.leaderboard.row import Row
from backtune.results.leaderboard.verdict import describe_verdict
from backtune.results.stored_sweep import StoredStudy, StoredSweep

# A description is a tag, whose length MLflow limits.
_LONGEST = 4_800
# The number of rows that a description shows.
MOST_ROWS = 15


def describe_sweep_leaderboard(run: StoredSweep, rows: Sequence[Row], n_trials: int) -> str:
    """Describe a sweep by the first rows of its leaderboard."""
    objectives = run.spec.search.objective_metrics
    heads = ["", "study", "best parameters", "trials"]
    heads += [
        f"{format_metric_title(objective)} {side}" for objective in objectives for side in ("in", "out")
    ]
    heads += ["family p", "haircut", "timing p", "DSR", "warnings"]
    verdict = describe_verdict(rows)
    about = (
        f"The best of {format_count(n_trials, 'trial')} in {format_count(len(run.studies), 'study')}, ordered by the result in sample. In: on "
        f"the bars of the search. Out: on bars that it never saw. {verdict}"
    ).strip()
    lines = [
        about,
        "",
        _format_table_line(heads),
        _format_table_line(["---"] * len(heads)),
    ]
    for line in (_format_table_line(cells) for cells in _format_rows(rows, objectives)):
        if sum(map(len, lines)) + len(lines) + len(line) > _LONGEST:
            break
        lines.append(line)
    return "\n".join(lines)


def describe_study(study: StoredStudy, row: Row) -> str:
    """Describe the best of a study, the number of trials, and its warnings."""
    objectives = [objective.metric for objective in study.objectives]
    if row.values is None:
        return f"No winner: {escape_markdown('; '.join(row.warnings))}."
    found = (
        f"The best of {format_count(row.n_trials, 'trial')}: {escape_markdown(format_params(row.params))}."
    )
    return _append_warnings(f"{found} {_format_results(objectives, row)}.", row)


def describe_walk_forward(study: StoredStudy, row: Row) -> str:
    """Describe the tests of a walk-forward as one backtest, and its warnings; ``study`` is any of its folds."""
    objectives = [objective.metric for objective in study.objectives]
    about = (
        f"The tests of {format_count(len(row.folds), 'fold')} as one backtest, after {format_count(row.n_trials, 'trial')} in all; "
        "in sample is the mean over the folds."
    )
    if row.values is None:
        return _append_warnings(f"{about} No winner.", row)
    last = f"Next to trade: {escape_markdown(format_params(row.params))}."
    return _append_warnings(f"{about} {_format_results(objectives, row)}. {last}", row)


def _format_results(objectives: Sequence[str], row: Row) -> str:
    pairs = (
        f"{format_metric_title(objective)} {format_metric(objective, row.is_metrics[objective])} in sample, "
        f"{format_metric(objective, row.oos_metrics[objective])} out of sample"
        for objective in objectives
    )
    return "; ".join(pairs)


def _append_warnings(found: str, row: Row) -> str:
    doubts = "\n".join(f"- {escape_markdown(text)}" for text in row.warnings)
    return f"{found}\n\nBefore you believe it:\n\n{doubts}" if doubts else found


def _format_rows(rows: Sequence[Row], objectives: Sequence[str]) -> Iterator[list[str]]:
    for place, row in enumerate(rows[:MOST_ROWS], start=1):
        pairs = (
            format_metric(objective, metrics[objective])
            for objective in objectives
            for metrics in (row.is_metrics, row.oos_metrics)
        )
        family = row.evidence.family
        evidence = (
            format_optional_p_value(family.p if family else None),
            format_share(family.haircut_sharpe_ratio if family else None),
            format_optional_p_value(row.evidence.timing_p),
            format_share(row.evidence.dsr),
        )
        yield [
            str(place),
            escape_markdown(f"{row.strategy} {row.asset} {row.timeframe}"),
            escape_markdown(format_params(row.params)),
            f"{row.n_trials:,}",
            *pairs,
            *evidence,
            escape_markdown("; ".join(row.warnings)),
        ]


def _format_table_line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
