"""A test of timing: whether positions do better where they stand than moved along the bars as a whole.

Moved in a circle, the positions keep their number, lengths, sides and costs, and lose what they know of the bars that they are
held on. What a market that only rises gives to any long position, it gives to the moved ones as well.

Sources: D. Aronson, "Evidence-Based Technical Analysis" (2006), chapter 5; J. Besag and P. Clifford, "Sequential Monte
Carlo p-values", Biometrika 78 (1991); R. Fisher, "Statistical Methods for Research Workers" (1925).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

# Shifts at most, and shifts that do as well after which the answer is clear.
N_SHIFTS = 199
_ENOUGH = 10


@dataclass(frozen=True)
class TimingTest:
    """The outcome of a test of timing.

    Attributes:
        p: The p-value, in (0, 1].
        n_shifts: The number of shifts that were looked at.
    """

    p: float
    n_shifts: int


def shift_targets(targets: np.ndarray, start: int, shift: int) -> np.ndarray:
    """Return the targets of a window moved later by ``shift`` bars, in a circle.

    A target is filled at the open of the next bar. Those that are filled in the window are the ones of the bar before it and of
    all its bars but the last; they form the circle.

    Args:
        targets: (n_bars,) targets, of the window's bars and those before it.
        start: The row of the window's first bar, at least 1.
        shift: The number of bars.
    """
    moved = targets.copy()
    moved[start - 1 : -1] = np.roll(targets[start - 1 : -1], shift)
    return moved


def measure_timing(
    value: float, n_bars: int, value_of_shift: Callable[[int], float], *, seed: int
) -> TimingTest | None:
    """Return the p-value of a result against those of the same positions moved by random numbers of bars.

    Shifts are drawn until ten of them do as well, or all have been looked at. With ten after l of them p is 10 / l, else
    (1 + g) / (n + 1) with g that do as well of n: valid for any n (Besag and Clifford 1991).

    Args:
        value: The result, higher is better.
        n_bars: The number of bars on the circle.
        value_of_shift: The result of positions that are moved by 1 to n_bars - 1 bars.
        seed: The seed of the draws.

    Returns:
        None where there is no bar to move to.
    """
    if n_bars < 2:
        return None
    random = np.random.default_rng(seed)
    shifts = random.permutation(n_bars - 1)[:N_SHIFTS] + 1
    n_as_good = 0
    for looked_at, shift in enumerate(shifts.tolist(), start=1):
        n_as_good += value_of_shift(shift) >= value
        if n_as_good == _ENOUGH:
            return TimingTest(_ENOUGH / looked_at, looked_at)
    return TimingTest((1 + n_as_good) / (len(shifts) + 1), len(shifts))


def combine_p_values(p_values: Sequence[float]) -> float | None:
    """Return the p-value of independent tests taken together (Fisher 1925); None without any.

    -2 sum(ln p) has a chi-squared distribution with 2 k degrees of freedom, whose upper tail at x is
    exp(-x / 2) sum_{i<k} (x / 2)^i / i!.
    """
    if not p_values:
        return None
    half = -sum(math.log(p) for p in p_values)
    term = total = 1.0
    for i in range(1, len(p_values)):
        term *= half / i
        total += term
    return min(1.0, math.exp(-half) * total)
