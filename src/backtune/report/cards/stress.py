"""Cards about a winner's stress tests: conditions that it was not searched under, and when to distrust it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from backtune.report.cards.elements import Card, CardBand, CardTable, Paragraph, TableCell, TableLine
from backtune.report.content import MOST_STRESSED, ReportContent
from backtune.report.formatting import format_metric, format_short_title
from backtune.results.leaderboard.row import Row
from backtune.results.stress import BreakEven, Condition, OtherCell, Stress
from backtune.results.stress.conditions import NOISE_ATR, SKIPPED_SHARE
from backtune.results.trial import Metrics
from backtune.validation.stress_perturbations import ATR_PERIOD

_SHOWN = ("total_return", "sharpe_ratio", "max_drawdown", "total_trades")
_MEANINGS = {
    "costs_doubled": (
        "Costs twice as high",
        "Every fee and the slippage doubled. If the gain is gone, the result rests on low costs.",
    ),
    "one_bar_later": (
        "One bar later",
        "Every target decided one bar later. If little is left, the result rests on the exact bar.",
    ),
    "trades_skipped": (
        f"{SKIPPED_SHARE:.0%} of trades skipped",
        f"Each trade skipped with a probability of {SKIPPED_SHARE:.0%}; the median of {{}} draws.",
    ),
    "noise_on_prices": (
        "Noise on prices",
        f"Normal noise of {NOISE_ATR:g} ATR({ATR_PERIOD}) on every price, targets decided anew; the median of {{}} draws.",
    ),
}
_WORST = {
    "trades_skipped": "One draw in ten is no better. If it is far from the median, a few trades make the result.",
    "noise_on_prices": "One draw in ten is no better. If the gain is gone, the parameters fit these exact prices.",
}
_NOTE = "A return is marked where the gain is gone."
_NOTE_ELSEWHERE = (
    "Each on the window that the other cell is judged by. A rule that is about markets gains something on related ones; distrust "
    "one that gains on its own cell alone."
)


@dataclass(frozen=True)
class StressLine:
    """A winner in one condition.

    Attributes:
        name: The condition, in words.
        metrics: Those that are known.
        meaning: The sentence that says what the numbers mean, and when to distrust the result.
        is_own: True if the metrics are the row's own result.
    """

    name: str
    metrics: Metrics
    meaning: str
    is_own: bool = False


def build_stress_bands(content: ReportContent, row: Row | None) -> Iterator[CardBand]:
    """Yield the cards of a row's stress, or one that says why there are none; nothing for rows of lower rank."""
    if row is None or not content.is_stressed(row):
        return
    stress, gap = content.stress(row)
    if stress is None:
        why = Paragraph(f"The winner could not be run again: {gap}", is_warning=True)
        yield ((Card("Stress", (why,), is_wide=True),),)
        return
    for card in build_stress_cards(content, stress):
        yield ((card,),)


def build_stress_cards(content: ReportContent, stress: Stress) -> Iterator[Card]:
    """Yield a card of the conditions, and where the grid has other cells, one of these."""
    words = (Paragraph(describe_break_even(stress.break_even)), Paragraph(describe_lost_gain(stress)))
    only = "" if content.study else f" Of the first {MOST_STRESSED} rows; --study ID has it of any."
    label = "The winner under conditions that it was not searched under"
    table = _table(content, label, stress, list_condition_lines(stress))
    yield Card("Stress", (*words, table), f"{_NOTE}{only}", is_wide=True)
    if stress.elsewhere:
        label = "The parameters of the winner on other assets and timeframes"
        there = _table(content, label, stress, list_other_cell_lines(stress))
        yield Card("The same parameters elsewhere", (there,), _NOTE_ELSEWHERE, is_wide=True)


def describe_break_even(found: BreakEven) -> str:
    """Say how high the costs may be, and what the spec charges."""
    besides = " and fees in money" if found.has_fees_in_money else ""
    charged = f"the spec charges {found.charged_bps:g}{besides}."
    if found.cost_bps is None:
        return f"There is no gain even without costs; {charged}"
    if found.is_borne:
        return f"Costs may rise to {found.cost_bps:.1f} bps a side before the gain is gone; {charged}"
    return f"There is a gain only where costs are below {found.cost_bps:.1f} bps a side; {charged}"


def describe_lost_gain(stress: Stress) -> str:
    """Say under which conditions the gain is gone."""
    if not _has_gain(stress.metrics):
        return "There is no gain that stress could take away."
    gone = [line.name for line in list_condition_lines(stress) if not _has_gain(line.metrics)]
    if not gone:
        return "The gain stays under each of these conditions."
    return f"The gain is gone: {'; '.join(name[0].lower() + name[1:] for name in gone)}."


def list_condition_lines(stress: Stress) -> Iterator[StressLine]:
    """Yield the row's own result, and that of each condition; two where it is drawn."""
    own = f"{'Out of sample' if stress.is_tested else 'In sample'}, by the rules of the spec."
    yield StressLine("As it was judged", stress.metrics, own, is_own=True)
    for condition in stress.conditions:
        yield from _condition_lines(condition)


def list_other_cell_lines(stress: Stress) -> Iterator[StressLine]:
    """Yield the result on each other cell."""
    for cell in stress.elsewhere:
        yield StressLine(f"{cell.asset} {cell.timeframe}", cell.metrics, _elsewhere_meaning(cell, stress))


def list_shown_metrics(content: ReportContent) -> Sequence[str]:
    """Return the metrics of a stress that are shown: the first objective, and those good to know beside."""
    return list(dict.fromkeys((content.objectives[0].metric, *_SHOWN)))


def _condition_lines(condition: Condition) -> Iterator[StressLine]:
    name, meaning = _MEANINGS[condition.name]
    if condition.worst_tenth is None:
        yield StressLine(name, condition.metrics, meaning)
        return
    yield StressLine(f"{name}: median", condition.metrics, meaning.format(condition.n_draws))
    yield StressLine(f"{name}: worst tenth", condition.worst_tenth, _WORST[condition.name])


def _elsewhere_meaning(cell: OtherCell, stress: Stress) -> str:
    if cell.problem:
        return f"Not to be had: {cell.problem}"
    other = "Another asset." if cell.timeframe == stress.timeframe else "Another timeframe."
    if cell.is_known_time and stress.is_tested:
        return f"{other} Flattered: the search had seen some of this time, on its own bars."
    return other


def _has_gain(metrics: Metrics) -> bool:
    total_return = metrics["total_return"]
    return total_return is not None and total_return > 0.0


def _table(content: ReportContent, label: str, stress: Stress, lines: Iterator[StressLine]) -> CardTable:
    names = list_shown_metrics(content)
    heads = ("", *map(format_short_title, names), "What it says")
    has_gain = _has_gain(stress.metrics)
    return CardTable(
        label, heads, tuple(_line(line, names, has_gain=has_gain) for line in lines), look="words"
    )


def _line(line: StressLine, names: Sequence[str], *, has_gain: bool) -> TableLine:
    is_lost = has_gain and not _has_gain(line.metrics) and line.metrics["total_return"] is not None
    numbers = (
        TableCell(
            format_metric(name, line.metrics.get(name)),
            is_out=line.is_own,
            is_weak=is_lost and name == "total_return",
        )
        for name in names
    )
    return (TableCell(line.name), *numbers, TableCell(line.meaning))
