"""From the spec's execution section to what the kernel takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from backtune.engine.kernels import Costs
from backtune.spec import Execution, spec_error


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


def costs_of(execution: Execution) -> Costs:
    """Costs as fractions."""
    return Costs(
        initial_cash=execution.initial_cash,
        size=execution.size,
        fee=execution.fee_bps / 10_000,
        slippage=execution.slippage_bps / 10_000,
        allow_short=execution.allow_short,
    )
