"""The costs that the kernel takes, from the execution section of the spec."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from pydantic import ValidationError

from backtune.simulation.types import Costs, OrderTerms
from backtune.spec import DISTANCES, Execution, to_spec_error

_DISTANCES = frozenset(DISTANCES)


def parse_execution(execution: Execution | Mapping[str, Any] | None) -> Execution:
    """Return an :class:`Execution` from one, from a mapping with the spec's keys, or from None (the defaults).

    Raises:
        SpecError: A key is unknown or a value impossible.
    """
    if isinstance(execution, Execution):
        return execution
    try:
        return Execution.model_validate(dict(execution or {}))
    except ValidationError as error:
        raise to_spec_error(error, Execution, "execution") from None


def split_params(params: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Split a candidate's parameters into those of the strategy and the distances of its stops."""
    if _DISTANCES.isdisjoint(params):
        return dict(params), {}
    own = {name: value for name, value in params.items() if name not in DISTANCES}
    return own, {name: value for name, value in params.items() if name in DISTANCES}


def build_costs(execution: Execution) -> Costs:
    """Build the costs of an execution: fractions, with 0 for a distance that is not used.

    Raises:
        SpecError: A distance is still a range.
    """
    fixed = execution.with_distances({})
    fee = fixed.fee_bps / 10_000
    return Costs(
        initial_cash=fixed.initial_cash,
        size=fixed.size,
        fee=fee,
        maker_fee=fee if fixed.maker_fee_bps is None else fixed.maker_fee_bps / 10_000,
        slippage=fixed.slippage_bps / 10_000,
        **{name: float(getattr(fixed, name) or 0.0) for name in DISTANCES},
        terms=_build_terms(fixed),
    )


def _build_terms(execution: Execution) -> OrderTerms | None:
    """Build the terms of orders; None where there are rates alone."""
    fees = (execution.minimum_fee, execution.fee_per_order, execution.fee_per_share)
    if not any(fees) and execution.lot_size is None and execution.tick_size is None:
        return None
    return OrderTerms(*fees, *_split_decimal(execution.lot_size), *_split_decimal(execution.tick_size))


def _split_decimal(increment: float | None) -> tuple[float, float]:
    """Return numerator and denominator of the decimal that was written: 0.01 is 1 / 100; (0, 1) for None."""
    exact = Fraction(repr(increment or 0.0))
    return float(exact.numerator), float(exact.denominator)
