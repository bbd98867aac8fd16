"""Reports of a walk-forward: the folds' tests as one backtest, the folds in a table."""

import json
import re
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from paper import margins
from stored_sweeps import with_data_root
from sweeps import INLINE, spec_document
from workbooks import Book

from backtune.report import html
from backtune.report.backtest_history import build_walk_forward_history
from backtune.report.cards.grids import build_grids, compute_monthly_returns
from backtune.report.cards.sections import build_sections, describe_left_out, plan_chapters
from backtune.report.content import ReportContent
from backtune.report.export.tables import export_tables
from backtune.report.formatting import format_metric
from backtune.report.html import render_html
from backtune.report.json_report import build_json_report
from backtune.report.markdown import render_markdown
from backtune.report.pdf import build_pdf_document
from backtune.report.typesetting import typeset_pages
from backtune.report.writer import write_report
from backtune.spec import SweepSpec
from backtune.sweep import SweepResult, run_sweep

N_FOLDS = 3


@pytest.fixture(scope="module")
def walked(market, tmp_path_factory) -> SweepResult:
    folder = tmp_path_factory.mktemp("walk")
    build_pdf_document = spec_document(
        market, search={"trials": 12}, grid={"strategies": ["MovingAverageCrossover"]}
    )
    spec = SweepSpec.parse({**build_pdf_document, "validation": {"method": "walk_forward", "folds": N_FOLDS}})
    return run_sweep(spec, folder / "runs", INLINE)


@pytest.fixture(scope="module")
def content(walked) -> ReportContent:
    return ReportContent(walked.run)


def test_a_cell_comes_before_its_folds(content, walked):
    found = list(build_sections(content, plan_chapters(content, 60)))
    expected = [
        name
        for row in walked.rows()
        for name in (f"MovingAverageCrossover-{row.asset}-1h", *(fold.study for fold in row.folds))
    ]
    assert [section.id for section in found] == expected
    assert [section.is_part for section in found] == [False, True, True, True] * 2


@pytest.mark.parametrize(("most", "expected"), [(1, [0]), (2, [0, 0]), (4, [2, 0]), (6, [3, 1]), (8, [3, 3])])
def test_cells_come_before_folds_where_there_is_no_room_for_all(content, most, expected):
    told = plan_chapters(content, most)
    assert [row.study for row in content.rows][: len(told)] == [chapter.row.study for chapter in told]
    assert [len(chapter.studies) for chapter in told] == expected
    n_left = 2 * N_FOLDS - sum(expected)
    words = f"{n_left} folds not shown by themselves: see one with --study ID." if n_left else ""
    assert describe_left_out(content, told) == words


def test_no_link_of_the_board_leads_nowhere(content, monkeypatch):
    for most in (60, 2, 1):
        monkeypatch.setattr(html, "MOST_STUDIES", most)
        text = render_html(content)
        links = set(re.findall(r'href="#([^"]+)"', text))
        assert links <= set(re.findall(r'id="([^"]+)"', text))
        assert len(links) == min(most, 2)


def test_the_pages_have_the_cells_and_no_fold(content):
    shown = build_pdf_document(content)
    assert [study["title"].endswith(": 3 folds as one") for study in shown["studies"]] == [True, True]
    assert shown["more"] == "6 folds not shown by themselves: see one with --study ID."


def test_the_course_is_the_stitched_backtest(content, walked):
    for row in walked.rows():
        whole, gap = content.stitched(row)
        course = build_walk_forward_history(whole)
        assert gap == ""
        assert course.equity[-1] == pytest.approx(10_000 * (1 + row.oos_metrics["total_return"]), rel=1e-12)
        assert course.drawdown.max() == pytest.approx(row.oos_metrics["max_drawdown"], rel=1e-9)
        assert max(deepest for _, deepest in course.deepest_drawdowns) == course.drawdown.max()
        assert [stretch.name for stretch in course.periods] == ["walk1", "walk2", "walk3"]
        starts = [stretch.start for stretch in course.periods]
        assert starts == [fold.test.start for fold in row.folds]
        assert course.hold[0] == 10_000
        growth = np.prod([1 + total for total in compute_monthly_returns(course).totals])
        assert growth == pytest.approx(1 + row.oos_metrics["total_return"], rel=1e-9)


