"""A walk-forward as one result: its tests as one backtest, one row a cell, and what is said where something is missing."""

from __future__ import annotations

import io
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console
from sweeps import INLINE, backtune, backtune_process, build_market, spec_document, written

from backtune.cli.tables import print_folds, print_leaderboard
from backtune.report.content import ReportContent
from backtune.report.export.parameters import CellParameters, evaluate_parameters
from backtune.report.export.pine_source import build_pine_source
from backtune.report.json_report import build_json_report
from backtune.report.row_selection import select_row
from backtune.results.leaderboard.ranking import build_leaderboard
from backtune.results.leaderboard.walk_forward_oos import backtest_walk_forward
from backtune.results.log.summary import StudySummary
from backtune.simulation.bar_window import BarWindow
from backtune.simulation.costs import build_costs
from backtune.simulation.metrics import METRICS
from backtune.simulation.simulate import simulate_in_sequence
from backtune.spec import Execution, SweepSpec
from backtune.strategy.registry import StrategyFactory
from backtune.sweep import run_sweep
from backtune.validation.deflated_sharpe import (
    ReturnShape,
    compute_deflated_sharpe,
    compute_probabilistic_sharpe,
)
from backtune.validation.timing import combine_p_values

DAY = 86_400_000_000
COSTS = build_costs(Execution())
SCHEME = {"method": "walk_forward", "folds": 3, "train": "90d", "test": "60d"}
CHANGES = {
    "grid": {"strategies": ["RSIStrategy", "MACDStrategy"], "assets": ["AAA"]},
    "search": {"sampler": "tpe", "trials": 24, "seed": 5},
}


def document(market, **changes):
    return {**spec_document(market, **{**CHANGES, **changes}), "validation": SCHEME}


def parsed(market, **changes):
    return SweepSpec.parse(document(market, **changes))


@pytest.fixture(scope="module")
def own_market(tmp_path_factory):
    """A market that a test may take away."""
    return build_market(tmp_path_factory.mktemp("market"))


@pytest.fixture(scope="module")
def walked(own_market, tmp_path_factory):
    return run_sweep(parsed(own_market), tmp_path_factory.mktemp("runs"), INLINE)


@pytest.fixture
def copied(walked, tmp_path):
    """The run in a folder that a test may spoil."""
    folder = tmp_path / walked.run.folder.name
    shutil.copytree(walked.run.folder, folder)
    return replace(walked.run, folder=folder)


def kept(run):
    return list(run.folder.glob("studies/*/walk_forward.json"))


def by_hand(row, bars):
    """The winners' positions from backtests of the strategy itself, chained by the engine."""
    pieces = []
    for fold in row.folds:
        first, end = np.searchsorted(bars.timestamp, [fold.test.start, fold.test.end]).tolist()
        positions = StrategyFactory.get(row.strategy)(**fold.params).positions(bars[:end])
        window = BarWindow.of(bars[:end], first)
        pieces.append((window.find_target_changes(positions, allow_short=True), window, COSTS))
    return simulate_in_sequence(pieces)


def test_a_cell_is_one_row_with_its_folds(walked):
    rows = walked.rows()
    assert sorted(row.strategy for row in rows) == ["MACDStrategy", "RSIStrategy"]
    for row in rows:
        assert [fold.fold for fold in row.folds] == ["walk1", "walk2", "walk3"]
        assert row.n_trials == sum(fold.n_trials for fold in row.folds) == 72
        last = row.folds[-1]
        assert (row.study, row.params, row.trial, row.train) == (
            last.study,
            last.params,
            last.trial,
            last.train,
        )
        assert (row.test.start, row.test.end) == (row.folds[0].test.start, last.test.end)
        assert row.test.length == 180 * DAY
        for name in METRICS:
            known = [fold.is_metrics[name] for fold in row.folds if fold.is_metrics[name] is not None]
            assert row.is_metrics[name] == (pytest.approx(np.mean(known)) if known else None)
        for fold in row.folds:
            assert (fold.folds, fold.n_trials, fold.strategy) == ((), 24, row.strategy)


