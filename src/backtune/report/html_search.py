"""The cards of a study about its search: progress, importance, Pareto front, slices, parallel coordinates."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from backtune.report.content import StudyContent, Trials
from backtune.report.html_cards import HALF, drawn, figure
from backtune.report.markup import Markup, element
from backtune.report.plots.search import parallel_figure, pareto_figure, progress_figure, slice_figure
from backtune.report.wording import percent


def search_cards(study: StudyContent) -> Iterator[Markup]:
    """How the best was found, and which parameters decided; none without a complete trial."""
    trials = _trials(study)
    if trials is None:
        return
    yield figure(
        "Search",
        f"The line is the best so far; dots at the {'upper' if study.goals[0].minimize else 'lower'} edge are worse than shown.",
        drawn(lambda size: progress_figure(study, trials, size), HALF),
    )  # fmt: skip
    yield _importance_card(study)


def front_cards(study: StudyContent) -> Iterator[Markup]:
    """The first objective against each of the others; none without a complete trial."""
    trials = _trials(study)
    if trials is None:
        return
    for other in range(1, len(study.goals)):
        yield figure(
            "Pareto front", "Emphasized trials are beaten by no other in both objectives. The worst twentieth in either is not drawn.",
            drawn(partial(pareto_figure, study, trials, other), HALF),
        )  # fmt: skip


def parameter_cards(study: StudyContent) -> Iterator[Markup]:
    """All trials by their parameters; none without a complete trial."""
    trials = _trials(study)
    if trials is not None and trials.params:
        yield _slices_card(study, trials)
        yield figure(
            "Parallel coordinates", "A line is a trial; the best tenth stands out, 30 at most.",
            drawn(lambda size: parallel_figure(study, trials, size)), wide=True,
        )  # fmt: skip


def _trials(study: StudyContent) -> Trials | None:
    return study.trials if study.trials is not None and study.trials.complete.any() else None


def _importance_card(study: StudyContent) -> Markup:
    if not study.importance:
        return figure(
            "Parameter importance", "Too few complete trials, or no parameter that makes a difference."
        )
    lines = [
        element(
            "tr", element("th", name, scope="row"),
            element("td", element("span", class_="bar", style=f"width:{100 * share:.1f}%"), class_="bars"),
            element("td", percent(share)),
        )
        for name, share in study.importance.items()
    ]  # fmt: skip
    table = element(
        "table",
        element("tbody", *lines),
        class_="plain importance",
        aria_label="Importance of each parameter",
    )
    note = (
        "Share of the variance of the trials' ranks that the parameter explains by itself (epsilon squared over bins of its "
        "values). Of what was tried; effects of several parameters together are not in it."
    )
    return figure("Parameter importance", note, table)


def _slices_card(study: StudyContent, trials: Trials) -> Markup:
    drawings = [slice_figure(study, trials, name) for name in trials.params]
    return figure(
        "Slices", "A dot is a trial; the ring is the winner. A winner alone on a peak is less to be trusted than one on a plateau.",
        element("div", *drawings, class_="slices"), wide=True,
    )  # fmt: skip
