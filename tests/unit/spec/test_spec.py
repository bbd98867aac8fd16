"""The spec: what it reads, what it refuses and with which words, and its content id."""

from __future__ import annotations

import copy
import json
import math
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import yaml

from backtune.errors import SpecError
from backtune.space import Choice, Float, Int
from backtune.spec import Constraint, EarlyStopping, Objective, StrategyFile, SweepSpec

NAN = math.nan
MINIMAL = {"name": "x", "grid": {"strategies": ["S"], "assets": ["A"], "timeframes": ["1h"]}}
FULL = """
name: crypto-overnight
data: {root: data/market, start: 2018-01-01, end: 2020-01-01, calendar: 24/7}
grid:
  strategies: [MovingAverageCrossover, RSIStrategy, {file: my.py, class: Mine}]
  assets: [BTCUSD, ETHUSD]
  timeframes: [15m, 60m, 4h]
space:
  MovingAverageCrossover: {fast_period: {type: int, low: 3, high: 10}}
  MovingAverageCrossover/BTCUSD: {fast_period: {type: int, range: [5, 6]}, slow_period: 50}
  "*/*/4h": {fast_period: {choices: [7, 8]}}
  Mine/ETHUSD/1h: {level: {type: float, low: 1e-3, high: 1.0, log: true}}
execution: {initial_cash: 10000, size: 1.0, fee_bps: 10, slippage_bps: 2, allow_short: true}
search:
  sampler: tpe
  trials: 500
  objectives: [sharpe_ratio, -max_drawdown]
  constraints: {total_trades: ">= 30", max_drawdown: "<= 0.5"}
  seed: 7
  backend: auto
  islands: 1
validation: {method: holdout, test_fraction: 0.3}
compute: {cpus_per_unit: 1, unit_seconds: 20, time_budget: 8h, max_failures: 3}
tracking: {uri: null, top_k: 20}
"""


def full() -> dict[str, Any]:
    document: dict[str, Any] = yaml.safe_load(FULL)
    return document