def test_the_page_has_the_folds_and_their_boundaries(content, walked):
    text = render_html(content)
    places = set(re.findall(r'id="study-([^"]+)"', text))
    assert set(re.findall(r'href="#study-([^"]+)"', text)) <= places
    assert len(places) == 2 + 2 * N_FOLDS
    for row in walked.rows():
        part = text[text.index(f'id="study-{"-".join(row.cell)}"') :]
        part = part[: part.index("</details>")]
        assert part.count('class="cut"') == 2 * 3 * (N_FOLDS - 1)
        for fold in row.folds:
            value = fold.oos_metrics["sharpe_ratio"]
            assert f'<th scope="row">{fold.fold}</th>' in part
            assert f">{format_metric('sharpe_ratio', value)}</td>" in part
        assert "3 folds, all out of sample." in part
        # All of it is out of sample, so no month is marked.
        assert "outside" not in part


def test_the_grids_have_the_tests_as_one(content, walked):
    (grid,) = build_grids(content)
    found = dict(zip(grid.assets, (values[0] for values in grid.values), strict=True))
    assert found == {row.asset: row.oos_metrics["sharpe_ratio"] for row in walked.rows()}


def test_data_and_markdown_have_the_folds(content, walked):
    first = walked.rows()[0]
    report = build_json_report(content)
    assert report["performance_metrics"]["oos_sharpe_ratio"] == first.oos_metrics["sharpe_ratio"]
    assert [fold["fold"] for fold in report["leaderboard"][0]["folds"]] == ["walk1", "walk2", "walk3"]
    assert report["evidence"]["warnings"] == list(first.warnings)
    assert len(report["optimization_history"]) == 12
    text = render_markdown(content)
    assert len(re.findall(r"^\| walk\d \|", text, re.MULTILINE)) == 2 * N_FOLDS


def test_the_workbook_has_the_folds(content, walked, tmp_path):
    write_report(content, "xlsx", tmp_path / "a.xlsx")
    book = Book(tmp_path / "a.xlsx")
    assert list(book.lines) == ["summary", "leaderboard", "folds", "metrics", "stress", "trials"]
    head, *lines = book.lines["folds"]
    column = head.index("fold")
    assert [line[column] for line in lines] == ["walk1", "walk2", "walk3"] * 2
    assert len(book.lines["leaderboard"]) == 1 + 2
    assert len(book.lines["metrics"]) == 1 + 2 * (2 + 2 * N_FOLDS)
    assert len(book.lines["trials"]) == 1 + 2 * N_FOLDS * 12


def test_the_pages_have_them_and_nothing_runs_out(content):
    found = typeset_pages(build_pdf_document(content), "png")
    assert all((margins(page) == 255).all() for page in found)


def test_the_export_has_the_tests_as_one(content, walked, tmp_path):
    exported = export_tables(content, "parquet", tmp_path)
    assert len(exported.files) == 1 + 2 * 2 + 2 * N_FOLDS * 3
    for row in walked.rows():
        cell = "-".join(row.cell)
        equity = pl.read_parquet(tmp_path / cell / "equity.parquet")
        assert equity["fold"].unique(maintain_order=True).to_list() == ["walk1", "walk2", "walk3"]
        assert equity["equity"][-1] == pytest.approx(
            10_000 * (1 + row.oos_metrics["total_return"]), rel=1e-12
        )
        trades = pl.read_parquet(tmp_path / cell / "trades.parquet")
        assert len(trades) == row.oos_metrics["total_trades"]
    board = pl.read_parquet(tmp_path / "leaderboard.parquet")
    assert [len(json.loads(folds)) for folds in board["folds"]] == [N_FOLDS] * 2


def test_one_fold_alone(walked, tmp_path):
    fold = walked.rows()[0].folds[1]
    content = ReportContent(walked.run, fold.study)
    assert [section.id for section in build_sections(content, plan_chapters(content, 60))] == [fold.study]
    assert (
        build_json_report(content)["performance_metrics"]["oos_sharpe_ratio"]
        == fold.oos_metrics["sharpe_ratio"]
    )
    assert len(export_tables(content, "csv", tmp_path).files) == 4


def test_without_the_bars_it_says_what_is_missing(walked, tmp_path):
    content = ReportContent(replace(walked.run, spec=with_data_root(walked.run, tmp_path / "gone")))
    text = render_html(content)
    assert text.count("the tests could not be run again") == 2
    exported = export_tables(content, "csv", tmp_path / "out")
    assert len(exported.gaps) == 2 + 2 * N_FOLDS
