"""The CUDA backend: which kernels serve the tables of an array, their grids and arguments; the twin of `cpu`."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from resample.arrays import Array
from resample.kernels.cuda import driver
from resample.kernels.cuda.constants import IMAGES, LIVE_OF_FOUR, ROWS
from resample.taps import Taps, averaging

Shape = tuple[int, ...]
DType = np.dtype[Any]

# threads of a block; blocks that keep a GPU busy, beyond which a thread takes several planes; the driver's limit
THREADS, BLOCKS, MOST_BLOCKS = 128, 1 << 12, 65535

# output rows that a thread may walk down, the longest first
SEGMENTS = (64, 32, 16, 8, 4, 2)

# rows of so many values are taken as whole samples of an axis; shorter ones are pixels, whose weights differ in a row
LONG_ROW = 16

# offsets within a plane are uint32, and so are counters of loops, which a step may not carry beyond
MOST_OF_A_PLANE, MOST_IN_A_LOOP = 1 << 32, 1 << 31


class Pass(NamedTuple):
    """One kernel over an array of a shape and dtype: what there is to do."""

    shape: Shape
    """Of the result."""
    dtype: DType
    """Of the result."""
    run: Callable[[int, int, int], None]
    """Does it, in the current context, given the addresses of the result and of the array, and a stream."""
    tables: Any = None
    """What it reads on the device, which a CUDA graph that it is captured in must keep."""


@lru_cache(maxsize=256)
def planned(shape: Shape, dtype: DType, tables: tuple[tuple[int, Taps], ...], device: int) -> list[Pass]:
    """Return the passes that contract the axes of an array with their tables, kept for the next array of this shape.

    Axes go as on the CPU: copies and means all at once, sums the last axis first, two at once if their taps are few.
    float16 is kept in float32 between passes.
    """
    axes, passes = dict(tables), list[Pass]()
    between = np.dtype(np.float32) if dtype == np.float16 else dtype
    while axes:
        last = max(axes)
        source = passes[-1].dtype if passes else dtype
        if axes[last].selects:
            some = {axis: taps for axis, taps in axes.items() if taps.selects}
            step = _copy_axes(shape, source, some, device)
        elif axes[last].averages:
            some = axes
            step = _mean(shape, source, axes, device)
        else:
            some = {axis: axes[axis] for axis in (last - 1, last) if axis in axes}
            if not _fit_one_kernel(some, math.prod(shape[: min(some)])):
                some = {last: axes[last]}
            target = dtype if len(some) == len(axes) else between
            step = _sums(shape, source, target, some, device)
        axes = {axis: taps for axis, taps in axes.items() if axis not in some}
        shape = step.shape
        passes.append(step)
    return passes


def _after(shape: Shape, axes: Mapping[int, Taps]) -> Shape:
    return tuple(axes[axis].n_out if axis in axes else n for axis, n in enumerate(shape))


def check_count(rows: int) -> None:
    if rows >= MOST_IN_A_LOOP:
        raise ValueError(f"there must be fewer than {MOST_IN_A_LOOP} rows and planes on a GPU, got {rows}")


Grid = tuple[tuple[int, int, int], tuple[int, int, int]]


def grid_of(columns: int, rows: int, planes: int, *, looped: bool = True) -> Grid:
    """Return the grid and block of so many threads side by side; `looped`: the kernel takes what a grid leaves over."""
    check_count(max(rows, planes))
    block, room = [], THREADS
    for length in (columns, rows, planes):
        block.append(min(room, 1 << max(length - 1, 0).bit_length()))
        room //= block[-1]
    block[2] = min(block[2], 64)
    x, y, z = (-(-length // side) for length, side in zip((columns, rows, planes), block, strict=True))
    if not looped:
        return (x, y, z), (block[0], block[1], block[2])
    y = min(y, MOST_BLOCKS)
    z = min(z, max(1, BLOCKS // max(1, x * y)), MOST_BLOCKS)
    return (x, y, z), (block[0], block[1], block[2])


def lanes_of(row: int, most: int) -> int:
    """Return how many values a thread may write at once in rows of `row`: 1, 2, 4, ... at most `most`."""
    return min(most, row & -row)


_SOURCE = "resample.kernels.cuda"
_NUMBER, _BIG, _SIGNED = ("uint32",), ("int64",), ("int32",)


def name_of(dtype: DType) -> str:
    """Return how kernels see values of a type: float16 as its bits."""
    return "uint16" if dtype == np.float16 else dtype.name


def _weight(dtype: DType) -> DType:
    """Return the type that values of `dtype` are summed in, and weights have."""
    return np.dtype({"uint8": np.int32, "float64": np.float64}.get(dtype.name, np.float32))


def check_plane(values: int) -> None:
    if values >= MOST_OF_A_PLANE:
        raise ValueError(f"a plane must have less than 2**32 values on a CUDA device, got {values}")


def _fit_one_kernel(axes: Mapping[int, Taps], planes: int) -> bool:
    """Return whether there is a kernel for both of two axes."""
    if len(axes) < 2:
        return False
    if _have_few_taps(axes):
        return True
    along = axes[min(axes)]
    # grids of `sums.contract_down_*` are not looped over
    return max(planes, along.n_out) <= MOST_BLOCKS and _waiting(along) is not None


def _have_few_taps(axes: Mapping[int, Taps]) -> bool:
    """Return whether `sums.contract_planes_*` serve: every row has at most 2, or at most 4, taps."""
    return all(1 < taps.n_taps <= 4 for taps in axes.values())


class _Waiting(NamedTuple):
    """The table of an axis that shrinks by source rows, as `sums.contract_down_*` read it."""

    begin: Array
    """(n_out,) the first source row of each output row."""
    end: Array
    """(n_out,) the one after its last."""
    oldest: Array
    """(n_in + 1,) the first output row that is not done before a source row."""
    weight: Array
    """(n_in, live) of each source row for that output row and those after it."""


# how many output rows of an axis may wait for a source row: bilinear, bicubic and lanczos antialiased
_LIVE = (3, 5, 7)


@lru_cache(maxsize=128)
def _waiting(taps: Taps) -> _Waiting | None:
    """Return the table, or None where the axis does not shrink or too many outputs wait at once."""
    if taps.n_out >= taps.n_in or taps.selects or taps.averages:
        return None
    begin, end = taps.start, taps.start + taps.length
    rows = np.arange(taps.n_in + 1)
    oldest = np.searchsorted(end, rows, side="right")
    most = int((np.searchsorted(begin, rows[:-1], side="right") - oldest[:-1]).max())
    live = next((live for live in _LIVE if most <= live), None)
    if (
        live is None
        or (np.diff(begin) < 0).any()
        or (np.diff(end) < 0).any()
        or np.diff(oldest[:-1]).max(initial=0) > 1
    ):
        return None
    weight = np.full((taps.n_in, live), 0 if taps.weight.dtype.kind == "i" else np.nan, taps.weight.dtype)
    output, tap = np.nonzero(np.arange(taps.n_taps) < taps.length[:, None])
    row = begin[output] + tap
    weight[row, output - oldest[row]] = taps.weight[output, tap]
    return _Waiting(begin, end, oldest, weight)


def _filled(taps: Taps, n_taps: int, dtype: DType) -> tuple[Array, Array]:
    """Return (n_out, n_taps) each: samples and weights of a dtype, of rows that all have `n_taps` taps.

    What a row lacks repeats its last sample. A weight of zero would make NaN of an infinite one: for floats the weight
    of the last tap is split, by halves, which is exact.
    """
    tap = np.arange(n_taps)
    last = taps.length[:, None] - 1
    index = taps.start[:, None] + np.minimum(tap, last)
    weight = np.zeros((taps.n_out, n_taps), dtype)
    weight[:, : taps.n_taps] = taps.weight
    at_last = np.take_along_axis(weight, last, axis=1)
    if weight.dtype == np.int32:
        return index, np.where(tap > last, 0, weight)
    times = np.where(tap == n_taps - 1, tap - last, tap - last + 1)  # 1/2, 1/4, ..., and the smallest again
    return index, np.where(tap >= last, np.ldexp(at_last, -times.astype(np.int32)), weight).astype(weight.dtype)


def _along_columns(index: Array, inner: int) -> Array:
    """Return where in a row the samples `index` (of pixels, ...) are, for each of `inner` interleaved values."""
    flat = index[:, None] * inner + np.arange(inner).reshape(-1, *[1] * (index.ndim - 1))
    return flat.reshape(-1, *index.shape[1:])


def _table(array: Array) -> Array:
    """Return numbers below 2**32 as kernels read them."""
    return np.ascontiguousarray(array, np.uint32)


def planes_types(source: str, target: str, weight: str) -> tuple[str, ...]:
    """Return the types of the arguments of `sums.contract_planes_*`, given those of values and weights."""
    tables = ("uint32*", f"{weight}*", "uint32*", "uint32*", f"{weight}*")
    return (f"{target}*", f"{source}*", *tables, *_NUMBER * 3, *_BIG * 2, *_NUMBER, *_SIGNED * 2)


def bytes_types(source: str, target: str, weight: str) -> tuple[str, ...]:
    """Return the same of `byte_sums.contract_bytes_*`, which write bytes as words, and read pairs of weights."""
    return ("uint32*", f"{source}*", *("uint32*",) * 4, f"{weight}*", *_NUMBER * 3, *_BIG * 2, *_NUMBER, *_SIGNED * 2)


def down_types(source: str, target: str, weight: str) -> tuple[str, ...]:
    """Return the same of `sums.contract_down_*` and `byte_shrinking.shrink_bytes_*`, which read pairs of weights."""
    tables = (*("uint32*",) * 3, f"{weight}*", *("uint32*",) * 2, f"{weight}*")
    return (f"{target}*", f"{source}*", *tables, *_NUMBER * 5, *_BIG * 2, *_NUMBER, *_SIGNED * 2)


def rows_types(source: str, target: str, weight: str) -> tuple[str, ...]:
    """Return the same of `sums.contract_rows_*`."""
    return (f"{target}*", f"{source}*", "uint32*", "uint32*", f"{weight}*", *_NUMBER * 4, *_BIG * 2, *_SIGNED)


def columns_types(source: str, target: str, weight: str) -> tuple[str, ...]:
    """Return the same of `sums.contract_columns`."""
    return (f"{target}*", f"{source}*", "uint32*", "uint32*", f"{weight}*", *_NUMBER * 4, *_SIGNED)


def average_types(value: str, weight: str) -> tuple[str, ...]:
    """Return the same of `sums.average`."""
    return (*(f"{value}*",) * 2, *("uint32*",) * 6, *_NUMBER, *(f"{weight}*",) * 3, *_BIG, *_NUMBER * 6)


def copy_types(unit: int) -> tuple[str, ...]:
    """Return the same of `copies.copy_*`, for values of 1, 2, 4 or 8 bytes."""
    return (*(f"uint{8 * unit}*",) * 2, "int64*", "uint32*", *_NUMBER * 4, *_BIG * 2)


def _sums(shape: Shape, source: DType, target: DType, axes: Mapping[int, Taps], device: int) -> Pass:
    """Return the pass that sums over two neighbouring axes at once, or one: the last, or the one before it."""
    last = max(axes)
    outer, inner = math.prod(shape[: min(axes)]), math.prod(shape[last + 1 :])
    weight = _weight(source)
    kinds = name_of(source), name_of(target), weight.name
    if len(axes) == 2 and _have_few_taps(axes):
        pair = axes[last - 1], axes[last]
        packed = _bytes(*pair, outer, inner, weight) if source == np.uint8 else None
        kernel = packed or _planes(*pair, outer, inner, source, target)
    elif len(axes) == 2:
        pair = axes[last - 1], axes[last]
        packed = _shrink_bytes(*pair, outer, inner) if source == np.uint8 else None
        kernel = packed or _down(*pair, outer, inner, weight)
    elif inner >= LONG_ROW:
        kernel = _rows(axes[last], outer, inner, weight)
    else:
        kernel = _columns(axes[last], outer, inner, weight)
    launch = driver.kernel(f"{_SOURCE}.{kernel.module}", kernel.name, kernel.types(*kinds), device)
    return _pass(
        _after(shape, axes), target, launch, kernel.grid, driver.Constants(kernel.tables, device), kernel.numbers
    )


class _Kernel(NamedTuple):
    """What one of `sums` is launched with."""

    name: str
    types: Callable[[str, str, str], tuple[str, ...]]
    grid: Grid
    tables: list[Array]
    numbers: tuple[int, ...]
    module: str = "sums"


def _planes(along: Taps, across: Taps, planes: int, inner: int, source: DType, target: DType) -> _Kernel:
    n_taps = 2 if max(along.n_taps, across.n_taps) == 2 else 4
    row_in, row_out = across.n_in * inner, across.n_out * inner
    check_plane(max(along.n_in * row_in, along.n_out * row_out, max(row_out, along.n_out) * n_taps))
    (row, row_weight), (column, column_weight) = (_filled(taps, n_taps, _weight(source)) for taps in (along, across))
    place = _along_columns(column, inner)
    most = 4 if source == np.uint8 else 16 // max(source.itemsize, target.itemsize)
    windows = _half_windows(place, row_in) if source == np.float16 else None
    if inner % min(most, 4) == 0:
        name, lanes = "beside", lanes_of(inner, most)
    elif windows is not None:
        name, lanes, place = "halves", lanes_of(row_out, most), windows
    else:
        name, lanes = "planes", lanes_of(row_out, min(most, 16 // n_taps))  # more would need too many registers
    segment = _segment(row_out // lanes * planes, along.n_out)
    tables = [_table(row * row_in), row_weight, _table(_fresh(row)), _table(place.T)]
    tables.append(np.ascontiguousarray(column_weight.repeat(inner, axis=0).T))
    numbers = (along.n_out, row_out, planes, along.n_in * row_in, along.n_out * row_out, segment)
    grid = grid_of(row_out // lanes, -(-along.n_out // segment), planes)
    precisions = (along.precision, across.precision)
    return _Kernel(f"contract_{name}_{n_taps}_{lanes}", planes_types, grid, tables, (*numbers, *precisions))


def _windows(place: Array, size: int, row: int) -> tuple[Array, Array] | None:
    """Return where windows of `size` values of a row begin that hold the places of a line, (lines, n); these in them.

    None where some lie too far apart.
    """
    begin = np.minimum(place.min(axis=1, keepdims=True), row - size)
    inside = place - begin
    return (begin, inside) if row >= size and inside.max() < size else None


def _half_windows(place: Array, row: int) -> Array | None:
    """Return what `sums._halves` reads for the places (values, n_taps) of samples in a row, or None where it cannot."""
    if len(place) % 4:
        return None
    pairs = place.reshape(-1, 4, place.shape[1] // 2, 2).swapaxes(1, 2)
    found = _windows(pairs.reshape(-1, 8), 4, row)
    if found is None:
        return None
    begin, inside = found
    digits = (inside.reshape(pairs.shape) * (0x22, 0x2200)).sum(axis=-1) + 0x1010
    both = np.broadcast_arrays(begin.reshape(*digits.shape[:2], 1), digits)
    table: Array = np.stack(both, axis=-1).swapaxes(1, 2).reshape(place.shape)
    return table


def _bytes(along: Taps, across: Taps, planes: int, inner: int, weight: DType) -> _Kernel | None:
    """Return the kernel for bytes, or None where rows are no whole groups, or the samples of one lie too far apart."""
    n_taps = 2 if max(along.n_taps, across.n_taps) == 2 else 4
    row_in, row_out = across.n_in * inner, across.n_out * inner
    if row_out % 4:
        return None
    (row, row_weight), (column, column_weight) = (_filled(taps, n_taps, weight) for taps in (along, across))
    place = _along_columns(column, inner).reshape(-1, 4 * n_taps)
    found = _windows(place, 8, row_in) or _windows(place, 16, row_in)
    if found is None:
        return None
    check_plane(max(along.n_in * row_in, along.n_out * row_out, max(row_out, along.n_out) * n_taps))
    begin, inside = found
    words, tap = 2 if inside.max() < 8 else 4, np.arange(n_taps)
    half, byte = np.divmod(inside.reshape(row_out, n_taps), 8)
    pick = [(digits << 4 * tap).sum(axis=1) for digits in (byte, 4 * half + tap)][: words // 2]
    entry = np.zeros((along.n_out, 4), np.uint32)
    entry[:, 0], entry[:, 1 : 1 + n_taps // 2] = _fresh(row), _pairs(row_weight)
    tables = [_table(row * row_in), entry, _table(begin), _table(np.stack(pick))]
    tables.append(np.ascontiguousarray(_pairs(column_weight).repeat(inner, axis=0).T))
    groups = lanes_of(row_out // 4, 8 // words)
    columns = row_out // 4 // groups
    segment = _segment(columns * planes * groups, along.n_out)  # as many bytes on their way by fewer threads
    numbers = (along.n_out, row_out // 4, planes, along.n_in * row_in, along.n_out * row_out // 4, segment)
    grid = grid_of(columns, -(-along.n_out // segment), planes)
    precisions = (along.precision, across.precision)
    name = f"contract_bytes_{n_taps}_{groups}_{words}"
    return _Kernel(name, bytes_types, grid, tables, (*numbers, *precisions), "byte_sums")


def _pairs(weight: Array) -> Array:
    """Return weights of bytes, (n, n_taps), as pairs of int16, (n, n_taps / 2)."""
    return weight.astype(np.int16).view(np.int32)


def _segment(threads: int, n_out: int) -> int:
    """Return how many output rows a thread takes: long segments sum source rows once, short ones keep a GPU busy."""
    return next((rows for rows in SEGMENTS if threads * (n_out // rows) >= THREADS * BLOCKS // 2), 1)


def _fresh(rows: Array) -> Array:
    """Return of each output, (n_out, n_taps), how many samples of the next one do not continue its own."""
    n_out, n_taps = rows.shape
    fresh = np.full(n_out, n_taps)
    for number in reversed(range(n_taps)):
        fresh[:-1][(rows[1:, : n_taps - number] == rows[:-1, number:]).all(axis=1)] = number
    return fresh


def _down(along: Taps, across: Taps, planes: int, inner: int, weight: DType) -> _Kernel:
    waiting = _waiting(along)
    assert waiting is not None
    row_in, row_out = across.n_in * inner, across.n_out * inner
    check_plane(max(along.n_in * max(row_in, _LIVE[-1]), along.n_out * row_out, row_out * across.n_taps))
    images = IMAGES if planes >= IMAGES else 1
    groups = -(-planes // images)
    # a segment takes the rows that it shares with the next one twice, but too few segments leave a GPU idle
    enough = THREADS * BLOCKS // 4
    segment = next((rows for rows in (64, 32, 16) if row_out * groups * (along.n_out // rows) >= enough), 8)
    tables = [*map(_table, waiting[:3]), waiting.weight.astype(weight, copy=False)]
    tables += [_table(_along_columns(across.start, inner)), _table(across.length.repeat(inner))]
    tables.append(np.ascontiguousarray(_used(across, weight).repeat(inner, axis=0).T))
    numbers = (inner, row_in, along.n_out, row_out, planes, along.n_in * row_in, along.n_out * row_out, segment)
    grid = grid_of(row_out, -(-along.n_out // segment), groups, looped=False)
    name = f"contract_down_{waiting.weight.shape[1]}_{images}"
    return _Kernel(name, down_types, grid, tables, (*numbers, along.precision, across.precision))


class _Fours(NamedTuple):
    """The table of an axis that shrinks, by four source rows, as `byte_shrinking.shrink_bytes_*` read it."""

    begin: Array
    """(n_out,) the first four rows of each output row."""
    end: Array
    """(n_out,) the four after its last."""
    place: Array
    """(fours, 4) which four holds, at the same place, the source row; where there is none any that has zero weights."""
    weight: Array
    """(fours, live, 2) pairs of weights of the rows for the output row of each slot."""
    done: Array
    """(fours, live, and what fills a vector) which output row is done, n_out where none is."""


@lru_cache(maxsize=128)
def _fours(taps: Taps) -> _Fours | None:
    """Return the table, or None where there are no four rows or too many outputs wait at once."""
    begin, end = taps.start // 4, (taps.start + taps.length - 1) // 4 + 1
    live = next((live for live in LIVE_OF_FOUR if (end[:-live] <= begin[live:]).all()), None)
    if live is None or taps.n_in < 4:
        return None
    output, tap = np.nonzero(np.arange(taps.n_taps) < taps.length[:, None])
    row = taps.start[output] + tap
    weight = np.zeros((-(-taps.n_in // 4), live, 4), np.int16)
    weight[row // 4, output % live, row % 4] = taps.weight[output, tap]
    rows = np.arange(4 * len(weight)).reshape(-1, 4)
    numbers = np.arange(taps.n_out)
    done = np.full((len(weight), -(-live // 4) * 4), taps.n_out)  # whole vectors
    done[end - 1, numbers % live] = numbers
    return _Fours(begin, end, rows // 4 - (rows >= taps.n_in), weight.view(np.int32), done)


def _shrink_bytes(along: Taps, across: Taps, planes: int, inner: int) -> _Kernel | None:
    """Return the kernel for bytes, or None where there are too many channels, or too few samples for four at once."""
    row_in, n_out = across.n_in * inner, along.n_out
    pixels = 4 if inner == 1 and across.n_out % 4 == 0 and across.n_in < 16 * across.n_out else 1
    start, end = (run.reshape(-1, pixels) for run in (across.start, across.start + across.length))
    begin = start.min(axis=1)
    steps = -(-int((end.max(axis=1) - begin).max()) // 4)
    begin = np.minimum(begin, across.n_in - 4 * steps)
    fours = _fours(along)
    if fours is None or inner > 4 or 4 * steps > across.n_in:
        return None
    threads, values = len(begin), inner * pixels
    check_plane(max(along.n_in * max(row_in, LIVE_OF_FOUR[-1]), n_out * threads * values, steps * threads * pixels * 2))
    output, tap = np.nonzero(np.arange(across.n_taps) < across.length[:, None])
    place = across.start[output] + tap - begin[output // pixels]
    weight = np.zeros((steps, threads, pixels, 4), np.int16)
    weight[place // 4, output // pixels, output % pixels, place % 4] = across.weight[output, tap]
    # a segment takes the rows that it shares with the next one twice, but too few segments leave a GPU idle
    enough = THREADS * BLOCKS // 4 // values
    segment = next((rows for rows in SEGMENTS if threads * planes * (n_out // rows) >= enough), 1)
    tables = [_table(fours.begin), _table(fours.end), _table(fours.place * row_in), fours.weight, _table(fours.done)]
    tables += [_table(begin * inner), weight.view(np.int32)]
    numbers = (steps, row_in, n_out, threads, planes, along.n_in * row_in, n_out * threads * values, segment)
    grid = grid_of(threads, -(-n_out // segment), planes, looped=False)
    name = f"shrink_bytes_{inner}_{pixels}_{fours.weight.shape[1]}"
    precisions = (along.precision, across.precision)
    return _Kernel(name, down_types, grid, tables, (*numbers, *precisions), "byte_shrinking")


def _rows(taps: Taps, planes: int, inner: int, weight: DType) -> _Kernel:
    plane_in, plane_out = taps.n_in * inner, taps.n_out * inner
    check_plane(max(plane_in, plane_out))
    lanes = lanes_of(inner, 4)
    tables = [_table(taps.start), _table(taps.length), np.ascontiguousarray(_used(taps, weight))]
    numbers = (taps.n_taps, inner, taps.n_out, planes, plane_in, plane_out, taps.precision)
    return _Kernel(f"contract_rows_{lanes}", rows_types, grid_of(inner // lanes, taps.n_out, planes), tables, numbers)


def _columns(taps: Taps, rows: int, inner: int, weight: DType) -> _Kernel:
    row_in, row_out = taps.n_in * inner, taps.n_out * inner
    check_plane(max(row_in, row_out * taps.n_taps))
    check_count(rows)
    tables = [_table(_along_columns(taps.start, inner)), _table(taps.length.repeat(inner))]
    tables.append(np.ascontiguousarray(_used(taps, weight).repeat(inner, axis=0).T))
    numbers = (inner, row_in, row_out, rows, taps.precision)
    return _Kernel("contract_columns", columns_types, grid_of(row_out, -(-rows // ROWS), 1), tables, numbers)


def _used(taps: Taps, weight: DType) -> Array:
    """Return the weights, with zeros beyond the length of a row, where the table may hold anything."""
    return np.where(np.arange(taps.n_taps) < taps.length[:, None], taps.weight, 0).astype(weight)


def _mean(shape: Shape, dtype: DType, axes: Mapping[int, Taps], device: int) -> Pass:
    """Return the pass that averages over one to three neighbouring axes at once."""
    last, after = max(axes), _after(shape, axes)
    inner = math.prod(shape[last + 1 :])
    whole = averaging(1, 1)  # of an axis that is missing in front
    d, h, w = [whole] * (3 - len(axes)) + [axes[axis] for axis in sorted(axes)]
    row_in, row_out = w.n_in * inner, w.n_out * inner
    image_in = h.n_in * row_in
    check_plane(max(d.n_in * image_in, d.n_out * h.n_out * row_out))
    share = [(1 / taps.length).astype(_weight(dtype)) for taps in (d, h, w)]
    tables = [_table(run) for taps in (d, h) for run in (taps.start, taps.length)]
    tables += [
        _table(_along_columns(w.start, inner)),
        _table(w.length.repeat(inner)),
        *share[:2],
        share[2].repeat(inner),
    ]
    types = average_types(name_of(dtype), share[0].dtype.name)
    launch = driver.kernel(f"{_SOURCE}.sums", "average", types, device)
    constants = driver.Constants(tables, device)
    planes = math.prod(shape[: min(axes)])
    numbers = (d.n_in * image_in, image_in, row_in, d.n_out, h.n_out, row_out, planes)
    grid = grid_of(row_out, d.n_out * h.n_out, planes)

    def run(dst: int, src: int, stream: int) -> None:
        launch(*grid, stream, dst, src, *constants.addresses[:6], inner, *constants.addresses[6:], *numbers)

    return Pass(after, dtype, run, constants)


def _copy_axes(shape: Shape, dtype: DType, axes: Mapping[int, Taps], device: int) -> Pass:
    """Return the pass that copies the samples that tables choose, of all axes at once."""
    first, last = min(axes), max(axes)
    inner = math.prod(shape[last + 1 :])
    row_in = shape[last] * inner
    start = np.zeros(1, np.int64)
    for axis in range(first, last):
        chosen = axes[axis].start if axis in axes else np.arange(shape[axis])
        start = np.add.outer(start * shape[axis], chosen).ravel()
    plane_in = math.prod(shape[first:])
    rows = Rows(start * row_in, _along_columns(axes[last].start, inner), math.prod(shape[:first]), 1, plane_in, 0)
    return copying(_after(shape, axes), dtype, rows, device)


class Rows(NamedTuple):
    """Where the rows of a result come from: see `copies`."""

    start: Array
    """(rows of a plane,) int64"""
    place: Array
    """(values of a row,) below 2**32"""
    planes: int
    group: int
    outer_step: int
    inner_step: int


def copying(shape: Shape, dtype: DType, rows: Rows, device: int) -> Pass:
    """Return the pass that gathers a result of this shape; values are opaque."""
    start, place, outer_step, inner_step = rows.start, rows.place, rows.outer_step, rows.inner_step
    unit = min(dtype.itemsize & -dtype.itemsize, 8)  # of complex128 and of types of odd sizes, a part
    parts = dtype.itemsize // unit
    if parts > 1:
        place = (place[:, None] * parts + np.arange(parts)).ravel()
        start, outer_step, inner_step = start * parts, outer_step * parts, inner_step * parts
    check_plane(int(place.max(initial=0)) + 1)
    lanes = lanes_of(len(place), 16 // unit)
    launch = driver.kernel(f"{_SOURCE}.copies", f"copy_{lanes}", copy_types(unit), device)
    constants = driver.Constants((np.ascontiguousarray(start, np.int64), _table(place)), device)
    numbers = (len(place), len(start), rows.planes, rows.group, outer_step, inner_step)
    return _pass(shape, dtype, launch, grid_of(len(place) // lanes, len(start), rows.planes), constants, numbers)


def _pass(
    shape: Shape,
    dtype: DType,
    launch: driver.Launch,
    grid: Grid,
    constants: driver.Constants,
    numbers: tuple[int, ...],
) -> Pass:
    def run(dst: int, src: int, stream: int) -> None:
        launch(*grid, stream, dst, src, *constants.addresses, *numbers)

    return Pass(shape, dtype, run, constants)
