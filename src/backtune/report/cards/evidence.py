"""Cards about the evidence for a study's winner: the figures in words, and the trials that they come from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from backtune.report.cards.elements import Card, CardBand, CardTable, Figure, TableCell
from backtune.report.content import StudyContent
from backtune.report.formatting import (
    format_count,
    format_interval,
    format_metric,
    format_metric_name,
    format_optional_p_value,
    format_params,
    format_percent,
    format_share,
)
from backtune.report.plots.robustness import draw_plateau, draw_time_splits
from backtune.results.evidence.evidence import Evidence
from backtune.results.leaderboard.row import Row


def build_evidence_bands(study: StudyContent) -> Iterator[CardBand]:
    """Yield the evidence of a study's winner; nothing without one, or for an island whose search another one leads."""
    row = study.row
    if row is None or row.values is None:
        return
    yield ((build_evidence_card(row, study.objectives[0].metric),),)
    figures = (*_plateau_cards(study), *_halves_cards(study))
    if figures:
        yield tuple((card,) for card in figures)


def build_evidence_card(row: Row, objective: str) -> Card:
    """Build the card of the evidence in words; ``objective`` is the first objective."""
    interval, weak = row.evidence.oos_interval, {*row.weaknesses}
    if interval is not None and interval.low < 0.0:
        weak.add("oos_interval")
    lines = tuple(
        (TableCell(line.name), TableCell(line.text, is_weak=line.key in weak), TableCell(line.meaning))
        for line in (*_of_test(row), *_of_search(row, objective))
    )
    table = CardTable(
        "Evidence for the winner", ("", "", "What it says, and when to distrust it"), lines, look="words"
    )
    note = "By Sharpe ratio, but for the plateau. What is weak is marked."
    return Card("How far to trust it", (table,), note, is_wide=True)


class _EvidenceLine(NamedTuple):
    """A line of the card: the attribute of the evidence, its name, its value, and the meaning of the value."""

    key: str
    name: str
    text: str
    meaning: str


def _of_test(row: Row) -> Iterator[_EvidenceLine]:
    """Return the lines about the test, on bars that the search never saw."""
    evidence, family = row.evidence, row.evidence.family
    if family is not None:
        n = family.luck.n_tests
        among = "the test" if n == 1 else f"the best of {n:,} tests"
        yield _EvidenceLine(
            "family",
            "Family-wise p",
            format_optional_p_value(family.p),
            f"Without skill {among} is as good in that share of sweeps, at most; 0.05 or less is more than luck. Distrust it with few "
            "trades, and where these bars were looked at before: after two sweeps on the same test, double it.",
        )
        yield _EvidenceLine(
            "family",
            "Haircut Sharpe ratio",
            f"{family.haircut_sharpe_ratio:.2f}",
            f"The Sharpe ratio out of sample, {format_metric('sharpe_ratio', row.oos_metrics['sharpe_ratio'])}, with luck's part taken off: "
            f"what would look as convincing had there been one test alone instead of {format_count(n, 'test')}. 0: nothing is left. It is no "
            f"forecast. Without skill the best would show {family.luck.mean:.1f} on average, and less than {family.luck.upper:.1f} in 95 of "
            "100 sweeps.",
        )
        if family.q is not None:
            yield _EvidenceLine(
                "q",
                "q-value",
                format_optional_p_value(family.q),
                "The share of rows without an edge among all that test as well as this one. For a choice of many rows, where "
                "the family-wise p asks that not a single one is wrong.",
            )
    interval = evidence.oos_interval
    if interval is not None:
        yield _EvidenceLine(
            "oos_interval",
            "Sharpe ratio out of sample",
            format_interval(interval),
            f"{100 * interval.confidence:.0f}% interval by bootstrap; below zero in {format_percent(interval.probability_of_loss)} of the "
            "samples. It takes this row for the only one. Too narrow with few trades.",
        )
    if evidence.timing_p is not None:
        yield _EvidenceLine(
            "timing_p",
            "Timing p",
            format_optional_p_value(evidence.timing_p),
            "So often do the same positions do as well when they are moved to other times: 0.05 or less means that their times are "
            "chosen well, more that the market's drift may have made the result. A weak test with few trades.",
        )
    held = evidence.hold_metrics
    if held is not None:
        yield _EvidenceLine(
            "hold_metrics",
            "Holding the asset",
            format_metric("sharpe_ratio", held["sharpe_ratio"]),
            f"The Sharpe ratio of buying at the start of the test and holding to its end: return {format_percent(held['total_return'])}, "
            f"drawdown {format_percent(held['max_drawdown'])}. What a strategy must do better than, or differently.",
        )
    record = evidence.record
    if record is not None:
        needed = (
            "With so few trades no length of time says anything."
            if row.has_few_trades
            else "No length would show that such a ratio is above 0."
            if record.needed_years is None
            else f"With such returns {record.needed_years:,.1f} years would show at 95% that the ratio is above 0"
            + (", so the test is long enough." if record.needed_years <= record.years else ".")
        )
        yield _EvidenceLine("record", "Years of the test", f"{record.years:.1f}", needed)