def changed(document: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    """A copy with one dotted key set."""
    ours = copy.deepcopy(document)
    *parents, last = path.split(".")
    place = ours
    for key in parents:
        place = place.setdefault(key, {})
    place[last] = value
    return ours


def test_the_full_spec() -> None:
    spec = SweepSpec.parse(full())
    assert spec.grid.strategies[2] == StrategyFile.model_validate({"file": "my.py", "class": "Mine"})
    assert [str(entry) for entry in spec.grid.strategies] == ["MovingAverageCrossover", "RSIStrategy", "Mine"]
    assert spec.grid.timeframes == ("15m", "1h", "4h")
    assert (spec.data.start, spec.data.end) == (
        datetime(2018, 1, 1, tzinfo=UTC),
        datetime(2020, 1, 1, tzinfo=UTC),
    )
    assert spec.compute.time_budget == 8 * 3600
    assert spec.search.objectives == (
        Objective(metric="sharpe_ratio"),
        Objective(metric="max_drawdown", minimize=True),
    )
    assert [str(constraint) for constraint in spec.search.constraints] == [
        "total_trades >= 30",
        "max_drawdown <= 0.5",
    ]


def test_yaml_and_json_are_equal(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(FULL, encoding="utf-8")
    (tmp_path / "spec.json").write_text(json.dumps(full(), default=date.isoformat), encoding="utf-8")
    ours, theirs = (SweepSpec.load(tmp_path / name) for name in ("spec.yaml", "spec.json"))
    assert ours == theirs
    assert ours.id == theirs.id


def test_frozen() -> None:
    spec = SweepSpec.parse(MINIMAL)
    with pytest.raises(ValueError, match="frozen"):
        spec.name = "y"  # type: ignore[misc]


def test_defaults() -> None:
    spec = SweepSpec.parse(MINIMAL)
    assert spec == SweepSpec.parse({**MINIMAL, "search": {}, "execution": {}, "data": {}, "space": {}})
    assert (spec.execution.initial_cash, spec.execution.fee_bps, spec.execution.slippage_bps) == (
        10_000,
        10,
        2,
    )
    assert (spec.search.sampler, spec.search.objectives, spec.validation.method) == (
        "tpe",
        (Objective(metric="sharpe_ratio"),),
        "holdout",
    )


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (date(2018, 1, 2), datetime(2018, 1, 2, tzinfo=UTC)),
        ("2018-01-02", datetime(2018, 1, 2, tzinfo=UTC)),
        ("2018-01-02T03:04", datetime(2018, 1, 2, 3, 4, tzinfo=UTC)),
        ("2018-01-02 03:04:05", datetime(2018, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2018-01-02T03:04:05+02:00", datetime(2018, 1, 2, 1, 4, 5, tzinfo=UTC)),
        ("2018-01-02T03:04:05Z", datetime(2018, 1, 2, 3, 4, 5, tzinfo=UTC)),
        (datetime(2018, 1, 2, 3), datetime(2018, 1, 2, 3, tzinfo=UTC)),  # noqa: DTZ001
        (datetime(2018, 1, 2, 3, tzinfo=timezone(timedelta(hours=-5))), datetime(2018, 1, 2, 8, tzinfo=UTC)),
        (None, None),
    ],
)
def test_times_without_a_zone_are_utc(given: object, expected: datetime | None) -> None:
    start = SweepSpec.parse(changed(MINIMAL, "data.start", given)).data.start
    assert start == expected
    assert start is None or start.utcoffset() == timedelta(0)


@pytest.mark.parametrize(
    ("given", "seconds"), [("90s", 90), ("30m", 1800), ("8h", 28800), (45, 45), (0.5, 0.5)]
)
def test_durations(given: object, seconds: float) -> None:
    assert SweepSpec.parse(changed(MINIMAL, "compute.time_budget", given)).compute.time_budget == seconds


SAMPLERS = "allowed: tpe, cma-es, nsga2, random, grid"
REFUSED: list[tuple[str, object, str]] = [
    ("bogus", 1, "bogus: unknown key; allowed: name, data, grid, space, execution, search"),
    ("serach", {}, "serach: unknown key (did you mean 'search'?)"),
    ("data.roo", "x", "data.roo: unknown key (did you mean 'root'?); allowed: root, start, end, calendar"),
    ("grid.asset", ["A"], "grid.asset: unknown key (did you mean 'assets'?); allowed: strategies, assets, timeframes"),
    ("execution.fee", 1, "execution.fee: unknown key (did you mean 'fee_bps'?); allowed: initial_cash, size, leverage, fee_bps"),
    ("search.sample", 1, "search.sample: unknown key (did you mean 'sampler'?); allowed: sampler, trials"),
    ("validation.fold", 1, "validation.fold: unknown key (did you mean 'folds'?); allowed: method, test_fraction"),
    ("compute.cpu", 1, "compute.cpu: unknown key"),
    ("tracking.url", "x", "tracking.url: unknown key (did you mean 'uri'?); allowed: uri, top_k"),
    ("name", "", "name: must be 1 to 80 letters, digits, spaces, '.', '_' or '-'"),
    ("name", "a/b", "a letter or digit first (given: 'a/b')"),
    ("name", "x\n", "(given: 'x\\n')"),
    ("name", "x" * 81, "name: must be 1 to 80"),
    ("name", 5, "name: must be text (given: 5)"),
    ("grid", 5, "grid: must be a mapping of keys (given: 5)"),
    ("grid.strategies", [], "grid.strategies: must not be empty (given: [])"),
    ("grid.strategies", "S", "grid.strategies: must be a list (given: 'S')"),
    ("grid.strategies", ["S", "S"], "grid.strategies: lists 'S' twice"),
    ("grid.strategies", ["S", {"file": "s.py", "class": "S"}], "grid.strategies: lists 'S' twice"),
    ("grid.strategies", [5], "grid.strategies.0: must be a name or {file: my.py, class: MyStrategy} (given: 5)"),
    ("grid.strategies", ["A", {"file": "x.py"}], "grid.strategies.1.class: is missing"),
    ("grid.strategies", [{"class": "X"}], "grid.strategies.0.file: is missing"),
    ("grid.strategies", [{"file": "x", "class": "X", "cls": 1}], "grid.strategies.0.cls: unknown key (did you mean 'class'?); allowed: file, class"),
    ("grid.strategies", [{"file": 5, "class": "X"}], "grid.strategies.0.file: must be text (given: 5)"),
    ("grid.assets", [], "grid.assets: must not be empty"),
    ("grid.assets", ["A", "B", "A"], "grid.assets: lists 'A' twice"),
    ("grid.assets", [5], "grid.assets.0: must be text (given: 5)"),
    ("grid.timeframes", ["1x"], "grid.timeframes: '1x' is not a timeframe; write a whole number and a unit, as in 1m"),
    ("grid.timeframes", [15], "grid.timeframes: '15' is not a timeframe"),
    ("grid.timeframes", "1h", "grid.timeframes: must be a list (given: '1h')"),
    ("grid.timeframes", ["60m", "1h"], "grid.timeframes: lists '1h' twice"),
    ("data.start", "x", "data.start: must be an ISO date such as 2018-01-01 or 2018-01-01T12:00 (given: 'x')"),
    ("data.start", "2018-02-30", "(given: '2018-02-30')"),
    ("data.end", 2018, "data.end: must be a date such as 2018-01-01 (given: 2018)"),
    ("data.end", True, "data.end: must not be a truth value (given: True)"),
    ("data", {"start": "2020-01-01", "end": "2019-01-01"}, "data.end: 2019-01-01 00:00 is not after start 2020-01-01 00:00"),
    ("data", {"start": "2020-01-01", "end": "2020-01-01"}, "data.end: 2020-01-01 00:00 is not after start"),
    ("data.calendar", "nyse", "data.calendar: 'nyse' is unknown; allowed: 24/7, sessions-252, auto"),
    ("data.calendar", "sessions-0", "data.calendar: 'sessions-0' is unknown"),
    ("data.root", 5, "data.root: must be text (given: 5)"),
    ("execution.fee_bps", -1, "execution.fee_bps: must be greater than or equal to 0 (given: -1)"),
    ("execution.fee_bps", NAN, "execution.fee_bps: must be a finite number (given: nan)"),
    ("execution.fee_bps", "ten", "execution.fee_bps: must be a number (given: 'ten')"),
    ("execution.fee_bps", True, "execution.fee_bps: must not be a truth value (given: True)"),
    ("execution.slippage_bps", 10_000, "execution.slippage_bps: must be less than 10000 (given: 10000)"),
    ("execution.size", 1.5, "execution.size: 1.5 is above the leverage of 1; raise one or lower the other"),
    ("execution.size", 0, "execution.size: must be greater than 0 (given: 0)"),
    ("execution.fee_per_order", -0.01, "execution.fee_per_order: must be greater than or equal to 0 (given: -0.01)"),
    ("execution.fee_per_share", "free", "execution.fee_per_share: must be a number (given: 'free')"),
    ("execution.fee_per_share", 1e12, "execution.fee_per_share: must be less than 1000000000000"),
    ("execution.minimum_fee", NAN, "execution.minimum_fee: must be a finite number (given: nan)"),
    ("execution.minimum_fee", None, "execution.minimum_fee: must be a number (given: None)"),
    ("execution.min_fee", 1, "execution.min_fee: unknown key (did you mean 'minimum_fee'?)"),
    ("execution.lot_size", -1, "execution.lot_size: must be greater than or equal to 0 (given: -1)"),
    ("execution.lot_size", True, "execution.lot_size: must not be a truth value (given: True)"),
    ("execution.tick_size", 1e-19, "execution.tick_size: must be at least 1e-18, or null for none (given: 1e-19)"),
    ("execution.tick_size", math.inf, "execution.tick_size: must be a finite number (given: inf)"),
    ("execution.tick", 0.01, "execution.tick: unknown key (did you mean 'tick_size'?)"),
    ("execution.initial_cash", math.inf, "execution.initial_cash: must be a finite number (given: inf)"),
    ("execution.allow_short", "maybe", "execution.allow_short: must be true or false (given: 'maybe')"),
    ("execution.stop_loss", 0, "execution.stop_loss: 0 is not a number between 0 and 1, nor a range of such"),
    ("execution.take_profit", 1.5, "execution.take_profit: 1.5 is not a number between 0 and 1"),
    ("execution.stop_loss", {"type": "float", "low": 0.1, "high": 0.01}, "execution.stop_loss.low: 0.1 is above"),
    ("execution.stop_loss", {"type": "float", "low": 0.1, "high": 2}, "execution.stop_loss: 2 is not a number"),
    ("execution.trailing_stop", {"lo": 0.1}, "execution.trailing_stop.lo: unknown key"),
    ("execution", None, "execution: must be a mapping of keys (given: None)"),
    ("search.sampler", "tpee", f"search.sampler: 'tpee' is not known (did you mean 'tpe'?); {SAMPLERS}"),
    ("search.sampler", 5, f"search.sampler: 5 is not known; {SAMPLERS}"),
    ("search.backend", "rust", "search.backend: 'rust' is not known (did you mean 'rustuna'?); allowed: auto, optuna, rustuna"),
    ("search.islands", 0, "search.islands: must be greater than or equal to 1 (given: 0)"),
    ("search.early_stopping", True, "search.early_stopping: must not be a truth value (given: True)"),
    ("search.early_stopping", [0.1], "search.early_stopping: must be a mapping of keys (given: [0.1])"),
    ("search.early_stopping", {"rung": [0.1]}, "search.early_stopping.rung: unknown key (did you mean 'rungs'?); allowed: rungs, top, startup_trials"),
    ("search.early_stopping", {"rungs": []}, "search.early_stopping.rungs: must not be empty"),
    ("search.early_stopping", {"rungs": 0.1}, "search.early_stopping.rungs: must be a list (given: 0.1)"),
    ("search.early_stopping", {"rungs": [0.0]}, "search.early_stopping.rungs.0: must be greater than 0 (given: 0.0)"),
    ("search.early_stopping", {"rungs": [0.1, 1]}, "search.early_stopping.rungs.1: must be less than 1 (given: 1)"),
    ("search.early_stopping", {"rungs": [0.3, 0.1]}, "search.early_stopping.rungs: must be increasing fractions of the train window (given: [0.3, 0.1])"),
    ("search.early_stopping", {"rungs": [0.3, 0.3]}, "search.early_stopping.rungs: must be increasing"),
    ("search.early_stopping", {"rungs": [NAN]}, "search.early_stopping.rungs.0: must be a finite number (given: nan)"),
    ("search.early_stopping", {"rungs": [True]}, "search.early_stopping.rungs.0: must be less than 1 (given: True)"),
    ("search.early_stopping", {"top": 1}, "search.early_stopping.top: must be less than 1 (given: 1)"),
    ("search.early_stopping", {"top": 0}, "search.early_stopping.top: must be greater than 0 (given: 0)"),
    ("search.early_stopping", {"startup_trials": 0}, "search.early_stopping.startup_trials: must be greater than or equal to 1 (given: 0)"),
    ("search.trials", 0, "search.trials: must be greater than or equal to 1 (given: 0)"),
    ("search.trials", "many", "search.trials: must be a whole number (given: 'many')"),
    ("search.trials", 1.5, "search.trials: must be a whole number (given: 1.5)"),
    ("search.trials", NAN, "search.trials: must be a finite number (given: nan)"),
    ("search.seed", -1, "search.seed: must be greater than or equal to 0 (given: -1)"),
    ("search.seed", 2**32, "search.seed: must be less than 4294967296 (given: 4294967296)"),
    ("search.objectives", [], "search.objectives: must not be empty"),
    ("search.objectives", "sharpe_ratio", "search.objectives: must be a list (given: 'sharpe_ratio')"),
    ("search.constraints", {"total_trades": "30"}, "search.constraints.total_trades: '30' is not a limit; write '>= 30' or '<= 0.5'"),
    ("search.constraints", {"total_trades": 30}, "search.constraints.total_trades: 30 is not a limit"),
    ("search.constraints", {"total_trades": "> 30"}, "search.constraints.total_trades: '> 30' is not a limit"),
    ("search.constraints", {"total_trades": ">= nan"}, "'>= nan' is not a limit"),
    ("search.constraints", {"total_trades": ">= 1e999"}, "'>= 1e999' is not a limit"),
    ("search.constraints", ["x"], "search.constraints: must be a mapping of keys (given: ['x'])"),
    ("validation.method", "kfoldd", "validation.method: 'kfoldd' is not known"),
    ("validation.folds", 4, "validation.folds: belongs to kfold, walk_forward, and the method is holdout; allowed: method, test_fraction, permutations, permuted_rows"),
    ("validation", {"method": "walk_forward", "test_fraction": 0.3}, "validation.test_fraction: belongs to holdout, kfold, and the method is walk_forward; allowed: method, folds, train, test, anchored, purge_bars"),
    ("validation", {"method": "kfold", "anchored": True}, "validation.anchored: belongs to walk_forward, and the method is kfold; allowed: method, test_fraction, folds, deviation, embargo, purge_bars, permutations, permuted_rows"),
    ("validation", {"method": "kfold", "folds": 1}, "validation.folds: must be greater than or equal to 2 (given: 1)"),
    ("validation", {"method": "kfold", "embargo": 0.5}, "validation.embargo: must be less than 0.5 (given: 0.5)"),
    ("validation", {"method": "kfold", "deviation": -1}, "validation.deviation: must be greater than or equal to 0 (given: -1)"),
    ("validation", {"method": "kfold", "purge_bars": -1}, "validation.purge_bars: must be greater than or equal to 0 (given: -1)"),
    ("validation", {"method": "kfold", "purge_bars": 1.5}, "validation.purge_bars: must be a whole number (given: 1.5)"),
    ("validation.permutations", -1, "validation.permutations: must be greater than or equal to 0 (given: -1)"),
    ("validation.permutations", 1.5, "validation.permutations: must be a whole number (given: 1.5)"),
    ("validation", {"permuted_rows": 0}, "validation.permuted_rows: must be greater than or equal to 1 (given: 0)"),
    ("validation", {"method": "walk_forward", "permutations": 19}, "validation.permutations: belongs to holdout, kfold, and the method is walk_forward; allowed: method, folds, train, test, anchored, purge_bars"),
    ("validation", {"method": "walk_forward", "train": "180"}, "validation.train: must be seconds, or a whole number and a unit, as in 90s, 30m, 8h, 2d (given: '180')"),
    ("validation", {"method": "walk_forward", "test": 0}, "validation.test: must be greater than 0 (given: 0)"),
    ("validation", {"method": "walk_forward", "anchored": "maybe"}, "validation.anchored: must be true or false (given: 'maybe')"),
    ("validation.test_fraction", 1, "validation.test_fraction: must be less than 1 (given: 1)"),
    ("compute.time_budget", "8x", "compute.time_budget: must be seconds, or a whole number and a unit, as in 90s, 30m, 8h, 2d (given: '8x')"),
    ("compute.time_budget", 0, "compute.time_budget: must be greater than 0 (given: 0)"),
    ("compute.time_budget", NAN, "compute.time_budget: must be a finite number (given: nan)"),
    ("compute.cpus_per_unit", 0, "compute.cpus_per_unit: must be greater than 0 (given: 0)"),
    ("compute.max_failures", -1, "compute.max_failures: must be greater than or equal to 0 (given: -1)"),
    ("tracking.top_k", -1, "tracking.top_k: must be greater than or equal to 0 (given: -1)"),
    ("space", {"S": {"p": {"low": 3, "high": 1}}}, "space.S.p.low: 3 is above high 1"),
    ("space", {"S": {"p": {"low": NAN, "high": 1}}}, "space.S.p.low: nan is not a finite number"),
    ("space", {"S": {"p": NAN}}, "space.S.p.choices: nan is not a finite number"),
    ("space", {"S": {"p": {"low": 1, "hihg": 2}}}, "space.S.p.hihg: unknown key (did you mean 'high'?); allowed: type, low, high"),
    ("space", {"S": 5}, "space.S: must be a mapping of keys (given: 5)"),
    ("space", {"T": {"p": 1}}, "space.T: 'T' is not in the grid; allowed: *, S"),
    ("space", {"S/B": {"p": 1}}, "space.S/B: 'B' is not in the grid; allowed: *, A"),
    ("space", {"*/A/4h": {"p": 1}}, "space.*/A/4h: '4h' is not in the grid; allowed: *, 1h"),
    ("space", {"S/A/1h/x": {"p": 1}}, "space.S/A/1h/x: must be Strategy, Strategy/ASSET or Strategy/ASSET/TIMEFRAME"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("key", "value", "message"), REFUSED, ids=[f"{key}={value!r:.40}" for key, value, _ in REFUSED]
)
def test_refused(key: str, value: object, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        SweepSpec.parse(changed(MINIMAL, key, value))
    assert message in str(caught.value)
    assert caught.value.key.startswith(key)


@pytest.mark.parametrize("key", ["name", "grid", "grid.strategies", "grid.assets", "grid.timeframes"])
def test_missing(key: str) -> None:
    document = copy.deepcopy(MINIMAL)
    *parents, last = key.split(".")
    del (document[parents[0]] if parents else document)[last]  # type: ignore[attr-defined]
    with pytest.raises(SpecError, match=f"^{key}: is missing$"):
        SweepSpec.parse(document)


@pytest.mark.parametrize(
    ("content", "fragment"),
    [
        (b"name: [", "is not YAML or JSON: while parsing"),
        (b"- a\n- b", "holds no mapping of keys"),
        (b"", "holds no mapping of keys"),
        (b"\xff\xfe\xfd", "cannot be read: "),
        (None, "cannot be read: No such file"),
    ],
)
def test_unreadable_file(tmp_path: Path, content: bytes | None, fragment: str) -> None:
    path = tmp_path / "spec.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SpecError, match=fragment) as caught:
        SweepSpec.load(path)
    assert caught.value.key == str(path)


WRITTEN: list[tuple[str, str]] = [
    ("grid: {strategies: [S], assets: [ON, NO], timeframes: [1h]}", "grid.assets.0: ON is read as true in YAML; write 'ON' (line 2)"),
    ("grid: {strategies: [S], assets: [x, no], timeframes: [1h]}", "grid.assets.1: no is read as false in YAML; write 'no'"),
    ("grid: {strategies: [S], assets: [7203], timeframes: [1h]}", "grid.assets.0: 7203 is read as a number in YAML; write '7203'"),
    ("grid: {strategies: [S], assets: [1E5], timeframes: [1h]}", "grid.assets.0: 1E5 is read as a number in YAML; write '1E5'"),
    ("grid: {strategies: [S], assets: [0700], timeframes: [1h]}", "spec.yaml: grid.assets.0: 0700 is read as 448, an octal number"),
    ("grid: {strategies: [S], assets: [12:30], timeframes: [1h]}", "spec.yaml: grid.assets.0: 12:30 is read as a number to base 60"),
    ("grid: {strategies: [S], assets: [2018-01-01], timeframes: [1h]}", "grid.assets.0: 2018-01-01 is read as a date in YAML; write '2018-01-01'"),
    ("grid: {strategies: [S], assets: [null], timeframes: [1h]}", "grid.assets.0: null is read as no value in YAML; write 'null'"),
    ("grid:\n  strategies: [S]\n  assets:\n  -\n  timeframes: [1h]", "grid.assets.0: is left empty; write a text (line 5)"),
    ("grid: {strategies: [yes], assets: [A], timeframes: [1h]}", "grid.strategies.0: yes is read as true in YAML; write 'yes'"),
    ("grid: {strategies: [{file: 1e3, class: S}], assets: [A], timeframes: [1h]}", "grid.strategies.0.file: 1e3 is read as a number in YAML; write '1e3'"),
    ("grid: {strategies: [S], assets: [A], timeframes: [on]}", "grid.timeframes.0: on is read as true in YAML; write 'on'"),
    ("name: 2024-01-01", "name: 2024-01-01 is read as a date in YAML; write '2024-01-01' (line 2)"),
    ("name:", "name: is left empty; write a text"),
    ("data: {root: off}", "data.root: off is read as false in YAML; write 'off'"),
    ("search: {objectives: [~]}", "search.objectives.0: ~ is read as no value in YAML; write '~'"),
    ("search: {warm_start: 1_000}", "search.warm_start: 1_000 is read as a number in YAML; write '1_000'"),
    ("search: {sampler: no}", "search.sampler: must not be a truth value (given: False) (line 2 has no, which YAML reads as false)"),
    ("search: {trials: yes}", "search.trials: must not be a truth value (given: True) (line 2 has yes, which YAML reads as true)"),
    ("search: {trials: 0100}", "spec.yaml: search.trials: 0100 is read as 64, an octal number, in YAML 1.1, and as 100 in 1.2; write '0100' if it is text, 100 or 64 if"),
    ("execution: {fee_bps: 1}\nname: y\nexecution: {size: 1}", "spec.yaml: execution: stands twice, on lines 2 and 4"),
    ("data: {start: 2022-02-30}", "spec.yaml: data.start: 2022-02-30 is read as a date, and there is no such day"),
    ("space: {S: {p: {type: int, low: on, high: 3}}}", "space.S.p.low: True is not a finite number (line 2 has on, which YAML reads as true)"),
]  # fmt: skip


@pytest.mark.parametrize(("lines", "message"), WRITTEN, ids=[message[:40] for _, message in WRITTEN])
def test_what_yaml_makes_of_bare_words_is_told(tmp_path: Path, lines: str, message: str) -> None:
    base = {"name": "name: x", "grid": "grid: {strategies: [S], assets: [A], timeframes: [1h]}"}
    rest = [line for key, line in base.items() if f"{key}:" not in lines]
    (tmp_path / "spec.yaml").write_text("\n".join(["# a spec", lines, *rest]))
    with pytest.raises(SpecError) as caught:
        SweepSpec.load(tmp_path / "spec.yaml")
    assert str(caught.value).removeprefix(f"{tmp_path}/").startswith(message)


def test_bare_words_in_the_short_form_are_told_under_its_keys(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("strategy_name: S\nasset: ON\ntimeframe: 1h\n")
    with pytest.raises(SpecError, match=r"^asset: ON is read as true in YAML; write 'ON' \(line 2\)$"):
        SweepSpec.load(tmp_path / "s.yaml")


NUMBERS = """
name: n
grid: {strategies: [S], assets: [A], timeframes: [1h]}
execution: {initial_cash: 1e5, fee_bps: 5e-1, slippage_bps: .5, stop_loss: 5e-2, take_profit: {low: 1e-2, high: 5E-2}}
search: {trials: 1e3, seed: 1_000, constraints: {total_trades: ">= 1e1", max_drawdown: "<= 5_0e-2"}}
space: {S: {p: 1e-3, q: {choices: [1e-3, 1E1]}, r: {range: [1e-4, 1e-2]}}}
validation: {test_fraction: 3e-1}
compute: {time_budget: 1e4}
"""


def test_numbers_without_a_dot_are_numbers(tmp_path: Path) -> None:
    (tmp_path / "n.yaml").write_text(NUMBERS)
    spec = SweepSpec.load(tmp_path / "n.yaml")
    rules = spec.execution
    assert (rules.initial_cash, rules.fee_bps, rules.slippage_bps, rules.stop_loss) == (1e5, 0.5, 0.5, 0.05)
    assert rules.searched == {"take_profit": Float(0.01, 0.05)}
    assert (spec.search.trials, spec.search.seed) == (1000, 1000)
    assert [str(constraint) for constraint in spec.search.constraints] == [
        "total_trades >= 10",
        "max_drawdown <= 0.5",
    ]
    assert spec.overrides("S", "A", "1h") == {
        "p": Choice((0.001,)), "q": Choice((0.001, 10.0)), "r": Float(1e-4, 1e-2),
    }  # fmt: skip
    assert (spec.validation.test_fraction, spec.compute.time_budget) == (0.3, 1e4)
    # As PyYAML has it, with texts, and as any client may send it; a duration in text has a unit.
    sent = SweepSpec.parse(yaml.safe_load(NUMBERS.replace("time_budget: 1e4", "time_budget: 10000")))
    assert (sent.execution, sent.search, sent.validation) == (spec.execution, spec.search, spec.validation)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("search.trials", 9),
        ("search.early_stopping", None),
        ("compute", {}),
        ("compute.time_budget", "1h"),
        ("compute.cpus_per_unit", 2),
        ("tracking.uri", "http://localhost:5000"),
        ("tracking.top_k", 1),
        # Equal values in another notation.
        ("execution.fee_bps", 10.0),
        ("execution.fee_bps", "10"),
        # Not used.
        ("execution.fee_per_order", 0),
        ("execution.fee_per_share", 0.0),
        ("execution.minimum_fee", -0.0),
        ("execution.lot_size", None),
        ("execution.lot_size", 0),
        ("execution.tick_size", 0.0),
        ("validation.permutations", 199),
        ("validation.permuted_rows", 5),
        ("grid.timeframes", ["15m", "1h", "240m"]),
        ("data.start", "2018-01-01T00:00:00Z"),
        ("data.start", "2018-01-01T01:00:00+01:00"),
        ("search.constraints", {"max_drawdown": " <=0.50", "total_trades": ">=30.0"}),
    ],
)
def test_id_does_not_depend_on(key: str, value: object) -> None:
    assert SweepSpec.parse(changed(full(), key, value)).id == SweepSpec.parse(full()).id


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", "other"),
        ("data.root", "elsewhere"),
        ("data.start", "2018-01-02"),
        ("data.end", "2019-12-31"),
        ("data.calendar", "sessions-252"),
        ("grid.assets", ["BTCUSD", "ETHUSD", "LTCUSD"]),
        ("grid.timeframes", ["1h", "4h"]),
        ("space", {}),
        ("space.RSIStrategy", {"period": 5}),
        ("execution.initial_cash", 1),
        ("execution.size", 0.5),
        ("execution.fee_bps", 11),
        ("execution.slippage_bps", 3),
        ("execution.allow_short", False),
        ("execution.fee_per_order", 1),
        ("execution.fee_per_share", 0.005),
        ("execution.minimum_fee", 1),
        ("execution.lot_size", 1),
        ("execution.tick_size", 0.01),
        ("search.sampler", "random"),
        ("search.objectives", ["sharpe_ratio"]),
        ("search.constraints", {"total_trades": ">= 31"}),
        ("search.constraints", {"total_trades": ">= 1234567.5", "max_drawdown": "<= 0.5"}),
        ("search.seed", 8),
        ("search.backend", "optuna"),
        ("search.early_stopping", {}),
        ("validation.method", "none"),
        ("validation.test_fraction", 0.2),
    ],
)
def test_id_depends_on(key: str, value: object) -> None:
    document = full()
    if key == "grid.timeframes":
        document["space"] = {}
    assert SweepSpec.parse(changed(document, key, value)).id != SweepSpec.parse(document).id


def test_permutations_go_with_no_warm_start() -> None:
    document = changed(changed(MINIMAL, "search.warm_start", "earlier"), "validation.permutations", 19)
    with pytest.raises(
        SpecError, match=r"begin with candidates that search\.warm_start found on the real ones"
    ):
        SweepSpec.parse(document)
    assert SweepSpec.parse(changed(document, "validation.permutations", 0)).validation.permutations == 0


def test_early_stopping_is_in_no_content_where_it_is_not_used() -> None:
    assert "early_stopping" not in SweepSpec.parse(full()).model_dump(mode="json")["search"]


def test_early_stopping_is_read_with_its_defaults() -> None:
    assert SweepSpec.parse(MINIMAL).search.early_stopping is None
    search = SweepSpec.parse(changed(MINIMAL, "search.early_stopping", {"rungs": [0.1, 0.5]})).search
    assert search.early_stopping == EarlyStopping(rungs=(0.1, 0.5), top=0.2, startup_trials=20)
    assert (
        SweepSpec.parse(changed(MINIMAL, "search.early_stopping", {})).search.early_stopping
        == EarlyStopping()
    )


VALIDATIONS = [
    ({"method": "none"}, {"method": "none", "test_fraction": 0.3, "permutations": 0, "permuted_rows": 3}),
    ({}, {"method": "holdout", "test_fraction": 0.3, "permutations": 0, "permuted_rows": 3}),
    (
        {"method": "kfold", "deviation": 0.5},
        {"method": "kfold", "test_fraction": 0.3, "folds": 5, "deviation": 0.5, "embargo": 0.01, "purge_bars": 0, "permutations": 0, "permuted_rows": 3},
    ),
    (
        {"method": "walk_forward", "train": "180d", "folds": 6},
        {"method": "walk_forward", "folds": 6, "train": 15_552_000, "test": None, "anchored": False, "purge_bars": 0},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("given", "written"), VALIDATIONS, ids=["none", "holdout", "kfold", "walk_forward"])
def test_validation_writes_the_keys_of_its_method(given: dict[str, Any], written: dict[str, Any]) -> None:
    spec = SweepSpec.parse({**MINIMAL, "validation": given})
    content = json.loads(spec.model_dump_json(by_alias=True))
    assert content["validation"] == written
    assert SweepSpec.parse(content) == spec
    assert SweepSpec.parse(content).id == spec.id


def test_id_is_readable_and_stable() -> None:
    spec = SweepSpec.parse({**MINIMAL, "name": "My Sweep 1.0"})
    prefix, _, digest = spec.id.rpartition("-")
    assert prefix == "my-sweep-1-0"
    assert len(digest) == 10
    assert SweepSpec.parse(json.loads(spec.model_dump_json(by_alias=True))).id == spec.id


def test_a_dumped_spec_is_read_back() -> None:
    spec = SweepSpec.parse(full())
    assert SweepSpec.parse(spec.model_dump(mode="json", by_alias=True)) == spec


@pytest.mark.parametrize("limit", ["30", "0.1", "1234567.89", "1e-07", "-2.5", "1e+16"])
def test_a_limit_is_written_in_full(limit: str) -> None:
    constraint = Constraint.parse("m", f">= {limit}")
    assert constraint.limit == float(limit)
    assert str(constraint) == f"m >= {limit}"


@pytest.mark.parametrize(
    ("text", "value", "violation"),
    [
        (">= 30", 30, 0),
        (">= 30", 15, 0.5),
        ("<= 0.5", 0.25, 0),
        ("<= 0.5", 0.75, 0.5),
        (">= 0", -3, 3),
        ("<= -0.5", 0, 1),
        (">= 30", None, 1),
    ],
)
def test_violation(text: str, value: float | None, violation: float) -> None:
    assert Constraint.parse("m", text).violation(value) == pytest.approx(violation)


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        (("MovingAverageCrossover", "ETHUSD", "1h"), {"fast_period": Int(3, 10)}),
        (
            ("MovingAverageCrossover", "BTCUSD", "1h"),
            {"fast_period": Int(5, 6), "slow_period": Choice((50,))},
        ),
        (
            ("MovingAverageCrossover", "BTCUSD", "4h"),
            {"fast_period": Choice((7, 8)), "slow_period": Choice((50,))},
        ),
        (("RSIStrategy", "BTCUSD", "1h"), {}),
        (("RSIStrategy", "BTCUSD", "4h"), {"fast_period": Choice((7, 8))}),
        (("Mine", "ETHUSD", "1h"), {"level": Float(0.001, 1, log=True)}),
        (("Mine", "BTCUSD", "1h"), {}),
    ],
)
def test_overrides_by_pattern(cell: tuple[str, str, str], expected: dict[str, object]) -> None:
    assert SweepSpec.parse(full()).overrides(*cell) == expected


