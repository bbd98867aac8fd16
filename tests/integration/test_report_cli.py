"""Results out of a sweep and in again: ``best``, ``backtest``, ``export-pine``."""

import json
from pathlib import Path

import pytest
import yaml
from sweeps import INLINE, backtune, parsed, spec_document, written

from backtune.errors import SpecError
from backtune.report.export.parameters import CellParameters, evaluate_parameters
from backtune.results.stored_sweep import StoredSweep
from backtune.simulation.metrics import METRICS
from backtune.spec import SweepSpec
from backtune.sweep import run_sweep

# Stops searched and fixed, costs and windows that are not the defaults, two objectives.
CHANGES = {
    "name": "stopped",
    "data": {"start": "2021-02-01", "end": "2021-12-15T06:00"},
    "execution": {
        "fee_bps": 3, "maker_fee_bps": 1, "slippage_bps": 4, "size": 0.7, "allow_short": False, "take_profit": 0.2,
        "stop_loss": {"type": "float", "low": 0.01, "high": 0.1},
    },
    "search": {"trials": 20, "objectives": ["sharpe_ratio", "-max_drawdown"], "sampler": "nsga2"},
    "validation": {"method": "holdout", "test_fraction": 0.4},
}  # fmt: skip


@pytest.fixture(scope="module")
def stopped(market, tmp_path_factory):
    return run_sweep(parsed(market, **CHANGES), tmp_path_factory.mktemp("runs"), INLINE)


def printed(*arguments: str | Path, cwd: Path) -> str:
    done = backtune(*arguments, cwd=cwd)
    assert done.returncode == 0, done.stderr
    return done.stdout


def numbers(row: dict) -> dict:
    names = {f"{prefix}_{metric}" for prefix in ("is", "oos") for metric in METRICS}
    return {name: value for name, value in row.items() if name in names}


@pytest.mark.parametrize("form", ["yaml", "json"])
def test_the_best_parameters_give_the_leaderboards_numbers_again(undisturbed, market, tmp_path, form):
    file = tmp_path / f"best.{form}"
    file.write_text(printed("best", undisturbed.run.folder, "--format", form, cwd=tmp_path))
    spec = written(tmp_path / "spec.yaml", spec_document(market))
    again = json.loads(printed("backtest", spec, "--params", file, "--json", cwd=tmp_path))
    best = undisturbed.best()
    assert numbers(again) == numbers(best)
    assert again["params"] == best["params"]
    assert best["oos_total_trades"] > 0


def test_every_row_of_a_leaderboard_gives_its_numbers_again(stopped, market, tmp_path):
    spec = stopped.run.spec
    rows = [row for row in stopped.rows() if row.values is not None]
    assert len(rows) > len(stopped.run.studies) > 3
    assert all("stop_loss" in row.params for row in rows)
    path = tmp_path / "params.yaml"
    for row in rows:
        path.write_text(yaml.safe_dump(CellParameters.of(stopped.run, row).to_json()))
        again = evaluate_parameters(spec, CellParameters.read(path))
        assert numbers(again.to_json()) == numbers(row.to_json())


def test_without_validation_there_is_nothing_out_of_sample(market, tmp_path):
    changes = {"validation": {"method": "none"}, "search": {"trials": 10}, "grid": {"assets": ["AAA"]}}
    result = run_sweep(parsed(market, **changes), tmp_path / "runs", INLINE)
    row = result.rows()[0]
    again = evaluate_parameters(parsed(market, **changes), CellParameters.of(result.run, row))
    assert again.oos_metrics is None
    assert numbers(again.to_json()) == numbers(row.to_json())


def test_a_table_for_people(undisturbed, market, tmp_path):
    study = undisturbed.run.studies[-1].id
    file = tmp_path / "best.yaml"
    file.write_text(printed("best", undisturbed.run.folder, "--study", study, cwd=tmp_path))
    row = next(row for row in undisturbed.rows() if row.study == study)
    spec = written(tmp_path / "spec.yaml", spec_document(market))
    text = printed("backtest", spec, "--params", file, cwd=tmp_path)
    (line,) = [line for line in text.splitlines() if "sharpe_ratio" in line]
    values = row.is_metrics["sharpe_ratio"], row.oos_metrics["sharpe_ratio"]
    assert line.split() == ["sharpe_ratio", *(f"{value:,.6g}" for value in values)]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "strategy: is missing: the spec has several; allowed: MovingAverageCrossover, RSIStrategy"),
        ({"strategy": "RSIStrategy"}, "asset: is missing"),
        ({"strategy": "RSIStrategy", "asset": "AAB"}, r"asset: 'AAB' is not in the spec \(did you mean 'AAA'"),
        ({"fold": "other"}, "strategy: is missing"),
        ({"strategy": "RSIStrategy", "asset": "AAA", "fold": "other"}, "fold: 'other' is not in the spec"),
        ({"strategy": "RSIStrategy", "asset": "AAA", "params": {"perod": 3}}, "params.perod: is not a parameter"),
        ({"strategy": "RSIStrategy", "asset": "AAA", "params": {"period": "1e1"}}, "params.period: '1e1' is not a number"),
        ({"strategy": "RSIStrategy", "asset": "AAA", "params": {"period": 14.9}}, "params.period: 14.9 is not a whole number"),
        ({"strategy": "RSIStrategy", "asset": "AAA", "params": {"period": True}}, "params.period: True is not a number"),
        ({"strategy": "RSIStrategy", "asset": "AAA", "params": {"oversold": True}}, "params.oversold: True is not a number"),
        ({"strategy": "RSIStrategy", "asset": "AAA", "params": {"stop_loss": 2}}, "execution.stop_loss: 2 is not a number"),
    ],
)  # fmt: skip
def test_parameters_that_the_spec_has_no_place_for_are_refused(market, given, message):
    with pytest.raises(SpecError, match=message):
        evaluate_parameters(parsed(market), CellParameters(**{"params": {}, **given}))


