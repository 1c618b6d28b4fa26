"""torch's `interpolate` on NumPy arrays: check the arguments, plan one table an axis, apply."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from resample import coordinates, filters, taps
from resample.apply import apply, planned, run
from resample.arguments import check_addressable, integer, keyed
from resample.arrays import Array, is_channels_last, memory_order
from resample.devices import DeviceArray, borrowed, dense_strides, downloaded, rearranged, uploaded
from resample.filters import Filter
from resample.kernels.cpu import Pass
from resample.kernels.cuda import passes
from resample.taps import Taps

Size = int | Sequence[int]
Factor = float | Sequence[float]

FLOAT32, FLOAT64 = np.dtype(np.float32), np.dtype(np.float64)
FLOATS = ("float16", "float32", "float64")


class Axis(NamedTuple):
    """All that the table of one axis depends on, and so the key under which it is kept for the next call."""

    mode: str
    n_in: int
    n_out: int
    factor: float | None
    align_corners: bool
    antialias: bool
    dtype: str
    packed: bool  # torch's kernel for channels-last data, whose roundings differ: `coordinates.uses_packed_kernel`

    @property
    def precise(self) -> np.dtype[Any]:
        """The type of coordinates and weights: float64 where torch takes double, else float32."""
        weighted_bytes = self.dtype == "uint8" and not MODES[self.mode].copies
        return FLOAT64 if self.dtype == "float64" or weighted_bytes else FLOAT32


def _nearest(axis: Axis) -> Taps:
    index = coordinates.nearest(axis.n_in, axis.n_out, axis.factor, axis.precise, axis.packed)
    return taps.selecting(index, axis.n_in)


def _nearest_exact(axis: Axis) -> Taps:
    index = coordinates.nearest_exact(axis.n_in, axis.n_out, axis.factor, axis.precise, axis.packed)
    return taps.selecting(index, axis.n_in)


def _area(axis: Axis) -> Taps:
    return taps.averaging(axis.n_in, axis.n_out)


def _filtered(axis: Axis) -> Taps | None:
    """Return the table of a mode with a filter, or None where torch leaves an axis of unchanged size alone."""
    mode = MODES[axis.mode]
    same_size = axis.n_in == axis.n_out
    if axis.antialias:
        assert mode.antialias_filter is not None
        if same_size:
            return None
        if axis.align_corners:
            # torch changes only the step here: corners do not align
            step = coordinates.corner_step(axis.n_in, axis.n_out, axis.precise)
        else:
            step = coordinates.step(axis.n_in, axis.n_out, axis.factor, axis.precise)
        table = taps.antialiased(axis.n_in, axis.n_out, step, mode.antialias_filter)
    else:
        assert mode.filter is not None
        linear = mode.filter.radius == 1
        if same_size and (linear or axis.dtype == "uint8"):
            return None
        if axis.align_corners:
            positions = coordinates.align_corners(axis.n_in, axis.n_out, axis.precise)
        else:
            positions = coordinates.half_pixel(axis.n_in, axis.n_out, axis.factor, axis.precise)
        if linear:
            positions = np.maximum(positions, 0)
        in_half = axis.dtype == "float16" and not (linear and axis.packed)
        table = taps.interpolating(positions, axis.n_in, mode.filter, in_half=in_half)
    return taps.quantised(table) if axis.dtype == "uint8" else table


class Mode(NamedTuple):
    """A row of MODES."""

    ndims: tuple[int, ...]
    """Numbers of spatial axes that it works on."""
    build: Callable[[Axis], Taps | None]
    dtypes: tuple[str, ...]
    filter: Filter | None = None
    antialias_filter: Filter | None = None
    aligns: bool = True
    """Whether it takes align_corners."""
    copies: bool = False
    """Whether it only copies samples."""

    @property
    def only_antialiased(self) -> bool:
        """Whether it exists only with antialias."""
        return self.antialias_filter is not None and self.filter is None


MODES = {
    "nearest": Mode((1, 2, 3), _nearest, (*FLOATS, "uint8"), aligns=False, copies=True),
    "nearest-exact": Mode((1, 2, 3), _nearest_exact, (*FLOATS, "uint8"), aligns=False, copies=True),
    "linear": Mode((1,), _filtered, FLOATS, filters.TRIANGLE),
    "bilinear": Mode((2,), _filtered, (*FLOATS, "uint8"), filters.TRIANGLE, filters.TRIANGLE),
    "bicubic": Mode((2,), _filtered, (*FLOATS, "uint8"), filters.CUBIC, filters.CUBIC_ANTIALIAS),
    "trilinear": Mode((3,), _filtered, FLOATS, filters.TRIANGLE),
    "lanczos": Mode((2,), _filtered, (*FLOATS, "uint8"), None, filters.LANCZOS3),
    "area": Mode((1, 2, 3), _area, FLOATS, aligns=False),
}


@lru_cache(maxsize=256)
def plan(axis: Axis) -> Taps | None:
    """Return the table of one axis, or None where the axis stays as it is."""
    return MODES[axis.mode].build(axis)


def interpolate(
    input: Any,
    size: Size | None = None,
    scale_factor: Factor | None = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
    recompute_scale_factor: bool | None = None,
    antialias: bool = False,
) -> Any:
    """Return `input` resampled to a size or by a factor: `torch.nn.functional.interpolate` on NumPy arrays.

    NumPy arrays, and arrays of other libraries: on the CPU anything that speaks DLPack, `__array_interface__` or the
    buffer protocol; on NVIDIA GPUs torch and CuPy arrays and what has `__cuda_array_interface__` or DLPack, worked on
    where they are, on the caller's stream. The result is of the caller's kind.

    uint8 results and those of the nearest modes equal torch's CPU results byte for byte; other results agree within
    rounding. A channels-last view (the transpose of an N x H x W x C array) is worked on as it lies in memory and
    comes back as such a view; every other result is C-contiguous. The result is always a new array.

    Args:
        input: (N, C, W), (N, C, H, W) or (N, C, D, H, W); float16, float32, float64 or, for the nearest modes and the
            2-D ones with a filter, uint8; any strides. N may be 0.
        size: output size of the spatial axes, or one int for all.
        scale_factor: multiplier of the spatial sizes, or one for all; sizes are truncated, `int(n * scale_factor)`.
            Exactly one of size and scale_factor is given.
        mode: "nearest", "nearest-exact" or "area" on 1 to 3 spatial axes, "linear" on 1, "bilinear", "bicubic" or
            "lanczos" (only with antialias) on 2, "trilinear" on 3.
        align_corners: True puts the corner samples of both grids on each other; False, the default, the corners of
            their cells. Only for modes with a filter (not nearest, nearest-exact, area).
        recompute_scale_factor: True takes coordinates from the ratio of sizes, as if `size` had been given; otherwise
            a scale_factor itself sets them, though the output size was truncated.
        antialias: stretch the filter where an axis shrinks; 2-D, modes bilinear, bicubic and lanczos, not float16.

    Raises:
        TypeError: an argument of a type that is not listed.
        ValueError: arguments that exclude each other or of the wrong length.
        RuntimeError: a size, of the input or computed, less than 1, a result that no memory could hold, or no channels.
        NotImplementedError: a mode or dtype that is not listed for this number of axes.
    """
    array, give_back = borrowed("input", input)
    like = _Like(array.shape, array.dtype, isinstance(array, np.ndarray) and array.flags.c_contiguous)
    rest = (mode, align_corners, recompute_scale_factor, antialias)
    try:
        sizes, factors, steps = _settled(like, *keyed(size, scale_factor), *rest)
    except TypeError:  # of a wrong type, or of one that cannot be a key
        sizes, factors, steps = _settled.__wrapped__(like, size, scale_factor, None, *rest)
    if steps is not None:
        return give_back(run(array, steps))
    return give_back(resampled(array, sizes, factors, mode, bool(align_corners), bool(antialias)))


class _Like(NamedTuple):
    """What checks and plans ask of an input."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    is_dense: bool
    """Whether it is a C-contiguous array on the CPU."""

    @property
    def ndim(self) -> int:
        return len(self.shape)


