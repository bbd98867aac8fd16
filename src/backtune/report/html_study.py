"""The part of the page about one study."""

from __future__ import annotations

from backtune.report.content import Content, StudyContent
from backtune.report.html_board import anchor
from backtune.report.html_replay import replay_cards
from backtune.report.html_search import front_cards, parameter_cards, search_cards
from backtune.report.markup import Markup, element
from backtune.report.wording import counted, metric_names, metric_text, metric_title, metric_words, value_text
from backtune.space import Choice


def study_section(content: Content, study_id: str, *, opened: bool) -> Markup:
    """Everything about a study, folded in unless ``opened``."""
    study = content.of_study(study_id)
    beside = element("div", _params_card(study), *search_cards(study), class_="stack")
    other = element("div", _metrics_card(study), *front_cards(study), class_="stack")
    cards = [beside, other, *replay_cards(study), *parameter_cards(study)]
    return element(
        "details",
        element("summary", element("b", study.title), " ", element("span", _headline(study), class_="note")),
        element(
            "div",
            element("p", f"Study {study.entry.id}", class_="note id"),
            *(element("p", text, class_="warning") for text in study.warnings),
            element("div", *cards, class_="cards"),
            id=anchor(study.entry.id),
        ),
        open=opened,
    )


def _headline(study: StudyContent) -> str:
    winner, goal = study.winner, study.goals[0]
    if winner is None:
        return f"no winner among {counted(study.n_trials, 'trial')}" if study.n_trials else "not started"
    name = goal.metric
    text = f"{metric_words(name)} {metric_text(name, winner.is_metrics[name])} in sample"
    if winner.oos_metrics is not None:
        text += f", {metric_text(name, winner.oos_metrics[name])} out of sample"
    return f"{text}; {counted(study.n_trials, 'trial')}"


def _params_card(study: StudyContent) -> Markup | None:
    winner = study.winner
    if winner is None:
        return None
    params = [
        element("tr", element("th", name, scope="row"), element("td", value_text(value)), element("td", _range(study, name)))
        for name, value in winner.params.items()
    ]  # fmt: skip
    return element(
        "figure",
        element("figcaption", "Best parameters"),
        _table(("Parameter", "Value", "Searched"), params),
        element("p", f"Trial {winner.number} of {study.n_trials:,}{_of_front(study)}.", class_="note"),
        class_="card",
    )


def _of_front(study: StudyContent) -> str:
    if len(study.goals) == 1:
        return ""
    return f"; of {len(study.winners)} on the Pareto front the best in sample by {metric_words(study.goals[0].metric)}"


def _metrics_card(study: StudyContent) -> Markup | None:
    winner = study.winner
    if winner is None:
        return None
    outside = winner.oos_metrics or {}
    lines = [
        element("tr", element("th", metric_title(name), scope="row"), element("td", metric_text(name, winner.is_metrics[name])),
                element("td", metric_text(name, outside.get(name)), class_="out"))
        for name in metric_names()
    ]  # fmt: skip
    return element(
        "figure",
        element("figcaption", "Metrics"),
        _table(("", "In sample", "Out of sample"), lines),
        class_="card",
    )


def _range(study: StudyContent, name: str) -> str:
    parameter = study.space[name]
    ends = [value_text(value) for value in parameter.ends()]
    return ", ".join(ends) if isinstance(parameter, Choice) else f"{ends[0]} to {ends[-1]}"


def _table(heads: tuple[str, ...], lines: list[Markup]) -> Markup:
    head = element("tr", *(element("th", text, scope="col") for text in heads))
    return element("table", element("thead", head), element("tbody", *lines), class_="plain")
