"""Cards about a search: progress, importance, Pareto front, slices, parallel coordinates."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from backtune.report.cards.elements import (
    Card,
    CardBand,
    CardTable,
    Figure,
    Paragraph,
    SmallFigures,
    TableCell,
)
from backtune.report.content import StudyContent, TrialColumns
from backtune.report.formatting import format_metric, format_metric_name, format_percent
from backtune.report.plots.robustness import ParameterMap, build_parameter_map, draw_parameter_map
from backtune.report.plots.search import (
    draw_parallel_coordinates,
    draw_pareto_front,
    draw_progress,
    draw_slice,
)

_IMPORTANCE = (
    "Share of the variance of the trials' ranks that the parameter explains by itself (epsilon squared over bins of its "
    "values). Of what was tried; effects of several parameters together are not in it."
)


def build_progress_cards(study: StudyContent) -> Iterator[Card]:
    """Yield the card of the search's progress; none without a complete trial."""
    trials = study.complete
    if trials is None:
        return
    edge = "upper" if study.objectives[0].minimize else "lower"
    note = f"The line is the best so far; dots at the {edge} edge are worse than shown."
    yield Card("Search", (Figure(lambda size: draw_progress(study, trials, size)),), note)


def build_pareto_front_cards(study: StudyContent) -> Iterator[Card]:
    """Yield a card of the first objective against each other one; none without a complete trial."""
    trials = study.complete
    if trials is None:
        return
    note = "Emphasized trials are beaten by no other in both objectives. The worst twentieth in either is not drawn."
    for other in range(1, len(study.objectives)):
        yield Card("Pareto front", (Figure(partial(draw_pareto_front, study, trials, other)),), note)


def build_parameter_bands(study: StudyContent) -> Iterator[CardBand]:
    """Yield the cards of parameter importance and of trials by parameter; none without a complete trial."""
    trials = study.complete
    if trials is None or not trials.params:
        return
    found = build_parameter_map(study, trials)
    importance = (_importance_card(study),)
    yield (importance, (_map_card(study, trials, found),)) if found is not None else (importance,)
    yield ((_slices_card(study, trials),),)
    figure = Figure(lambda size: draw_parallel_coordinates(study, trials, size))
    note = "A line is a trial; the best tenth stands out, 30 at most."
    yield ((Card("Parallel coordinates", (figure,), note, is_wide=True),),)


def _importance_card(study: StudyContent) -> Card:
    if not study.importance:
        why = "Too few complete trials, or no parameter that makes a difference."
        return Card("Parameter importance", (Paragraph(why),))
    lines = tuple(
        (TableCell(name), TableCell("", bar=share), TableCell(format_percent(share)))
        for name, share in study.importance.items()
    )
    table = CardTable("Importance of each parameter", (), lines, look="bars")
    return Card("Parameter importance", (table,), _IMPORTANCE)


def _map_card(study: StudyContent, trials: TrialColumns, shown: ParameterMap) -> Card:
    objective = study.objectives[0]
    ends = [format_metric(objective.metric, value) for value in (min(shown.known), max(shown.known))]
    worst, best = reversed(ends) if objective.minimize else ends
    near = "; frame: what counts as near it" if study.surroundings is not None else ""
    note = (
        f"Median {format_metric_name(objective.metric)} of the trials in each cell, from {worst} to {best}; blue is better; empty where "
        f"none was tried. Ring: the winner{near}."
    )
    figure = Figure(lambda size: draw_parameter_map(study, trials, shown, size))
    return Card("The two numbers that matter most", (figure,), note)


def _slices_card(study: StudyContent, trials: TrialColumns) -> Card:
    drawings = tuple(draw_slice(study, trials, name) for name in trials.params)
    near = "; the band is what the plateau counts as near it" if study.surroundings is not None else ""
    note = (
        f"A dot is a trial; the ring is the winner{near}. A winner alone on a peak is less to be trusted than one on a "
        "plateau."
    )
    return Card("Slices", (SmallFigures(drawings),), note, is_wide=True)