def test_strategy_files_are_looked_up_beside_the_spec(tmp_path: Path) -> None:
    (tmp_path / "spec.yaml").write_text(FULL, encoding="utf-8")
    assert SweepSpec.load(tmp_path / "spec.yaml").grid.strategies[2].file == "my.py"  # type: ignore[union-attr]
    (tmp_path / "my.py").write_text("", encoding="utf-8")
    assert SweepSpec.load(tmp_path / "spec.yaml").grid.strategies[2].file == str(tmp_path / "my.py")  # type: ignore[union-attr]


SHORT = {
    "strategy_name": "MovingAverageCrossover",
    "asset": "BTCUSD",
    "timeframe": "1h",
    "parameters": {
        "fast_period": {"type": "integer", "range": [5, 50], "step": 1},
        "threshold": {"type": "float", "range": [0.1, 0.9]},
    },
    "optimization": {"method": "bayesian", "trials": 500, "timeout": 3600},
}


def test_the_short_form_is_a_sweep_of_one_cell(tmp_path: Path) -> None:
    (tmp_path / "spec.json").write_text(json.dumps(SHORT), encoding="utf-8")
    spec = SweepSpec.load(tmp_path / "spec.json")
    assert spec == SweepSpec.parse(
        {
            "name": "MovingAverageCrossover BTCUSD 1h",
            "grid": {"strategies": ["MovingAverageCrossover"], "assets": ["BTCUSD"], "timeframes": ["1h"]},
            "space": {"MovingAverageCrossover": SHORT["parameters"]},
            "search": {"sampler": "tpe", "trials": 500},
            "compute": {"time_budget": "1h"},
        }
    )
    assert spec.overrides("MovingAverageCrossover", "BTCUSD", "1h") == {
        "fast_period": Int(5, 50),
        "threshold": Float(0.1, 0.9),
    }