def test_the_tests_are_one_backtest_to_the_last_digit(walked, own_market):
    bars = backtune_bars(own_market)
    for row in walked.rows():
        whole = by_hand(row, bars)
        assert whole.metrics == row.oos_metrics
        again = backtest_walk_forward(walked.run, row.folds)
        assert again.metrics == row.oos_metrics
        assert np.array_equal(again.equity, whole.equity)
        assert again.trades.equals(whole.trades)
        assert (again.opens[0], len(again.opens)) == (row.test.start, 180 * 24)
        assert np.array_equal(again.close, bars.close[-180 * 24 :])
        assert [piece.first for piece in again.pieces] == [0, 60 * 24, 120 * 24]
        assert [piece.params for piece in again.pieces] == [fold.params for fold in row.folds]
        growth = np.prod([1 + fold.oos_metrics["total_return"] for fold in row.folds])
        assert row.oos_metrics["total_return"] == pytest.approx(growth - 1)


def backtune_bars(market):
    from backtune import load_bars

    return load_bars(market, "AAA", "1h")


def test_rows_are_ordered_by_what_the_searches_saw(walked):
    values = [row.values[0] for row in walked.rows() if not row.has_few_trades]
    assert values == sorted(values, reverse=True)


def test_evidence_of_the_whole(walked):
    rows = walked.rows()
    for row in rows:
        evidence, folds = row.evidence, [fold.evidence for fold in row.folds]
        assert evidence.n_cells == 2
        assert 1.0 < evidence.n_independent <= 2.0
        assert evidence.pbo_loss == pytest.approx(np.mean([fold.pbo_loss for fold in folds]))
        assert evidence.timing_p == pytest.approx(combine_p_values([fold.timing_p for fold in folds]))
        assert evidence.family.luck.n_tests == 2
        assert {fold.family for fold in folds} == {None}
        assert evidence.plateau == folds[-1].plateau
        assert evidence.oos_interval.sharpe == pytest.approx(row.oos_metrics["sharpe_ratio"], rel=1e-6)
        assert evidence.oos_interval.low < evidence.oos_interval.sharpe < evidence.oos_interval.high
        # Against the better of two, so below the probability that the ratio is above zero.
        result = backtest_walk_forward(walked.run, row.folds)
        returns = np.diff(np.concatenate([[10_000.0], result.equity])) / np.concatenate(
            [[10_000.0], result.equity[:-1]]
        )
        assert 0.0 < evidence.dsr < compute_probabilistic_sharpe(ReturnShape.of(returns))


def test_a_single_cell_is_compared_with_none(walked, copied):
    alone = replace(copied, studies=tuple(s for s in copied.studies if s.strategy == "RSIStrategy"))
    (row,) = build_leaderboard(alone)
    result = backtest_walk_forward(alone, row.folds)
    returns = np.diff(np.concatenate([[10_000.0], result.equity])) / np.concatenate(
        [[10_000.0], result.equity[:-1]]
    )
    assert row.evidence.dsr == pytest.approx(
        compute_deflated_sharpe(ReturnShape.of(returns), 1.0).probability
    )
    assert row.evidence.n_cells == 1
    before = next(one for one in walked.rows() if one.strategy == "RSIStrategy")
    assert (row.oos_metrics, row.evidence.pbo_loss) == (before.oos_metrics, before.evidence.pbo_loss)


def test_it_is_computed_by_the_sweep_and_kept(walked, own_market):
    before = [row.to_json() for row in walked.rows()]
    assert len(kept(walked.run)) == 2
    away = own_market.with_name("away")
    own_market.rename(away)
    try:
        assert [row.to_json() for row in walked.rows()] == before
    finally:
        away.rename(own_market)


def test_without_bars_the_means_are_shown_and_it_is_said(copied, own_market, tmp_path):
    before = {row.strategy: row.oos_metrics for row in build_leaderboard(copied)}
    for path in kept(copied):
        path.unlink()
    away = own_market.with_name("away")
    own_market.rename(away)
    try:
        # In another process, which has no bars in memory.
        rows = json.loads(backtune_process("leaderboard", copied.folder, "--json", cwd=tmp_path).stdout)
    finally:
        away.rename(own_market)
    for row in rows:
        sharpes = [fold["oos_sharpe_ratio"] for fold in row["folds"]]
        assert row["oos_sharpe_ratio"] == pytest.approx(np.mean(sharpes))
        assert row["dsr"] is row["oos_sharpe_low"] is row["family_p"] is None
        assert row["pbo_loss"] is not None
        words = "; ".join(row["warnings"])
        assert "out of sample the mean over folds, not one backtest: " in words
        assert str(own_market) in words
    assert {row.strategy: row.oos_metrics for row in build_leaderboard(copied)} == before
    assert len(kept(copied)) == 2


