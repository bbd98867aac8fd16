"""From the spec's execution section to what the kernel takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from backtune.engine.types import Costs
from backtune.spec import DISTANCES, Execution, spec_error

_DISTANCES = frozenset(DISTANCES)


def as_execution(execution: Execution | Mapping[str, Any] | None) -> Execution:
    """An :class:`Execution` from one, from a mapping with the spec's keys, or from nothing (the defaults).

    Raises:
        SpecError: a key is unknown or a value impossible.
    """
    if isinstance(execution, Execution):
        return execution
    try:
        return Execution.model_validate(dict(execution or {}))
    except ValidationError as error:
        raise spec_error(error, Execution, "execution") from None


def split_params(params: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """A candidate's parameters: the strategy's own, and the distances of its stops."""
    if _DISTANCES.isdisjoint(params):
        return dict(params), {}
    own = {name: value for name, value in params.items() if name not in DISTANCES}
    return own, {name: value for name, value in params.items() if name in DISTANCES}


def costs_of(execution: Execution) -> Costs:
    """What the kernel takes: fractions, with 0 for a distance that is not used.

    Raises:
        SpecError: a distance is still a range.
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
    )
