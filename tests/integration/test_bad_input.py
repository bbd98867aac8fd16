"""Bad input on the command line: one clear line, exit 2 (or a typed failure of what it belongs to), nothing lost."""

from pathlib import Path

import polars as pl
import pytest
from sweeps import backtune, leaderboard_of, spec_document, written

from backtune.data.synthetic import make_market

RUN = ("--executor", "inline", "--no-tracking", "--json", "--runs", "runs")


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"serch": {}}, "serch: unknown key (did you mean 'search'?)"),
        ({"search": {"smapler": "tpe"}}, "search.smapler: unknown key (did you mean 'sampler'?)"),
        ({"search": {"sampler": "tpee"}}, "search.sampler: 'tpee' is not known (did you mean 'tpe'?)"),
        (
            {"grid": {"strategies": ["RSIStrateg"]}},
            "grid.strategies: 'RSIStrateg' is not a strategy (did you mean 'RSIStrategy'?)",
        ),
        ({"grid": {"assets": ["AAB"]}}, "grid.assets: 'AAB' is not in"),
        ({"grid": {"timeframes": ["15x"]}}, "grid.timeframes: '15x' is not a timeframe"),
        ({"grid": {"timeframes": ["1m"]}}, "grid.timeframes: "),
        (
            {"search": {"objectives": ["sharp_ratio"]}},
            "search.objectives: 'sharp_ratio' is not a metric (did you mean 'sharpe_ratio'?)",
        ),
        ({"search": {"constraints": {"trades": ">= 3"}}}, "search.constraints: 'trades' is not a metric"),
        (
            {"space": {"RSIStrategy": {"period": {"type": "int", "low": 30, "high": 5}}}},
            "space.RSIStrategy.period.low: 30 is above high 5",
        ),
        (
            {"space": {"RSIStrategy": {"perod": 5}}},
            "perod: is not a parameter of the strategy (did you mean 'period'?)",
        ),
        (
            {"data": {"start": "2022-01-01", "end": "2021-01-01"}},
            "data.end: 2021-01-01 00:00 is not after start 2022-01-01",
        ),
        ({"data": {"start": "2030-01-01", "end": "2031-01-01"}}, "has no bars from 2030-01-01"),
        ({"data": {"root": "/nonexistent"}}, "/nonexistent"),
        (
            {"search": {"sampler": "cma-es", "objectives": ["sharpe_ratio", "-max_drawdown"]}},
            "search.sampler",
        ),
    ],
)
def test_a_bad_spec_is_one_line_and_exit_2(market, tmp_path, changes, line):
    spec = written(tmp_path / "spec.yaml", spec_document(market, **changes))
    result = backtune("run", spec, *RUN, cwd=tmp_path)
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert line in result.stderr
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("name: [", "is not YAML or JSON"),
        ("just text", "holds no mapping"),
        ("{}", "name: is missing"),
        (
            "name: a\nexecution: {fee_bps: 50}\nexecution: {size: 1}",
            "execution: stands twice, on lines 2 and 3",
        ),
        (
            "name: a\ndata: {start: 2022-02-30}",
            "data.start: 2022-02-30 is read as a date, and there is no such day",
        ),
    ],
)
def test_a_file_that_is_no_spec(tmp_path, text, line):
    spec = tmp_path / "spec.yaml"
    spec.write_text(text)
    result = backtune("run", spec, *RUN, cwd=tmp_path)
    assert (result.returncode, result.stderr.count("\n")) == (2, 1)
    assert line in result.stderr


def test_a_missing_spec_and_a_missing_run(tmp_path):
    result = backtune("run", "nowhere.yaml", *RUN, cwd=tmp_path)
    assert (result.returncode, result.stderr) == (
        2,
        "error: nowhere.yaml: cannot be read: No such file or directory\n",
    )
    result = backtune("leaderboard", "nowhere", cwd=tmp_path)
    assert result.returncode == 2
    assert "no sweep here" in result.stderr


def test_an_unwritable_runs_folder(market, tmp_path):
    (tmp_path / "runs").write_text("a file where a folder should be")
    spec = written(tmp_path / "spec.yaml", spec_document(market))
    result = backtune("run", spec, *RUN, cwd=tmp_path)
    assert (result.returncode, result.stderr.count("\n")) == (2, 1)
    assert "cannot be written" in result.stderr
    assert "--runs" in result.stderr


