"""Max-pooling and max-unpooling on a GPU: which kernels serve windows, their tables and launches."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from resample.arrays import Array
from resample.devices import DeviceArray
from resample.kernels.cuda import driver, passes

Shape = tuple[int, ...]
DType = np.dtype[Any]

_SOURCE = "resample.kernels.cuda.pooling"

# samples along height and width that CUDA kernels have written out, and the most windows a thread that they have then
_WRITTEN_OUT = {2: 4, 3: 2, 5: 1}


def pool_types(value: str) -> tuple[str, ...]:
    """Return the types of the arguments of the CUDA kernels that pool, given that of the values."""
    pointer = f"{value}*"
    return (pointer, "int64*", pointer, pointer, *("uint32*",) * 6, *("uint32",) * 10, "int64", "int64")


def place_types(unit: str) -> tuple[str, ...]:
    """Return the same of those that place values, opaque ones of an unsigned type."""
    pointer = f"{unit}*"
    return (pointer, pointer, "int64*", *("uint32*",) * 4, *("uint32",) * 8, "int64", "int64")


def redo_types(unit: str, number: str) -> dict[str, tuple[str, ...]]:
    """Return the same, by name, of the kernels that do planes again, given the type of what winners leave, too."""
    value, winner = f"{unit}*", f"{number}*"
    return {
        "clear": (winner, "uint32*", *("uint32",) * 2),
        "claim": (winner, "int64*", "uint32*", *("uint32",) * 5),
        "settle": (value, winner, value, "uint32*", *("uint32",) * 3),
    }


class _PoolKey(NamedTuple):
    """All that a launch of the pooling kernels depends on."""

    planes: int
    extent: tuple[Shape, ...]
    """As in `kernels/pooling.py`: six rows of three."""
    inner: int
    indexed: bool
    dtype: DType
    device: int


def pooled(src: DeviceArray, shape: Shape, extent: tuple[Shape, ...], inner: int, indexed: bool) -> list[DeviceArray]:
    """Return the maxima of the windows of `src`, and their indices if they are asked for."""
    results = [src.new(shape, np.dtype(np.int64))] if indexed else []
    if 0 in shape:
        return [src.new(shape, src.dtype), *results]
    planes = src.size // (math.prod(extent[0]) * inner)
    launch = _pooling(_PoolKey(planes, extent, inner, indexed, src.dtype, src.origin.device))
    where = results[0].address if indexed else 0
    step = passes.Pass(shape, src.dtype, lambda dst, source, stream: launch(dst, where, source, stream), launch)
    return [src.run([step]), *results]


@lru_cache(maxsize=256)
def _pooling(key: _PoolKey) -> Callable[[int, int, int, int], None]:
    """Return what pools, given the addresses of maxima, indices and samples, and a stream."""
    (_, height, width), (d_out, h_out, w_out), *_, steps = key.extent
    plane_in, plane_out = (math.prod(row) * key.inner for row in key.extent[:2])
    passes.check_plane(max(plane_in, plane_out))
    windows = [_inside(*axis) for axis in zip(*key.extent, strict=True)]
    name, lanes = _pool_kernel(key, [length for _, length in windows])
    least = np.array([-np.inf if key.dtype.kind == "f" else np.iinfo(key.dtype).min], key.dtype)
    tables = [np.ascontiguousarray(column, np.uint32) for window in windows for column in window]
    constants = driver.Constants([least, *tables], key.device)
    launch = driver.kernel(_SOURCE, name, pool_types(passes.name_of(key.dtype)), key.device)
    row, rows = w_out * key.inner, d_out * h_out
    grid = passes.grid_of(row // lanes, rows, key.planes)
    numbers = (*steps, height, width, h_out, rows, row, key.inner, key.planes, plane_in, plane_out)

    def run(dst: int, indices: int, src: int, stream: int) -> None:
        launch(*grid, stream, dst, indices, src, *constants.addresses, *numbers)

    return run


def _inside(n: int, out: int, kernel: int, stride: int, padding: int, dilation: int) -> tuple[Array, Array]:
    """Return of each window of an axis its first sample, not before the axis, and how many samples of it there are."""
    start = np.arange(out) * stride - padding
    first = np.where(start < 0, (dilation - 1 - start) // dilation, 0)
    end = np.where(start < n, np.minimum(kernel, (n - start + dilation - 1) // dilation), 0)
    return start + first * dilation, np.maximum(end - first, 0)


def _pool_kernel(key: _PoolKey, lengths: list[Array]) -> tuple[str, int]:
    """Return the name of the kernel that serves windows of these numbers of samples, and its outputs a thread."""
    packed, suffix = key.inner > 1, "_indexed" if key.indexed else ""
    taps = next((taps for taps in _WRITTEN_OUT if max(length.max() for length in lengths[1:]) <= taps), 0)
    if min(length.min() for length in lengths) == 0 or not taps or (taps == 5 and packed and key.indexed):
        return f"pool_any{suffix}", 1
    most = min(2 if key.indexed else 4, driver.VECTOR // key.dtype.itemsize)  # two indices are a vector
    lanes = passes.lanes_of(
        key.inner if packed else key.extent[1][2], most if packed else min(most, _WRITTEN_OUT[taps])
    )
    return f"{'packed' if packed else 'pool'}_{taps}_{lanes}{suffix}", lanes


class Windows(NamedTuple):
    """Where the inputs of an axis may be in the result."""

    n_in: int
    n_out: int
    kernel: int
    stride: int
    padding: int

    @property
    def reach(self) -> int:
        """How many windows an output may be in; 0 if stride and padding are no lengths."""
        if not (0 < self.stride < 1 << 31 and abs(self.padding) < 1 << 31):
            return 0
        return max(1, -(-self.kernel // self.stride))

    @property
    def begin(self) -> Array:
        """The first output of each input, which has all up to the next one's, and where the axis ends."""
        first = np.clip(np.arange(self.n_in + 1) * self.stride - self.padding, 0, self.n_out)
        first[0], first[-1] = 0, self.n_out
        return first