@lru_cache(maxsize=256, typed=True)
def _settled(
    input: _Like,
    size: Size | None,
    scale_factor: Factor | None,
    types: Any,
    mode: str,
    align_corners: bool | None,
    recompute_scale_factor: bool | None,
    antialias: bool,
) -> tuple[tuple[int, ...], tuple[float | None, ...], list[Pass] | None]:
    """Return sizes and factors as `_sizes` does, of arguments that are checked once for all calls that are alike.

    And the passes of a C-contiguous array, or None where `resampled` must copy or widen it.
    """
    sizes, factors = _sizes(input, size, scale_factor, mode, align_corners, recompute_scale_factor)
    _check_mode(input, mode, align_corners, antialias)
    _check_sizes(input, sizes, mode)
    _check_dtype(input, sizes, mode, antialias)
    check_addressable((*input.shape[:2], *sizes), input.dtype)
    if not (input.is_dense and input.dtype.isnative):
        return sizes, factors, None
    strides, flags = dense_strides(input.shape, input.dtype), (bool(align_corners), bool(antialias))
    call = _planned(input.shape, strides, input.dtype, sizes, factors, mode, *flags)
    direct = call.order == tuple(range(input.ndim)) and not call.in_half
    return sizes, factors, planned(input.shape, input.dtype, tuple(call.tables.items())) if direct else None


