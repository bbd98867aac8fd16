"""``backtune report`` on small real sweeps: the page, the data, the Markdown."""

import json
import re
import shutil
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from stored_sweeps import with_data_root
from sweeps import INLINE, backtune, parsed, spec_document

from backtune.report import html
from backtune.report.backtest_history import build_winner_history
from backtune.report.cards.grids import build_grids, compute_monthly_returns
from backtune.report.content import ReportContent
from backtune.report.formatting import format_metric, format_optional_p_value
from backtune.report.html import render_html
from backtune.report.json_report import build_json_report
from backtune.report.markdown import render_markdown
from backtune.results.stored_sweep import StoredSweep
from backtune.spec import Execution, SweepSpec
from backtune.sweep import run_sweep

_VOID = {"meta", "br", "hr"}


class Page(HTMLParser):
    """Whether a page is well formed, and what is in it."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict]] = []
        self.texts: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        assert len(attrs) == len(dict(attrs)), (tag, attrs)
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.texts.append(data)

    def of(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.elements if name == tag]

    @property
    def labels(self) -> list[str]:
        return [attributes["aria-label"] for attributes in self.of("svg")]


@pytest.fixture(scope="module")
def page(undisturbed) -> Page:
    return Page(render_html(ReportContent(undisturbed.run)))


def test_the_page_needs_nothing_from_outside(undisturbed):
    text = render_html(ReportContent(undisturbed.run))
    assert "://" not in text
    assert "url(" not in text
    assert "@import" not in text
    assert len(text) < 4 * 140_000


def test_every_figure_and_chart_says_what_it_shows(page, undisturbed):
    svgs = page.of("svg")
    assert all(svg["role"] == "img" and len(svg["aria-label"]) > 20 for svg in svgs)
    # Equity, drawdown, trades, progress, coordinates, plateau and halves in two widths, a slice for each parameter, and a
    # map in two widths for each study but one, which has too few complete trials to say which parameters matter.
    studies = undisturbed.run.studies
    n_slices = sum(len(study.parse_space()) for study in studies)
    assert page.texts.count("Too few complete trials, or no parameter that makes a difference.") == 1
    assert len(svgs) == 14 * len(studies) + 2 * (len(studies) - 1) + n_slices
    assert all(table.get("aria-label") for table in page.of("table") if table["class"] == "heat")


def test_no_number_in_a_figure_is_lost(page):
    for tag, attributes in page.elements:
        if tag in {"path", "rect", "line", "circle"}:
            assert not re.search("nan|inf", " ".join(map(str, attributes.values()))), (tag, attributes)


def test_the_board_has_the_numbers_of_the_leaderboard(page, undisturbed):
    cells = [attributes for tag, attributes in page.elements if tag == "td" and "data-label" in attributes]
    assert len([cell for cell in cells if cell["data-label"] == "Sharpe out"]) == len(undisturbed.rows())
    for row in undisturbed.rows():
        for metrics in (row.is_metrics, row.oos_metrics):
            assert format_metric("sharpe_ratio", metrics["sharpe_ratio"]) in page.texts
            assert format_metric("total_return", metrics["total_return"]) in page.texts
        assert set(row.warnings) <= set(page.texts)


def test_every_row_leads_to_its_study(page, undisturbed):
    places = {attributes["id"] for attributes in page.of("div") if "id" in attributes}
    assert {link["href"] for link in page.of("a")} == {f"#{place}" for place in places}
    assert len(places) == len(undisturbed.run.studies)


def test_the_caution_says_how_much_was_tried(page):
    words = " ".join(page.texts)
    assert "Every winner is the best of many: 160 trials were run in all." in words
    assert "160 trials in 4 studies" in words


def test_the_grids_are_the_winners_out_of_sample(undisturbed):
    found = {
        (grid.strategy, asset, timeframe): value
        for grid in build_grids(ReportContent(undisturbed.run))
        for asset, values in zip(grid.assets, grid.values, strict=True)
        for timeframe, value in zip(grid.timeframes, values, strict=True)
    }
    assert found == {
        (row.strategy, row.asset, row.timeframe): row.oos_metrics["sharpe_ratio"]
        for row in undisturbed.rows()
    }


def test_the_winner_is_replayed_to_the_digit(undisturbed):
    content = ReportContent(undisturbed.run)
    for row in undisturbed.rows():
        replay = content.of_study(row.study).replay
        inside, outside = (1 + row.is_metrics["total_return"]), (1 + row.oos_metrics["total_return"])
        assert replay.equity[-1] == pytest.approx(10_000 * inside * outside, rel=1e-12)
        n = len(replay.train.opens)
        assert replay.drawdown[:n].max() == pytest.approx(row.is_metrics["max_drawdown"], rel=1e-9)
        assert replay.drawdown[n:].max() == pytest.approx(row.oos_metrics["max_drawdown"], rel=1e-9)
        assert len(replay.test.trades) == row.oos_metrics["total_trades"]
        months = compute_monthly_returns(build_winner_history(replay))
        growth = 1.0
        for total in months.totals:
            growth *= 1 + total
        assert growth == pytest.approx(inside * outside, rel=1e-9)
        assert months.years == (2021, 2022)
        assert months.returns[2][1] is None


def test_the_json_has_the_four_parts_and_the_leaderboards_numbers(undisturbed, tmp_path):
    path = tmp_path / "a" / "best.json"
    done = backtune("report", undisturbed.run.folder, "--format", "json", "--output", path, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"{path}\n"), done.stderr
    report = json.loads(path.read_text())
    best = undisturbed.best()
    assert report["best_parameters"] == best["params"]
    expected = {name: value for name, value in best.items() if name.startswith(("is_", "oos_"))}
    assert report["performance_metrics"] == expected
    history = report["optimization_history"]
    assert [trial["number"] for trial in history] == list(range(40))
    assert history[-1]["best_so_far"] == best["is_sharpe_ratio"]
    assert history[report["metadata"]["trial"]]["params"] == best["params"]
    assert report["metadata"]["n_trials"] == 40
    assert report["metadata"]["study"] == best["study"]
    assert "tracking" not in report["metadata"]["spec"]
    assert report["leaderboard"] == [row.to_json() for row in undisturbed.rows()]


@pytest.mark.parametrize("form", ["html", "json", "md"])
def test_a_report_of_one_study_is_about_it_alone(undisturbed, form, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(undisturbed.run.folder, run)
    chosen, other = undisturbed.run.studies[2], undisturbed.run.studies[1]
    done = backtune("report", run, "--study", chosen.id, "--format", form, cwd=tmp_path)
    assert done.stdout == f"{run}/report.{form}\n", done.stderr
    text = (run / f"report.{form}").read_text()
    assert chosen.id.rpartition("-")[2] in text
    assert other.id.rpartition("-")[2] not in text
    if form == "html":
        assert [details.get("open", "shut") for details in Page(text).of("details")] == [None]


def test_the_markdown_has_every_row_and_plain_text(undisturbed):
    text = render_markdown(ReportContent(undisturbed.run))
    assert text.startswith("# small\n")
    board = text.split("## Leaderboard")[1].split("##")[0]
    lines = [line for line in board.splitlines() if line.startswith("|")]
    assert len(lines) == 2 + len(undisturbed.rows())
    assert len({line.count(" | ") for line in lines}) == 1
    best = undisturbed.rows()[0]
    assert f"| {format_metric('sharpe_ratio', best.oos_metrics['sharpe_ratio'])} |" in lines[2]


def test_a_malicious_name_stays_text(undisturbed):
    evil = '<script>alert("1")</script><img src=x onerror=y> | `z`'
    entries = tuple(replace(entry, asset="<b>AAA") for entry in undisturbed.run.studies)
    content = ReportContent(replace(undisturbed.run, name=evil, studies=entries))
    page = Page(render_html(content))
    assert page.of("script") == page.of("img") == []
    assert "".join(page.texts).count(evil) == 2
    assert not [tag for tag, _ in page.elements if tag == "b" and "AAA" in tag]
    assert "<script" not in render_markdown(content).replace("\\<", "")
    assert build_json_report(content)["metadata"]["name"] == evil


def test_several_objectives_have_a_front_and_no_validation_is_said(market, tmp_path):
    changes = {
        "search": {"trials": 40, "objectives": ["sharpe_ratio", "-max_drawdown"], "sampler": "nsga2"},
        "grid": {"assets": ["AAA"]},
        "validation": {"method": "none"},
    }
    result = run_sweep(parsed(market, **changes), tmp_path / "runs", INLINE)
    page = Page(render_html(ReportContent(result.run)))
    content = ReportContent(result.run)
    for entry in result.run.studies:
        study = content.of_study(entry.id, replayed=False)
        # Of the points of the front, the evidence is of the one that is shown.
        assert study.row.trial == study.winner.number == study.winners[0].number
    fronts = [label for label in page.labels if label.startswith("Max drawdown against Sharpe ratio")]
    assert len(fronts) == 2 * len(result.run.studies)
    words = " ".join(page.texts)
    assert "There is no validation" in words
    assert "Out of sample from" not in " ".join(page.labels)


@pytest.mark.parametrize(
    "validation",
    [{"method": "kfold", "folds": 3, "test_fraction": 0.2}, {"method": "walk_forward", "folds": 2}],
)
def test_winners_of_every_scheme_are_replayed(market, tmp_path, validation):
    document = spec_document(market, search={"trials": 12}, grid={"assets": ["AAA"]})
    spec = SweepSpec.parse({**document, "validation": validation})
    run = run_sweep(spec, tmp_path / "runs", INLINE).run
    content = ReportContent(run)
    for entry in run.studies:
        study = content.of_study(entry.id)
        assert study.gap == ""
        assert len(study.replay.train.trades) == study.winner.is_metrics["total_trades"]
        assert len(study.replay.test.trades) == study.winner.oos_metrics["total_trades"]
        assert (entry.fold.name in study.title) == (validation["method"] == "walk_forward")
    text = render_html(content)
    assert ("tests as one backtest" in text) == (validation["method"] == "walk_forward")


def test_of_many_studies_the_best_are_drawn(undisturbed, monkeypatch):
    monkeypatch.setattr(html, "MOST_STUDIES", 1)
    page = Page(render_html(ReportContent(undisturbed.run)))
    (place,) = [attributes["id"] for attributes in page.of("div") if "id" in attributes]
    assert place == f"study-{undisturbed.best()['study']}"
    assert "3 more studies of lower rank: see one with --study ID." in page.texts


def test_a_study_without_a_winner_and_a_sweep_without_any(market, tmp_path):
    changes = {"search": {"trials": 3, "constraints": {"total_trades": ">= 1000000"}}}
    run = run_sweep(parsed(market, **changes), tmp_path / "runs", INLINE).run
    page = Page(render_html(ReportContent(run)))
    assert page.of("svg") == []
    assert " ".join(page.texts).count("no winner among 3 trials") == 4
    report = build_json_report(ReportContent(run))
    assert report["best_parameters"] == {}
    assert set(report["performance_metrics"].values()) == {None}
    assert [trial["best_so_far"] for trial in report["optimization_history"]] == [None] * 3
    assert "No winner: no usable trial" in render_markdown(ReportContent(run))


def test_a_sweep_that_is_not_finished_shows_what_is_there(undisturbed, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(undisturbed.run.folder, folder)
    run = StoredSweep.open(folder)
    (run.study_folder(run.studies[0].id) / "summary.json").unlink()
    shutil.rmtree(run.study_folder(run.studies[1].id))
    content = ReportContent(run)
    words = " ".join(Page(render_html(content)).texts)
    assert "The sweep is not finished: 2 rows may still change." in words
    assert "not finished: 40 of 40 trials" in words
    assert "not finished: 0 of 40 trials" in words
    assert build_json_report(ReportContent(run, run.studies[1].id))["optimization_history"] == []
    assert "not finished: 0 of 40 trials" in render_markdown(content).replace("\\", "")


def test_without_the_bars_the_page_comes_and_says_what_is_missing(undisturbed, tmp_path):
    run = replace(undisturbed.run, spec=with_data_root(undisturbed.run, tmp_path / "gone"))
    page = Page(render_html(ReportContent(run)))
    words = " ".join(page.texts)
    assert words.count("the winner could not be run again") == 4
    assert not [label for label in page.labels if label.startswith("Equity")]
    assert [label for label in page.labels if "complete trials; the best came with trial" in label]


def test_other_bars_than_the_sweeps_are_not_passed_off_as_its_own(undisturbed):
    spec = undisturbed.run.spec
    run = replace(undisturbed.run, spec=spec.model_copy(update={"execution": Execution(fee_bps=50)}))
    study = ReportContent(run).of_study(run.studies[0].id)
    assert study.replay is None
    assert "are no longer those of the sweep: total_return of" in study.gap


def test_an_unknown_study_and_a_place_that_cannot_be_written_are_one_line(undisturbed, tmp_path):
    study = undisturbed.run.studies[0].id
    (tmp_path / "file").write_text("")
    for arguments, message in [
        (
            ("--study", study[:-1]),
            f"error: --study: {study[:-1]!r} is not in this sweep (did you mean {study!r}?)",
        ),
        (("--format", "md", "--output", tmp_path / "file" / "a.md"), f"error: {tmp_path}/file"),
    ]:
        done = backtune("report", undisturbed.run.folder, *arguments, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(message), done.stderr
        assert done.stderr.count("\n") == 1


def test_the_evidence_stands_beside_every_result(page, undisturbed):
    cells = [attributes for tag, attributes in page.elements if tag == "td" and "data-label" in attributes]
    labels = [
        "Trials",
        "Sharpe in",
        "Sharpe out",
        "Sharpe 95%",
        "Family p",
        "Haircut",
        "Timing p",
        "DSR",
        "Return in",
    ]
    assert [cell["data-label"] for cell in cells[:9]] == labels
    weak = [cell["data-label"] for cell in cells if "weak" in cell["class"]]
    rows = undisturbed.rows()
    expected = [row.weaknesses for row in rows]
    for label, name in (
        ("DSR", "dsr"),
        ("Family p", "family"),
        ("Timing p", "timing_p"),
        ("Haircut", "family"),
    ):
        assert weak.count(label) == sum(name in found for found in expected)
    assert weak.count("Sharpe 95%") == sum(row.evidence.oos_interval.low < 0.0 for row in rows)
    for row in rows:
        interval = row.evidence.oos_interval
        assert {f"{row.evidence.dsr:.2f}", f"{interval.low:.1f} to {interval.high:.1f}"} <= set(page.texts)
    plateaus = [label for label in page.labels if "of the trials by distance from the winner" in label]
    assert len(plateaus) == 2 * len(rows)


def test_the_evidence_is_in_the_data_and_the_markdown(undisturbed):
    content = ReportContent(undisturbed.run)
    row = undisturbed.rows()[0]
    evidence = build_json_report(content)["evidence"]
    assert row.evidence.to_json().items() <= evidence.items()
    assert evidence["warnings"] == list(row.warnings)
    around = content.of_study(row.study, replayed=False).surroundings
    assert evidence["plateau_n_neighbours"] == around.n_near
    line = next(line for line in render_markdown(content).splitlines() if line.startswith("| 1 |"))
    fields = [field.strip() for field in line.split("|")]
    head = next(line for line in render_markdown(content).splitlines() if line.startswith("|  | study"))
    names = [field.strip() for field in head.split("|")]
    found = dict(zip(names, fields, strict=True))
    assert (found["DSR"], found["Family p"]) == (
        f"{row.evidence.dsr:.2f}",
        format_optional_p_value(row.evidence.family.p),
    )
    assert found["Sharpe 95%"].startswith(f"{row.evidence.oos_interval.low:.1f} to")


def test_of_islands_the_evidence_is_of_the_whole_search(market, tmp_path):
    changes = {
        "search": {"trials": 60, "islands": 2},
        "grid": {"assets": ["AAA"], "strategies": ["RSIStrategy"]},
    }
    result = run_sweep(parsed(market, **changes), tmp_path / "runs", INLINE)
    content = ReportContent(result.run)
    (row,) = result.rows()
    study = content.of_study(row.study, replayed=False)
    other = content.of_study(study.entry.peers[0], replayed=False)
    assert row.n_trials == 60
    assert len(study.surroundings.values) == 60 + len(study.probes) > 60
    assert study.surroundings.stability == row.evidence.plateau.stability
    assert study.splits.probability_of_loss == row.evidence.pbo_loss
    assert (other.row, other.splits, other.surroundings) == (None, None, None)
    words = " ".join(Page(render_html(content)).texts)
    assert words.count("How far to trust it") == 1
