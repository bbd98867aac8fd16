"""Fees in money, whole lots and ticks in Pine, as far as a script can express them.

``strategy()`` takes one kind of commission: per cent, money an order, or money a contract. Lots and ticks are rounded by the
script itself, for TradingView knows those of the symbol only.
"""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from backtune.spec import Execution

# The function that rounds a price to ticks.
TICK_FUNCTION = """
// The tick at a price, or the next one up (direction 1) or down (-1).
on_tick(float price, int direction) =>
    float count = price / tick_size
    float nearest = math.round(count)
    float whole = math.abs(count - nearest) <= 1.0e-12 * nearest ? nearest : direction > 0 ? math.ceil(count) : math.floor(count)
    whole * tick_size
"""
LOT_ROUNDING = """
// Whole lots, rounded down; what comes to none is no position.
quantity := math.floor(quantity / lot_size * (1 + 1.0e-12)) * lot_size
"""
LEVEL_ROUNDING = """stop_level := on_tick(stop_level, -held)
goal_level := on_tick(goal_level, held)
"""


class Commission(NamedTuple):
    """The commission of a script: a kind of ``strategy.commission``, and its value."""

    kind: str
    value: float


def choose_commission(rules: Execution) -> Commission:
    """Choose the commission of the script: per cent as soon as there is any, because slippage is charged with it."""
    percent = _percent(rules.fee_bps, rules.slippage_bps)
    if percent == 0.0 and rules.fee_per_share > 0.0 and not _of_an_order(rules):
        return Commission("cash_per_contract", rules.fee_per_share)
    if percent == 0.0 and _of_an_order(rules):
        return Commission("cash_per_order", _of_an_order(rules))
    return Commission("percent", percent)


def list_uncharged_fees(rules: Execution) -> list[str]:
    """List the fees in money that the script does not charge, in words."""
    kind = choose_commission(rules).kind
    fees = []
    if rules.fee_per_order and kind != "cash_per_order":
        fees.append(f"{rules.fee_per_order:g} an order")
    if rules.fee_per_share and kind != "cash_per_contract":
        fees.append(f"{rules.fee_per_share:g} a share")
    if rules.minimum_fee and kind != "cash_per_order":
        fees.append(f"the minimum of {rules.minimum_fee:g} an order")
    return fees


def render_fill_price(price: str, direction: str, rules: Execution) -> str:
    """Render the Pine expression of the fill price at ``price``, with slippage and on a tick."""
    slipped = f"{price} * (1 + {direction} * slippage_share)"
    return f"on_tick({slipped}, {direction})" if rules.tick_size else slipped


def _of_an_order(rules: Execution) -> float:
    """Return the fee of an order that depends neither on its notional nor on its quantity."""
    return max(rules.fee_per_order, rules.minimum_fee)


def _percent(fee_bps: float, slippage_bps: float) -> float:
    """Return fee and slippage in per cent of the notional, added as decimals: 10 and 2 basis points are exactly 0.12."""
    return float((Decimal(repr(fee_bps)) + Decimal(repr(slippage_bps))) / 100)
