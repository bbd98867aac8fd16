"""A cell with an edge that its test confirms: the evidence must not call it luck, whatever the sampler."""

from __future__ import annotations

import numpy as np

from simulations.markets import martingale, slow_drift
from simulations.sweep_rows import Row, sweep_rows

SAMPLERS = ("random", "tpe")
# 0.8 years of quarter hours, whose drift followers of trends find after costs.
N_BARS = 28_000
STRENGTH, HALF_LIFE = 0.18, 50.0
_VOLATILITY = 0.006


def edge_row(seed: int, sampler: str, *, n_trials: int = 200, n_bars: int = N_BARS) -> Row:
    """Search MACDStrategy on quarter hours with a slow drift, with the default costs; return its row."""
    rng = np.random.default_rng([seed, 3])
    drift = slow_drift(rng, n_bars, strength=STRENGTH, half_life=HALF_LIFE)
    returns = martingale(_VOLATILITY * rng.standard_normal(n_bars)) + _VOLATILITY * drift
    (row,) = sweep_rows(
        {"A": returns},
        strategies=["MACDStrategy"],
        timeframes=["15m"],
        stored_timeframe="15m",
        search={"sampler": sampler, "trials": n_trials, "seed": seed},
    )
    return row
