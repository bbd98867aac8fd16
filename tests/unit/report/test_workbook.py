"""Excel workbooks: what is text stays text."""

import math
import sys

import pytest
from workbooks import Book

from backtune.errors import MissingPackageError
from backtune.report import workbook
from backtune.report.workbook import MOST_LETTERS, SheetColumn, WorkbookSheet, build_workbook

HOSTILE = [
    "=1+1",
    '=cmd|"/c calc"!A1',
    "+1+1",
    "-2+3",
    "@SUM(A1)",
    "\t=1+1",
    "\r=1+1",
    "http://example.org/",
    "<r><t>x</t></r>",
    "<b>&amp;</b>",
    "{=1+1}",
    "123",
    " = 1",
]


def written(tmp_path, *sheets: WorkbookSheet) -> Book:
    path = tmp_path / "book.xlsx"
    path.write_bytes(build_workbook("=title()", sheets))
    return Book(path)


def sheet(*lines, name="one", columns=2) -> WorkbookSheet:
    return WorkbookSheet(name, tuple(SheetColumn(f"=c{i}", 12.0) for i in range(columns)), lines)


def test_no_text_becomes_a_formula_or_a_link(tmp_path):
    book = written(tmp_path, sheet(*((text, 1.5) for text in HOSTILE)))
    assert book.kinds == set()
    assert not [part for part in book.parts if "rels" in part and "sheet" in part]
    assert book.lines["one"][0] == ["=c0", "=c1"]
    found = [line[0] for line in book.lines["one"][1:]]
    # Control characters are written as Excel escapes them.
    expected = [text.replace("\r", "_x000D_") for text in HOSTILE]
    expected[HOSTILE.index("<r><t>x</t></r>")] = " <r><t>x</t></r>"
    assert found == expected
    assert {line[1] for line in book.lines["one"][1:]} == {1.5}


def test_fields_keep_their_kind_and_what_is_undefined_is_empty(tmp_path):
    lines = [(1, True), (2.5, False), (None, "x"), (math.nan, math.inf), (10**15, "")]
    book = written(tmp_path, sheet(*lines))
    found = [(*line, None, None)[:2] for line in book.lines["one"][1:]]
    assert found[:3] == [(1.0, True), (2.5, False), (None, "x")]
    assert found[3:] == [(1e15, "")]


def test_a_long_text_is_cut_and_headings_stay(tmp_path):
    book = written(tmp_path, sheet(("😀" * 40_000, "x" * 40_000)), sheet(name="two"))
    assert [len(text) for text in book.lines["one"][1]] == [MOST_LETTERS, MOST_LETTERS]
    assert book.frozen == {"one": 1, "two": 1}
    assert book.lines["two"] == [["=c0", "=c1"]]


def test_a_sheet_has_so_many_lines_and_no_more(tmp_path, monkeypatch):
    monkeypatch.setattr(workbook, "MOST_LINES", 4)
    book = written(tmp_path, sheet(*((i, i) for i in range(10))))
    assert [line[0] for line in book.lines["one"]] == ["=c0", 0.0, 1.0, 2.0]


def test_number_formats(tmp_path):
    columns = (SheetColumn("a", 9.0, "0.0%"), SheetColumn("b", 9.0, "#,##0"), SheetColumn("c", 9.0))
    book = written(tmp_path, WorkbookSheet("one", columns, [(0.25, 1234, 5)]))
    # The general format is known by its number.
    assert [book.formats["one"][1, place] for place in range(3)] == ["0.0%", "#,##0", "0"]


def test_the_same_sheets_give_the_same_bytes():
    assert build_workbook("x", [sheet((1, "a"))]) == build_workbook("x", [sheet((1, "a"))])


def test_without_xlsxwriter_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "xlsxwriter", None)
    with pytest.raises(MissingPackageError, match=r"needs xlsxwriter.*pip install 'backtune\[report\]'"):
        build_workbook("x", [])
