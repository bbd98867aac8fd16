"""What a part of a k-fold window counts for: a table of every metric that can be undefined, and that a loss is never
rewarded.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from oracles import EXAMPLES, FREE, make_bars

from backtune.simulation.bar_window import BarWindow
from backtune.simulation.metrics import METRICS
from backtune.simulation.simulate import score_positions
from backtune.spec import Objective
from backtune.validation.kfold_objective import combine_part_values, compute_part_value

RISING = (100.0, 110.0, 121.0, 130.0, 140.0, 150.0)
FALLING = (100.0, 90.0, 81.0, 70.0, 60.0, 50.0)


def metrics_of(
    closes: tuple[float, ...], positions: tuple[float, ...], start: int = 1
) -> dict[str, float | None]:
    """Return the metrics of positions on bars that open where the one before closed, free of cost."""
    close = np.array(closes)
    bars = make_bars(np.concatenate([close[:1], close[:-1]]), close)
    return score_positions(np.array(positions), BarWindow.of(bars, start), FREE).metrics


PARTS = {
    "idle": metrics_of(RISING, (0, 0, 0, 0, 0, 0)),
    "open gain": metrics_of(RISING, (1, 1, 1, 1, 1, 1)),
    "open loss": metrics_of(FALLING, (1, 1, 1, 1, 1, 1)),
    "won": metrics_of(RISING, (1, 1, 0, 0, 0, 0)),
    "lost": metrics_of(FALLING, (1, 1, 0, 0, 0, 0)),
    "one bar up": metrics_of(RISING[:2], (1, 1)),
    "one bar down": metrics_of(FALLING[:2], (1, 1)),
    "ruined at once": metrics_of((100.0, 350.0, 100.0), (-1, -1, -1)),
}
# In the order of PARTS; "own" is the part's own value, "whole" that of the whole window.
_SIGNED = (0.0, "whole", "own", "whole", "own", "whole", "own", "own")
_OF_TRADES = (0.0, 0.0, 0.0, "own", "own", 0.0, 0.0, 0.0)
_OF_TRADES_MINIMIZED = ("whole", "whole", "whole", "own", "own", "whole", "whole", "whole")
_OF_WINS = (0.0, 0.0, 0.0, "own", 0.0, 0.0, 0.0, 0.0)
_OF_WINS_MINIMIZED = ("whole", "whole", "whole", "own", "whole", "whole", "whole", "whole")
_OF_LOSSES = ("whole", "whole", "whole", 0.0, "own", "whole", "whole", "whole")
_OF_LOSSES_MINIMIZED = (0.0, 0.0, 0.0, 0.0, "own", 0.0, 0.0, 0.0)
EXPECTED = {
    "volatility": ("own",) * 5 + ("whole", "whole", "own"),
    "-volatility": ("own",) * 5 + ("whole", "whole", "own"),
    "sharpe_ratio": (0.0, "own", "own", "own", "own", "whole", 0.0, "own"),
    "-sharpe_ratio": (0.0, "own", "own", "own", "own", "whole", 0.0, "own"),
    **{f"{sign}{name}_ratio": _SIGNED for sign in ("", "-") for name in ("sortino", "calmar", "burke")},
    "profit_factor": (0.0, 0.0, 0.0, "whole", "own", 0.0, 0.0, 0.0),
    "-profit_factor": ("whole", "whole", "whole", "whole", "own", "whole", "whole", "whole"),
    "win_rate": _OF_TRADES,
    "-win_rate": _OF_TRADES_MINIMIZED,
    "average_trade_hours": _OF_TRADES,
    "-average_trade_hours": _OF_TRADES_MINIMIZED,
    "average_win": _OF_WINS,
    "-average_win": _OF_WINS_MINIMIZED,
    "largest_win": _OF_WINS,
    "-largest_win": _OF_WINS_MINIMIZED,
    "average_loss": _OF_LOSSES,
    "-average_loss": _OF_LOSSES_MINIMIZED,
    "largest_loss": _OF_LOSSES,
    "-largest_loss": _OF_LOSSES_MINIMIZED,
    "turnover": ("own",) * 7 + (0.0,),
    "-turnover": ("own",) * 7 + ("whole",),
}
ALWAYS_DEFINED = ("own",) * len(PARTS)


@pytest.mark.parametrize("objective", [f"{sign}{metric}" for metric in METRICS for sign in ("", "-")])
def test_what_a_part_counts_for(objective: str) -> None:
    metric = objective.removeprefix("-")
    # No part has it as its own value, and it caps none.
    whole = -7.0 if metric.endswith("_loss") else 7.0
    for (name, part), kind in zip(PARTS.items(), EXPECTED.get(objective, ALWAYS_DEFINED), strict=True):
        expected = part[metric] if kind == "own" else whole if kind == "whole" else kind
        assert compute_part_value(Objective.parse(objective), part, whole) == expected, name


@pytest.mark.parametrize(
    ("objective", "part", "whole", "expected"),
    [
        ("sortino_ratio", 5.0, 2.0, 2.0),
        ("calmar_ratio", 1.0, 2.0, 1.0),
        ("burke_ratio", 5.0, -2.0, -2.0),
        ("profit_factor", 9.0, 1.5, 1.5),
        # A Sharpe ratio can carry a candidate: its deviation is never close to 0.
        ("sharpe_ratio", 5.0, 2.0, 5.0),
        ("-sortino_ratio", 5.0, 2.0, 5.0),
        ("-profit_factor", 9.0, 1.5, 9.0),
    ],
)
def test_a_maximized_ratio_over_a_loss_counts_for_at_most_the_whole(
    objective: str, part: float, whole: float, expected: float
) -> None:
    assert (
        compute_part_value(Objective.parse(objective), {objective.removeprefix("-"): part}, whole) == expected
    )


def test_an_annual_return_too_large_for_a_number_counts_as_the_whole() -> None:
    part = metrics_of((100.0, 600.0, 6000.0), (1, 1, 1))
    assert part["annual_return"] is None
    assert compute_part_value(Objective.parse("annual_return"), part, 3.0) == 3.0


@pytest.mark.parametrize(
    ("objective", "deviation", "expected"),
    [("calmar_ratio", 0.0, 2.0), ("calmar_ratio", 0.5, 1.5), ("-calmar_ratio", 0.5, 2.5)],
)
def test_mean_and_deviation(objective: str, deviation: float, expected: float) -> None:
    parts = [{"calmar_ratio": value} for value in (1.0, 2.0, 3.0)]
    assert combine_part_values(Objective.parse(objective), 3.0, parts, deviation) == pytest.approx(expected)


N_BARS, ROWS = 24, ((0, 7), (8, 15), (16, 24))


def sub_period_value(
    objective: Objective, returns: np.ndarray, positions: np.ndarray, deviation: float
) -> tuple[float | None, list[float | None], float | None]:
    """Return the whole window's metric, that of each part and the objective over the parts."""
    close = 100.0 * np.cumprod(1.0 + returns)
    bars = make_bars(np.concatenate([[100.0], close[:-1]]), close)
    whole = score_positions(positions, BarWindow.of(bars), FREE).metrics[objective.metric]
    parts = [
        score_positions(positions[:end], BarWindow.of(bars[:end], start), FREE).metrics for start, end in ROWS
    ]
    own = [part[objective.metric] for part in parts]
    return whole, own, None if whole is None else combine_part_values(objective, whole, parts, deviation)