@pytest.mark.parametrize(
    ("method", "sampler"),
    [
        ("bayesian", "tpe"),
        ("genetic", "nsga2"),
        ("grid_search", "grid"),
        ("cmaes", "cma-es"),
        ("random", "random"),
    ],
)
def test_methods_of_the_short_form(method: str, sampler: str) -> None:
    assert SweepSpec.parse(changed(SHORT, "optimization.method", method)).search.sampler == sampler


def test_the_short_form_with_a_file_and_a_name_that_is_no_file_name() -> None:
    spec = SweepSpec.parse({**SHORT, "strategy_name": {"file": "m.py", "class": "Mine"}, "asset": "BTC/USD"})
    assert spec.name == "Mine BTC-USD 1h"
    assert list(spec.space) == ["Mine"]


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("bogus", 1, "bogus: unknown key; allowed: strategy_name, asset, timeframe, parameters, optimization, name"),
        ("parameters", [1], r"parameters: must be a mapping of keys (given: [1])"),
        ("parameters.fast_period", {"range": [5]}, "parameters.fast_period.range: [5] is not a pair [min, max]"),
        ("parameters.fast_period", {"range": [9, 5]}, "parameters.fast_period.low: 9 is above high 5"),
        ("optimization", "tpe", "optimization: must be a mapping of keys (given: 'tpe')"),
        ("optimization.metod", "tpe", "optimization.metod: unknown key (did you mean 'method'?)"),
        ("optimization.method", "bayes", "optimization.method: 'bayes' is not known (did you mean 'bayesian'?); allowed: tpe"),
        ("timeframe", "1x", "'1x' is not a timeframe"),
        ("strategy_name", 5, "must be a name or {file: my.py, class: MyStrategy} (given: 5)"),
    ],
)  # fmt: skip
def test_short_forms_refused(key: str, value: object, message: str) -> None:
    with pytest.raises(SpecError) as caught:
        SweepSpec.parse(changed(SHORT, key, value))
    assert message in str(caught.value)


@pytest.mark.parametrize("key", ["asset", "timeframe"])
def test_short_form_without(key: str) -> None:
    with pytest.raises(SpecError, match=f"^{key}: is missing$"):
        SweepSpec.parse({name: value for name, value in SHORT.items() if name != key})
