"""``backtune data`` as a user types it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from backtune.cli.data import app
from backtune.errors import CatalogError, SpecError

MAKE = ("make", "--timeframe", "1h", "--start", "2018-12-01", "--end", "2019-02-01")
CSV = "time,open,high,low,close\n2018-01-01 00:00,2,3,1,2\n2018-01-01 01:00,2,3,1,2\n"


@pytest.fixture
def root(tmp_path) -> str:
    return str(tmp_path / "market")


def _run(*arguments: str) -> Result:
    result = CliRunner().invoke(app, list(arguments))
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_make_list_check(root):
    made = _run(*MAKE, "--root", root, "--assets", "AAA, BBB", "--seed", "3")
    assert made.exit_code == 0
    assert "synthetic AAA (seed 3)" in made.stdout
    listed = _run("list", "--root", root)
    assert [line.split()[:3] for line in listed.stdout.splitlines()[1:]] == [
        ["AAA", "1h", "1488"], ["BBB", "1h", "1488"],
    ]  # fmt: skip
    checked = _run("check", "--root", root)
    assert checked.exit_code == 0
    assert checked.stdout.count("bars.parquet") == 4


def test_json_and_nothing_else(root, tmp_path):
    made = json.loads(_run(*MAKE, "--root", root, "--assets", "AAA", "--json").stdout)
    assert made[0]["rows"] == 1488
    assert made[0]["start"] == "2018-12-01T00:00:00+00:00"
    listed = json.loads(_run("list", "--root", root, "--json").stdout)
    assert listed == [
        {"asset": "AAA", "timeframe": "1h", "rows": 1488,
         "start": "2018-12-01T00:00:00+00:00", "end": "2019-02-01T00:00:00+00:00"}
    ]  # fmt: skip
    checked = json.loads(_run("check", "--root", root, "--json").stdout)
    assert [report["problem"] for report in checked] == [None, None]


def test_import_of_good_and_bad_files(root, tmp_path):
    folder = tmp_path / "sources"
    folder.mkdir()
    (folder / "GOOD_1h.csv").write_text(CSV)
    (folder / "WORSE_1h.csv").write_text(CSV.replace("3,1", "1,3"))
    result = _run("import", str(folder), "--root", root)
    assert result.exit_code == 1
    assert "GOOD_1h.csv" in result.stdout
    assert "volume     none in the file: 0" in result.stdout
    assert "WORSE_1h.csv, row 0, column 'high': high is below low (value 1.0, low 3.0)" in result.stderr
    reports = json.loads(_run("import", str(folder), "--root", root, "--json").stdout)
    assert [report["error"] is None for report in reports] == [True, False]


def test_dry_run_and_sources(root, tmp_path):
    source = tmp_path / "X_1h.csv"
    source.write_text(CSV)
    shown = _run("import", str(source), "--root", root, "--dry-run")
    assert "X 1h (X_1h.csv): the first rows and the last of" in shown.stdout
    assert "nothing was written (--dry-run)" in shown.stdout
    assert not (tmp_path / "market").exists()
    _run("import", str(source), "--root", root, "--timezone", "UTC-5")
    listed = _run("list", "--root", root, "--sources").stdout
    assert "X 1h: from 1 sources" in listed
    assert "    zone       UTC-5" in listed
    (row,) = json.loads(_run("list", "--root", root, "--sources", "--json").stdout)
    assert row["sources"][0]["assumed"]["zone"] == "UTC-5"


def test_import_options(root, tmp_path):
    source = tmp_path / "x.csv"
    source.write_text(CSV + "2018-01-01 01:00,2,3,1,2\n")
    options = ("--asset", "POINTS", "--timeframe", "1h", "--price-scale", "1e-2", "--repair", "--replace")
    result = _run("import", str(source), "--root", root, *options)
    assert result.exit_code == 0
    assert "dropped 1 exact duplicate" in result.stdout


def test_import_list_and_check_of_funding(root, tmp_path):
    _run(*MAKE, "--root", root, "--assets", "AAA")
    source = tmp_path / "AAA-fundingRate-2018-12.csv"
    source.write_text("fundingTime,fundingRate\n1544000400000,0.0001\n1543968000000,-0.0002\n")
    imported = json.loads(_run("import", str(source), "--funding", "--root", root, "--json").stdout)
    assert (imported[0]["asset"], imported[0]["timeframe"], imported[0]["rows"]) == ("AAA", "funding", 2)
    listed = json.loads(_run("list", "--root", root, "--json").stdout)
    assert listed[1:] == [
        {"asset": "AAA", "timeframe": "funding", "rows": 2,
         "start": "2018-12-05T00:00:00+00:00", "end": "2018-12-05T09:00:00+00:00"}
    ]  # fmt: skip
    assert "funding" in _run("list", "--root", root).stdout
    checked = _run("check", "--root", root)
    assert checked.exit_code == 0
    assert "asset=AAA/funding/year=2018/rates.parquet" in checked.stdout
    refused = _run("import", str(source), "--funding", "--root", root, "--price-scale", "2")
    assert refused.exit_code == 2
    assert "do not go with --funding" in refused.stderr


def test_check_names_bad_files_and_exits_with_1(root):
    _run(*MAKE, "--root", root, "--assets", "AAA")
    file = next(Path(root).rglob("year=2018/bars.parquet"))
    file.write_bytes(b"nonsense")
    (Path(root) / "stray").touch()
    result = _run("check", "--root", root)
    assert result.exit_code == 1
    assert f"{file}: SHA-256 is" in result.stderr
    assert "stray: is not in the manifest" in result.stderr
    problems = [report["problem"] for report in json.loads(_run("check", "--root", root, "--json").stdout)]
    assert [problem is None for problem in problems] == [False, True, False]


def test_check_says_what_may_be_wrong_with_sound_files(root, tmp_path):
    days = [
        f"2022-01-{day:02d},{x},{x * 1.03},{x * 0.99},{x},9"
        for day, x in enumerate([101] * 6 + [10100] + [101] * 6, 1)
    ]
    source = tmp_path / "SPIKE_1d.csv"
    source.write_text("\n".join(["date,open,high,low,close,volume", *days]))
    _run("import", str(source), "--root", root)
    checked = _run("check", "--root", root)
    assert checked.exit_code == 0
    assert "+9,900.0%" in checked.stdout.splitlines()[1]
    path = "asset=SPIKE/timeframe=1d/year=2022/bars.parquet"
    assert (
        f"{path}: certain: 1 price is far out and comes back, the largest by +9,900.0% at 2022-01-07"
        in checked.stdout
    )
    assert _run("check", "--root", root, "--strict").exit_code == 1
    (report,) = json.loads(_run("check", "--root", root, "--json").stdout)
    assert (report["problem"], report["extremes"]["equal_closes"]) == (None, 6)
    assert report["findings"][0]["kind"] == "spike"


def test_nothing_is_said_of_a_market_without_findings(root):
    _run(*MAKE, "--root", root, "--assets", "AAA")
    checked = _run("check", "--root", root, "--strict")
    assert checked.exit_code == 0
    assert checked.stdout.splitlines()[3:] == ["2 of 2 files are as the manifest says"]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (("list",), CatalogError, "holds no market data"),
        (("check",), CatalogError, "holds no market data"),
        (("import", "absent.csv"), CatalogError, "there is no such file or folder"),
        (("make", "--start", "soon"), SpecError, "start: 'soon' is not an ISO date"),
        (("make", "--timeframe", "1x"), SpecError, "timeframe: '1x' is not a timeframe"),
    ],
)
def test_errors_go_up_to_the_main_command(root, arguments, error, message):
    with pytest.raises(error, match=message):
        _run(*arguments, "--root", root)
