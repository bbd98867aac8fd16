"""A report as one self-contained HTML page, without scripts, links to other files or network access.

Figures are drawn twice, wide and narrow; the style sheet shows the one that fits and colours it for light or dark.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from backtune.report.cards.elements import ReportSection
from backtune.report.cards.leaderboard import COLOURS, build_grid_cards, describe_grids
from backtune.report.cards.sections import Chapter, build_sections, describe_left_out, plan_chapters
from backtune.report.content import ReportContent
from backtune.report.formatting import format_metric_title
from backtune.report.html_board import build_leaderboard_section, section_anchor
from backtune.report.html_cards import build_card_grid
from backtune.report.markup import Markup, element, join_markup
from backtune.report.sweep_summary import describe_sweep, list_cautions

# A page of more studies would be too heavy for a phone.
MOST_STUDIES = 60
_STYLE = Path(__file__).with_name("page.css")


def render_html(content: ReportContent) -> str:
    """Render the page.

    Raises:
        ResultsError: A log cannot be read.
    """
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", f"{content.run.name}: backtune report"),
        element("style", Markup(_STYLE.read_text(encoding="utf-8"))),
    )
    told = plan_chapters(content, MOST_STUDIES)
    body = element(
        "body",
        element("header", element("p", "backtune report", class_="eyebrow"), element("h1", content.run.name), _facts(content)),
        element("main", _cautions(content), build_leaderboard_section(content, _places(content, told)), _overview(content), _studies(content, told)),
    )  # fmt: skip
    return f"<!DOCTYPE html>\n{element('html', head, body, lang='en').text}\n"


def _facts(content: ReportContent) -> Markup:
    pairs = (
        element("div", element("dt", name), element("dd", text)) for name, text in describe_sweep(content)
    )
    return element("dl", *pairs, class_="facts")


def _cautions(content: ReportContent) -> Markup:
    lines = (element("p", text) for text in list_cautions(content))
    return element("aside", element("h2", "Before you believe a number"), *lines, class_="caution")


def _overview(content: ReportContent) -> Markup | None:
    if content.study is not None:
        return None
    return element(
        "section",
        element("h2", f"{format_metric_title(content.objectives[0].metric)} by asset and timeframe"),
        element("p", f"{describe_grids(content)} {COLOURS}", class_="note"),
        build_card_grid([((card,),) for card in build_grid_cards(content)]),
    )


def _places(content: ReportContent, told: Sequence[Chapter]) -> set[str]:
    """Return the ids of the sections that a row of the leaderboard may link to."""
    rows = {content.section_of(chapter.row) for chapter in told if chapter.row is not None}
    return rows.union(*(chapter.studies for chapter in told))


def _studies(content: ReportContent, told: Sequence[Chapter]) -> Markup:
    more = describe_left_out(content, told)
    shown = (_section(section, opened=content.study is not None) for section in build_sections(content, told))
    return join_markup(element("h2", "Studies"), *shown, element("p", more, class_="note") if more else None)


def _section(section: ReportSection, *, opened: bool) -> Markup:
    """Build the section of a study, collapsed unless it is the only one."""
    return element(
        "details",
        element(
            "summary", element("b", section.title), " ", element("span", section.headline, class_="note")
        ),
        element(
            "div",
            element("p", section.about, class_="note id"),
            *(element("p", text, class_="warning") for text in section.warnings),
            build_card_grid(section.bands),
            id=section_anchor(section.id),
        ),
        class_="part" if section.is_part else None,
        open=opened,
    )
