"""The vocabulary of the kernels that Python has no word for, as Numba intrinsics of a few lines of LLVM IR each."""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload


@intrinsic
def fma(typing_context, a, b, c):
    """Return `a * b + c` with one rounding, for three floats of one type."""

    def emit(context, builder, signature, arguments):
        return builder.fma(*arguments)

    return c(c, c, c), emit


def multiply_add(a, b, total):
    """Return `a * b + total` in the type of `total`: fused for floats, exact in int32 for integers."""


@overload(multiply_add)
def _multiply_add(a, b, total):
    if isinstance(total, types.Float):
        return lambda a, b, total: fma(a, b, total)
    return lambda a, b, total: types.int32(total + types.int32(a) * types.int32(b))


def first_total(weight, precision):
    """Return what a sum of products starts from: minus zero for floats, one half in units of 2**-precision else."""


@overload(first_total)
def _first_total(weight, precision):
    if isinstance(weight.dtype, types.Float):
        zero = weight.dtype(-0.0)  # the neutral element: +0 would turn a row of -0 into +0
        return lambda weight, precision: zero
    return lambda weight, precision: types.int32((1 << precision) >> 1)


def rounded(total, precision):
    """Return a finished sum as a value of the output: unchanged for floats, shifted and clamped to a byte else."""


@overload(rounded)
def _rounded(total, precision):
    if isinstance(total, types.Float):
        return lambda total, precision: total

    def to_byte(total, precision):
        level = total >> types.int32(precision)
        return types.uint8(0 if level < 0 else (255 if level > 255 else level))

    return to_byte


@intrinsic(prefer_literal=True)
def totals(typing_context, weight, length):
    """Return a stack buffer for `length` (a literal) running sums of products with weights of this pointer's type."""
    element = weight.dtype if isinstance(weight.dtype, types.Float) else types.int32

    def emit(context, builder, signature, arguments):
        kind = context.get_data_type(element)
        with builder.goto_entry_block():
            buffer = builder.alloca(ir.ArrayType(kind, length.literal_value))
        return builder.bitcast(buffer, kind.as_pointer())

    return types.CPointer(element)(weight, length), emit