@pytest.mark.parametrize("content", ["no json", "[]", '{"version": 0}', '{"version": 1, "winners": []}'])
def test_what_was_kept_by_others_is_computed_again(copied, content):
    before = [row.to_json() for row in build_leaderboard(copied)]
    for path in kept(copied):
        path.write_text(content)
    assert [row.to_json() for row in build_leaderboard(copied)] == before


def test_a_fold_without_a_winner_is_flat(copied, own_market):
    study = next(s for s in copied.studies if (s.strategy, s.fold.name) == ("RSIStrategy", "walk2"))
    summary = copied.read_summary(study)
    replace(summary, winners=(), n_complete=0, most_common_reason="total_trades >= 99 does not hold").write(
        copied.study_folder(study.id)
    )
    row = next(row for row in build_leaderboard(copied) if row.strategy == "RSIStrategy")
    assert "walk2: no usable trial: total_trades >= 99 does not hold" in row.warnings
    assert "nothing traded in walk2" in row.warnings
    whole = backtest_walk_forward(copied, row.folds)
    assert whole.metrics == row.oos_metrics
    assert [piece.params is None for piece in whole.pieces] == [False, True, False]
    assert len(set(whole.equity[60 * 24 : 120 * 24].tolist())) == 1
    growth = [1 + row.folds[k].oos_metrics["total_return"] for k in (0, 2)]
    assert row.oos_metrics["total_return"] == pytest.approx(np.prod(growth) - 1)
    assert row.is_metrics["volatility"] == pytest.approx(
        np.mean([row.folds[k].is_metrics["volatility"] for k in (0, 2)])
    )


def test_where_the_last_fold_has_no_winner_the_parameters_are_of_the_one_before(copied):
    study = next(s for s in copied.studies if (s.strategy, s.fold.name) == ("RSIStrategy", "walk3"))
    StudySummary("failed", reason="boom").write(copied.study_folder(study.id))
    row = next(row for row in build_leaderboard(copied) if row.strategy == "RSIStrategy")
    assert (row.fold, row.params, row.study) == ("walk2", row.folds[1].params, row.folds[1].study)
    assert {"walk3: failed: boom", "nothing traded in walk3", "the parameters are of walk2"} <= set(
        row.warnings
    )


def test_a_log_that_cannot_be_read_costs_its_evidence_alone(walked, copied):
    study = next(s for s in copied.studies if (s.strategy, s.fold.name) == ("RSIStrategy", "walk1"))
    before = next(row for row in walked.rows() if row.strategy == "RSIStrategy")
    for path in copied.study_folder(study.id).glob("*"):
        if path.suffix == ".parquet" or path.name == "evidence.json":
            path.write_bytes(b"spoilt")
    row = next(row for row in build_leaderboard(copied) if row.strategy == "RSIStrategy")
    assert any(warning.startswith("no evidence: ") for warning in row.warnings)
    assert (row.oos_metrics, row.evidence.dsr) == (before.oos_metrics, before.evidence.dsr)
    known = [fold.evidence.pbo_loss for fold in before.folds[1:]]
    assert row.evidence.pbo_loss == pytest.approx(np.mean(known))


def test_no_fold_has_a_winner(copied):
    for study in copied.studies:
        if study.strategy == "RSIStrategy":
            StudySummary("failed", reason="boom").write(copied.study_folder(study.id))
    first, last = build_leaderboard(copied)
    assert (first.strategy, last.strategy) == ("MACDStrategy", "RSIStrategy")
    assert (last.values, last.params, last.warnings) == (None, {}, ("failed: boom",))