class _PlaceKey(NamedTuple):
    """All that launches of the unpooling kernels depend on."""

    planes: int
    axes: tuple[Windows, ...]
    inner: int
    dtype: DType
    device: int


def placed(src: DeviceArray, index: DeviceArray, shape: Shape, windows: tuple[Windows, ...], inner: int) -> DeviceArray:
    """Return zeros with the values of `src` in their places."""
    if 0 in shape:
        return src.new(shape, src.dtype)
    axes = (Windows(1, 1, 1, 1, 0),) * (3 - len(windows)) + windows
    planes = math.prod(shape) // (math.prod(axis.n_out for axis in axes) * inner)
    launch = _placing(_PlaceKey(planes, axes, inner, src.dtype, src.origin.device))
    number = np.dtype(np.uint32)
    suspect = src.new((planes,), number)
    # the numbers of inputs, for which the result has room unless its values have 16 bits
    winners = src.new(shape, number) if src.dtype == np.float16 else None
    # not the arrays, as a graph that captures this keeps it
    where, marks, numbers = index.address, suspect.address, winners.address if winners else None

    def run(dst: int, source: int, stream: int) -> None:
        launch(dst, source, where, marks, dst if numbers is None else numbers, stream)

    return src.run([passes.Pass(shape, src.dtype, run, launch)])


@lru_cache(maxsize=256)
def _placing(key: _PlaceKey) -> Callable[[int, int, int, int, int, int], None]:
    """Return what unpools, given addresses (result, values, indices, suspects, winners) and a stream."""
    places = math.prod(axis.n_out for axis in key.axes)
    plane_in, plane_out = math.prod(axis.n_in for axis in key.axes) * key.inner, places * key.inner
    # loops step beyond the end by as much
    passes.check_plane(max(plane_in, plane_out) + passes.THREADS * passes.BLOCKS)
    unit = f"uint{8 * key.dtype.itemsize}"
    types = redo_types(unit, "uint64" if unit == "uint64" else "uint32")
    clear, claim, settle = (driver.kernel(_SOURCE, name, types[name], key.device) for name in types)
    sizes = (places, key.inner, key.planes, plane_in, plane_out)
    first = _first_placing(key, unit, sizes)
    all_suspect = driver.Constants([np.ones(key.planes, np.uint32)], key.device) if first is None else None
    beside = passes.THREADS * max(1, passes.BLOCKS // key.planes)
    grid_in, grid_out = (passes.grid_of(min(values, beside), 1, key.planes) for values in (plane_in, plane_out))

    def run(dst: int, src: int, index: int, suspect: int, winners: int, stream: int) -> None:
        if first:
            driver.clear(suspect, 4 * key.planes, stream)
            first(dst, src, index, suspect, stream)
        elif all_suspect:
            suspect = all_suspect.addresses[0]
        clear(*grid_out, stream, winners, suspect, key.planes, plane_out)
        claim(*grid_in, stream, winners, index, suspect, *sizes)
        settle(*grid_out, stream, dst, winners, src, suspect, key.planes, plane_in, plane_out)

    return run


def _first_placing(
    key: _PlaceKey, unit: str, sizes: tuple[int, ...]
) -> Callable[[int, int, int, int, int], None] | None:
    """Return what places all values that are in their windows; None if there are too many windows to look for one."""
    reach = max(axis.reach for axis in key.axes)
    if min(axis.reach for axis in key.axes) == 0 or reach > 2:
        return None
    begins = [np.ascontiguousarray(axis.begin, np.uint32) for axis in key.axes]
    d, h, w = key.axes
    lanes, name = 1, f"place_{reach}"
    if reach == 1 and key.inner == 1 and w.n_out == 2 * w.n_in and (np.diff(begins[2]) == 2).all():
        lanes = passes.lanes_of(w.n_in, 8 // key.dtype.itemsize)
        name = f"place_pairs_{lanes}"
    launch = driver.kernel(_SOURCE, name, place_types(unit), key.device)
    constants = driver.Constants(begins, key.device)
    grid = passes.grid_of(w.n_in * key.inner // lanes, d.n_in * h.n_in, key.planes)
    extents = (d.n_in, h.n_in, w.n_in, h.n_out, w.n_out)

    def run(dst: int, src: int, index: int, suspect: int, stream: int) -> None:
        launch(*grid, stream, dst, src, index, suspect, *constants.addresses, *extents, *sizes)

    return run