def resampled(
    input: Any,
    sizes: tuple[int, ...],
    factors: tuple[float | None, ...],
    mode: str,
    align_corners: bool,
    antialias: bool,
    device: int | None = None,
    out: Array | None = None,
) -> Any:
    """Return `input` of shape (N, C, *spatial) resampled to `sizes`; arguments are taken as checked.

    A DeviceArray is resampled where it is, a NumPy array on the CPU, or on the GPU of number `device`. `out` is written
    and returned if given: the shape and dtype of the result, no memory in common with `input`.
    """
    dtype = input.dtype.newbyteorder("=")
    if device is not None and isinstance(input, np.ndarray):
        native = uploaded(input.astype(dtype, copy=False), device)
        result = downloaded(resampled(native, sizes, factors, mode, align_corners, antialias))
        return result if out is None else _written(out, result)
    call = _planned(input.shape, input.strides, dtype, sizes, factors, mode, align_corners, antialias)
    if isinstance(input, DeviceArray):
        view = input.dense(call.order)
        steps = passes.planned(view.shape, dtype, tuple(call.tables.items()), input.origin.device)
        return (view.run(steps) if steps else rearranged(view)).transpose(call.home)
    dense = input.transpose(call.order)
    if not dense.flags.c_contiguous or dense.dtype != dtype:
        dense = np.ascontiguousarray(dense, dtype)
    if out is not None and not call.in_half and dtype == out.dtype and out.transpose(call.order).flags.c_contiguous:
        apply(dense, call.tables, out.transpose(call.order))
        return out
    # sums of float16 are kept in float32 and rounded once
    result = apply(dense.astype(np.float32), call.tables).astype(dtype) if call.in_half else apply(dense, call.tables)
    result = np.asarray(result.transpose(call.home))
    return result if out is None else _written(out, result)


def _written(out: Array, result: Array) -> Array:
    out[...] = result
    return out


class _Call(NamedTuple):
    order: tuple[int, ...]
    """The axes of the array, as they lie in memory."""
    home: tuple[int, ...]
    """The inverse of `order`."""
    tables: dict[int, Taps]
    """By axis in memory; axes that stay as they are have none."""
    in_half: bool


@lru_cache(maxsize=256)
def _planned(
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    dtype: np.dtype[Any],
    sizes: tuple[int, ...],
    factors: tuple[float | None, ...],
    mode: str,
    align_corners: bool,
    antialias: bool,
) -> _Call:
    last = is_channels_last(shape, strides, dtype.itemsize)
    # other modes compute the same in both of torch's kernels
    kernels_differ = MODES[mode].copies or dtype == np.float16
    packed = kernels_differ and coordinates.uses_packed_kernel(sizes, last, shape[1])
    order = memory_order(shape, strides)
    tables = {}
    for k, (n_in, n_out, factor) in enumerate(zip(shape[2:], sizes, factors, strict=True)):
        table = plan(Axis(mode, n_in, n_out, factor, align_corners, antialias, dtype.name, packed))
        if table is not None:
            tables[order.index(2 + k)] = table
    home = tuple(order.index(axis) for axis in range(len(order)))
    in_half = dtype == np.float16 and not all(table.selects for table in tables.values())
    return _Call(order, home, tables, in_half)


def image_passes(
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    sizes: tuple[int, int],
    factors: tuple[float | None, float | None],
    mode: str,
    align_corners: bool,
    antialias: bool,
) -> list[Pass] | None:
    """Return the passes that resample C-contiguous images of this shape, (height, width) or (height, width, channels).

    Or None where `resampled` must copy the pixels, or widen them.
    """
    height, width = shape[:2]
    channels, pixel = math.prod(shape[2:]), dtype.itemsize * math.prod(shape[2:])
    # of the (1, C, H, W) view that `picture.planes` makes; of axes that NumPy puts in they are 0
    strides = (0, dtype.itemsize if len(shape) == 3 else 0, width * pixel, pixel)
    call = _planned((1, channels, height, width), strides, dtype, sizes, factors, mode, align_corners, antialias)
    last = call.order == (0, 2, 3, 1)
    if call.in_half or not dtype.isnative or not (last or channels == 1):
        return None
    dense = (1, height, width, channels) if last else (1, channels, height, width)
    steps = planned(dense, dtype, tuple(call.tables.items()))
    return [*steps[:-1], *(step._replace(shape=(*sizes, *shape[2:])) for step in steps[-1:])]


