"""The stress of winners of small real sweeps, and how every form of the report tells of it."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import pytest
from stored_sweeps import with_data_root
from sweeps import INLINE, build_market, spec_document
from workbooks import Book

from backtune.data.load import load_bars
from backtune.errors import ResultsError
from backtune.report.cards.stress import build_stress_bands, describe_break_even, describe_lost_gain
from backtune.report.content import MOST_STRESSED, ReportContent
from backtune.report.formatting import format_metric
from backtune.report.html import render_html
from backtune.report.json_report import build_json_report
from backtune.report.markdown import render_markdown
from backtune.report.pdf import build_pdf_document
from backtune.report.writer import write_report
from backtune.results.leaderboard.ranking import build_leaderboard
from backtune.results.leaderboard.walk_forward_oos import backtest_walk_forward
from backtune.results.stress import BreakEven, stress_winner
from backtune.results.study_context import StudyContextLoader
from backtune.simulation.backtest import backtest_positions
from backtune.spec import SweepSpec
from backtune.strategy.registry import StrategyFactory
from backtune.sweep import run_sweep

NAMES = ["costs_doubled", "one_bar_later", "trades_skipped", "noise_on_prices"]


@pytest.fixture(scope="module")
def own_market(tmp_path_factory):
    """A market of which a test may take something away."""
    return build_market(tmp_path_factory.mktemp("market"))


def swept(market, folder, **changes):
    grid = {"strategies": ["MovingAverageCrossover"], "timeframes": ["1h", "4h"]}
    build_pdf_document = spec_document(market, grid=grid, search={"trials": 12})
    return run_sweep(SweepSpec.parse({**build_pdf_document, **changes}), folder, INLINE).run


@pytest.fixture(scope="module")
def held_out(own_market, tmp_path_factory):
    return swept(own_market, tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def walked(own_market, tmp_path_factory):
    build_pdf_document = spec_document(
        own_market, grid={"strategies": ["MovingAverageCrossover"]}, search={"trials": 12}
    )
    spec = SweepSpec.parse({**build_pdf_document, "validation": {"method": "walk_forward", "folds": 3}})
    return run_sweep(spec, tmp_path_factory.mktemp("walk"), INLINE).run


def test_the_result_is_the_rows_to_the_digit(held_out):
    for row in build_leaderboard(held_out):
        stress = stress_winner(held_out, row)
        assert stress.metrics == row.oos_metrics
        assert stress.is_tested
        assert [condition.name for condition in stress.conditions] == NAMES
        dearer = stress.conditions[0].metrics["total_return"]
        assert dearer < row.oos_metrics["total_return"]
        assert stress == stress_winner(held_out, row, StudyContextLoader(held_out))


def test_without_validation_it_is_of_the_search(own_market, tmp_path):
    run = swept(own_market, tmp_path, validation={"method": "none"})
    row = build_leaderboard(run)[0]
    stress = stress_winner(run, row)
    assert stress.metrics == row.is_metrics
    assert not stress.is_tested
    assert all(cell.is_known_time for cell in stress.elsewhere)


def test_elsewhere_is_a_backtest_of_the_other_cells_test(held_out, own_market):
    row = build_leaderboard(held_out)[0]
    other = "BBB" if row.asset == "AAA" else "AAA"
    slower = "4h" if row.timeframe == "1h" else "1h"
    found = {(cell.asset, cell.timeframe): cell for cell in stress_winner(held_out, row).elsewhere}
    assert set(found) == {(other, row.timeframe), (row.asset, slower)}
    strategy = StrategyFactory.get(row.strategy)
    for (asset, timeframe), cell in found.items():
        bars = load_bars(str(own_market), asset, timeframe)
        positions = strategy(**row.params).positions(bars)
        start = int((bars.timestamp < row.test.start).sum())
        # The target of the bar before is filled at the first open of the test.
        own = backtest_positions([*positions[start - 1 :]], bars[start - 1 :])
        assert (cell.problem, cell.is_known_time) == ("", False)
        for name in ("total_return", "total_trades", "max_drawdown"):
            assert cell.metrics[name] == pytest.approx(own.metrics[name], rel=1e-9)


def test_a_walk_forward_is_its_tests_as_one(walked):
    row = build_leaderboard(walked)[0]
    stress = stress_winner(walked, row)
    assert stress.metrics == row.oos_metrics == backtest_walk_forward(walked, row.folds).metrics
    (other,) = stress.elsewhere
    contexts = StudyContextLoader(walked)
    entries = {(study.asset, study.fold.name): study for study in walked.studies}
    pieces = []
    for fold in row.folds:
        context = contexts.load(entries[other.asset, fold.fold])
        pieces.append((fold.params, context.test_window))
    assert other.metrics == context.scorer.backtest_chain(pieces).metrics
    # A fold by itself has a stress too.
    fold = row.folds[0]
    assert stress_winner(walked, fold).metrics == fold.oos_metrics


def test_a_row_without_a_winner_has_no_stress(held_out):
    row = replace(build_leaderboard(held_out)[0], values=None)
    with pytest.raises(ResultsError, match="has no winner"):
        stress_winner(held_out, row)


def test_other_numbers_than_the_sweeps_are_refused(held_out):
    row = build_leaderboard(held_out)[0]
    other = replace(row, oos_metrics={**row.oos_metrics, "total_return": 9.0})
    with pytest.raises(ResultsError, match="no longer those of the sweep"):
        stress_winner(held_out, other)


def test_an_asset_whose_bars_are_gone_is_told_of(held_out, own_market, tmp_path):
    market = tmp_path / "market"
    shutil.copytree(own_market, market)
    row = build_leaderboard(held_out)[0]
    other = "BBB" if row.asset == "AAA" else "AAA"
    shutil.rmtree(market / f"asset={other}")
    run = replace(held_out, spec=with_data_root(held_out, market))
    gone, there = sorted(stress_winner(run, row).elsewhere, key=lambda cell: cell.asset == row.asset)
    assert f"asset={other}" in gone.problem
    assert set(gone.metrics.values()) == {None}
    assert there.problem == ""
    assert there.metrics["total_return"] is not None
    text = render_markdown(ReportContent(run))
    assert "Not to be had: " in text
    # The first rows are of both assets.
    assert "The winner could not be run again: " in text


def test_without_bars_every_form_says_why(held_out, tmp_path):
    content = ReportContent(replace(held_out, spec=with_data_root(held_out, tmp_path / "gone")))
    why = "The winner could not be run again: "
    assert render_html(content).count(why) == MOST_STRESSED
    assert render_markdown(content).count(why) == MOST_STRESSED
    report = build_json_report(content)
    assert report["stress"] is None
    assert str(tmp_path / "gone") in report["stress_problem"]
    write_report(content, "xlsx", tmp_path / "a.xlsx")
    head, *lines = Book(tmp_path / "a.xlsx").lines["stress"]
    assert len(lines) == MOST_STRESSED
    assert all("gone" in line[head.index("in words")] for line in lines)


def test_every_form_has_the_stress_of_the_first_rows(held_out, tmp_path):
    content = ReportContent(held_out)
    row = content.rows[0]
    stress, gap = content.stress(row)
    assert gap == ""
    cards = [card for ((card,),) in build_stress_bands(content, row)]
    assert [card.title for card in cards] == ["Stress", "The same parameters elsewhere"]
    names = [line[0].text for line in cards[0].parts[2].lines]
    assert names == [
        "As it was judged", "Costs twice as high", "One bar later", "1% of trades skipped: median",
        "1% of trades skipped: worst tenth", "Noise on prices: median", "Noise on prices: worst tenth",
    ]  # fmt: skip
    assert all(line[-1].text for card in cards for line in card.parts[-1].lines)
    headline, lost = describe_break_even(stress.break_even), describe_lost_gain(stress)
    doubled = format_metric("total_return", stress.conditions[0].metrics["total_return"])
    for text in (render_html(content), render_markdown(content), json.dumps(build_pdf_document(content))):
        assert headline in text
        assert lost in text
        assert doubled in text
        assert text.count("The same parameters elsewhere") >= MOST_STRESSED
    report = build_json_report(content)
    assert report["stress"] == json.loads(json.dumps(stress.to_json()))
    assert report["stress_problem"] == ""
    write_report(content, "xlsx", tmp_path / "a.xlsx")
    head, *lines = Book(tmp_path / "a.xlsx").lines["stress"]
    assert len(lines) == MOST_STRESSED * (7 + 2 + 1)
    own = [dict(zip(head, line, strict=False)) for line in lines[:10]]
    assert own[0]["total_return"] == pytest.approx(row.oos_metrics["total_return"], rel=1e-15)
    assert own[0]["cost_bps"] == 12
    assert own[-1]["condition"] == "Break-even"
    assert own[-1].get("cost_bps") == (
        stress.break_even.cost_bps and pytest.approx(stress.break_even.cost_bps)
    )


def test_a_row_of_lower_rank_has_it_by_itself(held_out):
    content = ReportContent(held_out)
    last = content.rows[MOST_STRESSED]
    assert list(build_stress_bands(content, last)) == []
    alone = ReportContent(held_out, last.study)
    (own,) = [row for row in alone.rows if row.study == last.study]
    assert len(list(build_stress_bands(alone, own))) == 2


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (BreakEven(14.2, 12.0, has_fees_in_money=False), "Costs may rise to 14.2 bps a side before the gain is gone; the spec charges 12."),
        (BreakEven(14.2, 2.5, has_fees_in_money=True), "Costs may rise to 14.2 bps a side before the gain is gone; the spec charges 2.5 and fees in money."),
        (BreakEven(8.14, 12.0, has_fees_in_money=False), "There is a gain only where costs are below 8.1 bps a side; the spec charges 12."),
        (BreakEven(None, 12.0, has_fees_in_money=False), "There is no gain even without costs; the spec charges 12."),
    ],
)  # fmt: skip
def test_break_even_in_words(found, expected):
    assert describe_break_even(found) == expected
