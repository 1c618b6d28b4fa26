"""The CPU backend: which kernel serves a table, its arguments, and the bands that threads take."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

import numpy as np

from resample import threads
from resample.arrays import Array
from resample.kernels import entry, tables
from resample.taps import Taps

_EXTENT = ("int64",) * 7  # n_in, n_out, inner, outer_low, outer_high, low, high
_WEIGHT = {"uint8": "int16", "float32": "float32", "float64": "float64"}

# from so many values a sample on, sums are kept in blocks of them, not pixel by pixel
SHORT_INNER = 16

# bytes that the fast kernels take of a row at a time, the least that a row may have
BLOCK = 64

# a byte costs a fast kernel so much less than a value costs a plain one, which is what bands are sized by
FAST_BYTES = 4


@cache
def window() -> int:
    """Return how many bytes the processor's shuffle chooses from, 64 or 16, or 0 where there is no fast kernel.

    The environment variable RESAMPLE_SHUFFLE can lower it, to 16 or 0: results are the same.
    """
    from resample.kernels import store

    widest = store.shuffle_bytes()
    asked = os.environ.get("RESAMPLE_SHUFFLE", "")
    return min(widest, int(asked)) if asked in ("0", "16", "64") else widest


def fast_sums(dtype: str) -> bool:
    """Return whether there is a fast kernel for sums of this type."""
    return window() > 0 if dtype == "uint8" else dtype == "float32" and window() == 64


class Rows(NamedTuple):
    """How the fast kernels see an array: rows of values (of bytes, where samples are copied), in planes."""

    planes: int
    height: Taps | None
    """None: rows keep their height."""
    width: tables.Width | tables.Choice | None
    """None: rows keep their width."""
    precision: int
    n_in: int
    n_out: int
    row_in: int
    row_out: int


def fast_rows(src: Array, axes: Mapping[int, Taps]) -> Rows | None:
    """Return how a fast kernel resamples one axis, or two neighbouring ones, or None where none does.

    There are some for sums of bytes and of float32 and for copies of any values; rows must be at least a block of
    them, and neighbouring outputs must have their taps within a shuffle's window.
    """
    selects = all(taps.selects for taps in axes.values())
    sums = not any(taps.selects for taps in axes.values())
    if not (window() and selects) and not (sums and fast_sums(src.dtype.name)):
        return None
    across = max(axes)
    size = math.prod(src.shape[across + 1 :]) * (src.itemsize if selects else 1)  # of a sample of that axis
    taps = axes[across]
    if len(axes) == 1 and size >= BLOCK:
        if selects:
            return None  # the plain kernel copies such long samples as fast
        planes = math.prod(src.shape[:across])
        return Rows(planes, taps, None, 0, taps.n_in, taps.n_out, size, size)
    width: tables.Choice | tables.Width | None
    if selects:
        width = tables.choices(taps, size, window())
    elif src.dtype == np.uint8:
        width = tables.widths(taps, size, window())
    else:
        width = tables.float_widths(taps, size)
    row_in, row_out = taps.n_in * size, taps.n_out * size
    if width is None or row_out < BLOCK:
        return None
    if len(axes) == 1:
        rows = math.prod(src.shape[:across])
        return Rows(1, None, width, taps.precision, rows, rows, row_in, row_out)
    height = axes[min(axes)]
    planes = math.prod(src.shape[: min(axes)])
    return Rows(planes, height, width, taps.precision, height.n_in, height.n_out, row_in, row_out)


def contract(dst: Array, src: Array, axes: Mapping[int, Taps]) -> None:
    """Write `src` with one axis, or two neighbouring ones for which there are `fast_rows`, resampled to `dst`.

    Both are C-contiguous, of one dtype and of equal shape but for the axes. Tables that select take any dtype; others
    float32 and float64 with weights of the same type, and uint8 with int16 weights.
    """
    if dst.size == 0:
        return
    rows = fast_rows(src, axes)
    if rows is None:
        ((axis, taps),) = axes.items()
        _contract_plain(dst, src, axis, taps)
    elif isinstance(rows.width, tables.Choice):
        _select_rows(dst, src, rows, rows.width)
    else:
        _contract_rows(dst, src, rows, rows.width)


def _select_rows(dst: Array, src: Array, rows: Rows, width: tables.Choice) -> None:
    places, numbers = ("int64*",), ("int64",)
    types = (*("uint8*",) * 2, *places * 2, "uint8*", *numbers * 2, *places, *numbers * 6)
    call = entry.kernel("rows", f"select_{window()}", types)
    start = np.arange(rows.n_out) if rows.height is None else rows.height.start
    arrays = map(entry.address, (dst, src, *width[1:]))
    arguments = [*arrays, len(width.at), width.outputs, entry.address(start)]
    arguments += [rows.n_in, rows.n_out, rows.row_in, rows.row_out]
    threads.in_bands(lambda low, high: call(*arguments, low, high), rows.planes * rows.n_out, dst.nbytes // FAST_BYTES)


def _contract_rows(dst: Array, src: Array, rows: Rows, width: tables.Width | None) -> None:
    places, numbers = ("int64*",), ("int64",)
    in_bytes = src.dtype == np.uint8
    value, weight, weights = ("uint8*", "int16*", "int32*") if in_bytes else ("float32*",) * 3
    across_types = (*places * 2, "uint8*", weight, *numbers * 4)
    types = (*(value,) * 3, *places, *across_types, *places * 2, weights, *numbers * 10)
    call = entry.kernel("rows", f"contract_bytes_{window()}" if in_bytes else "contract_floats", types)
    if width is None:
        across = [0] * 8
    else:
        across = [*map(entry.address, width[1:]), *width.base.shape, width.outputs, rows.precision]
    if rows.height is None:
        along, depth = [0] * 5, 0
    else:
        weighted = tables.heights(rows.height) if in_bytes else rows.height.weight
        along = [*map(entry.address, (rows.height.start, rows.height.length, weighted))]
        along += [weighted.shape[1], rows.height.precision]
        depth = rows.height.n_taps
    pitch = -(-rows.row_out // 64) * 64

    def band(low: int, high: int) -> None:
        ring = np.empty(depth * pitch if width else 0, src.dtype)
        place = np.empty(depth + 1, np.int64)
        extent = [rows.n_in, rows.n_out, rows.row_in, rows.row_out, pitch, depth, low, high]
        call(*map(entry.address, (dst, src, ring, place)), *across, *along, *extent)

    threads.in_bands(band, rows.planes * rows.n_out, dst.nbytes // FAST_BYTES)


def _contract_plain(dst: Array, src: Array, axis: int, taps: Taps) -> None:
    outer, inner = math.prod(src.shape[:axis]), math.prod(src.shape[axis + 1 :])
    if taps.selects:
        unit, inner = _units(inner * src.itemsize)
        call = entry.kernel("loops", "select", (f"{unit}*", f"{unit}*", "int64*", *_EXTENT))
        arguments = [entry.address(dst), entry.address(src), entry.address(taps.start)]
    else:
        value, weight = src.dtype.name, _WEIGHT[src.dtype.name]
        name = "contract_pixels" if inner < SHORT_INNER else "contract_rows"
        pointers = (f"{value}*", f"{value}*", "int64*", "int64*", f"{weight}*")
        call = entry.kernel("loops", name, (*pointers, "int64", "int64", *_EXTENT))
        arrays = map(entry.address, (dst, src, taps.start, taps.length, taps.weight))
        arguments = [*arrays, taps.n_taps, taps.precision]
    arguments += [taps.n_in, taps.n_out, inner]
    if outer >= taps.n_out or outer >= 4 * threads.get_num_threads():
        threads.in_bands(lambda low, high: call(*arguments, low, high, 0, taps.n_out), outer, dst.size)
    else:
        threads.in_bands(lambda low, high: call(*arguments, 0, outer, low, high), taps.n_out, dst.size)


def _units(size: int) -> tuple[str, int]:
    """Return the widest unsigned type that divides `size` bytes, and how many make them up."""
    width = math.gcd(size, 8)
    return f"uint{8 * width}", size // width
