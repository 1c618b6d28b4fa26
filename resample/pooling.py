"""torch's max-pooling and max-unpooling on NumPy and CUDA arrays: check the arguments, find the sizes, run a kernel."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from resample import pooling_gpu
from resample.arguments import Ints, check_addressable, integer, per_axis
from resample.arrays import Array, memory_order
from resample.blocks import new_array
from resample.devices import DeviceArray, borrowed
from resample.kernels import entry
from resample.team import in_bands

FLOATS = ("float16", "float32", "float64")
DTYPES = (*FLOATS, "uint8", "int8", "int16", "int32", "int64")


def max_pool1d(
    input: Any,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Return the maxima of windows over one spatial axis, (N, C, W) or (C, W); see `max_pool2d`."""
    return _max_pool(1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool2d(
    input: Any,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Return the maximum of each window: `torch.nn.functional.max_pool2d` on NumPy arrays.

    Window o of an axis holds the samples `o * stride - padding + k * dilation`, k in range(kernel_size), that exist.
    Of equal maxima the first in row-major order counts; a NaN counts as larger than all else, the last NaN most.
    Dilation can step over all samples: such a window gives -inf, or the least integer, and an index out of range.

    NumPy arrays, and arrays of other libraries on the CPU (anything that speaks DLPack, `__array_interface__` or the
    buffer protocol) or on a CUDA device, where the caller's stream does the work and nobody waits for it; results are
    of the caller's kind, new, and C-contiguous or channels-last views as `input` is. They equal torch's CPU results and
    do not depend on the number of threads.

    Args:
        input: (N, C, H, W) or (C, H, W); float16, float32, float64, uint8, int8, int16, int32 or int64; any strides.
            N may be 0.
        kernel_size: samples in a window along an axis; an int for all axes or a sequence of one for each, as all that
            follow. At least 1.
        stride: distance of two windows, at least 1; kernel_size if None.
        padding: how far the first window begins before the first sample; from 0 to kernel_size // 2.
        dilation: distance of two samples of a window, at least 1.
        ceil_mode: an axis of n samples has `(n + 2 * padding - dilation * (kernel_size - 1) - 1) / stride + 1` windows,
            rounded down or, with this, up, though none that begins behind the last sample.
        return_indices: whether to return (maxima, indices), indices being int64 and flat in the H x W plane.

    Raises:
        TypeError: an argument of a type that is not listed.
        RuntimeError: a wrong number of axes, a size, length or number out of range, or no window.
        ValueError: on a CUDA device, a plane of 2**32 values or more.
        NotImplementedError: a dtype that is not listed.
    """
    return _max_pool(2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool3d(
    input: Any,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    dilation: Ints = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """Return the maxima of windows over three spatial axes, (N, C, D, H, W) or (C, D, H, W); see `max_pool2d`."""
    return _max_pool(3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_unpool1d(
    input: Any,
    indices: Any,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    output_size: Sequence[int] | None = None,
) -> Any:
    """Return maxima put back in their places of one spatial axis, (N, C, W) or (C, W); see `max_unpool2d`."""
    return _max_unpool(1, input, indices, kernel_size, stride, padding, output_size)


def max_unpool2d(
    input: Any,
    indices: Any,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    output_size: Sequence[int] | None = None,
) -> Any:
    """Return planes of zeros with values at given indices: `torch.nn.functional.max_unpool2d` on NumPy arrays.

    For each plane `result.flat[indices] = input`, in row-major order: of equal indices the last one counts, for any
    number of threads. kernel_size, stride and padding only set the size of the result; indices are flat in a plane of
    that size. Kinds of arrays and layouts as for `max_pool2d`. On a CUDA device indices that are not in the plane are
    skipped, as an error would have to wait for the device.

    Args:
        input: (N, C, H, W) or (C, H, W); float16, float32 or float64; any strides. N may be 0.
        indices: int64, of the shape of `input` and on the same device.
        kernel_size: an int for all axes or a sequence of one for each, as stride and padding.
        stride: kernel_size if None; at least 1 in 3-D.
        padding: any int.
        output_size: spatial size of the result, or its whole shape with N and C, which are not looked at; less than
            stride away from `(n - 1) * stride + kernel_size - 2 * padding`, which is the size if None.

    Raises:
        TypeError: an argument of a type that is not listed.
        ValueError: an output_size of the wrong length or out of range, a negative size, indices on another device than
            input, or, on a CUDA device, a plane of 2**32 values or more.
        RuntimeError: shapes that do not fit, indices that are not int64 or not in the plane, an empty axis but N.
        NotImplementedError: a dtype of `input` that is not listed.
    """
    return _max_unpool(2, input, indices, kernel_size, stride, padding, output_size)


def max_unpool3d(
    input: Any,
    indices: Any,
    kernel_size: Ints,
    stride: Ints | None = None,
    padding: Ints = 0,
    output_size: Sequence[int] | None = None,
) -> Any:
    """Return maxima put back in their places of three axes, (N, C, D, H, W) or (C, D, H, W); see `max_unpool2d`."""
    return _max_unpool(3, input, indices, kernel_size, stride, padding, output_size)


def _max_pool(
    axes: int,
    input: Any,
    kernel_size: Ints,
    stride: Ints | None,
    padding: Ints,
    dilation: Ints,
    ceil_mode: bool,
    return_indices: bool,
) -> Any:
    array, give_back = borrowed("input", input)
    kernel = per_axis("kernel_size", kernel_size, axes)
    steps = kernel if stride is None else per_axis("stride", stride, axes)
    pads = per_axis("padding", padding, axes)
    dilations = per_axis("dilation", dilation, axes)
    if not isinstance(ceil_mode, bool):
        raise TypeError(f"ceil_mode must be a bool, got {ceil_mode!r}")
    _check_shape(array, axes, array.shape[-1 - axes :])
    for name, values in (("kernel_size", kernel), ("stride", steps), ("dilation", dilations)):
        if not all(1 <= value < 1 << 31 for value in values):
            raise RuntimeError(f"{name} must be from 1 to 2**31 - 1, got {values}")
    if not all(0 <= pad <= k // 2 for pad, k in zip(pads, kernel, strict=True)):
        raise RuntimeError(f"padding must be from 0 to half of kernel_size {kernel}, got {pads}")
    _check_dtype(array, DTYPES)
    size = array.shape[-axes:]
    out = tuple(map(_windows, size, kernel, steps, pads, dilations, [ceil_mode] * axes))
    if min(out) < 1:
        raise RuntimeError(
            f"windows must fit into the padded input: spatial size {size}, kernel_size {kernel}, padding {pads} and "
            f"dilation {dilations} leave {out} windows"
        )
    # an axis that is missing in front has one sample and one window of one
    ones, zeros = (1,) * (3 - axes), (0,) * (3 - axes)
    rows = (ones + size, ones + out, ones + kernel, ones + steps, zeros + pads, ones + dilations)
    order, inner = _order(array, axes)
    home = np.argsort(order)
    if isinstance(array, DeviceArray):
        shape = _ordered((*array.shape[:-axes], *out), order)
        found = pooling_gpu.pooled(array.dense(order), shape, rows, inner, return_indices)
        results = tuple(give_back(each.transpose(home)) for each in found)
        return results if return_indices else results[0]
    src = _dense(array, order)
    if array.dtype == np.float16:  # which the kernel lacks, but every one is a float32
        src = src.astype(np.float32)
    shape = _ordered((*array.shape[:-axes], *out), order)
    maxima, indices = new_array(shape, src.dtype), new_array(shape, np.dtype(np.int64))
    _find(maxima, indices, src, np.array(rows, np.int64), inner)
    if array.dtype == np.float16:
        maxima = maxima.astype(np.float16)
    result = give_back(maxima.transpose(home))
    return (result, give_back(indices.transpose(home))) if return_indices else result


def _windows(n: int, kernel: int, stride: int, padding: int, dilation: int, ceil_mode: bool) -> int:
    """Return how many windows an axis of `n` samples has; less than 1 if it is too short."""
    room = n + 2 * padding - dilation * (kernel - 1) - 1
    if not ceil_mode:
        return room // stride + 1
    last = -(-room // stride)
    return last if last * stride >= n + padding else last + 1


def _find(maxima: Array, indices: Array, src: Array, extent: Array, inner: int) -> None:
    """Write the maxima of the windows of `src` and their indices; `extent` as in `kernels/pooling.py`."""
    if maxima.size == 0:
        return
    least = np.array([-np.inf if src.dtype.kind == "f" else np.iinfo(src.dtype).min], src.dtype)
    value = f"{src.dtype.name}*"
    types = (value, "int64*", value, value, "int64*", "int64", "int64")
    arrays = (maxima, indices, src, least, extent)
    arguments = [entry.address(array) for array in arrays]
    if inner == 1:
        kernel = entry.kernel("pooling", "max_planes", types)
    else:
        kernel = entry.kernel("pooling", "max_channels", (*types, "int64"))
        arguments.append(inner)
    width = int(extent[1, 2])
    cost = maxima.size * math.prod(extent[2].tolist())
    rows = maxima.size // (width * inner)
    in_bands(kernel, arguments, b"", rows, cost)


def _max_unpool(
    axes: int,
    input: Any,
    indices: Any,
    kernel_size: Ints,
    stride: Ints | None,
    padding: Ints,
    output_size: Sequence[int] | None,
) -> Any:
    array, give_back = borrowed("input", input)
    places, _ = borrowed("indices", indices)
    _check_together(array, places)
    kernel = per_axis("kernel_size", kernel_size, axes)
    steps = kernel if stride is None else per_axis("stride", stride, axes)
    pads = per_axis("padding", padding, axes)
    _check_shape(array, axes, array.shape[1:])
    if places.dtype.name != "int64":
        raise RuntimeError(f"indices must be int64, got {places.dtype}")
    if places.shape != array.shape:
        raise RuntimeError(f"indices must have the shape of input, {array.shape}, got {places.shape}")
    if axes == 3 and min(steps) < 1:
        raise RuntimeError(f"stride must be at least 1, got {steps}")
    out = _unpooled_size(array.shape[-axes:], kernel, steps, pads, output_size)
    _check_dtype(array, FLOATS)
    check_addressable((*array.shape[:-axes], *out), array.dtype)
    order, inner = _order(array, axes)
    if isinstance(array, DeviceArray):
        windows = tuple(
            pooling_gpu.Windows(*axis) for axis in zip(array.shape[-axes:], out, kernel, steps, pads, strict=True)
        )
        shape = _ordered((*array.shape[:-axes], *out), order)
        placed = pooling_gpu.placed(array.dense(order), places.beside(array).dense(order), shape, windows, inner)
        return give_back(placed.transpose(np.argsort(order)))
    src = _dense(array, order)
    result = new_array(_ordered((*array.shape[:-axes], *out), order), src.dtype)
    _place(result, src, _dense(places, order), out, inner)
    return give_back(result.transpose(np.argsort(order)))


def _unpooled_size(
    size: tuple[int, ...],
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    output_size: Sequence[int] | None,
) -> tuple[int, ...]:
    axes = len(size)
    usual = tuple((n - 1) * s + k - 2 * p for n, k, s, p in zip(size, kernel, stride, padding, strict=True))
    out = usual
    if output_size is not None:
        if not isinstance(output_size, (list, tuple)):
            raise TypeError(f"output_size must be a sequence of ints or None, got {output_size!r}")
        if len(output_size) not in (axes, axes + 2):
            raise ValueError(f"output_size must have {axes} or {axes + 2} elements, got {output_size!r}")
        out = tuple(integer("output_size", n, "a sequence of ints or None") for n in output_size[-axes:])
        if not all(u - s < n < u + s for n, u, s in zip(out, usual, stride, strict=True)):
            raise ValueError(f"output_size must be less than stride {stride} away from {usual}, got {output_size!r}")
    if min(out) < 0:
        raise ValueError(f"the size of the result must not be negative, got {out}")
    return out


def _place(dst: Array, src: Array, index: Array, out: tuple[int, ...], inner: int) -> None:
    """Write zeros to `dst` and the values of `src` to their places."""
    if dst.size == 0:
        return
    plane = math.prod(out)
    planes = dst.size // plane
    invalid = np.zeros(planes, np.int64)
    unit = f"uint{8 * src.itemsize}*"
    types = (unit, unit, "int64*", "int64*", *("int64",) * 4)
    arrays = (dst, src, index, invalid)
    arguments = [entry.address(array) for array in arrays]
    arguments += [plane, src.size // planes]
    if inner == 1:
        kernel, bands = entry.kernel("pooling", "place_planes", types), planes
    else:
        kernel, bands = entry.kernel("pooling", "place_channels", (*types, "int64", "int64")), inner
        arguments += [inner, planes // inner]
    in_bands(kernel, arguments, b"", bands, dst.size)
    if invalid.any():
        wrong = index[(index < 0) | (index >= plane)][0]
        raise RuntimeError(
            f"indices must be in range({plane}), a plane of the result being {'x'.join(map(str, out))}, got {wrong}"
        )


def _order(array: Array, axes: int) -> tuple[tuple[int, ...], int]:
    """Return the order of axes in which to work, and how many channels lie beside each other in it."""
    batched = array.ndim == axes + 2
    whole = array if batched else array[None]
    order = memory_order(whole.shape, whole.strides)
    inner = array.shape[-1 - axes] if order[-1] == 1 else 1
    return (order if batched else tuple(axis - 1 for axis in order[1:])), inner


def _ordered(shape: tuple[int, ...], order: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(shape[axis] for axis in order)


def _dense(array: Array, order: tuple[int, ...]) -> Array:
    """Return `array` with its axes in `order`, C-contiguous, aligned and in native byte order."""
    return np.require(array.transpose(order), array.dtype.newbyteorder("="), ["C", "A"])


def _check_shape(array: Array, axes: int, filled: tuple[int, ...]) -> None:
    """Check the number of axes, and that those of the sizes `filled` are not empty."""
    if array.ndim not in (axes + 1, axes + 2):
        raise RuntimeError(f"input must have {axes + 1} or {axes + 2} dimensions, got shape {array.shape}")
    if 0 in filled:
        raise RuntimeError(f"only the batch may be empty, got input of shape {array.shape}")


def _check_dtype(array: Array, allowed: tuple[str, ...]) -> None:
    if array.dtype.name not in allowed:
        raise NotImplementedError(f"input must be one of {', '.join(allowed)}, got {array.dtype}")


def _check_together(array: Any, indices: Any) -> None:
    where, other = (
        f"CUDA device {each.origin.device}" if isinstance(each, DeviceArray) else "the CPU" for each in (array, indices)
    )
    if where != other:
        raise ValueError(f"indices must be on the device of input, {where}, got indices on {other}")
