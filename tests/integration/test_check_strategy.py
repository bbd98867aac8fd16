"""``backtune check-strategy`` as a user types it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from sweeps import backtune
from typer.testing import CliRunner, Result

from backtune.cli import app
from backtune.errors import CatalogError, SpecError, StrategyError

DOCUMENT = Path(__file__).parents[2] / "docs/strategies.md"

CLEAN = """
import numpy as np
from backtune import BaseStrategy, Int, Space

class Helper:
    pass

class Base(BaseStrategy):
    pass

class Rising(Base):
    @classmethod
    def space(cls):
        return Space(period=Int(2, 60, default=20))

    def positions(self, bars):
        targets = np.zeros(len(bars))
        targets[self.period :] = np.sign(bars.close[self.period :] - bars.close[: -self.period])
        return targets
"""

CHEATS = '''
class Centred:
    """Compares with a window around the bar."""

    def get_parameters(self):
        return {"window": {"type": "int", "low": 5, "high": 41}}

    def generate_signals(self, data):
        mean = data["close"].rolling(self.window, center=True, min_periods=1).mean()
        return data.assign(signal=(data["close"] > mean).astype(int))

class Fails(Rising):
    def positions(self, bars):
        if self.period == 60:
            raise ValueError("no [60]")
        return np.full(len(bars), np.nan if self.period == 2 else 1.0)
'''


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def mine(tmp_path: Path) -> str:
    path = tmp_path / "mine.py"
    path.write_text(CLEAN, encoding="utf-8")
    return str(path)


@pytest.fixture
def cheats(tmp_path: Path) -> str:
    path = tmp_path / "cheats.py"
    path.write_text(CLEAN + CHEATS, encoding="utf-8")
    return str(path)


def check(*arguments: str) -> Result:
    result = CliRunner().invoke(app, ["check-strategy", *arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def row(result: Result, strategy: str) -> list[str]:
    return next(line.split() for line in result.stdout.splitlines() if line.startswith(f" {strategy} "))


def test_a_clean_file(mine: str) -> None:
    result = check(mine)
    assert result.exit_code == 0
    sets, futures, *found = row(result, "Rising")[1:]
    assert int(sets) >= 8
    assert int(futures) >= 450
    assert found == ["0", "0", "60", "bars"]
    assert "Helper" not in result.stdout
    assert "Base" not in result.stdout
    assert "Tried on 1,500 synthetic bars of 1h." in result.stdout
    assert result.stdout.splitlines()[-1] == "clean: no position depends on a later bar"


def test_cheats_and_failures(cheats: str) -> None:
    result = check(cheats)
    assert result.exit_code == 1
    assert row(result, "Rising")[3:5] == ["0", "0"]
    assert int(row(result, "Centred")[3].replace(",", "")) > 50
    assert row(result, "Fails")[3:5] == ["0", "2"]
    found = re.search(
        r"^Centred \(window=(\d+)\): position at bar (\d+) changes when bars from (\d+) on .*: "
        r"it looks into the future, (\d+) bars ahead or more$",
        result.stdout,
        re.MULTILINE,
    )
    assert found is not None
    window, bar, cut, reach = map(int, found.groups())
    assert 0 < cut - bar == reach <= window // 2
    assert "Fails: positions are NaN at every bar, bars 0 to " in result.stdout
    assert "Fails: 1 more failures; --json lists all of them" in result.stdout
    assert "Fails: the position never changed with" in result.stdout
    assert result.stdout.splitlines()[-1] == "not clean: Centred, Fails"


def test_one_class_of_a_file(cheats: str) -> None:
    assert check(cheats, "--class", "Rising").exit_code == 0
    assert check(cheats, "--class", "Centred").exit_code == 1


def test_json_and_nothing_else(cheats: str) -> None:
    result = check(cheats, "--json", "--seed", "3", "--bars", "700", "--timeframe", "15m")
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert document["bars"] == "700 synthetic bars of 15m"
    rising, centred, fails = document["strategies"]
    assert [report["strategy"] for report in document["strategies"]] == ["Rising", "Centred", "Fails"]
    assert (rising["clean"], rising["n_violations"], rising["n_bars"]) == (True, 0, 700)
    assert rising["start_dependence_bars"] == 60
    assert centred["n_violations"] == sum(len(c["violations"]) for c in centred["candidates"]) > 0
    violation = next(v for c in centred["candidates"] for v in c["violations"])
    assert violation.keys() == {"params", "cut", "bar", "kind"}
    assert {c["params"]["period"] for c in fails["candidates"] if c["problems"]} == {2, 60}


@pytest.mark.parametrize(
    "name", ["MovingAverageCrossover", "RSIStrategy", "MACDStrategy", "BollingerBandsStrategy"]
)
def test_registered_names(name: str) -> None:
    result = check(name)
    assert result.exit_code == 0
    assert row(result, name)[3:5] == ["0", "0"]


def test_on_given_data(market: Path, mine: str) -> None:
    result = check(mine, "--data", str(market), "--asset", "AAA", "--timeframe", "4h", "--bars", "600")
    assert result.exit_code == 0
    assert "Tried on 600 AAA bars of 4h." in result.stdout


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["Rsi"], SpecError, r"STRATEGY: 'Rsi' is neither a Python file nor a strategy.*allowed: Bollinger"),
        (["no.py"], SpecError, "STRATEGY: no.py: No such file or directory"),
        (["RSIStrategy", "--class", "X"], SpecError, "--class: goes with a file, and RSIStrategy is a name"),
        (["MINE", "--class", "Rise"], SpecError, r"--class: .*mine.py has no class 'Rise'.*did you mean 'Rising'"),
        (["MINE", "--class", "Helper"], StrategyError, "Helper: .* is not a strategy; derive it from"),
        (["MINE", "--class", "Base"], SpecError, "mine.py has no strategy class"),
        (["MINE", "--asset", "AAA"], SpecError, "--asset: needs --data"),
        (["MINE", "--data", "x"], SpecError, "--data: needs --asset and --timeframe too"),
        (["MINE", "--data", "x", "--asset", "A", "--timeframe", "1h"], CatalogError, "x"),
        (["MINE", "--timeframe", "1x"], SpecError, "--timeframe: '1x' is not a timeframe"),
    ],
)  # fmt: skip
def test_bad_usage(mine: str, arguments: list[str], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        check(*(mine if argument == "MINE" else argument for argument in arguments))


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("", SpecError, "bad.py has no strategy class"),
        ("class A(:", SpecError, r"bad.py: invalid syntax \(bad.py, line 1\)"),
        ("class A:\n    pass", StrategyError, "A: .* is not a strategy"),
        (
            "import nothing_here\nclass A:\n    pass",
            StrategyError,
            "bad.py: cannot be loaded: ModuleNotFoundError",
        ),
        (
            "class A:\n    def get_parameters(self):\n        return 1 / 0\n    def generate_signals(self, data): ...",
            StrategyError,
            "A: space: ZeroDivisionError: division by zero",
        ),
    ],
)
def test_bad_files(tmp_path: Path, text: str, error: type[Exception], message: str) -> None:
    path = tmp_path / "bad.py"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(error, match=message):
        check(str(path))


def test_exit_status_and_streams_of_the_program(tmp_path: Path, mine: str, cheats: str) -> None:
    clean, bad, unknown = (
        backtune("check-strategy", *arguments, cwd=tmp_path)
        for arguments in ([mine], [cheats, "--class", "Centred"], ["no.py"])
    )
    assert (clean.returncode, bad.returncode, unknown.returncode) == (0, 1, 2)
    assert clean.stderr == bad.stderr == ""
    assert unknown.stderr == "error: STRATEGY: no.py: No such file or directory\n"
    assert unknown.stdout == ""


def test_the_documented_strategies_are_clean_and_print_what_is_written(tmp_path: Path) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    codes = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    breakout, momentum = (code for code in codes if "class " in code)
    (tmp_path / "breakout.py").write_text(breakout + momentum, encoding="utf-8")
    result = backtune("check-strategy", "breakout.py", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    shown = next(
        block for block in re.findall(r"```text\n(.*?)```", text, re.DOTALL) if "Breakout  " in block
    )
    printed = [line.split() for line in result.stdout.splitlines() if line.strip(" ─")]
    assert [line.split() for line in shown.splitlines() if line.strip(" ─")] == printed
