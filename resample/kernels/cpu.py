"""The CPU backend: which kernel serves a table, and its arguments."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from resample.arrays import Array
from resample.kernels import entry, link, processor, tables
from resample.kernels.entry import packed
from resample.kernels.sizes import BLOCK, SHORT_INNER, STAGING, VECTOR, whole_vectors
from resample.memory import is_new, last_level
from resample.taps import Taps, averaging

if TYPE_CHECKING:
    from resample.kernels.store import Kernel

Shape = tuple[int, ...]
DType = np.dtype[Any]

# what bands are sized by: how many products of a plain kernel cost what a vector of a fast one does, and what a cache
# line does that a copy must fetch from far away
VECTOR_COST, LINE_COST = 3, 4

# bytes of the least result that is written past the caches; and of what a call reads and writes, how many the caches
# hold at most, however large they are, as other programs use the last level too. Sums of bytes by weights of 16 bits
# wait for the processor, not for memory, and gain less
PAST, CACHED, CACHED_BY_SUMS = 1 << 24, 1 << 25, 5 << 23

# rows of so many values, if they are so few, are done often before the tables of a fast kernel would be made
FEW_ROWS, LONG_ROW = 8, 1 << 16

_NUMBER, _PLACES = ("int64",), ("int64*",)


def _asked() -> int:
    """Return the most bytes that shuffles may make, as the environment variable RESAMPLE_SHUFFLE says.

    64, 32, 16 or 0: results are the same.

    Raises:
        ValueError: the variable is none of these.
    """
    asked = os.environ.get("RESAMPLE_SHUFFLE", "") or "64"
    if asked not in ("0", "16", "32", "64"):
        raise ValueError(f"RESAMPLE_SHUFFLE must be 0, 16, 32 or 64, got {asked!r}")
    return int(asked)


@cache
def window() -> int:
    """Return how many bytes the shuffle of bytes makes, 64, 32 or 16, or 0 where there is no fast kernel."""
    return min(processor.shuffle_width(), _asked())


@cache
def float_lanes() -> int:
    """Return how many float32 a vector of the fast kernels has, 16 or 8, or 0 where there is none.

    RESAMPLE_SHUFFLE lowers it, too: 32 bytes to 8 lanes, fewer to 0.
    """
    return min(processor.float_lanes(), {64: 16, 32: 8, 16: 0, 0: 0}[_asked()])


def fast_sums(dtype: DType) -> bool:
    """Return whether there is a fast kernel for sums of this type."""
    return window() > 0 if dtype == np.uint8 else dtype == np.float32 and float_lanes() > 0


class Pass(NamedTuple):
    """Some axes of an array of one shape and dtype, in one kernel: what there is to do."""

    shape: Shape
    """Of the result."""
    kernel: Kernel
    """Takes where the result and the array are, where `scratch` is, `fixed`, and the ends of a band."""
    fixed: bytes
    length: int
    cost: int
    owners: object
    """What has the memory that `fixed` points to."""
    scratch: Sequence[int] = ()
    """As in `team.in_bands`."""
    takes_staging: bool = False
    """Whether the last of `scratch`, which is 0, may be what `staging_bytes` returns."""
    is_straight: bool = False
    """Whether rows are resampled along the width alone, straight to the result: to begin at a line of the caches pays
    there, as nothing else takes time."""
    is_small: bool = False
    """Whether the result is of less than `blocks.LINED` bytes, so that `np.empty` will do: to find that out in each
    call takes a tenth of a small one."""


def goes_past(read: int, written: int, cached: int = CACHED) -> bool:
    """Return whether a call that reads and writes so many bytes may write past the caches, which hold at most `cached`.

    That is faster for what would not stay there until somebody reads it. Done where it was measured, on Linux on
    x86-64.
    """
    return link.IS_HERE and written >= PAST and read + written >= min(last_level() * 3 // 4, cached)


def staging_bytes(result: Array) -> int:
    """Return the bytes of the buffer that a result is made in, if it `goes_past` the caches, or 0 if it must not.

    New memory the system clears just before it is written to, in the caches.
    """
    address = result.__array_interface__["data"][0]
    return 0 if address % result.itemsize or is_new(address, result.nbytes) else STAGING


class _Rows(NamedTuple):
    """How the fast kernels see an array: planes of rows."""

    shape: Shape
    planes: int
    n_in: int
    n_out: int
    row_in: int
    row_out: int

    def go_past(self, dtype: DType, cached: int = CACHED) -> bool:
        """Return whether the sums may be written past the caches."""
        read, written = self.planes * self.n_in * self.row_in, self.planes * self.n_out * self.row_out
        return goes_past(read * dtype.itemsize, written * dtype.itemsize, cached)


def fast_pass(shape: Shape, dtype: DType, axes: Mapping[int, Taps]) -> Pass | None:
    """Return the pass of a fast kernel that sums over one axis or two neighbouring ones, or None where none serves.

    There are some for bytes and float32. Rows must be at least a block of values, and neighbouring outputs must have
    their taps within a shuffle's window.
    """
    if not fast_sums(dtype) or any(taps.selects for taps in axes.values()):
        return None
    last = max(axes)
    after = _after(shape, axes)
    size = math.prod(shape[last + 1 :])  # of a sample of the last axis
    used = (dtype == np.uint8 and _narrowed(axes)) or axes
    across, along = used[last], used.get(last - 1)
    if along is None and size >= BLOCK:
        # rows are whole samples of this axis and keep their width
        rows = _Rows(after, math.prod(shape[:last]), across.n_in, across.n_out, size, size)
        return _sums(rows, dtype, None, (across, tables.edges(axes[last], across)))
    if across.n_out * size < BLOCK:
        return None
    if along is None:
        planes, n_in, n_out = 1, math.prod(shape[:last]), math.prod(shape[:last])
    else:
        planes, n_in, n_out = math.prod(shape[: last - 1]), along.n_in, along.n_out
    rows = _Rows(after, planes, n_in, n_out, across.n_in * size, across.n_out * size)
    if planes * n_in < FEW_ROWS and rows.row_out > LONG_ROW:
        return None
    if dtype == np.uint8:
        width = tables.widths(across, size, window())
    else:
        if along and (halved := _halved_floats(rows, dtype, across, along, size)):
            return halved
        width = tables.float_widths(across, size, float_lanes())
    if width is None:
        return None
    of_width = width, tables.edges(axes[last], across, size), across.precision
    of_height = (along, tables.edges(axes[last - 1], along)) if along else None
    return _sums(rows, dtype, of_width, of_height)


def _narrowed(axes: Mapping[int, Taps]) -> dict[int, Taps] | None:
    """Return the tables with int8 weights, or None if one has none."""
    found = {axis: tables.narrowed(taps) for axis, taps in axes.items()}
    return {axis: taps for axis, taps in found.items() if taps} if all(found.values()) else None


# by the type of weights: the kernel that sums rows which keep their width, and how it takes the weights of two rows
_CONTRACTS = {
    "int8": ("contract_narrow", "int16*"),
    "int16": ("contract_wide", "int32*"),
    "float32": ("contract_floats", "float32*"),
}


def _sums(
    rows: _Rows, dtype: DType, across: tuple[tables.Width, Array, int] | None, along: tuple[Taps, Array] | None
) -> Pass:
    """Return the pass along the width, given (its table, its edges, its precision), or the height, or both."""
    weight = next(part[0].weight.dtype.name for part in (across, along) if part)
    if across and along and weight == "int8" and (halved := _halved(rows, across, along)):
        return halved
    kernel, pair = _CONTRACTS[weight]
    kernel = across[0].kernel if across else kernel
    widths = (*_PLACES * 2, "uint8*", f"{weight}*", *_PLACES, *_NUMBER * 7)
    heights = (*_PLACES * 2, pair, *_PLACES, *_NUMBER * 2)
    value = f"{dtype.name}*"
    types = (*(value,) * 3, *_PLACES, value, *widths, *heights, *_NUMBER * 9)
    module, width_of_vectors = ("float_sums", float_lanes()) if dtype == np.float32 else ("byte_sums", window())
    call = entry.kernel(module, f"{kernel}_{width_of_vectors}", types)
    of_width, of_height, weighted, depth, direct = [0] * len(widths), [0] * len(heights), None, 2, 0
    if across is not None:
        width, edges, precision = across
        if along is None and dtype == np.float32:
            # the last block of a row goes by way of the ring
            direct = max(0, int(np.searchsorted(width.at, rows.row_out - BLOCK, "right")) - 1)
        of_width = [*map(entry.address, (width.at, width.base, width.source, width.weight, edges))]
        of_width += [*width.base.shape[:2], width.taps, width.outputs, *width.alike, precision]
    if along is not None:
        taps, edges = along
        weighted = tables.heights(taps) if dtype == np.uint8 else taps.weight
        of_height = [*map(entry.address, (taps.start, taps.length, weighted, edges)), weighted.shape[1], taps.precision]
        depth = taps.n_taps + 1
    pitch = -(-rows.row_out // BLOCK) * BLOCK + BLOCK
    fixed = packed(*of_width, *of_height, *rows[2:], pitch, depth, direct)
    scratch = (depth * pitch * dtype.itemsize if across else 0, whole_vectors(8 * depth), 0)
    length = rows.planes * rows.n_out
    vectors = length * (rows.row_out * dtype.itemsize // VECTOR) * (taps.n_taps if along else 1)
    if across is not None:
        vectors += rows.planes * rows.n_in * width.base[..., 0].size * (width.taps if dtype == np.float32 else 1)
    owners = across, along, weighted
    past = rows.go_past(dtype, CACHED_BY_SUMS if weight == "int16" else CACHED)
    return Pass(rows.shape, call, fixed, length, vectors * VECTOR_COST, owners, scratch, past, direct > 0)


def _halved(rows: _Rows, across: tuple[tables.Width, Array, int], along: tuple[Taps, Array]) -> Pass | None:
    """Return the pass of a height that becomes about half, and of the width, or None where `halve` does not serve."""
    (width, ends, precision), (taps, edges) = across, along
    halving = tables.halving(taps)
    # groups go straight to the result: those that write more than there is of a row are done by themselves
    first, end = width.alike
    beyond = np.flatnonzero((width.at + width.outputs > rows.row_out).reshape(len(width.at), -1).any(axis=1))
    end = min([end, *beyond[:1].tolist()])
    if halving is None or end < first + 2:
        return None
    lead, weights = halving
    widths, heights = (*_PLACES * 2, "uint8*", "int8*", *_PLACES, *_NUMBER * 5), ("int16*", *_PLACES, *_NUMBER * 2)
    types = (*("uint8*",) * 3, *widths, *heights, *_NUMBER * 7)
    call = entry.kernel("halving", f"halve_ordered_{window()}" if width.in_order else f"halve_{window()}", types)
    pitch = -(-rows.row_out // BLOCK) * BLOCK + BLOCK
    fixed = [*map(entry.address, (width.at, width.base, width.source, width.weight, ends))]
    fixed += [*width.base.shape[:2], first, end, precision, *map(entry.address, (weights, edges)), lead, taps.precision]
    length = rows.planes * rows.n_out
    cost = (length * (rows.row_out // VECTOR) * 2 + rows.planes * rows.n_in * width.base[..., 0].size) * VECTOR_COST
    owners = across, along, weights
    return Pass(rows.shape, call, packed(*fixed, *rows[2:], pitch), length, cost, owners, [4 * pitch + 2 * VECTOR])


def _halved_floats(rows: _Rows, dtype: DType, across: Taps, along: Taps, size: int) -> Pass | None:
    """Return the pass of float32 whose width and height become half, or None where `halve_floats` does not serve."""
    taps, middle = along.n_taps, along.n_out // 2
    lead = int(along.start[middle]) - 2 * middle
    first = along.start - 2 * np.arange(along.n_out) - lead
    if taps != across.n_taps or not ((first >= 0) & (first + along.length <= taps)).all():
        return None
    if taps == 2 and not (along.length == 2).all():
        return None
    width = tables.float_halves(across, size, float_lanes())
    if width is None:
        return None
    value = "float32*"
    widths, heights = (*_PLACES * 2, "uint8*", value, *_NUMBER * 3), (*_PLACES * 2, value, *_NUMBER)
    types = (*(value,) * 3, *_PLACES, value, *widths, *heights, *_NUMBER * 7)
    call = entry.kernel("halving", f"halve_floats_{taps // 2}_{float_lanes()}", types)
    fixed = [*map(entry.address, (width.at, width.base, width.source, width.weight)), len(width.at), *width.alike]
    fixed += [*map(entry.address, (along.start, along.length, along.weight)), lead]
    pitch = -(-rows.row_out // BLOCK) * BLOCK + BLOCK
    length, owners = rows.planes * rows.n_out, (width, along)
    cost, past = length * 2 * len(width.at) * taps * VECTOR_COST, rows.go_past(dtype)
    scratch = (5 * pitch * dtype.itemsize, whole_vectors(8 * taps), 0)
    return Pass(rows.shape, call, packed(*fixed, *rows[2:], pitch), length, cost, owners, scratch, past)


def copy_pass(shape: Shape, dtype: DType, axes: Mapping[int, Taps]) -> Pass:
    """Return the pass that copies what the tables of some axes choose, from values of any type, all axes at once.

    The last axis chooses samples of a row, unless they are long; the others, and those between them, choose rows.
    """
    first, last = min(axes), max(axes)
    size = math.prod(shape[last + 1 :]) * dtype.itemsize
    row_axes = range(first, last if size < BLOCK else last + 1)
    start = np.zeros(1, np.int64)
    for axis in row_axes:
        chosen = axes[axis].start if axis in axes else np.arange(shape[axis])
        start = np.add.outer(start * shape[axis], chosen).ravel()
    place = axes[last].start * size if size < BLOCK else np.zeros(1, np.int64)
    row_in, row_out = math.prod(shape[row_axes.stop :]) * dtype.itemsize, len(place) * size
    extent = (math.prod(shape[a] for a in row_axes), len(start), row_in)
    choice = None
    few = math.prod(shape[: row_axes.start]) * len(start) < FEW_ROWS and len(place) > LONG_ROW
    if window() and size < BLOCK <= row_out and not few:
        # with AVX2 samples of whole fours are chosen from 32 bytes
        windows = [window()]
        if window() == 32:
            windows = [32, 16] if size % 4 == 0 else [16]
        found = (tables.choices(axes[last], size, some) for some in windows)
        choice = next((some for some in found if some), None)
    if choice:
        types = (*("uint8*",) * 3, *_PLACES * 2, *("uint8*",) * 2, *_NUMBER * 2, *_PLACES, *_NUMBER * 6)
        call = entry.kernel("copies", f"select_{choice.source.shape[1]}", types)
        fixed = [
            *map(entry.address, choice[1:]),
            len(choice.at),
            choice.outputs,
            entry.address(start),
            *extent,
            row_out,
        ]
    else:
        width = next((width for width in (1, 2, 4, 8) if size <= width), 16)
        # a move of more bytes than a sample has must stay in the row that is read, and in the row that is written
        fits = (place + width <= row_in) & (np.arange(len(place)) * size + width <= row_out)
        whole = len(place) if fits.all() else int(fits.argmin())
        call = entry.kernel("loops", f"pick_{width}", (*("uint8*",) * 2, *_PLACES * 2, *_NUMBER * 8))
        fixed = [entry.address(start), entry.address(place), size, whole, len(place), *extent]

    length = math.prod(shape[:first]) * len(start)
    lines = row_out // VECTOR + min(len(place), row_in // VECTOR)
    after, owners, scratch = _after(shape, axes), (choice, start, place), (0,) if choice else ()
    takes_staging = choice is not None and goes_past(math.prod(shape) * dtype.itemsize, length * row_out)
    return Pass(after, call, packed(*fixed), length, length * lines * LINE_COST, owners, scratch, takes_staging)


def _after(shape: Shape, axes: Mapping[int, Taps]) -> Shape:
    return tuple(axes[axis].n_out if axis in axes else n for axis, n in enumerate(shape))


def mean_pass(shape: Shape, dtype: DType, axes: Mapping[int, Taps]) -> Pass:
    """Return the pass that averages over one to three neighbouring axes at once: float32 or float64."""
    last = max(axes)
    inner = math.prod(shape[last + 1 :])
    whole = averaging(1, 1)  # of an axis that is missing in front
    boxes = [whole] * (3 - len(axes)) + [axes[axis] for axis in sorted(axes)]
    runs = [run for taps in boxes for run in (taps.start, taps.length)]
    call = entry.kernel("loops", "average", (*(f"{dtype.name}*",) * 2, "float64*", *_PLACES * 6, *_NUMBER * 9))
    row_in = boxes[2].n_in * inner
    sizes = [taps.n_in for taps in boxes[:2]] + [taps.n_out for taps in boxes]
    fixed = packed(*map(entry.address, runs), *sizes, row_in, inner)
    after = _after(shape, axes)
    return Pass(after, call, fixed, math.prod(after[:last]), math.prod(shape), runs, [whole_vectors(8 * row_in)])


def plain_pass(shape: Shape, dtype: DType, axis: int, taps: Taps) -> Pass:
    """Return the pass of a plain kernel over one axis: float32, float64, or uint8 with int16 weights."""
    outer, inner = math.prod(shape[:axis]), math.prod(shape[axis + 1 :])
    name = "contract_pixels" if inner < SHORT_INNER else "contract_rows"
    value, weight = f"{dtype.name}*", f"{taps.weight.dtype.name}*"
    call = entry.kernel("loops", name, (value, value, *_PLACES * 2, weight, *_NUMBER * 7))
    fixed = [*map(entry.address, (taps.start, taps.length, taps.weight)), taps.n_taps, taps.precision]
    fixed += [taps.n_in, taps.n_out, inner]
    after = _after(shape, {axis: taps})
    return Pass(after, call, packed(*fixed), outer * taps.n_out, math.prod(after), taps)