@settings(max_examples=EXAMPLES)
@given(
    metric=st.sampled_from(["sortino_ratio", "calmar_ratio", "profit_factor"]),
    returns=st.lists(st.sampled_from([-0.1, -0.02, 0.0, 0.03, 0.1]), min_size=N_BARS, max_size=N_BARS),
    positions=st.lists(st.sampled_from([0.0, 1.0]), min_size=N_BARS, max_size=N_BARS),
    part=st.integers(0, 2),
    bar=st.integers(0, 6),
    loss=st.sampled_from([0.001, 0.02, 0.3]),
    deviation=st.sampled_from([0.0, 0.3, 1 / np.sqrt(3)]),
)
def test_a_loss_in_a_part_never_raises_the_value(
    metric: str,
    returns: list[float],
    positions: list[float],
    part: int,
    bar: int,
    loss: float,
    deviation: float,
) -> None:
    """Holds for candidates that gain; below 0 a ratio over a loss itself rises with the loss it is divided by."""
    objective = Objective(metric=metric)
    whole, own, value = sub_period_value(objective, np.array(returns), np.array(positions), deviation)
    assume(whole is not None and whole >= 0.0 and (own[part] or 0.0) >= 0.0)
    worse = np.array(returns)
    worse[ROWS[part][0] + bar] -= loss
    _, _, lower = sub_period_value(objective, worse, np.array(positions), deviation)
    assert value is not None
    assert lower is not None
    assert lower <= value + 1e-9 * max(1.0, abs(value))


_NUMBER = st.floats(-50.0, 50.0)


@settings(max_examples=EXAMPLES)
@given(
    metric=st.sampled_from(["sortino_ratio", "calmar_ratio", "burke_ratio", "profit_factor"]),
    ratios=st.lists(st.none() | _NUMBER, min_size=2, max_size=6),
    whole=_NUMBER,
    change=st.tuples(st.integers(0, 5), st.floats(0.0, 100.0), st.floats(0.0, 100.0)),
    small=st.floats(0.0, 1.0),
)
def test_it_rises_with_every_ratio_and_nothing_is_above_no_loss(
    metric: str,
    ratios: list[float | None],
    whole: float,
    change: tuple[int, float, float],
    small: float,
) -> None:
    place, part_fall, whole_fall = change
    objective, deviation = Objective(metric=metric), small / np.sqrt(len(ratios))
    worse = list(ratios)
    before = worse[place % len(ratios)]
    worse[place % len(ratios)] = (50.0 if before is None else before) - part_fall
    higher, lower = (
        combine_part_values(
            objective, own, [{metric: r, "total_return": 0.1, "largest_win": 0.1} for r in each], deviation
        )
        for own, each in ((whole, ratios), (whole - whole_fall, worse))
    )
    assert lower <= higher + 1e-9


def test_beyond_one_over_the_root_of_the_parts_a_better_part_can_lower_the_value() -> None:
    objective = Objective(metric="sharpe_ratio")
    values = [
        combine_part_values(objective, 1.0, [{"sharpe_ratio": r} for r in (1.0, 1.0, best)], 1.0)
        for best in (1.0, 4.0)
    ]
    assert values == pytest.approx([1.0, 2.0 - np.sqrt(3)])
