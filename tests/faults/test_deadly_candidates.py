"""Candidates that take their worker with them: each is marked failed and says why, and the rest finishes."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest
from sweeps import INLINE, assert_same_rows, rows_of

from backtune.spec import SweepSpec
from backtune.sweep import run_sweep
from faults.disturbed import until_done
from faults.small import STRATEGIES, paced_document
from faults.strategies.deadly import DEADLY_LEVEL
from faults.unharmed import assert_unharmed

pytestmark = [pytest.mark.ray, pytest.mark.slow]

DEATHS = [
    pytest.param("killed", r"worker died", id="kill-9"),
    pytest.param("exits", r"worker died", id="exit"),
    pytest.param("out-of-memory", r"worker died|[Mm]emory", id="out-of-memory"),
]


def deadly_document(market: Path, trials: int = 60) -> dict[str, Any]:
    """Two deadly studies, which meet their deadly candidate for sure, and two harmless ones, packed into few units."""
    document = paced_document(market, max_failures=3)
    files = [(STRATEGIES / "deadly.py", "Deadly"), (STRATEGIES / "paced.py", "Paced")]
    grid = {
        "strategies": [{"file": str(file), "class": name} for file, name in files],
        "assets": ["AAA", "BBB"],
    }
    document["grid"] = {**grid, "timeframes": ["1h"]}
    document["search"] = {**document["search"], "trials": trials}
    return document


@pytest.mark.parametrize(("death", "reason"), DEATHS)
def test_a_deadly_candidate(disturbed, market, tmp_path, death, reason):
    document = deadly_document(market)
    # The same, but for a candidate that raises: nothing but its reason may differ.
    expected = rows_of(run_sweep(SweepSpec.parse(document), tmp_path / "raises", INLINE).run)

    sweep = disturbed("--workers", "2", document=document, variables={"FAULTS_DEATH": death})
    done = sweep.finish()
    assert done.returncode == 0, done.stderr
    rows = rows_of(sweep.run)
    failed = pl.concat([rows[name].filter(state="failed") for name in rows if name.startswith("Deadly")])
    assert failed["params_level"].unique().to_list() == [DEADLY_LEVEL]
    assert failed["reason"].str.contains(reason).all(), failed["reason"].unique().to_list()
    assert_unharmed(sweep, expected, but=("reason",))
    again = sweep.finish()
    assert again.returncode == 0, again.stderr
    assert_same_rows(rows_of(sweep.run), rows)


@pytest.mark.slow
def test_deadly_candidates_while_workers_are_killed(disturbed, market, tmp_path):
    """A worker that is killed from outside does not make its candidate deadly, nor any other."""
    document = deadly_document(market, trials=120)
    expected = rows_of(run_sweep(SweepSpec.parse(document), tmp_path / "raises", INLINE).run)
    sweep = disturbed("--workers", "2", document=document, pace=0.05, variables={"FAULTS_DEATH": "killed"})

    def kill() -> None:
        if workers := sweep.workers(busy_for=1.2):
            sweep.strike(workers[0].pid)

    with sweep.running() as driver:
        errors = until_done(driver, kill, every=2.0, seconds=170)
    assert len(sweep.logged) >= 3, "too few kills to tell"
    assert driver.returncode == 0, errors
    assert_unharmed(sweep, expected, but=("reason",))
