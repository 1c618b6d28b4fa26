"""torch's pixel shuffle and unshuffle on NumPy arrays: between channels and pixels, without arithmetic."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from resample.arguments import integer
from resample.arrays import Array, memory_order
from resample.blocks import new_array
from resample.devices import DeviceArray, borrowed, rearranged
from resample.kernels import entry
from resample.kernels.cpu import goes_past, staging_bytes
from resample.kernels.sizes import VECTOR
from resample.team import in_bands

DTYPES = (
    *("float16", "float32", "float64"),
    *("uint8", "int8", "int16", "int32", "int64"),
    *("bool", "complex64", "complex128"),
)

# rows that are woven into one past the caches, as the kernel has vectors for them
_MOST_STAGED = 4

_KINDS = frozenset((np.dtype(name).kind, np.dtype(name).itemsize) for name in DTYPES)

# opaque values of so many bytes, as the kernel moves them
_UNITS = {1: "uint8", 2: "uint16", 4: "uint32", 8: "uint64", 16: "complex128"}


def pixel_shuffle(input: Any, upscale_factor: int) -> Any:
    """Return groups of r * r channels as blocks of r x r pixels: `torch.nn.functional.pixel_shuffle` on NumPy arrays.

    With r the factor, `result[..., c, h * r + i, w * r + j] = input[..., c * r * r + i * r + j, h, w]`. NumPy arrays,
    and arrays of other libraries, on the CPU and on GPUs, as for `interpolate`; the result is of the caller's kind. It
    is always a new array: C-contiguous, or a channels-last view where `input` is one.

    Args:
        input: (..., C * r * r, H, W) with any number of leading axes; float16, float32, float64, uint8, int8, int16,
            int32, int64, bool, complex64 or complex128; any strides. Any size may be 0.
        upscale_factor: r, at least 1.

    Raises:
        TypeError: an argument of a type that is not listed.
        RuntimeError: fewer than 3 axes, a factor less than 1, or channels that r * r does not divide.
        ValueError: a factor whose square is not an int64.
        NotImplementedError: a dtype that is not listed.
    """
    array, give_back = borrowed("input", input)
    r = _factor("upscale_factor", upscale_factor)
    if r * r >= 1 << 63:
        raise ValueError(f"upscale_factor must have a square below 2**63, got {r}")
    _check(array)
    *lead, channels, height, width = array.shape
    if channels % (r * r):
        raise RuntimeError(f"upscale_factor ** 2 = {r * r} must divide the channels, got input of shape {array.shape}")
    n, c = math.prod(lead), channels // (r * r)
    src = array.reshape(n, channels, height, width)
    order = memory_order(src.shape, src.strides)
    channelwise = src.reshape(n, c, r, r, height, width).transpose(0, 1, 4, 2, 5, 3)
    shape = (n, c, height * r, width * r)
    if isinstance(src, DeviceArray):
        dst: Any = _rearranged(channelwise, shape, order)
    else:
        dst = _empty(shape, array.dtype, order)
        _rearrange(dst.reshape(n, c, height, r, width, r), channelwise, order)
    return give_back(dst.reshape(*lead, *shape[1:]))


def pixel_unshuffle(input: Any, downscale_factor: int) -> Any:
    """Return blocks of r x r pixels as r * r channels: `torch.nn.functional.pixel_unshuffle` on NumPy arrays.

    The inverse of `pixel_shuffle`: `result[..., c * r * r + i * r + j, h, w] = input[..., c, h * r + i, w * r + j]`.
    Kinds of arrays and layouts as there. Where a size is 0 the result has the shape that this rule gives; torch 2.13
    returns the shape of `input` for r > 1.

    Args:
        input: (..., C, H * r, W * r) with any number of leading axes; dtypes and strides as for `pixel_shuffle`.
        downscale_factor: r, at least 1.

    Raises:
        TypeError: an argument of a type that is not listed.
        RuntimeError: fewer than 3 axes, a factor less than 1, or a height or width that r does not divide.
        NotImplementedError: a dtype that is not listed.
    """
    array, give_back = borrowed("input", input)
    r = _factor("downscale_factor", downscale_factor)
    _check(array)
    *lead, c, height, width = array.shape
    if height % r or width % r:
        raise RuntimeError(f"downscale_factor = {r} must divide height and width, got input of shape {array.shape}")
    n, height, width = math.prod(lead), height // r, width // r
    src = array.reshape(n, c, height * r, width * r)
    order = memory_order(src.shape, src.strides)
    phases = src.reshape(n, c, height, r, width, r)
    shape = (n, c * r * r, height, width)
    if isinstance(src, DeviceArray):
        dst: Any = _rearranged(phases.transpose(0, 1, 3, 5, 2, 4), shape, order)
    else:
        dst = _empty(shape, array.dtype, order)
        channelwise = dst.reshape(n, c, r, r, height, width).transpose(0, 1, 4, 2, 5, 3)
        _rearrange(channelwise, phases, order)
    return give_back(dst.reshape(*lead, *shape[1:]))


def _factor(name: str, value: Any) -> int:
    factor = integer(name, value)
    if factor < 1:
        raise RuntimeError(f"{name} must be at least 1, got {factor}")
    return factor


def _check(array: Array) -> None:
    if array.ndim < 3:
        raise RuntimeError(f"input must have at least 3 dimensions, got shape {array.shape}")
    if (array.dtype.kind, array.dtype.itemsize) not in _KINDS:
        raise NotImplementedError(f"input must be one of {', '.join(DTYPES)}, got {array.dtype}")


def _empty(shape: tuple[int, ...], dtype: np.dtype[Any], order: tuple[int, ...]) -> Array:
    """Return a new array whose axes lie in memory in the order `order`."""
    memory: Array = new_array(tuple(shape[axis] for axis in order), dtype, lined=True)
    if order == (0, 1, 2, 3):
        return memory
    return np.asarray(memory.transpose(np.argsort(order)))


def _rearranged(view: DeviceArray, shape: tuple[int, ...], order: tuple[int, ...]) -> DeviceArray:
    """Return six axes of a device as `shape`, (N, C, H, W), copied so that its axes lie in memory in the order `order`.

    The six are n, then two or three of channels, the height and the width each: as many as have the right length.
    """
    if order == (0, 1, 2, 3):
        return rearranged(view).reshape(*shape)
    # channels last
    split = 2 if view.shape[1] == shape[1] else 4
    axes = (0, *range(split, 6), *range(1, split))
    return rearranged(view.transpose(axes)).reshape(shape[0], *shape[2:], shape[1]).transpose(0, 3, 1, 2)


def _rearrange(dst: Array, src: Array, order: tuple[int, ...]) -> None:
    """Copy `src` to `dst`, both strided views with the axes n, c, h, i, w, j."""
    if order != (0, 1, 2, 3):  # channels last: they are the longest run of neighbours in memory
        dst, src = (view.transpose(0, 2, 3, 4, 1, 5) for view in (dst, src))
    size = dst.itemsize
    if dst.size == 0:
        return
    if dst.shape[-1] == 1 or not src.flags.aligned or any(stride % size for stride in src.strides):
        dst[...] = src
        return
    pointer = f"{_UNITS[size]}*"
    tables = np.array([src.shape, [n // size for n in dst.strides], [n // size for n in src.strides]], np.int64)
    types = (pointer, pointer, "int64*", "int64*", "int64*", pointer, "int64", "int64")
    kernel = entry.kernel("shuffle", "rearrange", types)
    table = entry.address(tables)
    places = [entry.address(dst), entry.address(src), *range(table, table + tables.nbytes, tables.strides[0])]
    rows = math.prod(src.shape[:4])
    # strides[-3] are the bytes of a row
    is_staged = dst.shape[-1] <= _MOST_STAGED and dst.strides[-3] >= VECTOR and dst.flags.c_contiguous
    is_staged = is_staged and goes_past(src.nbytes, dst.nbytes)
    in_bands(kernel, places, b"", rows, src.size, (staging_bytes(dst) if is_staged else 0,))
