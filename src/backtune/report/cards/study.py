"""What is shown of the studies, one after the other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from backtune.report.cards.card import Band, Card, Section, Table, TableCell, Words
from backtune.report.cards.evidence import evidence_bands
from backtune.report.cards.metrics import metrics_card
from backtune.report.cards.replay import replay_bands
from backtune.report.cards.search import front_cards, parameter_bands, progress_cards
from backtune.report.cards.stress import stress_bands
from backtune.report.cards.walk_forward import cell_section
from backtune.report.content import Content, StudyContent
from backtune.report.wording import counted, metric_text, metric_words, value_text
from backtune.results.leaderboard.row import Row
from backtune.results.log.summary import Winner


@dataclass(frozen=True)
class Chapter:
    """What is told together.

    Attributes:
        row: of a walk-forward, whose folds are told of as one; None for studies by themselves.
        studies: ids of those that are told of one by one, after it.
    """

    row: Row | None
    studies: Sequence[str]


def chapters(content: Content, most: int, *, with_folds: bool = True) -> list[Chapter]:
    """The first ``most`` studies; of walk-forwards every one before any fold, for it has a row of the leaderboard.

    What they leave of ``most`` goes to the folds of the best.
    """
    walked = [row for row in content.rows if row.folds][:most]
    if not walked:
        return [Chapter(None, content.ids[:most])]
    left = most - len(walked) if with_folds else 0
    found = []
    for row in walked:
        found.append(Chapter(row, content.ids_of(row)[:left]))
        left -= len(found[-1].studies)
    return found


def sections(content: Content, told: Sequence[Chapter]) -> Iterator[Section]:
    """One for each walk-forward, and one for each study.

    Raises:
        ResultsError: a log cannot be read.
    """
    for chapter in told:
        if chapter.row is not None:
            yield cell_section(content, chapter.row)
        for study_id in chapter.studies:
            yield replace(study_section(content, study_id), is_part=chapter.row is not None)


def left_out(content: Content, told: Sequence[Chapter]) -> str:
    """What is not told of, in words; empty where nothing is."""
    n = len(content.ids) - sum(len(chapter.studies) for chapter in told)
    if n == 0:
        return ""
    if any(chapter.row is not None for chapter in told):
        return f"{counted(n, 'fold')} not shown by themselves: see one with --study ID."
    return f"{counted(n, 'more study')} of lower rank: see one with --study ID."


def study_section(content: Content, study_id: str) -> Section:
    """Everything about a study.

    Raises:
        ResultsError: its log cannot be read.
    """
    study = content.of_study(study_id)
    return Section(
        id=study.entry.id,
        title=study.title,
        headline=_headline(study),
        about=f"Study {study.entry.id}",
        warnings=study.warnings,
        bands=tuple(_bands(content, study)),
    )


def _bands(content: Content, study: StudyContent) -> Iterator[Band]:
    winner = study.winner
    if winner is not None:
        beside = (_params_card(study, winner), *progress_cards(study))
        other = (metrics_card(winner.is_metrics, winner.oos_metrics), *front_cards(study))
        yield beside, other
    yield from evidence_bands(study)
    yield from stress_bands(content, study.row)
    yield from replay_bands(study)
    yield from parameter_bands(study)


def _headline(study: StudyContent) -> str:
    winner, objective = study.winner, study.objectives[0]
    if winner is None:
        return f"no winner among {counted(study.n_trials, 'trial')}" if study.n_trials else "not started"
    name = objective.metric
    text = f"{metric_words(name)} {metric_text(name, winner.is_metrics[name])} in sample"
    if winner.oos_metrics is not None:
        text += f", {metric_text(name, winner.oos_metrics[name])} out of sample"
    return f"{text}; {counted(study.n_trials, 'trial')}"


def _params_card(study: StudyContent, winner: Winner) -> Card:
    lines = tuple(
        (TableCell(name), TableCell(value_text(value)), TableCell(_range(study, name)))
        for name, value in winner.params.items()
    )
    table = Table("Parameters of the winner", ("Parameter", "Value", "Searched"), lines)
    note = f"Trial {winner.number} of {study.n_trials:,}{_of_front(study)}."
    return Card("Best parameters", (table,) if lines else (Words("It has none."),), note)


def _of_front(study: StudyContent) -> str:
    if len(study.objectives) == 1:
        return ""
    return f"; of {len(study.winners)} on the Pareto front the best in sample by {metric_words(study.objectives[0].metric)}"


def _range(study: StudyContent, name: str) -> str:
    parameter = study.space[name]
    ends = [value_text(value) for value in parameter.ends()]
    return ", ".join(ends) if parameter.scale is None else f"{ends[0]} to {ends[-1]}"