def test_an_unfinished_fold_is_waited_for(copied):
    study = next(s for s in copied.studies if (s.strategy, s.fold.name) == ("RSIStrategy", "walk2"))
    (copied.study_folder(study.id) / "summary.json").unlink()
    row = next(row for row in build_leaderboard(copied) if row.strategy == "RSIStrategy")
    assert "walk2: not finished: 24 of 24 trials" in row.warnings
    assert "out of sample the mean over folds, not one backtest: walk2 not finished" in row.warnings
    assert "nothing traded in walk2" not in row.warnings


OWN = """
from backtune import BaseStrategy, Int, Space

class Own(BaseStrategy):
    def __init__(self, period):
        self.period = period

    @classmethod
    def space(cls):
        return Space(period=Int(2, 40))

    def positions(self, bars):
        if bars.timestamp[-1] == {moment}:
            raise ValueError("no bars like these")
        above = bars.close > bars.open
        above[:: self.period] = False
        return above.astype(float) * {share}
"""


def own_sweep(market, folder, moment=0, share=1.0, trials=6, purge_bars=0):
    (folder / "own.py").write_text(OWN.format(moment=moment, share=share))
    grid = {"strategies": [{"file": str(folder / "own.py"), "class": "Own"}], "assets": ["AAA"]}
    one = document(market, grid=grid, search={"sampler": "random", "trials": trials})
    return SweepSpec.parse({**one, "validation": {**SCHEME, "purge_bars": purge_bars}})


def test_a_strategy_that_fails_in_one_test_costs_that_fold_alone(market, tmp_path):
    bars = backtune_bars(market)
    second_ends = int(bars.timestamp[-1]) - 60 * DAY
    # Without a gap the third search would end with the same bar.
    one = own_sweep(market, tmp_path, moment=second_ends, purge_bars=1)
    result = run_sweep(one, tmp_path / "runs", INLINE)
    assert result.exit_status == 1
    (row,) = result.rows()
    assert [fold.values is None for fold in row.folds] == [False, True, False]
    assert row.oos_metrics["total_trades"] > 100
    assert "walk2: failed: StrategyError: Own: ValueError: no bars like these" in row.warnings
    assert "nothing traded in walk2" in row.warnings


def test_a_strategy_that_was_changed_since_is_found_out(market, tmp_path):
    result = run_sweep(own_sweep(market, tmp_path), tmp_path / "runs", INLINE)
    (before,) = result.rows()
    for path in kept(result.run):
        path.unlink()
    own_sweep(market, tmp_path, share=0.5)
    (row,) = result.rows()
    assert any(
        "the bars or the code are no longer those of the sweep: total_return of walk1" in w
        for w in row.warnings
    )
    own_sweep(market, tmp_path)
    assert result.rows() == [before]


def test_more_trials_are_stitched_again(market, tmp_path):
    (before,) = run_sweep(own_sweep(market, tmp_path, trials=2), tmp_path / "runs", INLINE).rows()
    (after,) = run_sweep(own_sweep(market, tmp_path, trials=60), tmp_path / "runs", INLINE).rows()
    assert before.study == after.study
    assert [f.params for f in before.folds] != [f.params for f in after.folds]
    assert after.oos_metrics != before.oos_metrics
    assert after.oos_metrics == by_hand_of_own(tmp_path, after, backtune_bars(market)).metrics


def by_hand_of_own(folder, row, bars):
    namespace: dict = {}
    exec((folder / "own.py").read_text(), namespace)  # noqa: S102
    pieces = []
    for fold in row.folds:
        first, end = np.searchsorted(bars.timestamp, [fold.test.start, fold.test.end]).tolist()
        window = BarWindow.of(bars[:end], first)
        positions = namespace["Own"](**fold.params).positions(bars[:end])
        pieces.append((window.find_target_changes(positions, allow_short=True), window, COSTS))
    return simulate_in_sequence(pieces)


def test_islands_and_several_objectives(market, tmp_path):
    search = {
        "sampler": "random",
        "trials": 16,
        "seed": 5,
        "islands": 2,
        "objectives": ["sharpe_ratio", "-max_drawdown"],
    }
    spec = parsed(market, search=search, execution={"allow_short": False})
    result = run_sweep(spec, tmp_path, INLINE)
    assert len(result.run.studies) == 12
    for row in result.rows():
        assert (len(row.folds), row.n_trials) == (3, 48)
        for fold in row.folds:
            front = build_leaderboard(result.run, study=fold.study)
            assert front[0].params == fold.params or fold.values[0] == max(one.values[0] for one in front)
            assert fold.values[0] >= max(one.values[0] for one in front)
        assert row.values == pytest.approx(tuple(np.mean([fold.values for fold in row.folds], axis=0)))
        assert backtest_walk_forward(result.run, row.folds).metrics == row.oos_metrics


