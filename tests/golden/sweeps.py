"""Rows of whole small sweeps: trials, winners on their tests, and the evidence of the leaderboard."""

from pathlib import Path
from typing import Any

import polars as pl

from backtune.spec import SweepSpec
from backtune.sweep import Options, SweepResult, run_sweep
from golden.components import HAS_TORCH, METRICS, SAMPLERS, STRATEGIES, Table, digest

_OWN = Path(__file__).with_name("strategies.py")
_EVIDENCE = (
    "dsr", "pbo", "plateau", "family_p", "haircut_sharpe_ratio", "q_value", "timing_p", "min_track_record_years",
    "oos_sharpe_low", "oos_sharpe_high", "hold_total_return", "n_independent", "bars_per_year",
)  # fmt: skip
_HOLDOUT = {"method": "holdout", "test_fraction": 0.3}
_WALK_FORWARD = {"method": "walk_forward", "folds": 2}


def documents(market: Path) -> dict[str, dict[str, Any]]:
    """Return the specs of all golden sweeps by name."""
    named: dict[str, dict[str, Any]] = {}
    for sampler, backend in SAMPLERS:
        if sampler == "gp" and not HAS_TORCH:
            continue
        for method in (_HOLDOUT, _WALK_FORWARD):
            search = {"sampler": sampler, "backend": backend, "trials": 14 if sampler == "gp" else 48}
            named[f"{sampler} of {backend} - {method['method']}"] = {"search": search, "validation": method}
    own = {"strategies": [{"file": str(_OWN), "class": name} for name in ("Breakout", "PandasCross")]}
    two = ["MovingAverageCrossover", "RSIStrategy"]
    named |= {
        "strategies of a user": {"grid": own},
        "no validation": {"validation": {"method": "none"}},
        "k-fold": {"validation": {"method": "kfold", "folds": 4, "test_fraction": 0.2}},
        "two objectives": {"search": {"sampler": "nsga2", "objectives": ["sharpe_ratio", "-max_drawdown"], "trials": 72}},
        "constraints": {"search": {"constraints": {"total_trades": ">= 20", "max_drawdown": "<= 0.3"}}},
        "early stopping": {"search": {"early_stopping": {"startup_trials": 8}}, "grid": {"strategies": two}},
        "islands": {"search": {"islands": 2, "trials": 80}, "grid": {"strategies": two}},
        "stops that are searched": {
            "grid": {"strategies": two},
            "execution": {"stop_loss": {"low": 0.005, "high": 0.1}, "take_profit": 0.05},
        },
        "costs - funding - leverage": {
            "data": {"funding": True},
            "execution": {"fee_bps": 5, "slippage_bps": 1, "size": 2, "leverage": 3, "allow_short": False},
        },
        "space - rules - timeframes": {
            "grid": {"strategies": two, "timeframes": ["1h", "4h"]},
            "space": {"MovingAverageCrossover": {"fast_period": {"type": "int", "low": 2, "high": 60}, "rules": ["2 * fast_period <= slow_period"]}},
        },
    }  # fmt: skip
    return {name: _document(market, name, changes) for name, changes in named.items()}


def _document(market: Path, name: str, changes: dict[str, Any]) -> dict[str, Any]:
    document: dict[str, Any] = {
        "name": name,
        "data": {"root": str(market)},
        "grid": {"strategies": list(STRATEGIES), "assets": ["AAA"], "timeframes": ["2h"]},
        "search": {"sampler": "tpe", "trials": 48, "seed": 5},
        "validation": _HOLDOUT,
        "compute": {"unit_seconds": 1},
    }
    for section, values in changes.items():
        replaces = section in {"validation", "space"}
        document[section] = values if replaces else {**document.get(section, {}), **values}
    return document


def sweep_rows(document: dict[str, Any], runs: Path, options: Options | None = None) -> Table:
    """Run a sweep and return what it found, by cell and fold."""
    options = options or Options(executor="inline", tracking=False)
    result = run_sweep(SweepSpec.parse(document), str(runs), options)
    assert result.exit_status == 0, result.failures()
    studies = {
        " ".join([entry.strategy, entry.asset, entry.timeframe, entry.fold.name, entry.id[-2:] if entry.peers else ""]).strip():
        _trials_row(result.trials(entry.id))
        for entry in result.run.studies
    }  # fmt: skip
    return {"studies": studies, "leaderboard": _leaderboard_rows(result)}


def _trials_row(trials: pl.DataFrame) -> Table:
    params = sorted(name for name in trials.columns if name.startswith("params_"))
    values = sorted(name for name in trials.columns if name.startswith(("values_", "rung")))
    blocks = [name for name in trials.columns if name.startswith("block_")]
    decided = trials.select("number", "state", *params, *values, *METRICS, *blocks)
    shown = decided.select("number", "state", *params, *values)
    some = sorted({0, 1, len(shown) // 2, len(shown) - 1})
    return {
        "trials": len(trials),
        "rows": [list(shown.row(i)) for i in some],
        "digest": digest(cell for row in decided.iter_rows() for cell in row),
    }


def _leaderboard_rows(result: SweepResult) -> list[Table]:
    rows = []
    for row in (one.to_json() for one in result.rows()):
        numbers = [row[f"{sample}_{name}"] for sample in ("is", "oos") for name in METRICS]
        evidence = [row[name] for name in _EVIDENCE]
        rows.append(
            {
                "cell": f"{row['strategy']} {row['asset']} {row['timeframe']}",
                "params": row["params"],
                "is_sharpe_ratio": row["is_sharpe_ratio"],
                "oos_sharpe_ratio": row["oos_sharpe_ratio"],
                "digest": digest([row["trial"], row["n_trials"], *numbers]),
                "evidence": dict(zip(_EVIDENCE, evidence, strict=True)),
            }
        )
    return rows
