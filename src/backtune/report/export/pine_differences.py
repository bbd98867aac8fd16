"""The differences between a Pine script and the simulation, in words for the comment at its top."""

from __future__ import annotations

from backtune.report.export.pine_execution import choose_commission, list_uncharged_fees
from backtune.spec import Execution

_SIZE = (
    "A quantity is fixed at the close that decides it, from the equity and price there; backtune takes those of the next "
    "open, where both fill. The two agree on bars that open at the close before. TradingView rounds it down to the symbol's "
    "smallest quantity."
)
_BARS = (
    "Averages and positions depend on the first bar of the chart. For the same trades the chart must begin where the data "
    "began, with the same bars; keep to standard candles."
)
_RUIN = (
    "There are no margin calls, as in backtune; where equity reaches zero the script closes at the next open, and backtune "
    "at once."
)
_SLIPPAGE = (
    "Slippage is {:g} basis points of the price; Pine has only ticks. It is charged as commission instead: prices in the "
    "list of trades are without it, levels of stops and quantities are with it."
)
_FIRST_BAR = (
    "In the first bar of a position its levels are those of a fill at the close before, in ticks; from then on they are "
    "exact, to the tick."
)
_BOTH = "A bar that touches both stop and target: Pine guesses from the open which was first; backtune takes the stop."
_TARGET = "A fill at the target pays {:g} basis points as every fill does; in backtune it has no slippage and pays {:g}."
_LEFT_OUT = (
    "The script does not charge {}: Pine takes one kind of commission, per cent, money an order or money a contract. It "
    "earns up to that more than backtune."
)
_REVERSAL = "A reversal is one order in backtune, which pays {:g} once; TradingView may charge the close and the entry each."
_TICKS = (
    "Quantities and levels reckon with fills on ticks of {:g}; the fill itself is at the chart's price, without backtune's "
    "rounding against the order."
)


def list_differences(rules: Execution, *, has_funding: bool) -> list[str]:
    """List the differences under these rules, the most important first."""
    found = [*_fees(rules), _SIZE, *_slippage(rules), *_exits(rules)]
    if rules.tick_size:
        found.append(_TICKS.format(rules.tick_size))
    if has_funding:
        found.append("Funding payments are not in the script.")
    return [*found, _BARS, _RUIN]


def _fees(rules: Execution) -> list[str]:
    found = [_LEFT_OUT.format(" and ".join(fees))] if (fees := list_uncharged_fees(rules)) else []
    commission = choose_commission(rules)
    if commission.kind == "cash_per_order":
        found.append(_REVERSAL.format(commission.value))
    return found


def _slippage(rules: Execution) -> list[str]:
    if not rules.slippage_bps:
        return []
    found = [_SLIPPAGE.format(rules.slippage_bps)]
    if rules.fee_bps:
        product = rules.fee_bps * rules.slippage_bps / 1e8
        found.append(f"The fee on the slippage itself, {product:.2g} of a fill's notional, is left out.")
    return found


def _exits(rules: Execution) -> list[str]:
    has_stop = bool(rules.stop_loss or rules.trailing_stop)
    if not (has_stop or rules.take_profit):
        return []
    found = [_FIRST_BAR]
    if has_stop and rules.take_profit:
        found.append(_BOTH)
    maker = rules.fee_bps if rules.maker_fee_bps is None else rules.maker_fee_bps
    if rules.take_profit and (rules.slippage_bps or maker != rules.fee_bps):
        found.append(_TARGET.format(rules.fee_bps + rules.slippage_bps, maker))
    return found
