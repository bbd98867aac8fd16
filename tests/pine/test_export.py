"""From a sweep to a script that makes the leaderboard's numbers."""

import re

import pytest
from pine_runs import CASH, REPOSITORY, gapless, run_scripts
from sweeps import INLINE, parsed

from backtune.data.catalog import Catalog
from backtune.data.load import load_bars
from backtune.data.synthetic import synthetic_bars
from backtune.report.export.pine import render_pine_script
from backtune.report.export.pine_source import build_pine_source
from backtune.report.row_selection import select_row
from backtune.strategy.registry import BUILT_IN
from backtune.sweep import run_sweep


def block(document: str, language: str, start: str) -> str:
    """The code in a page of the documentation that starts with ``start``."""
    text = (REPOSITORY / "docs" / document).read_text(encoding="utf-8")
    (found,) = [code for code in re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL) if start in code]
    return found


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A sweep of every built-in strategy and the documented one, with searched and fixed stops, on bars without gaps."""
    folder = tmp_path_factory.mktemp("sweep")
    bars = gapless(synthetic_bars("AAA", "1h", "2021-01-01", "2021-03-15", seed=2))
    Catalog.open_or_create(folder / "market").write("AAA", bars.timeframe, bars.to_frame())
    (folder / "breakout.py").write_text(block("strategies.md", "python", "class Breakout"))
    (folder / "Breakout.pine").write_text(block("pine.md", "pine", "var int side"))
    changes = {
        "grid": {"strategies": [*BUILT_IN, {"file": str(folder / "breakout.py"), "class": "Breakout"}], "assets": ["AAA"]},
        "execution": {
            "initial_cash": CASH, "slippage_bps": 0, "size": 0.8, "trailing_stop": 0.06,
            "stop_loss": {"type": "float", "low": 0.01, "high": 0.05},
        },
        "search": {"trials": 30, "constraints": {"total_trades": ">= 10"}},
        "validation": {"method": "none"},
    }  # fmt: skip
    return run_sweep(parsed(folder / "market", **changes), folder / "runs", INLINE)


def test_every_best_makes_the_leaderboards_numbers_as_a_script(finished):
    run = finished.run
    rows = [select_row(run, study.id) for study in run.studies]
    assert {row.strategy for row in rows} == {*BUILT_IN, "Breakout"}
    bars = load_bars(run.spec.data.root, "AAA", "1h")
    scripts = [render_pine_script(build_pine_source(run, row)) for row in rows]
    for row, done in zip(rows, run_scripts([(bars, script) for script in scripts]), strict=True):
        closed = [trade for trade in done.trades if trade.exit_bar is not None]
        assert len(closed) == row.is_metrics["total_trades"] >= 10
        assert done.equity == pytest.approx(CASH * (1 + row.is_metrics["total_return"]), rel=1e-9)