@pytest.mark.parametrize("damage", ["truncated", "flipped"])
def test_a_damaged_parquet_file_fails_its_studies_and_no_others(tmp_path, damage):
    market = tmp_path / "market"
    make_market(
        str(market), assets=["AAA", "BBB"], timeframe="1h", start="2021-01-01", end="2021-12-01", seed=1
    )
    spec = written(tmp_path / "spec.yaml", spec_document(market))
    file = next((market / "asset=AAA").rglob("bars.parquet"))
    content = bytearray(file.read_bytes())
    if damage == "flipped":
        content[len(content) // 2] ^= 1
    file.write_bytes(content if damage == "flipped" else content[:-200])
    result = backtune("run", spec, *RUN, cwd=tmp_path)
    assert result.returncode == 1
    (failed,) = [line for line in result.stderr.splitlines() if line.startswith("failed: ")]
    _, studies, reason = failed.split(": ", 2)
    assert [name.split("-")[1] for name in studies.split(", ")] == ["AAA", "AAA"]
    assert "FingerprintError" in reason
    assert str(file) in reason
    assert {row["asset"]: row["n_trials"] for row in leaderboard_of(result)} == {"AAA": 0, "BBB": 40}
    content[len(content) // 2] ^= 1
    make_market(
        str(market),
        assets=["AAA"],
        timeframe="1h",
        start="2021-01-01",
        end="2021-12-01",
        seed=1,
        replace=True,
    )
    mended = backtune("run", spec, *RUN, cwd=tmp_path)
    assert mended.returncode == 0, mended.stderr
    assert {row["asset"]: row["n_trials"] for row in leaderboard_of(mended)} == {"AAA": 40, "BBB": 40}


GOOD = {
    "timestamp": ["2021-01-01T00:00", "2021-01-01T01:00", "2021-01-01T02:00", "2021-01-01T03:00"],
    "open": [10.0, 11.0, 12.0, 13.0],
    "high": [11.0, 12.0, 13.0, 14.0],
    "low": [9.0, 10.0, 11.0, 12.0],
    "close": [10.5, 11.5, 12.5, 13.5],
    "volume": [1.0, 1.0, 1.0, 1.0],
}


@pytest.mark.parametrize(
    ("column", "values", "fragments"),
    [
        ("close", None, ("'close'",)),
        ("timestamp", [0, 2, 1, 3], ("row 2", "timestamp", "unsorted")),
        ("timestamp", [0, 1, 1, 3], ("row 2", "timestamp", "duplicate")),
        ("open", [10.0, None, 12.0, 13.0], ("row 1", "open")),
        ("close", [10.5, 11.5, -12.5, 13.5], ("row 2", "close", "-12.5")),
        ("high", [11.0, 12.0, 13.0, 11.5], ("row 3", "high")),
    ],
)
def test_a_bad_csv_names_file_row_and_column_and_the_good_one_is_imported(
    tmp_path, column, values, fragments
):
    folder = tmp_path / "csv"
    folder.mkdir()
    frame = pl.DataFrame(GOOD)
    frame.write_csv(folder / "GOOD_1h.csv")
    if column == "timestamp":
        frame = frame[values]
    elif values is None:
        frame = frame.drop(column)
    else:
        frame = frame.with_columns(pl.Series(column, values))
    frame.write_csv(folder / "BAD_1h.csv")
    result = backtune("data", "import", folder, "--root", "market", cwd=tmp_path)
    assert result.returncode == 1
    said = [line for line in result.stderr.splitlines() if "BAD_1h.csv" in line]
    assert len(said) == 1
    assert all(fragment in said[0] for fragment in fragments), said
    assert (tmp_path / "market" / "asset=GOOD").is_dir()
    assert not (tmp_path / "market" / "asset=BAD").exists()


def test_a_tracking_server_that_is_down_never_stops_the_sweep(market, tmp_path):
    spec = written(tmp_path / "spec.yaml", spec_document(market, tracking={"uri": "http://127.0.0.1:9"}))
    result = backtune("run", spec, "--executor", "inline", "--json", "--runs", "runs", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    warnings = [line for line in result.stderr.splitlines() if line.startswith("warning: ")]
    assert len(warnings) == 1
    assert "127.0.0.1:9" in warnings[0]
    assert "backtune sync" in warnings[0]
    assert [row["n_trials"] for row in leaderboard_of(result)] == [40] * 4


def test_the_strategies_are_listed(tmp_path: Path):
    result = backtune("strategies", cwd=tmp_path)
    assert result.returncode == 0
    for name in (
        "MovingAverageCrossover",
        "RSIStrategy",
        "MACDStrategy",
        "BollingerBandsStrategy",
        "fast_period",
    ):
        assert name in result.stdout