def _sizes(
    input: _Like,
    size: Size | None,
    scale_factor: Factor | None,
    mode: str,
    align_corners: bool | None,
    recompute_scale_factor: bool | None,
) -> tuple[tuple[int, ...], tuple[float | None, ...]]:
    """Return the output size and the factor that sets the coordinates, or None, of each spatial axis."""
    spatial = max(input.ndim - 2, 0)
    if not isinstance(mode, str):
        raise NotImplementedError(f"mode must be one of {', '.join(MODES)}, got {mode!r}")
    if mode in MODES and not MODES[mode].aligns and align_corners is not None:
        allowed = ", ".join(name for name, row in MODES.items() if row.aligns)
        raise ValueError(
            f"align_corners must be None for mode {mode!r}, got {align_corners!r}; modes with it: {allowed}"
        )
    if not (align_corners is None or isinstance(align_corners, (bool, np.bool_))):
        raise TypeError(f"align_corners must be a bool or None, got {align_corners!r}")
    if (size is None) == (scale_factor is None):
        raise ValueError(f"exactly one of size and scale_factor must be given, got {size!r} and {scale_factor!r}")
    if size is not None:
        sizes = tuple(integer("size", n, "an int or a sequence of ints") for n in _per_axis("size", size, spatial))
        if recompute_scale_factor:
            raise ValueError("recompute_scale_factor must not be True when size is given")
        return sizes, (None,) * spatial
    factors = tuple(_number("scale_factor", factor) for factor in _per_axis("scale_factor", scale_factor, spatial))
    for factor in factors:
        if not math.isfinite(factor):
            raise RuntimeError(f"scale_factor must be finite, got {factor!r}")
    sizes = tuple(int(n * factor) for n, factor in zip(input.shape[2:], factors, strict=True))
    if recompute_scale_factor:
        return sizes, (None,) * spatial
    return sizes, factors


def _per_axis(name: str, value: Any, spatial: int) -> tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        return (value,) * spatial
    if len(value) != spatial:
        raise ValueError(f"{name} must be one value or {spatial}, one for each spatial axis of input, got {value!r}")
    return tuple(value)


def _number(name: str, value: Any) -> float:
    if isinstance(value, (int, float, np.integer, np.floating)):
        return float(value)
    raise TypeError(f"{name} must be a number or a sequence of numbers, got {value!r}")


def _check_mode(input: _Like, mode: str, align_corners: bool | None, antialias: bool) -> None:
    spatial = input.ndim - 2
    smooth = [name for name, row in MODES.items() if row.antialias_filter]
    if antialias and (mode not in smooth or spatial != 2):
        wanted = f"a 4-D input and mode {' or '.join(smooth)}"
        raise ValueError(f"antialias=True needs {wanted}, got a {input.ndim}-D input and mode {mode!r}")
    if mode not in MODES or spatial not in MODES[mode].ndims:
        allowed = [name for name, row in MODES.items() if spatial in row.ndims]
        expected = f"mode must be one of {', '.join(allowed)}" if allowed else "input must have 3, 4 or 5 dimensions"
        raise NotImplementedError(f"{expected}; got a {input.ndim}-D input and mode {mode!r}")
    if MODES[mode].only_antialiased and align_corners:
        raise ValueError(f"align_corners must not be True for mode {mode!r}")
    if MODES[mode].only_antialiased and not antialias:
        raise ValueError(f"antialias must be True for mode {mode!r}")


def _check_sizes(input: _Like, sizes: tuple[int, ...], mode: str) -> None:
    least_out = 0 if mode == "area" else 1
    if min(input.shape[2:]) < 1 or min(sizes) < least_out:
        raise RuntimeError(
            f"input and output sizes must be at least 1 (output of mode 'area': 0), got input {input.shape[2:]} "
            f"and output {sizes}"
        )
    if input.shape[1] == 0 and (mode != "area" or len(sizes) == 3):
        raise RuntimeError(f"input must have at least one channel, got shape {input.shape}")


def _check_dtype(input: _Like, sizes: tuple[int, ...], mode: str, antialias: bool) -> None:
    allowed = [name for name in MODES[mode].dtypes if not (antialias and name == "float16")]
    copied = antialias and input.dtype == np.float16 and sizes == input.shape[2:]
    if input.dtype.name not in allowed and not copied:
        flag = " with antialias" if antialias else ""
        raise NotImplementedError(f"input for mode {mode!r}{flag} must be {', '.join(allowed)}, got {input.dtype}")
