"""What is shown of how far a study's best can be trusted: the evidence in words, and the trials that it comes from."""

from __future__ import annotations

from collections.abc import Iterator

from backtune.report.cards.card import Band, Card, Cell, Figure, Table
from backtune.report.content import StudyContent
from backtune.report.plots.landscape import halves_figure, plateau_figure
from backtune.report.wording import interval_text, metric_text, metric_words, params_text, percent, share_text
from backtune.results.evidence import Evidence
from backtune.results.row import Row


def evidence_bands(study: StudyContent) -> Iterator[Band]:
    """None for an island whose search another one leads, and without a winner."""
    row = study.row
    if row is None or row.values is None:
        return
    yield ((evidence_card(row, study.goals[0].metric),),)
    figures = (*_plateau_cards(study), *_halves_cards(study))
    if figures:
        yield tuple((card,) for card in figures)


def evidence_card(row: Row, objective: str) -> Card:
    """The evidence in words; ``objective`` is the first one."""
    weak = row.evidence.weaknesses(row.n_trials)
    lines = tuple(
        (Cell(name), Cell(text, is_weak=key in weak), Cell(meaning))
        for key, name, text, meaning in _lines(row, row.evidence, objective)
    )
    table = Table("Evidence for the winner", ("", "", "What it says"), lines, look="words")
    note = "By Sharpe ratio, but for the plateau. What is weak is marked."
    return Card("How far to trust it", (table,), note, is_wide=True)


def _lines(row: Row, evidence: Evidence, objective: str) -> Iterator[tuple[str, str, str, str]]:
    """What the evidence is kept as, what it is called, its value, and what that says."""
    whose = "Mean of the folds: how" if row.folds else "How"
    lost = evidence.pbo_loss
    loses = "" if lost is None else f"; it loses there in {percent(lost)} of the splits"
    overfits = (
        f"{whose} often the best of one half of the time is no better than the middle in the other{loses}."
    )
    yield "dsr", "Deflated Sharpe ratio", share_text(evidence.dsr), _luck(row, evidence)
    yield "pbo", "Probability of overfitting", share_text(evidence.pbo), overfits
    yield "slope", "Degradation slope", share_text(evidence.pbo_slope), slope_words(evidence.pbo_slope)
    of_last = f"Of {row.fold}. " if row.folds else ""
    near = f"{of_last}1: candidates within a tenth of each range do as well; 0: as any other.{_centre(row, evidence, objective)}"
    yield "plateau", "Plateau", share_text(evidence.plateau), near
    interval = evidence.oos_interval
    if interval is not None:
        loss = percent(interval.probability_of_loss)
        sure = f"{100 * interval.confidence:.0f}% interval by bootstrap; below zero in {loss} of the samples."
        yield "oos_interval", "Sharpe ratio out of sample", interval_text(interval), sure


def _luck(row: Row, evidence: Evidence) -> str:
    if evidence.n_cells == 1:
        return "Probability that the true ratio is above 0."
    tried = (
        f"{row.n_trials:,} trials" if evidence.n_cells is None else f"{evidence.n_cells:,} cells to pick from"
    )
    worth = evidence.n_independent
    alike = f", which are worth {worth:,.0f} that have nothing in common" if worth is not None else ""
    return f"Probability that there is more to it than luck among {tried}{alike}."


def slope_words(slope: float | None) -> str:
    """What a slope from the Sharpe ratio in one half of the time to that in the other says."""
    if slope is None:
        return "Not defined: the best of all halves are the same."
    if slope < 0.0:
        return "The better it looked in one half of the time, the worse it did in the other."
    return f"Of a lead in one half of the time, {percent(min(slope, 1.0))} was there in the other."


def _centre(row: Row, evidence: Evidence, objective: str) -> str:
    centre, metrics = evidence.plateau_centre, evidence.centre_metrics
    if centre is None:
        return ""
    if centre == row.params:
        return " It is the centre of the best plateau itself."
    value = (
        ""
        if metrics is None
        else f", {metric_words(objective)} {metric_text(objective, metrics[objective])} in sample"
    )
    return f" Centre of the best plateau: {params_text(centre)}{value}."


def _plateau_cards(study: StudyContent) -> Iterator[Card]:
    goal, around = study.goals[0], study.surroundings
    if around is None:
        return
    name = goal.metric
    middle = f"median of its neighbours {metric_text(name, around.neighbourhood)}, of all others {metric_text(name, around.elsewhere)}"
    without = around.n_near_without_value
    broken = f", {without:,} of them infeasible or failed" if without else ""
    note = f"Shaded: within a tenth of each range, {around.n_near:,} candidates{broken}; {middle}. Ring: the winner."
    yield Card("Plateau", (Figure(lambda size: plateau_figure(around, goal, size)),), note)


def _halves_cards(study: StudyContent) -> Iterator[Card]:
    splits, scale = study.splits, _bars_scale(study)
    if splits is None or scale is None:
        return
    note = (
        f"A dot is one of {len(splits.logits):,} ways to choose by one half of the time and to live in the other. "
        f"{slope_words(splits.slope)}"
    )
    yield Card("Halves of the time", (Figure(lambda size: halves_figure(splits, scale, size)),), note)


def _bars_scale(study: StudyContent) -> float | None:
    """The root of the bars a year, from the winner's Sharpe ratio per bar and per year; None where it has none."""
    winner = study.winner
    shape = winner.is_shape if winner else None
    yearly = winner.is_metrics["sharpe_ratio"] if winner else None
    return None if shape is None or not shape.sharpe or yearly is None else yearly / shape.sharpe
