"""Blocks of running sums, some vectors for each of some channels: the intrinsics of the transposed convolution.

Numba has no arrays of vectors. A block is memory on the stack with literal indices, which LLVM keeps in registers.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from resample.kernels.simd import fused, spread_over
from resample.kernels.sizes import VECTOR


def _vector(context, element):
    return ir.VectorType(context.get_data_type(element), VECTOR * 8 // element.bitwidth)


def _place(builder, kind, pointer, index):
    return builder.gep(builder.bitcast(pointer, kind.as_pointer()), [index])


def _constant(index):
    return ir.Constant(ir.IntType(64), index)


@intrinsic(prefer_literal=True)
def block(typing_context, source, channels, vectors):
    """Return a block of running sums, which LLVM keeps in registers: `vectors` vectors for each channel."""

    def emit(context, builder, signature, arguments):
        size = channels.literal_value * vectors.literal_value
        with builder.goto_entry_block():
            sums = builder.alloca(ir.ArrayType(_vector(context, source.dtype), size))
        return builder.bitcast(sums, context.get_data_type(source.dtype).as_pointer())

    return source(source, channels, vectors), emit


@intrinsic(prefer_literal=True)
def begin(typing_context, sums, values, channels, vectors):
    """Set the sums of channel c to `values[c]`."""

    def emit(context, builder, signature, arguments):
        kind = _vector(context, sums.dtype)
        for c in range(channels.literal_value):
            value = builder.load(builder.gep(arguments[1], [_constant(c)]))
            for v in range(vectors.literal_value):
                at = _constant(c * vectors.literal_value + v)
                builder.store(spread_over(builder, value, kind.count), _place(builder, kind, arguments[0], at))
        return context.get_dummy_value()

    return types.void(sums, values, channels, vectors), emit


@intrinsic(prefer_literal=True)
def accumulate(typing_context, sums, samples, weights, channels, vectors):
    """Add `weights[c] * samples[...]` to the sums of channel c, with one rounding."""

    def emit(context, builder, signature, arguments):
        kind, align = _vector(context, sums.dtype), sums.dtype.bitwidth // 8
        loads = [
            builder.load(_place(builder, kind, arguments[1], _constant(v)), align=align)
            for v in range(vectors.literal_value)
        ]
        for c in range(channels.literal_value):
            weight = spread_over(builder, builder.load(builder.gep(arguments[2], [_constant(c)])), kind.count)
            for v, sample in enumerate(loads):
                place = _place(builder, kind, arguments[0], _constant(c * vectors.literal_value + v))
                if isinstance(sums.dtype, types.Float):
                    total = fused(builder, sample, weight, builder.load(place))
                else:
                    total = builder.add(builder.mul(sample, weight), builder.load(place))
                builder.store(total, place)
        return context.get_dummy_value()

    return types.void(sums, samples, weights, channels, vectors), emit


@intrinsic(prefer_literal=True)
def resume(typing_context, sums, at, pitch, channels, vectors):
    """Add `at[c * pitch ...]`, which an earlier `finish` wrote, to the sums of channel c."""

    def emit(context, builder, signature, arguments):
        kind, align = _vector(context, sums.dtype), sums.dtype.bitwidth // 8
        add = builder.fadd if isinstance(sums.dtype, types.Float) else builder.add
        for c in range(channels.literal_value):
            row = builder.gep(arguments[1], [builder.mul(arguments[2], _constant(c))])
            for v in range(vectors.literal_value):
                place = _place(builder, kind, arguments[0], _constant(c * vectors.literal_value + v))
                earlier = builder.load(_place(builder, kind, row, _constant(v)), align=align)
                builder.store(add(earlier, builder.load(place)), place)
        return context.get_dummy_value()

    return types.void(sums, at, pitch, channels, vectors), emit


@intrinsic(prefer_literal=True)
def finish(typing_context, sums, to, pitch, channels, vectors):
    """Write the sums of channel c to `to[c * pitch ...]`."""

    def emit(context, builder, signature, arguments):
        kind, align = _vector(context, sums.dtype), sums.dtype.bitwidth // 8
        for c in range(channels.literal_value):
            row = builder.gep(arguments[1], [builder.mul(arguments[2], _constant(c))])
            for v in range(vectors.literal_value):
                at = _constant(c * vectors.literal_value + v)
                total = builder.load(_place(builder, kind, arguments[0], at))
                builder.store(total, _place(builder, kind, row, _constant(v)), align=align)
        return context.get_dummy_value()

    return types.void(sums, to, pitch, channels, vectors), emit


@intrinsic
def after(typing_context, pointer, index):
    """Return `pointer + index`."""

    def emit(context, builder, signature, arguments):
        return builder.gep(arguments[0], [arguments[1]])

    return pointer(pointer, types.int64), emit


@intrinsic
def lanes(typing_context, pointer):
    """Return how many values of this pointer's type a vector holds."""
    count = VECTOR * 8 // pointer.dtype.bitwidth

    def emit(context, builder, signature, arguments):
        return _constant(count)

    return types.int64(pointer), emit
