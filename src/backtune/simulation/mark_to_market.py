"""Compiled marking to market at every close: returns, drawdowns and their sums.

Every bar passes through here, so the loops are written for the vector units: sums are kept in a fixed number of lanes
(bar i of a chunk adds to lane i mod ``_LANES``), which a processor of any width can fill several at a time and which
gives the same digits on all of them; sums that the compiler may reorder would not. Equity is kept for one small chunk.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from backtune.simulation.types import N_BLOCKS, Closes, EquitySums, Holdings

_LANES = 32
# Bars that are filled, or whose returns are added, at once.
_ROW = 2 * _LANES
_CHUNK = 1024
# Less than the distance of any two prices that differ.
_NOTHING = 1e-300
# Rows of the lanes, and the state of the drawdown.
_RETURNS, _SQUARES, _LOSSES, _LEVELS, _DEPTHS, _LOWS = range(6)
_PEAK, _DEEPEST, _EPISODE, _EPISODES = range(4)


@njit(cache=True)
def chunk_ranges(close: np.ndarray, block_edges: np.ndarray) -> np.ndarray:
    """Return (n_chunks, 2) lowest and highest close of each chunk of a window, in the order in which they are marked."""
    ranges = np.empty((len(close) // _CHUNK + N_BLOCKS + 1, 2))
    chunk = 0
    for block in range(N_BLOCKS):
        for first in range(block_edges[block], block_edges[block + 1], _CHUNK):
            prices = close[first : min(first + _CHUNK, block_edges[block + 1])]
            ranges[chunk, 0], ranges[chunk, 1] = prices.min(), prices.max()
            chunk += 1
    return ranges[:chunk]


@njit(cache=True, error_model="numpy")
def mark_to_market(
    prices: Closes,
    holdings: Holdings,
    initial_cash: float,
    end: int,
    equity_out: np.ndarray,
) -> tuple[EquitySums, np.ndarray]:
    """Mark holdings at the closes of a window; from bar ``end`` on, equity is zero.

    Args:
        equity_out: (n,) array to be filled with equity at every close, or (0,).

    Returns:
        The sums, with ``ruined_bar`` the first bar before ``end`` that closes at zero or below (then the sums are
        of no use), else -1; and (N_BLOCKS, 3) with count, sum and sum of squares of the bar returns of each block.
    """
    close, block_edges = prices.close, prices.block_edges
    blocks = np.zeros((N_BLOCKS, 3))
    # One more in front, the equity before the chunk's first bar; and room for what is filled beyond its last.
    equity = np.empty(1 + _CHUNK + _ROW)
    equity[0] = initial_cash
    lanes = np.zeros((6, _LANES))
    drawdown = np.zeros(4)
    drawdown[_PEAK] = initial_cash
    sum_squared_loss = sum_equity = 0.0
    n_exposed = stretch = chunk = 0
    for block in range(N_BLOCKS):
        lanes[:4] = 0.0
        for first in range(block_edges[block], block_edges[block + 1], _CHUNK):
            n = min(_CHUNK, block_edges[block + 1] - first)
            extremes = prices.ranges[chunk]
            chunk += 1
            stretch, n_held, low, high = _fill_equity(
                close, extremes, holdings, stretch, first, n, end, equity
            )
            n_exposed += n_held
            is_solvent = low > 0.0 or not _has_reached(equity[1 : n + 1], _NOTHING, -1.0)
            if not is_solvent and first + _find_ruin(equity, n) < end:
                ruined_bar = first + _find_ruin(equity, n)
                return EquitySums(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, ruined_bar), blocks
            whole = n - n % _ROW if is_solvent and equity[0] > 0.0 else 0
            _add_rows(equity[: whole + 1], lanes[_RETURNS], lanes[_SQUARES], lanes[_LOSSES], lanes[_LEVELS])
            _add_bars(equity[whole : n + 1], lanes)
            _add_drawdowns(equity[1 : n + 1], high, lanes, drawdown)
            if len(equity_out) > 0:
                equity_out[first : first + n] = equity[1 : n + 1]
            equity[0] = equity[n]
        blocks[block, 0] = block_edges[block + 1] - block_edges[block]
        blocks[block, 1] = lanes[_RETURNS].sum()
        blocks[block, 2] = lanes[_SQUARES].sum()
        # A loss was added doubled.
        sum_squared_loss += lanes[_LOSSES].sum() * 0.25
        sum_equity += lanes[_LEVELS].sum()
    _follow_peak(equity[:0], lanes, drawdown)
    sums = EquitySums(
        n_bars=float(len(close)),
        sum_return=_sum_blocks(blocks[:, 1]),
        sum_squared_return=_sum_blocks(blocks[:, 2]),
        sum_squared_loss=sum_squared_loss,
        final_equity=equity[0],
        sum_equity=sum_equity,
        max_drawdown=drawdown[_DEEPEST],
        sum_squared_drawdown=lanes[_DEPTHS].sum(),
        sum_squared_episode=drawdown[_EPISODES] + drawdown[_EPISODE] ** 2,
        n_exposed_bars=float(n_exposed),
        ruined_bar=-1,
    )
    return sums, blocks


@njit(cache=True)
def _sum_blocks(blocks: np.ndarray) -> float:
    """Sum up (16,) numbers in the order of :func:`numpy.sum`, by which other modules sum up the same blocks."""
    a, b = blocks[:8], blocks[8:]
    half = ((a[0] + b[0]) + (a[1] + b[1])) + ((a[2] + b[2]) + (a[3] + b[3]))
    total: float = half + (((a[4] + b[4]) + (a[5] + b[5])) + ((a[6] + b[6]) + (a[7] + b[7])))
    return total


@njit(cache=True)
def _fill_equity(
    close: np.ndarray,
    extremes: np.ndarray,
    holdings: Holdings,
    stretch: int,
    first: int,
    n: int,
    end: int,
    equity: np.ndarray,
) -> tuple[int, int, float, float]:
    """Fill ``equity[1 : n + 1]``, and perhaps a row beyond.

    Returns:
        The stretch of the chunk's last bar; the number of bars with a position; and a lower and an upper bound of the
        equity, which it would have at the chunk's lowest and highest close.
    """
    n_exposed = 0
    lowest, highest = np.inf, -np.inf
    at = first
    last = first + n
    while at < last:
        while stretch + 1 < len(holdings.starts) and holdings.starts[stretch + 1] <= at:
            stretch += 1
        until = last
        cash = quantity = 0.0
        if at < end:
            cash, quantity = holdings.cash[stretch], holdings.quantity[stretch]
            until = min(until, end)
            if stretch + 1 < len(holdings.starts):
                until = min(until, holdings.starts[stretch + 1])
        n_exposed += until - at if quantity != 0.0 else 0
        one, other = cash + quantity * extremes[0], cash + quantity * extremes[1]
        lowest, highest = min(lowest, one, other), max(highest, one, other)
        # Whole rows, also beyond the stretch, where the next one writes over them: the processor guesses right where loops
        # of equal length end.
        for row in range(at, until, _ROW):
            # Slices, because an index that might be negative keeps the loop from the vector units.
            levels, prices = equity[row - first + 1 :], close[row : row + _ROW]
            for i in range(len(prices)):
                levels[i] = cash + quantity * prices[i]
        at = until
    return stretch, n_exposed, lowest, highest


@njit(cache=True, fastmath={"reassoc", "nsz"})
def _has_reached(values: np.ndarray, limit: float, sign: float) -> bool:
    """Return whether any value is at or above the limit; with sign -1, at or below it.

    A sum of terms that are zero or positive: it is zero in any order, or in none, which an early exit or a maximum
    would not be for the vector units.
    """
    beyond = 0.0
    for i in range(len(values)):
        room = sign * (limit - values[i]) - _NOTHING
        beyond += abs(room) - room
    return beyond > 0.0


@njit(cache=True)
def _find_ruin(equity: np.ndarray, n: int) -> int:
    """Return the first bar of a chunk that closes at zero or below; n where there is none."""
    for i in range(n):
        if equity[i + 1] <= 0.0:
            return i
    return n


@njit(cache=True, error_model="numpy")
def _add_rows(
    equity: np.ndarray, returns: np.ndarray, squares: np.ndarray, losses: np.ndarray, levels: np.ndarray
) -> None:
    """Add returns, their squares, the squares of doubled losses, and levels to the lanes.

    Rows have two bars a lane, so that a lane is read and written half as often.
    """
    for row in range((len(equity) - 1) // _ROW):
        first, second = row * _ROW, row * _ROW + _LANES
        for lane in range(_LANES):
            level, next_level = equity[first + lane + 1], equity[second + lane + 1]
            change = level / equity[first + lane] - 1.0
            next_change = next_level / equity[second + lane] - 1.0
            # Twice a loss, or zero: without a branch.
            loss, next_loss = change - abs(change), next_change - abs(next_change)
            returns[lane] += change + next_change
            squares[lane] += change * change + next_change * next_change
            losses[lane] += loss * loss + next_loss * next_loss
            levels[lane] += level + next_level


@njit(cache=True, error_model="numpy")
def _add_bars(equity: np.ndarray, lanes: np.ndarray) -> None:
    """Add the same figures for any number of bars; after ruin, a return is zero."""
    for i in range(len(equity) - 1):
        lane = i % _LANES
        change = equity[i + 1] / equity[i] - 1.0 if equity[i] > 0.0 else 0.0
        loss = change - abs(change)
        lanes[_RETURNS, lane] += change
        lanes[_SQUARES, lane] += change * change
        lanes[_LOSSES, lane] += loss * loss
        lanes[_LEVELS, lane] += equity[i + 1]


@njit(cache=True, error_model="numpy")
def _add_drawdowns(equity: np.ndarray, bound: float, lanes: np.ndarray, drawdown: np.ndarray) -> None:
    """Add squared drawdowns: by whole rows as long as none reaches the peak, bar by bar where one does.

    ``bound`` is at or above all of the equity: below the peak, there is no need to look.
    """
    n_rows = len(equity) // _LANES
    row = 0
    if bound < drawdown[_PEAK]:
        _add_depths(equity[: n_rows * _LANES], drawdown[_PEAK], lanes[_DEPTHS], lanes[_LOWS])
        row = n_rows
    while row < n_rows:
        below = row
        while below < n_rows and not _has_reached(
            equity[below * _LANES : (below + 1) * _LANES], drawdown[_PEAK], 1.0
        ):
            below += 1
        if below > row:
            _add_depths(equity[row * _LANES : below * _LANES], drawdown[_PEAK], lanes[_DEPTHS], lanes[_LOWS])
        if below < n_rows:
            _follow_peak(equity[below * _LANES : (below + 1) * _LANES], lanes, drawdown)
        row = below + 1
    _follow_peak(equity[n_rows * _LANES :], lanes, drawdown)


@njit(cache=True, error_model="numpy")
def _add_depths(equity: np.ndarray, peak: float, depths: np.ndarray, deepest: np.ndarray) -> None:
    """Add the squared depths below a peak to the lanes, and keep the deepest of each lane."""
    scale = 1.0 / peak
    for row in range(len(equity) // _LANES):
        first = row * _LANES
        for lane in range(_LANES):
            depth = 1.0 - equity[first + lane] * scale
            depths[lane] += depth * depth
            deepest[lane] = depth if depth > deepest[lane] else deepest[lane]


@njit(cache=True, error_model="numpy")
def _follow_peak(equity: np.ndarray, lanes: np.ndarray, drawdown: np.ndarray) -> None:
    """Add squared drawdowns bar by bar, with the deepest of each episode from one peak to the next."""
    peak = drawdown[_PEAK]
    scale = 1.0 / peak
    episode = drawdown[_EPISODE]
    deepest = lanes[_LOWS]
    for lane in range(_LANES):
        episode = deepest[lane] if deepest[lane] > episode else episode
        deepest[lane] = 0.0
    for i in range(len(equity)):
        if equity[i] >= peak:
            # Flat at the peak there is nothing to do, and that lasts: from the first bar to the first fill.
            if equity[i] > peak or episode > 0.0:
                drawdown[_DEEPEST] = max(drawdown[_DEEPEST], episode)
                drawdown[_EPISODES] += episode * episode
                peak, scale, episode = equity[i], 1.0 / equity[i], 0.0
        else:
            depth = 1.0 - equity[i] * scale
            lanes[_DEPTHS, i] += depth * depth
            episode = depth if depth > episode else episode
    drawdown[_PEAK], drawdown[_EPISODE] = peak, episode
    drawdown[_DEEPEST] = max(drawdown[_DEEPEST], episode)
