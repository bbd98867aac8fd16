"""``backtune report --format xlsx``, read back from its XML."""

import math
from dataclasses import replace

import pytest
from sweeps import INLINE, backtune, parsed
from workbooks import Book

from backtune.report import excel, workbook
from backtune.report.content import ReportContent
from backtune.report.writer import write_report
from backtune.results.log.segments import read_log
from backtune.sweep import run_sweep

FAILING = '''
import numpy as np

from backtune import BaseStrategy, Choice, Int, Space


class Picky(BaseStrategy):
    """Long after a rise; fails for a period of 5, with a reason that looks like a formula."""

    @classmethod
    def space(cls):
        return Space(period=Int(2, 6), mode=Choice(("=1+1", "@plain", True)))

    def positions(self, bars):
        if self.period == 5:
            raise ValueError("x\\n=cmd|' /C calc'!A0")
        targets = np.zeros(len(bars))
        targets[self.period :] = bars.close[self.period :] > bars.close[: -self.period]
        return targets
'''


def same(found, expected) -> bool:
    """To the 16 digits that a workbook has of a number."""
    if isinstance(expected, float) and found is not None:
        return math.isclose(found, expected, rel_tol=1e-15)
    return found == expected


def table(book: Book, name: str) -> list[dict]:
    head, *lines = book.lines[name]
    return [dict(zip(head, [*line, *[None] * (len(head) - len(line))], strict=True)) for line in lines]


@pytest.fixture(scope="module")
def book(undisturbed, tmp_path_factory) -> Book:
    folder = tmp_path_factory.mktemp("excel")
    path = folder / "report.xlsx"
    done = backtune("report", undisturbed.run.folder, "--format", "xlsx", "--output", path, cwd=folder)
    assert (done.returncode, done.stdout) == (0, f"{path}\n"), done.stderr
    return Book(path)


def test_it_has_sheets_whose_headings_stay(book):
    assert list(book.lines) == ["summary", "leaderboard", "metrics", "stress", "trials"]
    assert set(book.frozen.values()) == {1}
    assert book.kinds == set()


def test_the_summary_says_what_was_tried(book):
    words = {line[0]: line[1] for line in book.lines["summary"][1:]}
    assert words["Name"] == "small"
    assert words["Tried"] == "160 trials in 4 studies"
    assert "Left out" not in words


def test_the_leaderboard_has_all_numbers(book, undisturbed):
    lines = table(book, "leaderboard")
    assert len(lines) == len(undisturbed.rows())
    for line, row in zip(lines, undisturbed.rows(), strict=True):
        flat = row.to_json()
        for name in (
            "study",
            "asset",
            "trial",
            "n_trials",
            "is_sharpe_ratio",
            "oos_total_return",
            "dsr",
            "pbo",
        ):
            assert same(line[name], flat[name]), name
        assert line["warnings"] == "; ".join(row.warnings)
    head = book.lines["leaderboard"][0]
    formats = {name: book.formats["leaderboard"].get((1, place)) for place, name in enumerate(head)}
    assert (formats["oos_total_return"], formats["dsr"], formats["n_trials"]) == ("0.0%", "0.00", "#,##0")


def test_the_metrics_have_a_line_a_sample(book, undisturbed):
    lines = table(book, "metrics")
    assert [line["sample"] for line in lines] == ["in", "out"] * len(undisturbed.rows())
    for line, row in zip(lines[1::2], undisturbed.rows(), strict=True):
        assert all(same(line[name], value) for name, value in row.oos_metrics.items())


def test_the_trials_are_those_of_the_log(book, undisturbed):
    lines = table(book, "trials")
    assert len(lines) == 160
    for study in undisturbed.run.studies:
        log = read_log(undisturbed.run.study_folder(study.id))
        own = [line for line in lines if line["study"] == study.id]
        assert [line["number"] for line in own] == log["number"].to_list()
        assert all(map(same, (line["objective_sharpe_ratio"] for line in own), log["values_0"].to_list()))
        for name in study.parse_space():
            assert all(map(same, (line[f"params_{name}"] for line in own), log[f"params_{name}"].to_list()))
        others = [name for name in lines[0] if name.startswith("params_") and name[7:] not in study.space]
        assert {line[name] for line in own for name in others} <= {None}


def test_what_a_sheet_cannot_hold_is_said(undisturbed, tmp_path, monkeypatch):
    for module in (workbook, excel):
        monkeypatch.setattr(module, "MOST_LINES", 101)
    write_report(ReportContent(undisturbed.run), "xlsx", tmp_path / "a.xlsx")
    book = Book(tmp_path / "a.xlsx")
    assert len(book.lines["trials"]) == 101
    words = dict(line[:2] for line in book.lines["summary"][1:])
    assert words["Left out"].startswith("60 of 160 trials, of the studies of lowest rank")
    study = undisturbed.best()["study"]
    write_report(ReportContent(undisturbed.run, study), "xlsx", tmp_path / "b.xlsx")
    book = Book(tmp_path / "b.xlsx")
    assert {line["study"] for name in ("leaderboard", "metrics", "trials") for line in table(book, name)} == {
        study
    }


def test_hostile_texts_stay_text(market, tmp_path):
    (tmp_path / "picky.py").write_text(FAILING)
    grid = {"strategies": [{"file": str(tmp_path / "picky.py"), "class": "Picky"}], "assets": ["AAA"]}
    run = run_sweep(parsed(market, grid=grid, search={"trials": 30}), tmp_path / "runs", INLINE).run
    entries = tuple(replace(entry, asset="=HYPERLINK(1)") for entry in run.studies)
    write_report(ReportContent(replace(run, name="@evil", studies=entries)), "xlsx", tmp_path / "a.xlsx")
    book = Book(tmp_path / "a.xlsx")
    assert book.kinds == set()
    assert book.lines["summary"][1] == ["Name", "@evil"]
    lines = table(book, "trials")
    assert {line["asset"] for line in lines} == {"=HYPERLINK(1)"}
    assert {line["params_mode"] for line in lines} == {"=1+1", "@plain", True}
    reasons = [line["reason"] for line in lines if line["state"] == "failed"]
    assert reasons
    assert all("=cmd|" in reason for reason in reasons)
