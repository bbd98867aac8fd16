"""Sweeps that begin where an earlier one ended."""

import json
import logging

import pytest

from backtune.errors import SpecError
from backtune.search.plan import studies_of
from backtune.sweep import run_sweep
from sweeps import INLINE, assert_same_rows, parsed, rows_of


def winners_of(result, strategy, asset):
    entry = next(e for e in result.run.studies if (e.strategy, e.asset) == (strategy, asset))
    return [winner.params for winner in result.run.summary(entry).winners]


def firsts(market, earlier, **changes):
    spec = parsed(market, **{"search": {"trials": 40, "seed": 5, "warm_start": str(earlier)}, **changes})
    return {(s.strategy.name, s.bars.asset, s.bars.timeframe): s.first for s in studies_of(spec)}


def test_studies_begin_with_the_winners_of_their_cell(tmp_path, market, undisturbed):
    spec = parsed(market, search={"trials": 30, "seed": 6, "warm_start": str(undisturbed.run.folder)})
    result = run_sweep(spec, tmp_path / "runs", INLINE)
    assert result.exit_status == 0
    for entry in result.run.studies:
        (winner,) = winners_of(undisturbed, entry.strategy, entry.asset)
        first = result.trials(entry.id).row(0, named=True)
        assert {name: first[f"params_{name}"] for name in winner} == winner
        before = next(
            e for e in undisturbed.run.studies if (e.strategy, e.asset) == (entry.strategy, entry.asset)
        )
        best, earlier = (
            run.summary(e).winners[0].values for run, e in ((result.run, entry), (undisturbed.run, before))
        )
        assert best >= earlier
    again = run_sweep(spec, tmp_path / "again", INLINE)
    assert_same_rows(rows_of(again.run), rows_of(result.run))
    cold = {study.id for study in studies_of(parsed(market, search={"trials": 30, "seed": 6}))}
    assert cold.isdisjoint(entry.id for entry in result.run.studies)


def test_a_cell_that_was_not_there_begins_with_its_relatives(market, undisturbed):
    cells = {"strategies": ["MovingAverageCrossover", "MACDStrategy"], "timeframes": ["1h", "4h"]}
    found = firsts(market, undisturbed.run.folder, grid=cells)
    for asset in ("AAA", "BBB"):
        for timeframe in ("1h", "4h"):
            own = tuple(winners_of(undisturbed, "MovingAverageCrossover", asset))
            assert found["MovingAverageCrossover", asset, timeframe] == own
            assert found["MACDStrategy", asset, timeframe] == ()


def test_another_asset_begins_with_the_winners_of_all(tmp_path, market, undisturbed):
    content = json.loads((undisturbed.run.folder / "sweep.json").read_text())
    for study in content["studies"]:
        study["asset"] = f"{study['asset']}-old"
    (tmp_path / "old").mkdir()
    (tmp_path / "old/sweep.json").write_text(json.dumps(content))
    (tmp_path / "old/studies").symlink_to(undisturbed.run.folder / "studies")
    both = [*winners_of(undisturbed, "RSIStrategy", "AAA"), *winners_of(undisturbed, "RSIStrategy", "BBB")]
    assert firsts(market, tmp_path / "old")["RSIStrategy", "AAA", "1h"] == tuple(both)


def test_winners_outside_of_the_space_are_moved_into_it_or_left_out(market, undisturbed, caplog):
    (winner,) = winners_of(undisturbed, "MovingAverageCrossover", "AAA")
    fast, slow = winner["fast_period"], winner["slow_period"]
    key = ("MovingAverageCrossover", "AAA", "1h")
    moved = {"slow_period": {"type": "int", "low": slow + 10, "high": slow + 90, "step": 7}}
    with caplog.at_level(logging.WARNING):
        found = firsts(market, undisturbed.run.folder, space={"MovingAverageCrossover/AAA": moved})
    assert found[key] == ({"fast_period": fast, "slow_period": slow + 10},)
    assert "was moved into the space of MovingAverageCrossover/AAA/1h" in caplog.text
    ruled = {"rules": [f"slow_period < fast_period + {slow - fast}"]}
    with caplog.at_level(logging.WARNING):
        found = firsts(market, undisturbed.run.folder, space={"MovingAverageCrossover/AAA": ruled})
    assert found[key] == ()
    assert "is left out in MovingAverageCrossover/AAA/1h" in caplog.text


def test_a_front_is_taken_up_to_a_batch(tmp_path, market):
    both = {"trials": 240, "objectives": ["total_return", "-volatility"], "sampler": "nsga2"}
    grid = {"strategies": ["RSIStrategy"], "assets": ["AAA"]}
    earlier = run_sweep(parsed(market, grid=grid, search=both), tmp_path / "runs", INLINE)
    front = winners_of(earlier, "RSIStrategy", "AAA")
    assert len(front) > 4
    for sampler, most in (("nsga2", 24), ("tpe", 4)):
        found = firsts(
            market,
            earlier.run.folder,
            grid=grid,
            search={**both, "sampler": sampler, "warm_start": str(earlier.run.folder)},
        )
        assert list(found["RSIStrategy", "AAA", "1h"]) == front[:most]


def test_an_earlier_sweep_is_named_by_its_id_too(market, undisturbed):
    spec = parsed(market, search={"warm_start": undisturbed.run.sweep_id})
    assert all(study.first for study in studies_of(spec, undisturbed.run.folder.parent))


def test_no_earlier_sweep_is_refused(tmp_path, market):
    with pytest.raises(
        SpecError,
        match=r"search.warm_start: 'gone-123' is no earlier sweep: no sweep.json in .*runs/gone-123",
    ):
        studies_of(parsed(market, search={"warm_start": "gone-123"}), tmp_path / "runs")
    (tmp_path / "broken").mkdir()
    for text in ("{", "{}", '{"studies": [{"id": 3}]}'):
        (tmp_path / "broken/sweep.json").write_text(text)
        with pytest.raises(SpecError, match=r"search.warm_start: .*broken cannot be read"):
            studies_of(parsed(market, search={"warm_start": str(tmp_path / "broken")}))
    with pytest.raises(SpecError, match=r"search\.warm_start"):
        parsed(market, search={"warm_start": ""})
