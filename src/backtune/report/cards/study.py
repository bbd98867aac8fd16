"""What is shown of one study."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from backtune.report.cards.card import Band, Card, Cell, Table, Words
from backtune.report.cards.evidence import evidence_bands
from backtune.report.cards.replay import replay_bands
from backtune.report.cards.search import front_cards, parameter_bands, progress_cards
from backtune.report.content import Content, StudyContent
from backtune.report.wording import counted, metric_names, metric_text, metric_title, metric_words, value_text
from backtune.space import Choice


@dataclass(frozen=True)
class StudyPage:
    """A study.

    Attributes:
        id: of it.
        title, headline: its cell, and what was found.
        warnings: in words, as on the leaderboard.
        bands: cards from the top.
    """

    id: str
    title: str
    headline: str
    warnings: tuple[str, ...]
    bands: tuple[Band, ...]


def study_page(content: Content, study_id: str) -> StudyPage:
    """Everything about a study.

    Raises:
        ResultsError: its log cannot be read.
    """
    study = content.of_study(study_id)
    return StudyPage(study.entry.id, study.title, _headline(study), study.warnings, tuple(_bands(study)))


def _bands(study: StudyContent) -> Iterator[Band]:
    beside = (*_params_cards(study), *progress_cards(study))
    other = (*_metrics_cards(study), *front_cards(study))
    if beside or other:
        yield beside, other
    yield from evidence_bands(study)
    yield from replay_bands(study)
    yield from parameter_bands(study)


def _headline(study: StudyContent) -> str:
    winner, goal = study.winner, study.goals[0]
    if winner is None:
        return f"no winner among {counted(study.n_trials, 'trial')}" if study.n_trials else "not started"
    name = goal.metric
    text = f"{metric_words(name)} {metric_text(name, winner.is_metrics[name])} in sample"
    if winner.oos_metrics is not None:
        text += f", {metric_text(name, winner.oos_metrics[name])} out of sample"
    return f"{text}; {counted(study.n_trials, 'trial')}"


def _params_cards(study: StudyContent) -> Iterator[Card]:
    winner = study.winner
    if winner is None:
        return
    lines = tuple(
        (Cell(name), Cell(value_text(value)), Cell(_range(study, name)))
        for name, value in winner.params.items()
    )
    table = Table("Parameters of the winner", ("Parameter", "Value", "Searched"), lines)
    note = f"Trial {winner.number} of {study.n_trials:,}{_of_front(study)}."
    yield Card("Best parameters", (table,) if lines else (Words("It has none."),), note)


def _of_front(study: StudyContent) -> str:
    if len(study.goals) == 1:
        return ""
    return f"; of {len(study.winners)} on the Pareto front the best in sample by {metric_words(study.goals[0].metric)}"


def _metrics_cards(study: StudyContent) -> Iterator[Card]:
    winner = study.winner
    if winner is None:
        return
    outside = winner.oos_metrics or {}
    lines = tuple(
        (
            Cell(metric_title(name)),
            Cell(metric_text(name, winner.is_metrics[name])),
            Cell(metric_text(name, outside.get(name)), is_out=True),
        )
        for name in metric_names()
    )
    yield Card("Metrics", (Table("Metrics of the winner", ("", "In sample", "Out of sample"), lines),))


def _range(study: StudyContent, name: str) -> str:
    parameter = study.space[name]
    ends = [value_text(value) for value in parameter.ends()]
    return ", ".join(ends) if isinstance(parameter, Choice) else f"{ends[0]} to {ends[-1]}"
