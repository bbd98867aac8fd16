"""Where the calendar of a spec and the bars differ, whoever reads results is told, and nobody else is."""

import json
from pathlib import Path

import pytest
import yaml
from markets import HOUR, open_times, price_frame, session_times
from sweeps import INLINE, backtune, parsed, spec_document, written
from workbooks import Book

from backtune import SweepSpec, load_bars, run_sweep
from backtune.data.catalog import Catalog
from backtune.report.content import ReportContent
from backtune.report.pdf import build_pdf_document
from backtune.report.writer import write_report
from backtune.results.portfolio import portfolio_of
from backtune.tracking.records import build_study_record

SENTENCE = "calendar 24/7 counts 8,766 bars a year, the bars of ACME 1h show 1,843; 1,843 is used"
OTHER = "calendar 24/7 counts 8,766 bars a year, the bars of BETA 1h show 1,843; 1,843 is used"
HOLD = {
    "strategies": ["MovingAverageCrossover", "RSIStrategy"],
    "assets": ["ACME", "BETA"],
    "timeframes": ["1h"],
}


@pytest.fixture(scope="module")
def stocks(tmp_path_factory) -> Path:
    """Two stocks, ten months of hours; and a coin that is traded at all times."""
    root = tmp_path_factory.mktemp("stocks")
    hours = session_times("UTC", 14.5, 21.5, HOUR, "2022-01-03", "2022-10-29")
    catalog = Catalog.open_or_create(root)
    catalog.write("ACME", "1h", price_frame(hours, seed=1))
    catalog.write("BETA", "1h", price_frame(hours, seed=2))
    catalog.write("COIN", "1h", price_frame(open_times("2022-01-01", "2022-11-01", HOUR), seed=3))
    return root


def sweep(stocks, runs, calendar):
    data = {} if calendar is None else {"calendar": calendar}
    return run_sweep(parsed(stocks, data=data, grid=HOLD, search={"trials": 10}), runs, INLINE)


@pytest.fixture(scope="module")
def doubted(stocks, tmp_path_factory):
    """A sweep whose spec takes stocks for a market that never closes."""
    return sweep(stocks, tmp_path_factory.mktemp("runs"), "24/7")


@pytest.mark.parametrize("calendar", [None, "auto", "sessions-252"])
def test_a_calendar_that_the_bars_bear_out_is_no_warning(stocks, tmp_path, calendar):
    rows = sweep(stocks, tmp_path, calendar).rows()
    assert not any("calendar" in text for row in rows for text in row.warnings)
    expected = 1764.0 if calendar == "sessions-252" else load_bars(stocks, "ACME", "1h").bars_per_year
    assert {row.to_json()["bars_per_year"] for row in rows} == {expected}


def test_every_row_of_the_leaderboard_carries_the_warning(doubted):
    rows = doubted.rows()
    assert len(rows) == 4
    assert all((SENTENCE if row.asset == "ACME" else OTHER) in row.warnings for row in rows)
    assert {round(row.to_json()["bars_per_year"]) for row in rows} == {1843}
    best = doubted.best()
    assert {SENTENCE, OTHER} & set(best["warnings"])
    assert doubted.leaderboard()["bars_per_year"].round().to_list() == [1843.0] * 4


def test_a_walk_forward_says_it_once(stocks, tmp_path):
    build_pdf_document = spec_document(stocks, data={"calendar": "24/7"}, grid=HOLD, search={"trials": 10})
    build_pdf_document["validation"] = {"method": "walk_forward", "folds": 3, "train": "90d", "test": "30d"}
    rows = run_sweep(SweepSpec.parse(build_pdf_document), tmp_path, INLINE).rows()
    assert [text for text in rows[0].warnings if "calendar" in text] == [rows[0].disagreement]
    assert rows[0].disagreement in (SENTENCE, OTHER)


