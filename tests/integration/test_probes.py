"""A look around what a search found: candidates evaluated beside it, and the centre of the plateau."""

from __future__ import annotations

import io
import json
import shutil
from dataclasses import replace

import pytest
import yaml
from rich.console import Console
from sweeps import INLINE, assert_same_rows, backtune, parsed, rows_of, spec_document, written

from backtune import backtest
from backtune.cli.tables import print_leaderboard
from backtune.errors import ReportError, ResultsError
from backtune.report.export.parameters import CellParameters, evaluate_parameters
from backtune.report.row_selection import select_row
from backtune.results.leaderboard.ranking import build_leaderboard
from backtune.results.log.probes import read_probes, write_probes
from backtune.results.log.segments import TrialLog, count_trials
from backtune.results.log.summary import StudySummary
from backtune.results.progress import list_unfinished_studies
from backtune.results.study_context import StudyContextLoader
from backtune.search.planning.plan import plan_studies
from backtune.search.study_loop.crash_guard import DeathNote
from backtune.search.study_loop.study import run_study
from backtune.simulation.metrics import METRICS
from backtune.spec import SweepSpec
from backtune.sweep import run_sweep
from backtune.validation.plateau import propose_probes

# Too few trials for any neighbourhood.
CHANGES = {
    "grid": {"strategies": ["MovingAverageCrossover", "RSIStrategy"], "assets": ["AAA"]},
    "search": {"sampler": "random", "trials": 24, "constraints": {"total_trades": ">= 20"}},
}


@pytest.fixture(scope="module")
def sparse(market, tmp_path_factory):
    return run_sweep(parsed(market, **CHANGES), tmp_path_factory.mktemp("runs"), INLINE)


def probes(run, strategy):
    study = next(study for study in run.studies if study.strategy == strategy)
    return read_probes(run.study_folder(study.id))


def test_the_best_has_neighbours_that_the_search_left_out(sparse):
    for study in sparse.run.studies:
        found = read_probes(sparse.run.study_folder(study.id))
        space = study.parse_space()
        assert 8 <= len(found) <= 16
        log = TrialLog(sparse.run.study_folder(study.id), space, 1).read()
        assert [trial.number for trial in log] == list(range(24))
        tried = [trial.params for trial in log]
        assert all(
            probe.params not in tried and space.find_broken_rule(probe.params) is None for probe in found
        )
        assert all(probe.params[name] in space[name] for probe in found for name in space)
    for row in sparse.rows():
        evidence = row.evidence
        assert evidence.plateau.stability is not None
        assert evidence.plateau.stability < 1.0
        assert evidence.plateau.centre is not None
        assert evidence.plateau.centre_stability >= evidence.plateau.stability
        assert row.n_trials == 24


def test_a_probe_is_a_backtest_on_the_bars_of_the_search(sparse):
    contexts = StudyContextLoader(sparse.run)
    for study in sparse.run.studies:
        bars = contexts.load(study).train_window.bars
        for probe in read_probes(sparse.run.study_folder(study.id)):
            metrics = backtest(study.strategy, probe.params, bars).metrics
            assert metrics == probe.metrics
            has_trades = metrics["total_trades"] >= 20
            assert probe.state == ("complete" if has_trades else "infeasible")
            assert probe.values == (metrics["sharpe_ratio"],)


def test_they_are_a_function_of_the_trials(sparse, market, tmp_path):
    more = {**CHANGES, "search": {**CHANGES["search"], "trials": 150}}
    at_once = run_sweep(parsed(market, **more), tmp_path / "runs", INLINE)
    folder = tmp_path / "extended" / sparse.run.folder.name
    shutil.copytree(sparse.run.folder, folder)
    extended = run_sweep(parsed(market, **more), tmp_path / "extended", INLINE)
    assert extended.run.folder == folder
    assert_same_rows(rows_of(extended.run), rows_of(at_once.run))
    for strategy in ("MovingAverageCrossover", "RSIStrategy"):
        assert probes(extended.run, strategy) == probes(at_once.run, strategy) != probes(sparse.run, strategy)
    assert [row.evidence for row in extended.rows()] == [row.evidence for row in at_once.rows()]