def _of_search(row: Row, objective: str) -> Iterator[_EvidenceLine]:
    """Return the lines about the search, from its trials."""
    evidence = row.evidence
    subject = "Mean of the folds. " if row.folds else ""
    test = evidence.permutation
    if test is not None:
        missing = "" if test.is_complete else f" {test.n_wanted - test.n_done:,} more are to come."
        yield _EvidenceLine(
            "permutation",
            "Permutation p",
            format_optional_p_value(test.p),
            f"The whole search was repeated {test.n_done:,} times on bars whose moves were shuffled; so often was its best as good. 0.05 or "
            f"less is more than luck, whatever the sampler and the number of trials.{missing}",
        )
    yield _EvidenceLine("dsr", "Deflated Sharpe ratio", format_share(evidence.dsr), _luck(row, evidence))
    yield _EvidenceLine(
        "pbo_loss",
        "Splits that lose",
        format_share(evidence.pbo_loss),
        f"{subject}The time is cut into halves in every way, and the best trial of one half is looked up in the other: the share in which "
        "it loses there. 0.25 and more is high. All of it happens within the bars of the search.",
    )
    if evidence.pbo is not None:
        yield _EvidenceLine(
            "pbo",
            "Probability of overfitting",
            format_share(evidence.pbo),
            f"{subject}The share of these splits in which that trial is no better than the middle one. Near 0.5 also where all trials "
            "are equally good.",
        )
    of_last = f"Of {row.fold}. " if row.folds else ""
    yield _EvidenceLine(
        "plateau",
        "Plateau",
        format_share(evidence.plateau.stability),
        f"{of_last}1: candidates within a tenth of each range do as well; 0: as any other. It says how smooth the strategy is, and "
        f"nothing of skill.{_centre(row, evidence, objective)}",
    )


def _luck(row: Row, evidence: Evidence) -> str:
    level = (
        ""
        if evidence.dsr_level is None
        else f" Compare it with {evidence.dsr_level:.2f}, which luck alone reaches in 5 of 100 cases."
    )
    if evidence.n_cells == 1:
        return f"The probability that the true ratio of the tests is above 0.{level}"
    tried = (
        f"{row.n_trials:,} trials" if evidence.n_cells is None else f"{evidence.n_cells:,} cells to pick from"
    )
    if evidence.trials is not None and evidence.trials.n_elsewhere:
        sweeps = format_count(evidence.trials.n_other_sweeps, "other sweep")
        tried += f" and {evidence.trials.n_elsewhere:,} on the same bars in {sweeps}"
    worth = (
        ""
        if evidence.n_independent is None
        else f", which count as {evidence.n_independent:,.0f} independent ones"
    )
    sample = "in sample" if evidence.n_cells is None else "of the tests"
    return (
        f"The probability that the true ratio {sample} is above the best that luck shows, on average, among {tried}{worth}.{level} Trials "
        "that were never logged are not counted."
    )


def _centre(row: Row, evidence: Evidence, objective: str) -> str:
    centre, metrics = evidence.plateau.centre, evidence.plateau.centre_metrics
    if centre is None:
        return ""
    if centre == row.params:
        return " It is the centre of the best plateau itself."
    value = (
        ""
        if metrics is None
        else f", {format_metric_name(objective)} {format_metric(objective, metrics[objective])} in sample"
    )
    return f" Centre of the best plateau: {format_params(centre)}{value}."


def _plateau_cards(study: StudyContent) -> Iterator[Card]:
    objective, around = study.objectives[0], study.surroundings
    if around is None:
        return
    name = objective.metric
    middle = f"median of its neighbours {format_metric(name, around.neighbourhood)}, of all others {format_metric(name, around.elsewhere)}"
    without = around.n_near_without_value
    broken = f", {without:,} of them infeasible or failed" if without else ""
    note = f"Shaded: within a tenth of each range, {around.n_near:,} candidates{broken}; {middle}. Ring: the winner."
    yield Card("Plateau", (Figure(lambda size: draw_plateau(around, objective, size)),), note)


def _halves_cards(study: StudyContent) -> Iterator[Card]:
    splits, scale = study.splits, _bars_scale(study)
    if splits is None or scale is None:
        return
    note = (
        f"A dot is one of {len(splits.logits):,} ways to choose by one half of the time and to live in the other; "
        f"{format_percent(splits.probability_of_loss)} of them lose there."
    )
    yield Card("Halves of the time", (Figure(lambda size: draw_time_splits(splits, scale, size)),), note)


def _bars_scale(study: StudyContent) -> float | None:
    """Return the square root of the bars a year, from the winner's Sharpe ratio per bar and per year; None without one."""
    winner = study.winner
    shape = winner.is_shape if winner else None
    yearly = winner.is_metrics["sharpe_ratio"] if winner else None
    return None if shape is None or not shape.sharpe or yearly is None else yearly / shape.sharpe
