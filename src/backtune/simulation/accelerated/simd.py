"""SIMD for compiled code: four numbers, the lanes, side by side in one vector register.

A recursion waits for its own last value at every bar; four of them side by side wait no longer than one. Loops over
bars, which Numba vectorizes by itself, need none of this. A lane computes what a float64 alone would, to the last
digit, on processors of any width.

Functions that use these instructions are kept in Numba's cache, which does not notice a change of this file: the meaning
of an instruction must never change.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.core.typing.templates import signature
from numba.extending import intrinsic, models, overload, register_model

N_LANES = 4

_NUMBERS = ir.VectorType(ir.DoubleType(), N_LANES)
_ANSWERS = ir.VectorType(ir.IntType(1), N_LANES)
_INDEX = ir.IntType(32)
# Callers leave out the compiler's own argument, of which the decorator's type does not know.
_instruction: Any = intrinsic


class _Lanes(types.Type):
    """The type of lanes in Numba's compiler: numbers, or the truth values of a comparison."""

    def __init__(self, name: str, register: ir.VectorType) -> None:
        super().__init__(name)
        self.register = register


@register_model(_Lanes)
class _Register(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: _Lanes) -> None:
        super().__init__(manager, kind, kind.register)


_numbers = _Lanes("lanes", _NUMBERS)
_answers = _Lanes("answers of lanes", _ANSWERS)


def _operator(symbol: Callable[[Any, Any], Any], build: Callable[..., Any], result: _Lanes) -> None:
    """Let a Python operator between lanes be one instruction."""

    @_instruction
    def between(_typing: Any, left: Any, right: Any) -> Any:
        def generate(_context: Any, builder: ir.IRBuilder, _kinds: Any, values: Any) -> Any:
            return build(builder, *values)

        return signature(result, left, right), generate

    @overload(symbol)
    def of_lanes(left: Any, right: Any) -> Any:
        def call(left: Any, right: Any) -> Any:
            return between(left, right)

        return call if left is _numbers and right is _numbers else None


_operator(operator.add, ir.IRBuilder.fadd, _numbers)
_operator(operator.sub, ir.IRBuilder.fsub, _numbers)
_operator(operator.mul, ir.IRBuilder.fmul, _numbers)
_operator(operator.lt, lambda builder, *values: builder.fcmp_ordered("<", *values), _answers)
_operator(operator.gt, lambda builder, *values: builder.fcmp_ordered(">", *values), _answers)
_operator(operator.eq, lambda builder, *values: builder.fcmp_ordered("==", *values), _answers)


@_instruction
def lanes(_typing: Any, number: Any) -> Any:
    """Return lanes that all hold the same number."""

    def generate(_context: Any, builder: ir.IRBuilder, _kinds: Any, values: Any) -> Any:
        nothing = ir.Constant(_NUMBERS, ir.Undefined)
        first = builder.insert_element(nothing, values[0], _INDEX(0))
        return builder.shuffle_vector(
            first, nothing, ir.Constant(ir.VectorType(_INDEX, N_LANES), [0] * N_LANES)
        )

    return signature(_numbers, number), generate


@_instruction
def load(_typing: Any, array: Any, first: Any) -> Any:
    """Return the elements of a contiguous float64 array from ``first`` on as lanes."""

    def generate(context: Any, builder: ir.IRBuilder, kinds: Any, values: Any) -> Any:
        place = _address(context, builder, kinds, values)
        return builder.load(builder.bitcast(place, _NUMBERS.as_pointer()), align=8)

    return signature(_numbers, array, first), generate


@_instruction
def unpack_lanes(_typing: Any, value: Any) -> Any:
    """Return the numbers of the lanes as a tuple."""

    def generate(context: Any, builder: ir.IRBuilder, kinds: Any, values: Any) -> Any:
        numbers = [builder.extract_element(values[0], _INDEX(lane)) for lane in range(N_LANES)]
        return context.make_tuple(builder, kinds.return_type, numbers)

    return signature(types.UniTuple(types.float64, N_LANES), value), generate


@_instruction
def store_sides(_typing: Any, array: Any, first: Any, value: Any) -> Any:
    """Store lanes of -1, 0 and 1 in a contiguous int8 array from ``first`` on."""

    def generate(context: Any, builder: ir.IRBuilder, kinds: Any, values: Any) -> Any:
        sides = ir.VectorType(ir.IntType(8), N_LANES)
        place = builder.bitcast(_address(context, builder, kinds, values), sides.as_pointer())
        builder.store(builder.fptosi(values[2], sides), place, align=1)
        return context.get_dummy_value()

    return signature(types.none, array, first, value), generate


def _address(context: Any, builder: ir.IRBuilder, kinds: Any, values: Any) -> Any:
    """Return the address of an element of a contiguous array."""
    array = cgutils.create_struct_proxy(kinds.args[0])(context, builder, values[0])
    return builder.gep(array.data, [values[1]])


@_instruction
def magnitude(_typing: Any, value: Any) -> Any:
    """Return the absolute value of every lane."""

    def generate(_context: Any, builder: ir.IRBuilder, _kinds: Any, values: Any) -> Any:
        kind = ir.FunctionType(_NUMBERS, [_NUMBERS])
        size = cgutils.get_or_insert_function(builder.module, kind, f"llvm.fabs.v{N_LANES}f64")
        return builder.call(size, values)

    return signature(_numbers, value), generate


@_instruction
def select(_typing: Any, answers: Any, yes: Any, no: Any) -> Any:
    """Return, lane by lane, one number or the other by the outcome of a comparison."""

    def generate(_context: Any, builder: ir.IRBuilder, _kinds: Any, values: Any) -> Any:
        return builder.select(*values)

    return signature(_numbers, answers, yes, no), generate


@njit(cache=True)
def split_lanes(together: np.ndarray, out: np.ndarray) -> None:
    """Copy (n * N_LANES,) int8, in which the lanes of a bar lie side by side, to (N_LANES, n)."""
    a, b, c, d = out[0], out[1], out[2], out[3]
    for i in range(len(a)):
        a[i], b[i] = together[N_LANES * i], together[N_LANES * i + 1]
        c[i], d[i] = together[N_LANES * i + 2], together[N_LANES * i + 3]
