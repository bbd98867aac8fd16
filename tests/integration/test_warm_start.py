"""Sweeps that begin where an earlier one ended."""

import json
import logging

import pytest
from sweeps import INLINE, assert_same_rows, backtune, parsed, rows_of, spec_document, written

from backtune.errors import SpecError
from backtune.search.planning.plan import plan_studies
from backtune.sweep import run_sweep


def winners_of(result, strategy, asset):
    entry = next(e for e in result.run.studies if (e.strategy, e.asset) == (strategy, asset))
    return [winner.params for winner in result.run.read_summary(entry).winners]


def firsts(market, earlier, **changes):
    spec = parsed(market, **{"search": {"trials": 40, "seed": 5, "warm_start": str(earlier)}, **changes})
    return {(s.strategy.name, s.bars.asset, s.bars.timeframe): s.first_candidates for s in plan_studies(spec)}


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
            run.read_summary(e).winners[0].values
            for run, e in ((result.run, entry), (undisturbed.run, before))
        )
        assert best >= earlier
    again = run_sweep(spec, tmp_path / "again", INLINE)
    assert_same_rows(rows_of(again.run), rows_of(result.run))
    cold = {study.id for study in plan_studies(parsed(market, search={"trials": 30, "seed": 6}))}
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
    assert all(study.first_candidates for study in plan_studies(spec, undisturbed.run.folder.parent))


def later(market, tmp_path, earlier, **data):
    """A sweep that begins with another one, on bars of its own."""
    grid = {"strategies": ["RSIStrategy"], "assets": ["AAA"]}
    search = {"trials": 8, "warm_start": str(earlier.run.folder)} if earlier else {"trials": 8}
    spec = parsed(market, grid=grid, search=search, data=data)
    return run_sweep(spec, tmp_path, INLINE)


def test_who_begins_with_what_was_found_on_its_test_is_told(tmp_path, market):
    # The first searches until 2021-10-24 and the second, on the same bars, tests from then on.
    first = later(market, tmp_path / "a", None)
    again = later(market, tmp_path / "b", first)
    assert [study.has_seen_test for study in again.run.studies] == [False]
    # From March to October, July is the test's first month, and the first has searched it.
    within = {"start": "2021-03-01", "end": "2021-10-01"}
    ahead = later(market, tmp_path / "c", first, **within)
    (row,) = ahead.rows()
    assert (
        "looks ahead: it began with parameters found on bars up to 2021-10-23, its test among them"
        in row.warnings
    )
    # What began with that has it in itself, though nobody searched these bars since.
    early = {"start": "2021-01-01", "end": "2021-06-01"}
    cold = later(market, tmp_path / "d", None, **early)
    warm = later(market, tmp_path / "e", ahead, **early)
    heir = later(market, tmp_path / "f", warm, start="2021-01-01", end="2021-09-01")
    assert [study.known_until for study in cold.run.studies] == [None]
    assert [study.known_until for study in heir.run.studies] == [
        study.known_until for study in ahead.run.studies
    ]
    assert [study.has_seen_test for study in heir.run.studies] == [True]
    assert any(warning.startswith("looks ahead: ") for warning in heir.rows()[0].warnings)
    assert not any(warning.startswith("looks ahead: ") for warning in again.rows()[0].warnings)


def test_the_plan_says_it_before(tmp_path, market, undisturbed):
    search = {"trials": 8, "warm_start": str(undisturbed.run.folder)}
    document = spec_document(market, search=search, data={"start": "2021-03-01", "end": "2021-10-01"})
    spec = written(tmp_path / "spec.yaml", document)
    text = " ".join(backtune("plan", spec, cwd=tmp_path).stdout.split())
    assert "ahead 4 of 4 studies begin with what " in text
    assert "found on bars of their tests, which then prove nothing" in text
    told = json.loads(backtune("plan", spec, "--json", cwd=tmp_path).stdout)
    assert told["n_looking_ahead"] == 4
    plain = written(tmp_path / "plain.yaml", spec_document(market))
    assert " ahead " not in " ".join(backtune("plan", plain, cwd=tmp_path).stdout.split())


def test_no_earlier_sweep_is_refused(tmp_path, market):
    with pytest.raises(
        SpecError,
        match=r"search.warm_start: 'gone-123' is no earlier sweep: no sweep.json in .*runs/gone-123",
    ):
        plan_studies(parsed(market, search={"warm_start": "gone-123"}), tmp_path / "runs")
    (tmp_path / "broken").mkdir()
    for text in ("{", "{}", '{"studies": [{"id": 3}]}'):
        (tmp_path / "broken/sweep.json").write_text(text)
        with pytest.raises(SpecError, match=r"search.warm_start: .*broken cannot be read"):
            plan_studies(parsed(market, search={"warm_start": str(tmp_path / "broken")}))
    with pytest.raises(SpecError, match=r"search\.warm_start"):
        parsed(market, search={"warm_start": ""})