def test_the_run_and_the_leaderboard_say_it_once_for_each_asset_and_timeframe(stocks, tmp_path):
    build_pdf_document = spec_document(stocks, data={"calendar": "24/7"}, grid=HOLD, search={"trials": 10})
    spec = written(tmp_path / "spec.yaml", build_pdf_document)
    arguments = ("run", spec, "--executor", "inline", "--runs", "runs", "--no-tracking")
    done = backtune(*arguments, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (done.stdout.count(f" ! {SENTENCE}\n"), done.stdout.count(SENTENCE)) == (1, 1)
    assert (done.stdout.count(OTHER), done.stdout.count("calendar 24/7")) == (1, 2)
    plain = json.loads(backtune(*arguments, "--json", cwd=tmp_path).stdout)
    assert [(one["asset"], one["warning"]) for one in sorted(plain["annualisations"], key=lambda one: one["asset"])] == [
        ("ACME", SENTENCE), ("BETA", OTHER),
    ]  # fmt: skip
    assert all(one["sessions"] == "5 days a week of 7 bars" for one in plain["annualisations"])
    shown = backtune("leaderboard", plain["folder"], cwd=tmp_path).stdout
    assert (shown.count(SENTENCE), shown.count(OTHER)) == (1, 1)


def planned(stocks, tmp_path, *arguments, **changes):
    spec = written(tmp_path / "spec.yaml", spec_document(stocks, search={"trials": 10}, **changes))
    done = backtune("plan", spec, *arguments, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_the_plan_says_what_was_found_and_where_the_spec_differs(stocks, tmp_path):
    grid = {**HOLD, "assets": ["ACME", "BETA", "COIN"], "timeframes": ["1h", "1w"]}
    found = planned(stocks, tmp_path, grid=grid)
    assert "a year  1,843 bars (ACME, BETA 1h: 5 days a week of 7 bars)\n" in found
    assert "        52.18 bars (ACME, BETA, COIN 1w)\n" in found
    assert "        8,766 bars (COIN 1h: 7 days a week of 24 bars)\n" in found
    assert "warning" not in found
    stated = planned(stocks, tmp_path, grid=grid, data={"calendar": "24/7"})
    assert stated.count(f"warning {SENTENCE}\n") == stated.count(f"warning {OTHER}\n") == 1
    assert stated.count("warning") == 2
    plain = json.loads(planned(stocks, tmp_path, "--json", grid=grid, data={"calendar": "24/7"}))
    warnings = {(one["asset"], one["timeframe"]): one["warning"] for one in plain["annualisations"]}
    assert {series for series, text in warnings.items() if text} == {("ACME", "1h"), ("BETA", "1h")}
    assert plain["n_series_unread"] == 0


@pytest.mark.parametrize(
    ("calendar", "n", "warns"),
    [(None, "1,843", False), ("sessions-252", "1,764", False), ("24/7", "1,843", True)],
)
def test_a_backtest_says_it(stocks, tmp_path, calendar, n, warns):
    data = {"calendar": calendar} if calendar else {}
    grid = {**HOLD, "strategies": ["RSIStrategy"], "assets": ["ACME"]}
    spec = written(tmp_path / "spec.yaml", spec_document(stocks, data=data, grid=grid))
    (tmp_path / "p.yaml").write_text(yaml.safe_dump({"params": {"period": 14}}))
    arguments = ("backtest", spec, "--params", tmp_path / "p.yaml")
    shown = backtune(*arguments, cwd=tmp_path).stdout
    assert f"a year  {n} bars (ACME 1h: 5 days a week of 7 bars" in shown
    assert (f"! {SENTENCE}\n" in shown) == warns
    plain = json.loads(backtune(*arguments, "--json", cwd=tmp_path).stdout)
    assert (f"{plain['bars_per_year']:,.0f}", plain["warnings"]) == (n, [SENTENCE] if warns else [])


@pytest.mark.parametrize("form", ["html", "md", "json"])
def test_reports_carry_it(doubted, tmp_path, form):
    write_report(ReportContent(doubted.run), form, tmp_path / "report")
    text = (tmp_path / "report").read_text()
    assert SENTENCE in text
    assert OTHER in text


def test_the_printed_report_and_the_workbook_carry_it(doubted, tmp_path):
    shown = json.dumps(build_pdf_document(ReportContent(doubted.run)), ensure_ascii=False).replace(
        "\u200b", ""
    )
    assert SENTENCE in shown
    path = tmp_path / "report.xlsx"
    write_report(ReportContent(doubted.run), "xlsx", path)
    assert any(SENTENCE in str(cell) for line in Book(path).lines["leaderboard"] for cell in line)


def test_tags_of_the_tracker_carry_it(doubted):
    for row in doubted.rows():
        (study,) = (entry for entry in doubted.run.studies if entry.id == row.study)
        record = build_study_record(doubted.run, study, doubted.run.read_summary(study), row)
        assert row.disagreement in record.tags["warnings"]


def test_a_portfolio_counts_steps_as_the_bars_show(doubted):
    found = portfolio_of(doubted.run)
    assert {SENTENCE, OTHER} <= set(found.warnings)
    equal, (part,) = found.allocations["equal"], found.parts
    returns = part.oos_returns @ equal.weights[0]
    # Weekdays, whatever the spec says of nights and weekends.
    assert equal.out_of_sample.volatility == pytest.approx(
        returns.std(ddof=1) * (365.25 * 5 / 7) ** 0.5, rel=0.01
    )