def test_parameters_left_out_take_their_defaults_and_a_stop_may_be_added(market):
    cell = {"strategy": "RSIStrategy", "asset": "AAA"}
    spec = parsed(market, space={"RSIStrategy": {"period": 9}})
    plain = evaluate_parameters(spec, CellParameters({}, **cell))
    assert plain.params == {"period": 9, "oversold": 30.0, "overbought": 70.0}
    # What a spec fixes is a range, of which a value may be outside; its type is the strategy's.
    assert evaluate_parameters(spec, CellParameters({"period": 12.0}, **cell)).params["period"] == 12
    with pytest.raises(SpecError, match=r"params\.period: 9\.5 is not a whole number"):
        evaluate_parameters(spec, CellParameters({"period": 9.5}, **cell))
    stopped = evaluate_parameters(spec, CellParameters({"stop_loss": 0.01}, **cell))
    assert stopped.is_metrics["total_trades"] >= plain.is_metrics["total_trades"]
    assert stopped.is_metrics["total_return"] != plain.is_metrics["total_return"]


def test_export_pine_writes_the_best_or_the_named_study(undisturbed, tmp_path):
    folder, best = undisturbed.run.folder, undisturbed.best()
    script = printed("export-pine", folder, cwd=tmp_path)
    assert script.startswith("//@version=6\n")
    assert f"// Study {best['study']}: the best of 40 trials by sharpe_ratio." in script
    assert f"sharpe_ratio {best['oos_sharpe_ratio']:.4g}" in script
    assert printed("export-pine", folder, "--output", "my.pine", cwd=tmp_path) == "my.pine\n"
    assert (tmp_path / "my.pine").read_text() == script
    other = undisturbed.run.studies[-1].id
    content = json.loads(printed("export-pine", folder, "--study", other, "--json", cwd=tmp_path))
    row = next(row for row in undisturbed.rows() if row.study == other)
    assert (content["study"], content["params"], content["file"]) == (other, row.params, None)
    assert f"period = input.int({row.params['period']}, " in content["script"]


def test_what_cannot_be_exported_is_one_line_and_status_2(undisturbed, tmp_path):
    folder, study = undisturbed.run.folder, undisturbed.run.studies[0].id
    for arguments, message in [
        (("--study", study[:-1]), f"error: --study: {study[:-1]!r} is not in this sweep (did you mean {study!r}?)"),
        (("--output", tmp_path / "none" / "a.pine"), f"error: {tmp_path}/none/a.pine: cannot be written: No such file"),
    ]:  # fmt: skip
        done = backtune("export-pine", folder, *arguments, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(message)
        assert done.stderr.count("\n") == 1


def test_a_sweep_without_a_winner_has_no_best(market, tmp_path):
    changes = {"search": {"trials": 3, "constraints": {"total_trades": ">= 1000000"}}}
    result = run_sweep(parsed(market, **changes), tmp_path / "runs", INLINE)
    for command in ("best", "export-pine"):
        done = backtune(command, result.run.folder, cwd=tmp_path)
        assert done.returncode == 2
        assert "there is no best yet: no usable trial: total_trades >= 1000000 does not hold" in done.stderr


OWN = """
from backtune import BaseStrategy, Int, Space

class Own(BaseStrategy):
    @classmethod
    def space(cls):
        return Space(period=Int(2, 40))

    def positions(self, bars):
        above = bars.close > bars.open
        return above.astype(float)
"""


def test_a_strategy_of_ones_own_is_refused_until_it_has_a_template(market, tmp_path):
    (tmp_path / "own.py").write_text(OWN)
    grid = {"strategies": [{"file": "own.py", "class": "Own"}], "assets": ["AAA"]}
    written(tmp_path / "spec.yaml", spec_document(market, grid=grid, search={"trials": 3}))
    spec = SweepSpec.load(tmp_path / "spec.yaml")
    run = run_sweep(spec, tmp_path / "runs", INLINE).run
    done = backtune("export-pine", run.folder, cwd=tmp_path)
    assert done.returncode == 2
    assert f"error: Own has no Pine template: write {tmp_path}/Own.pine, as docs/pine.md tells" in done.stderr
    (tmp_path / "Own.pine").write_text("// period is not needed\nint side = close > open ? 1 : 0\n")
    script = printed("export-pine", run.folder, cwd=tmp_path)
    assert "int side = close > open ? 1 : 0" in script
    # The template decides no result: the same studies are found again.
    assert {study.id for study in StoredSweep.open(run.folder).studies} == {
        study.id for study in run_sweep(spec, tmp_path / "runs", INLINE).run.studies
    }
