"""``backtune report --format pdf``: what the pages say, and that nothing runs out of them."""

import json
import re
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import typst
from paper import margins
from sweeps import INLINE, backtune, parsed

from backtune.errors import MissingPackageError
from backtune.report import pdf, typesetting
from backtune.report.content import ReportContent
from backtune.report.pdf import build_pdf_document, render_pdf
from backtune.report.typesetting import typeset_pages
from backtune.report.writer import write_report
from backtune.sweep import run_sweep

LAYOUT = Path(typesetting.__file__).with_name("page.typ")


def queried(shown: dict, selector: str) -> list[dict]:
    """Elements of the document as typst has understood them."""
    inputs = {"data": json.dumps({**shown, "colours": typesetting._colours()})}
    return json.loads(typst.query(LAYOUT.read_bytes(), selector, sys_inputs=inputs))


def text_of(content: dict) -> str:
    """All text below an element."""
    if "text" in content and isinstance(content["text"], str):
        return content["text"]
    parts = [content.get("body"), content.get("child"), *content.get("children", ())]
    if content.get("func") == "space":
        return " "
    return "".join(text_of(part) for part in parts if isinstance(part, dict))


@pytest.fixture(scope="module")
def shown(undisturbed) -> dict:
    return build_pdf_document(ReportContent(undisturbed.run))


def test_the_file_is_a_pdf_and_the_same_each_time(undisturbed, shown, tmp_path):
    path = tmp_path / "a.pdf"
    done = backtune("report", undisturbed.run.folder, "--format", "pdf", "--output", path, cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{path}\n", "")
    written = path.read_bytes()
    assert written.startswith(b"%PDF-")
    assert written == typeset_pages(shown)[0]


def test_every_study_starts_a_page_and_every_figure_says_what_it_shows(undisturbed, shown):
    headings = queried(shown, "heading")
    assert [heading["level"] for heading in headings].count(1) == 1
    titles = [text_of(heading["body"]).replace("\u200b", "") for heading in headings]
    rows = undisturbed.rows()
    names = [f"{row.strategy} {row.asset} {row.timeframe}" for row in rows]
    assert titles == ["small", "Leaderboard", "Sharpe ratio by asset and timeframe", *names]
    images = queried(shown, "image")
    # Seven figures and two to three slices, and a map but for the one that has too few complete trials.
    n_slices = sum(len(study.parse_space()) for study in undisturbed.run.studies)
    assert len(images) == 7 * len(rows) + (len(rows) - 1) + n_slices
    assert all(len(image["alt"]) > 20 for image in images)


def test_the_pages_say_what_the_page_in_html_says(undisturbed, shown):
    content = ReportContent(undisturbed.run)
    assert len(shown["board"]["lines"]) == len(undisturbed.rows())
    for line, row in zip(shown["board"]["lines"], undisturbed.rows(), strict=True):
        assert [text.replace("\u200b", "") for text in line["warnings"]] == list(row.warnings)
        assert f"{row.evidence.dsr:.2f}" in {number["text"] for number in line["numbers"]}
    told = json.dumps(shown)
    assert "160 trials were run in all" in told
    for entry in content.run.studies:
        assert entry.id in told.replace("\\u200b", "")


def test_figures_are_coloured_by_themselves(shown):
    figures = [
        part["figure"]["svg"]
        for study in shown["studies"]
        for band in study["bands"]
        for stack in band
        for card in stack
        for part in card["parts"]
        if part["kind"] == "figure"
    ]
    assert figures
    for svg in figures:
        style = re.search("<style>(.*?)</style>", svg, re.DOTALL)[1]
        assert "var(" not in style
        classes = set(re.findall(r'<(?:path|line|rect|circle) class="([\w ]+)"', svg))
        assert classes
        for name in {word for found in classes for word in found.split()} - {"best", "good", "bad"}:
            assert f".{name}" in style, name


HOSTILE = '#panic("x") *b* _i_ $x^2$ @ref <label> \\ `raw` = h - l // c /* c */ "q" [b] {c} ~ \' é 日本'


def test_what_is_said_is_no_markup(undisturbed):
    run = undisturbed.run
    entries = tuple(replace(entry, asset=HOSTILE) for entry in run.studies)
    shown = build_pdf_document(ReportContent(replace(run, name=HOSTILE, studies=entries), run.studies[0].id))
    titles = [text_of(heading["body"]).replace("\u200b", "") for heading in queried(shown, "heading")]
    strategy, timeframe = run.studies[0].strategy, run.studies[0].timeframe
    assert titles == [HOSTILE, "Leaderboard", f"{strategy} {HOSTILE} {timeframe}"]
    assert typeset_pages(shown)[0].startswith(b"%PDF-")


def test_nothing_runs_out_of_the_pages(undisturbed, market, tmp_path):
    long_name = "A" * 60 + "_" + "b" * 60
    run = undisturbed.run
    entries = tuple(replace(entry, asset=long_name, strategy=long_name) for entry in run.studies)
    for content in (
        ReportContent(replace(run, name=long_name, studies=entries), run.studies[0].id),
        # On a broad page.
        ReportContent(_many_objectives(market, tmp_path)),
    ):
        found = typeset_pages(build_pdf_document(content), "png")
        assert len(found) > 2
        assert all((margins(page) == 255).all() for page in found)


def _many_objectives(market, tmp_path):
    objectives = ["sharpe_ratio", "annual_return", "-volatility", "-ulcer_index", "profit_factor"]
    changes = {
        "search": {"trials": 20, "objectives": objectives, "sampler": "nsga2"},
        "grid": {"assets": ["AAA"], "strategies": ["RSIStrategy"]},
    }
    return run_sweep(parsed(market, **changes), tmp_path / "runs", INLINE).run


def test_of_many_studies_the_best_are_there_and_a_sweep_without_winners_is_said(
    undisturbed, market, tmp_path, monkeypatch
):
    monkeypatch.setattr(pdf, "MOST_STUDIES", 1)
    shown = build_pdf_document(ReportContent(undisturbed.run))
    assert [study["about"].replace("\u200b", "") for study in shown["studies"]] == [
        f"Study {undisturbed.best()['study']}"
    ]
    assert shown["more"] == "3 more studies of lower rank: see one with --study ID."
    changes = {"search": {"trials": 3, "constraints": {"total_trades": ">= 1000000"}}}
    run = run_sweep(parsed(market, **changes), tmp_path / "runs", INLINE).run
    assert render_pdf(ReportContent(run)).startswith(b"%PDF-")


def test_without_typst_it_says_what_to_install(undisturbed, monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "typst", None)
    with pytest.raises(MissingPackageError, match=r"needs typst.*pip install 'backtune\[report\]'"):
        write_report(ReportContent(undisturbed.run), "pdf", tmp_path / "a.pdf")
    assert list(tmp_path.iterdir()) == []
