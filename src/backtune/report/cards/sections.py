"""The sections of a report about its studies, in order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from backtune.report.cards.elements import Card, CardBand, CardTable, Paragraph, ReportSection, TableCell
from backtune.report.cards.evidence import build_evidence_bands
from backtune.report.cards.metrics import build_metrics_card
from backtune.report.cards.replay import build_replay_bands
from backtune.report.cards.search import build_parameter_bands, build_pareto_front_cards, build_progress_cards
from backtune.report.cards.stress import build_stress_bands
from backtune.report.cards.walk_forward import build_cell_section
from backtune.report.content import ReportContent, StudyContent
from backtune.report.formatting import format_count, format_metric, format_metric_name, format_param
from backtune.results.leaderboard.row import Row
from backtune.results.log.summary import Winner


@dataclass(frozen=True)
class Chapter:
    """Consecutive sections of a report: a walk-forward with its folds, or independent studies.

    Attributes:
        row: Row of the walk-forward; None for independent studies.
        studies: Ids of the studies that have a section each, after that of the walk-forward.
    """

    row: Row | None
    studies: Sequence[str]


def plan_chapters(content: ReportContent, most: int, *, with_folds: bool = True) -> list[Chapter]:
    """Choose the first ``most`` studies; every walk-forward comes before any fold, for it has a row of the leaderboard.

    The rest of ``most`` goes to the folds of the best walk-forwards.
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


def build_sections(content: ReportContent, told: Sequence[Chapter]) -> Iterator[ReportSection]:
    """Build a section for each walk-forward and each study.

    Raises:
        ResultsError: A log cannot be read.
    """
    for chapter in told:
        if chapter.row is not None:
            yield build_cell_section(content, chapter.row)
        for study_id in chapter.studies:
            yield replace(build_study_section(content, study_id), is_part=chapter.row is not None)


def describe_left_out(content: ReportContent, told: Sequence[Chapter]) -> str:
    """Return a sentence about the studies without a section; empty where there are none."""
    n = len(content.ids) - sum(len(chapter.studies) for chapter in told)
    if n == 0:
        return ""
    if any(chapter.row is not None for chapter in told):
        return f"{format_count(n, 'fold')} not shown by themselves: see one with --study ID."
    return f"{format_count(n, 'more study')} of lower rank: see one with --study ID."


def build_study_section(content: ReportContent, study_id: str) -> ReportSection:
    """Build the section about a study.

    Raises:
        ResultsError: The log cannot be read.
    """
    study = content.of_study(study_id)
    return ReportSection(
        id=study.entry.id,
        title=study.title,
        headline=_headline(study),
        about=f"Study {study.entry.id}",
        warnings=study.warnings,
        bands=tuple(_bands(content, study)),
    )


def _bands(content: ReportContent, study: StudyContent) -> Iterator[CardBand]:
    winner = study.winner
    if winner is not None:
        beside = (_params_card(study, winner), *build_progress_cards(study))
        other = (build_metrics_card(winner.is_metrics, winner.oos_metrics), *build_pareto_front_cards(study))
        yield beside, other
    yield from build_evidence_bands(study)
    yield from build_stress_bands(content, study.row)
    yield from build_replay_bands(study)
    yield from build_parameter_bands(study)


def _headline(study: StudyContent) -> str:
    winner, objective = study.winner, study.objectives[0]
    if winner is None:
        return f"no winner among {format_count(study.n_trials, 'trial')}" if study.n_trials else "not started"
    name = objective.metric
    text = f"{format_metric_name(name)} {format_metric(name, winner.is_metrics[name])} in sample"
    if winner.oos_metrics is not None:
        text += f", {format_metric(name, winner.oos_metrics[name])} out of sample"
    return f"{text}; {format_count(study.n_trials, 'trial')}"


def _params_card(study: StudyContent, winner: Winner) -> Card:
    lines = tuple(
        (TableCell(name), TableCell(format_param(value)), TableCell(_range(study, name)))
        for name, value in winner.params.items()
    )
    table = CardTable("Parameters of the winner", ("Parameter", "Value", "Searched"), lines)
    note = f"Trial {winner.number} of {study.n_trials:,}{_of_front(study)}."
    return Card("Best parameters", (table,) if lines else (Paragraph("It has none."),), note)


def _of_front(study: StudyContent) -> str:
    if len(study.objectives) == 1:
        return ""
    return f"; of {len(study.winners)} on the Pareto front the best in sample by {format_metric_name(study.objectives[0].metric)}"


def _range(study: StudyContent, name: str) -> str:
    parameter = study.space[name]
    ends = [format_param(value) for value in parameter.ends()]
    return ", ".join(ends) if parameter.scale is None else f"{ends[0]} to {ends[-1]}"
