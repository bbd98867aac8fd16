"""Winners of a sweep side by side: against backtests of each by itself."""

from __future__ import annotations

import io
import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from rich.console import Console
from sweeps import INLINE, backtune, parsed, spec_document

from backtune import backtest, load_bars
from backtune.cli.portfolio import print_portfolio
from backtune.errors import ResultsError, SpecError
from backtune.results.portfolio import portfolio_of
from backtune.spec import SweepSpec
from backtune.sweep import run_sweep
from backtune.validation.portfolio import METHODS, fit_weights, score_returns

DAY = 86_400_000_000
YEAR = 365.25
# Differences in the last bit of the returns move the solver's weights by a little.
SOLVED = 2e-5


@pytest.fixture(scope="module")
def mixed(market, tmp_path_factory):
    """Two assets in two timeframes."""
    grid = {"strategies": ["MovingAverageCrossover"], "timeframes": ["1h", "4h"]}
    return run_sweep(
        parsed(market, grid=grid, search={"trials": 20}), tmp_path_factory.mktemp("runs"), INLINE
    )


def daily(equity, bars, start, end):
    """Returns from the last close of a day to that of the next, with Polars."""
    step = bars.timeframe.microseconds
    frame = pl.DataFrame({"day": (bars.timestamp + step - 1) // DAY, "equity": equity})
    ends = frame.group_by("day", maintain_order=True).last()
    ends = ends.filter((pl.col("day") >= start // DAY) & (pl.col("day") < end // DAY))
    return np.diff(np.concatenate([[10_000.0], ends["equity"]])) / np.concatenate(
        [[10_000.0], ends["equity"][:-1]]
    )


def test_a_portfolio_by_hand(mixed, market):
    found = mixed.portfolio()
    assert len(found.members) == 4
    inside, outside = [], []
    for row in found.members:
        bars = load_bars(market, row.asset, row.timeframe)
        cut = int(np.searchsorted(bars.timestamp, row.train.end))
        inside.append(
            daily(
                backtest(row.strategy, row.params, bars[:cut]).equity,
                bars[:cut],
                row.train.start,
                row.train.end,
            )
        )
        whole = backtest(row.strategy, row.params, bars)
        positions_from = _test_equity(row, bars, cut)
        assert len(whole.equity) > len(positions_from)
        outside.append(daily(positions_from, bars[cut:], row.test.start, row.test.end))
    train, test = np.column_stack(inside), np.column_stack(outside)
    (part,) = found.parts
    np.testing.assert_allclose(part.returns, train, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(part.oos_returns, test, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(found.correlations, np.corrcoef(train.T))
    np.testing.assert_allclose(found.oos_correlations, np.corrcoef(test.T))
    assert list(found.allocations) == list(METHODS)
    for name, allocation in found.allocations.items():
        weights = fit_weights(train, name)
        np.testing.assert_allclose(allocation.weights, [weights], rtol=0, atol=SOLVED)
        (held,) = allocation.weights
        scored = score_returns(test @ held, YEAR)
        assert allocation.out_of_sample.sharpe_ratio == pytest.approx(scored.sharpe_ratio)
        assert allocation.out_of_sample.max_drawdown == pytest.approx(scored.max_drawdown)
        assert allocation.in_sample.sharpe_ratio == pytest.approx(
            score_returns(train @ held, YEAR).sharpe_ratio
        )
    assert found.allocations["equal"].weights.tolist() == [[0.25] * 4]


def _test_equity(row, bars, cut):
    from backtune.simulation.bar_window import BarWindow
    from backtune.simulation.simulate import simulate_positions
    from backtune.spec import Execution
    from backtune.strategy.registry import StrategyFactory

    positions = StrategyFactory.get(row.strategy)(**row.params).positions(bars)
    return simulate_positions(positions, BarWindow.of(bars, cut), Execution()).equity


def test_one_method_and_the_best_in_sample(mixed):
    whole = mixed.portfolio()
    found = mixed.portfolio("risk_parity", top=2)
    assert found.members == whole.members[:2]
    assert list(found.allocations) == ["risk_parity"]
    assert found.allocations["risk_parity"].weights.shape == (1, 2)


def test_the_choice_does_not_look_at_the_test(mixed):
    """The order of members is that of the leaderboard: in sample, with few trades last."""
    ranked = sorted(mixed.rows(), key=lambda row: (row.has_few_trades, -row.values[0]))
    assert [row.study for row in mixed.portfolio().members] == [row.study for row in ranked]
    assert [row.study for row in mixed.rows()] == [row.study for row in ranked]


def test_a_walk_forward_fits_anew_in_every_fold(market, tmp_path):
    document = spec_document(market, search={"trials": 12})
    document["validation"] = {"method": "walk_forward", "folds": 3, "train": "120d", "test": "60d"}
    result = run_sweep(SweepSpec.parse(document), tmp_path, INLINE)
    found = result.portfolio()
    assert [part.name for part in found.parts] == ["walk1", "walk2", "walk3"]
    for part in found.parts:
        assert part.moments[-1] < part.oos_moments[0]
        assert len(part.oos_moments) == 60
    for name, allocation in found.allocations.items():
        weights = [fit_weights(part.returns, name) for part in found.parts]
        np.testing.assert_allclose(allocation.weights, weights, rtol=0, atol=SOLVED)
        made = np.concatenate(
            [part.oos_returns @ own for part, own in zip(found.parts, allocation.weights, strict=True)]
        )
        assert allocation.out_of_sample.total_return == pytest.approx(np.prod(1 + made) - 1)
        inside = [
            score_returns(part.returns @ own, YEAR)
            for part, own in zip(found.parts, allocation.weights, strict=True)
        ]
        assert allocation.in_sample.total_return == pytest.approx(
            np.mean([score.total_return for score in inside])
        )
    equal = found.allocations["equal"]
    assert (equal.weights == 0.25).all()
    # A cell that was never searched successfully in one fold has no weight there.
    study = next(s for s in result.run.studies if s.fold.name == "walk2")
    replace(result.run.read_summary(study), winners=()).write(result.run.study_folder(study.id))
    found = portfolio_of(result.run)
    k = next(k for k, row in enumerate(found.members) if row.cell == study.cell)
    for allocation in found.allocations.values():
        assert allocation.weights[1, k] == 0.0
        assert allocation.weights.sum(axis=1) == pytest.approx([1.0, 1.0, 1.0])
    assert any("does not move in sample in walk2" in warning for warning in found.warnings)


def test_as_data(mixed, tmp_path):
    done = backtune("portfolio", mixed.run.folder, "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    content = json.loads(done.stdout)
    assert content == json.loads(json.dumps(mixed.portfolio().to_json()))
    assert (content["step"], content["folds"][0]["fold"]) == ("1d", "holdout")
    assert (content["folds"][0]["in_sample"], content["folds"][0]["out_of_sample"]) == (
        ["2021-01-01T00:00:00Z", "2021-10-24T00:00:00Z"],
        ["2021-10-24T00:00:00Z", "2022-03-01T00:00:00Z"],
    )
    for mix in content["methods"].values():
        assert sum(mix["weights"]) == pytest.approx(1.0)
        assert {"is_sharpe_ratio", "oos_sharpe_ratio", "oos_max_drawdown", "diversification_ratio"} <= set(
            mix
        )
    assert [row[k] for k, row in enumerate(content["correlations"])] == pytest.approx([1.0] * 4)


@pytest.mark.parametrize("width", ["80", "120"])
def test_as_text(mixed, tmp_path, width):
    done = backtune("portfolio", mixed.run.folder, cwd=tmp_path, COLUMNS=width)
    assert done.returncode == 0, done.stderr
    assert max(map(len, done.stdout.splitlines())) <= int(width)
    words = " ".join(done.stdout.split())
    found = mixed.portfolio()
    equal = found.allocations["equal"]
    assert f"{equal.in_sample.sharpe_ratio:.2f} → {equal.out_of_sample.sharpe_ratio:.2f}" in words
    assert all(word in words for name in METHODS for word in name.split("_"))
    assert words.count("MovingAverageCrossover") == 4
    assert f" {found.correlations[1, 0]:.2f} ".replace("0.", ".") in words
    assert "below the diagonal in sample" in words


def test_more_winners_than_the_table_has_room_for(mixed, tmp_path):
    found = mixed.portfolio()
    more = replace(
        found, members=found.members * 4, parts=tuple(_repeated(part) for part in found.parts), allocations={}
    )
    console = Console(width=80, file=io.StringIO(), color_system=None)
    print_portfolio(console, "many", more)
    text = console.file.getvalue()
    assert "; --json has all" in text
    assert "below the diagonal" not in text
    assert max(map(len, text.splitlines())) <= 80


def _repeated(part):
    return replace(part, returns=np.tile(part.returns, 4), oos_returns=np.tile(part.oos_returns, 4))


def test_what_makes_no_portfolio_is_refused(mixed, undisturbed, market, tmp_path):
    with pytest.raises(SpecError, match=r"--method: 'equall' is not a method \(did you mean 'equal'\?\)"):
        mixed.portfolio("equall")
    alone = replace(mixed.run, studies=mixed.run.studies[:1])
    with pytest.raises(ResultsError, match="needs two winners or more, and there are 1"):
        portfolio_of(alone)
    none = run_sweep(
        parsed(market, validation={"method": "none"}, search={"trials": 4}), tmp_path / "none", INLINE
    )
    with pytest.raises(ResultsError, match="without validation: there is nothing to score weights on"):
        none.portfolio()
    data = {"start": "2021-03-01", "end": "2021-04-01"}
    short = run_sweep(parsed(market, data=data, search={"trials": 12}), tmp_path / "short", INLINE)
    with pytest.raises(ResultsError, match="steps of 1d in common out of sample, and a portfolio needs 20"):
        short.portfolio()
    done = backtune("portfolio", short.run.folder, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("error: holdout: the winners have ")