class Stop:
    """Says so from the n-th question on."""

    def __init__(self, n):
        self.left = n

    def __call__(self):
        self.left -= 1
        return self.left < 0


def test_who_is_stopped_while_looking_goes_on_with_the_same(sparse, market, tmp_path):
    study = next(one for one in plan_studies(parsed(market, **CHANGES)) if one.strategy.name == "RSIStrategy")
    folder = tmp_path / study.id
    # The search asks before every trial, and then there are eight probes or more.
    assert not list(run_study(study, folder, Stop(24 + 5)))
    summary = StudySummary.read(folder)
    assert (summary.n_trials, summary.is_probed, summary.covers(24)) == (24, False, False)
    assert len(summary.winners) == 1
    assert read_probes(folder) == []
    segments = {path: path.stat().st_mtime_ns for path in folder.glob("*.parquet")}
    assert not list(run_study(study, folder, Stop(10_000)))
    summary = StudySummary.read(folder)
    assert (summary.is_probed, summary.covers(24)) == (True, True)
    assert read_probes(folder) == probes(sparse.run, "RSIStrategy")
    assert {path: path.stat().st_mtime_ns for path in folder.glob("*.parquet")} == segments


def test_a_sweep_that_was_stopped_while_looking_is_not_finished(sparse, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(sparse.run.folder, folder)
    run = replace(sparse.run, folder=folder)
    replace(run.read_summary(run.studies[0]), is_probed=False).write(run.study_folder(run.studies[0].id))
    assert [study.id for study in list_unfinished_studies(run)] == [run.studies[0].id]


def test_where_looking_costs_workers_it_is_given_up(market, tmp_path):
    study = next(one for one in plan_studies(parsed(market, **CHANGES)) if one.strategy.name == "RSIStrategy")
    folder = tmp_path / study.id
    # Its last worker had written down that it starts on the second candidate beside the 24 trials.
    DeathNote(number=25, deaths=1).write(folder)
    assert not list(run_study(study, folder, Stop(10_000), max_deaths=3))
    summary = StudySummary.read(folder)
    assert (summary.n_trials, summary.n_failed, summary.covers(24)) == (24, 0, True)
    assert read_probes(folder) == []
    assert not (folder / ".deaths.json").exists()


def test_a_worker_that_was_struck_in_the_search_looks_all_the_same(sparse, market, tmp_path):
    study = next(one for one in plan_studies(parsed(market, **CHANGES)) if one.strategy.name == "RSIStrategy")
    folder = tmp_path / study.id
    DeathNote(number=7, deaths=1).write(folder)
    assert not list(run_study(study, folder, Stop(10_000), max_deaths=3))
    assert read_probes(folder) == probes(sparse.run, "RSIStrategy")
    assert not (folder / ".deaths.json").exists()


def test_islands_look_each_for_itself_and_tell_together(market, tmp_path):
    changes = {**CHANGES, "search": {"sampler": "random", "trials": 48, "islands": 2}}
    result = run_sweep(parsed(market, **changes), tmp_path, INLINE)
    for row in result.rows():
        islands = [study for study in result.run.studies if study.strategy == row.strategy]
        assert all(read_probes(result.run.study_folder(study.id)) for study in islands)
        assert row.evidence.plateau.stability is not None


def test_nothing_to_look_at_without_a_number_or_a_result(market, tmp_path):
    space = {"MovingAverageCrossover": {"fast_period": 5, "slow_period": 50}}
    none = {"total_trades": ">= 1000000"}
    for changes in ({"space": space}, {"search": {"trials": 5, "constraints": none}}):
        grid = {"strategies": ["MovingAverageCrossover"], "assets": ["AAA"]}
        result = run_sweep(parsed(market, grid=grid, **changes), tmp_path, INLINE)
        assert probes(result.run, "MovingAverageCrossover") == []
        (row,) = result.rows()
        assert row.evidence.plateau.centre is None
        assert not list_unfinished_studies(result.run)
        if row.values is not None:
            with pytest.raises(ReportError, match="no plateau is known"):
                CellParameters.of_centre(result.run, select_row(result.run, None))


def test_probes_that_cannot_be_read_cost_the_evidence_alone(sparse, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(sparse.run.folder, folder)
    run = replace(sparse.run, folder=folder)
    for content in ("no json", '[{"params": 3}]'):
        path = run.study_folder(run.studies[0].id) / "probes.json"
        path.write_text(content)
        with pytest.raises(ResultsError, match=r"probes\.json"):
            read_probes(path.parent)
        row = next(row for row in build_leaderboard(run) if row.study == run.studies[0].id)
        assert row.values is not None
        assert any(warning.startswith("no evidence: ") for warning in row.warnings)


def test_what_is_written_is_read(sparse, tmp_path):
    found = probes(sparse.run, "RSIStrategy")
    write_probes(tmp_path, found)
    assert read_probes(tmp_path) == found
    write_probes(tmp_path, [])
    assert read_probes(tmp_path) == []


def test_the_centre_out_and_in(sparse, market, tmp_path):
    done = backtune("best", sparse.run.folder, "--centre", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    content = yaml.safe_load(done.stdout)
    row = sparse.rows(top=1)[0]
    assert content["params"] == row.evidence.plateau.centre
    assert content["is_metrics"] == row.evidence.plateau.centre_metrics
    assert list(content["is_metrics"]) == list(METRICS)
    assert "trial" not in content
    (tmp_path / "centre.yaml").write_text(done.stdout)
    again = evaluate_parameters(parsed(market, **CHANGES), CellParameters.read(tmp_path / "centre.yaml"))
    assert again.is_metrics == content["is_metrics"]
    assert again.oos_metrics is not None
    flat = row.to_json()
    assert flat["plateau_centre"] == content["params"]
    assert flat["centre_metrics"] == {f"is_{name}": value for name, value in content["is_metrics"].items()}
    assert json.loads(sparse.leaderboard()["centre_metrics"][0]) == flat["centre_metrics"]


@pytest.mark.parametrize("width", [80, 120])
def test_the_centre_of_the_plateau_is_named_where_the_best_stands_alone(sparse, width):
    rows = sparse.rows()
    plateaus = [(0.1, 0.8), (None, 0.8), (0.9, 0.95), (0.1, 0.3), (0.1, None)]
    alone = [
        replace(
            row,
            evidence=replace(
                row.evidence,
                plateau=replace(row.evidence.plateau, stability=best, centre_stability=centre),
                family=None,
            ),
        )
        for row in rows
        for best, centre in plateaus
    ]
    console = Console(width=width, file=io.StringIO(), color_system=None)
    print_leaderboard(console, sparse.run, alone, top=0)
    text = console.file.getvalue()
    assert max(map(len, text.splitlines())) <= width
    assert text.count("* centre of the plateau: ") == 2 * len(rows)
    words = " ".join(text.split())
    assert (
        words.count("plateau 0.80 instead of 0.10)") == words.count("plateau 0.80 instead of -)") == len(rows)
    )


def test_probing_a_spec_from_a_file_twice_is_the_same(sparse, market, tmp_path):
    written(tmp_path / "spec.yaml", spec_document(market, **CHANGES))
    again = run_sweep(SweepSpec.load(tmp_path / "spec.yaml"), tmp_path / "runs", INLINE)
    for strategy in ("MovingAverageCrossover", "RSIStrategy"):
        assert probes(again.run, strategy) == probes(sparse.run, strategy)
    assert sum(count_trials(again.run.study_folder(study.id)) for study in again.run.studies) == 48


def test_more_peaks_than_there_is_room_for_are_left_out(sparse):
    study = next(study for study in sparse.run.studies if study.strategy == "RSIStrategy")
    space = study.parse_space()
    trials = TrialLog(sparse.run.study_folder(study.id), space, 1).read()
    columns = {name: [trial.params[name] for trial in trials] for name in space}
    values = [trial.values[0] for trial in trials]
    numbers = [len(propose_probes(space, columns, values, most=most)) for most in (0, 16, 30, 100)]
    assert numbers == sorted(numbers)
    # Three numbers ask for twelve neighbours, less those that the search tried, and for one on every side.
    assert 8 <= numbers[0] < numbers[-1] <= 3 * 18