def test_one_fold_by_itself(walked):
    row = walked.rows()[0]
    first = row.folds[0]
    assert build_leaderboard(walked.run, study=first.study) == [first]
    assert select_row(walked.run, first.study) == first
    assert select_row(walked.run, None).params == row.params


def test_the_parameters_out_and_in_are_the_last_folds(walked, own_market):
    row = walked.rows()[0]
    parameters = CellParameters.of(walked.run, row)
    assert (parameters.fold, parameters.params) == ("walk3", row.params)
    again = evaluate_parameters(walked.run.spec, parameters)
    assert again.oos_metrics == row.folds[-1].oos_metrics


def test_a_pine_script_tells_of_the_last_fold_and_of_the_whole(walked):
    row = walked.rows()[0]
    last = row.folds[-1]
    about = build_pine_source(walked.run, row).about
    assert f"Study {row.study}, fold walk3 of 3: the best of 24 trials by sharpe_ratio." in about
    for title, metrics in [
        ("In sample", last.is_metrics),
        ("Out of sample", last.oos_metrics),
        ("Out of sample, all folds one after the other", row.oos_metrics),
    ]:
        assert any(
            line.startswith(f"{title}: sharpe_ratio {metrics['sharpe_ratio']:.4g}, ") for line in about
        )


def test_as_data(walked, tmp_path):
    (first, _) = rows = json.loads(backtune("leaderboard", walked.run.folder, "--json", cwd=tmp_path).stdout)
    assert rows == [row.to_json() for row in walked.rows()]
    assert [fold["fold"] for fold in first["folds"]] == ["walk1", "walk2", "walk3"]
    assert first["folds"][0]["test"] == ["2021-09-02T00:00:00Z", "2021-11-01T00:00:00Z"]
    assert first["test"] == ["2021-09-02T00:00:00Z", "2022-03-01T00:00:00Z"]
    frame = walked.leaderboard()
    assert json.loads(frame["folds"][0]) == first["folds"]
    report = build_json_report(ReportContent(walked.run))
    assert report["leaderboard"] == rows
    of_fold = build_json_report(ReportContent(walked.run, first["folds"][1]["study"]))
    assert [row["fold"] for row in of_fold["leaderboard"]] == ["walk2"]
    assert of_fold["metadata"]["n_trials_of_sweep"] == 144


@pytest.mark.parametrize("width", [80, 120])
def test_as_text(walked, width):
    console = Console(width=width, file=io.StringIO(), color_system=None)
    rows = walked.rows()
    print_leaderboard(console, walked.run, rows, top=0)
    print_folds(console, walked.run, rows)
    text = console.file.getvalue()
    assert max(map(len, text.splitlines())) <= width
    words = " ".join(text.split())
    assert "walk3 of 3: " in words
    for row in rows:
        assert f"{row.is_metrics['sharpe_ratio']:.2f} → {row.oos_metrics['sharpe_ratio']:.2f}" in words
        for fold in row.folds:
            assert f"{fold.is_metrics['sharpe_ratio']:.2f} → {fold.oos_metrics['sharpe_ratio']:.2f}" in words
    assert words.count("2021-09-02") == 2


def test_the_command(walked, tmp_path):
    done = backtune("leaderboard", walked.run.folder, "--folds", cwd=tmp_path, COLUMNS="80")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("walk1") >= 2
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_a_sweep_that_is_started_again_stitches_nothing_again(walked, own_market, tmp_path):
    written(tmp_path / "spec.yaml", document(own_market))
    before = {path: path.stat().st_mtime_ns for path in kept(walked.run)}
    again = run_sweep(SweepSpec.load(tmp_path / "spec.yaml"), walked.run.folder.parent, INLINE)
    assert again.run.folder == walked.run.folder
    assert {path: path.stat().st_mtime_ns for path in kept(again.run)} == before
