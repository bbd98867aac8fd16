"""The summary of a sweep in words: its spec, the number of trials, and what limits trust in its results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from backtune.report.content import ReportContent
from backtune.report.formatting import format_count, format_day, format_metric_name
from backtune.results.leaderboard.verdict import describe_verdict
from backtune.spec import Execution, Validation

_FEES = {
    "fee_per_order": "{:g} an order",
    "fee_per_share": "{:g} a share",
    "minimum_fee": "at least {:g} an order",
}
_INCREMENTS = {"lot_size": "in lots of {:g}", "tick_size": "at ticks of {:g}"}


def describe_sweep(content: ReportContent) -> Iterator[tuple[str, str]]:
    """Yield the main facts about a sweep as pairs of a name and a text."""
    spec = content.run.spec
    search = spec.search
    yield (
        "Objective",
        ", ".join(
            f"{'lowest' if objective.minimize else 'highest'} {format_metric_name(objective.metric)}"
            for objective in search.objectives
        ),
    )
    yield (
        "Tried",
        f"{format_count(content.n_trials, 'trial')} in {format_count(len(content.run.studies), 'study')}",
    )
    yield "Search", f"{search.sampler}, {search.trials:,} trials a study, seed {search.seed}"
    if search.constraints:
        yield "Constraints", ", ".join(map(str, search.constraints))
    yield "Data", _data(content)
    yield "Validation", _describe_validation(spec.validation)
    yield "Costs", describe_costs(spec.execution)
    yield "Position", describe_position(spec.execution)
    yield "Sweep", f"{content.run.sweep_id}, backtune {content.run.version}"


def list_cautions(content: ReportContent) -> Iterator[str]:
    """Yield the sentences that a reader must know before believing a number."""
    yield (
        f"Every winner is the best of many: {format_count(content.n_trials, 'trial')} were run in all. In-sample numbers are the "
        "ones that the search chose by, so they flatter by construction."
    )
    if content.is_validated:
        yield (
            "Judge by the out-of-sample numbers, from bars that the search never saw. Rows are ordered by what the search saw, so that "
            f"the first of {format_count(len(content.rows), 'row')} keeps its test; whoever picks a row by its test picks the luckiest."
        )
        verdict = describe_verdict(content.rows)
        if verdict:
            yield verdict
    else:
        yield "There is no validation: nothing here says how a winner does on bars that the search has not seen."
    unfinished = sum(any(text.startswith("not finished") for text in row.warnings) for row in content.rows)
    if unfinished:
        yield f"The sweep is not finished: {format_count(unfinished, 'row')} may still change."
    yield "These are backtests of the past, with the costs above. They promise nothing."


def describe_costs(rules: Execution) -> str:
    """Describe the fees and the slippage of the execution rules."""
    words = [f"fee {rules.fee_bps:g} bps and slippage {rules.slippage_bps:g} bps a fill"]
    return "; ".join([*words, *_used(rules, _FEES)])


def describe_position(rules: Execution) -> str:
    """Describe the size and sides of a position, the lot size and the tick size."""
    sides = "long and short" if rules.allow_short else "long only"
    return ", ".join([f"{100 * rules.size:g}% of equity", sides, *_used(rules, _INCREMENTS)])


def name_judged_sample(content: ReportContent) -> str:
    """Return the name of the sample that winners are judged by."""
    return "out of sample" if content.is_validated else "in sample"


def _used(rules: Execution, words: Mapping[str, str]) -> list[str]:
    return [text.format(getattr(rules, name)) for name, text in words.items() if getattr(rules, name)]


def _data(content: ReportContent) -> str:
    """Return the first and the last day of any study's bars."""
    spans = [entry.span for entry in content.run.studies]
    if not spans:
        return "no study"
    return f"{format_day(min(span[0] for span in spans))} to {format_day(max(span[1] for span in spans) - 1)}, UTC"


def _describe_validation(validation: Validation) -> str:
    if validation.method == "none":
        return "none"
    if validation.method == "holdout":
        return f"holdout, the last {100 * validation.test_fraction:g}% of the time"
    return f"{validation.method.replace('_', '-')}, {validation.folds} folds"
