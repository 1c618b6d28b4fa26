"""Values coded for sRGB to linear light and back: the transfer function of IEC 61966-2-1."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np

from resample.arrays import Array
from resample.blocks import new_array

# dtypes whose values are coded levels (of all that a dtype has) or, for floats, codes from 0 to 1
DTYPES = ("uint8", "uint16", "float16", "float32", "float64")

# equal parts of 0 to 1, each shorter than the shortest step of linear light between two levels, 1 / (12.92 * 255) or
# 1 / (12.92 * 65535): the boundary between levels that lies in a part, if one does, is the only one
_PARTS = {"uint8": 1 << 12, "uint16": 1 << 20}

# values that are looked up at a time
_CHUNK = 1 << 16


def decoded(codes: Array) -> Array:
    """Return the linear light, 0 to 1, of values of a dtype in DTYPES, in float32, or float64 for float64.

    Floats outside 0 to 1 follow the curve on, below 0 its straight part.
    """
    if codes.dtype.kind == "f":
        return _light(codes.astype(np.result_type(codes.dtype, np.float32)))
    table = _table(codes.dtype.name)
    light = new_array(codes.shape, np.dtype(np.float32))
    for rows in _bands(light):
        np.take(table, codes[rows], out=light[rows], mode="clip")
    return light


def coded(light: Array, out: Array) -> None:
    """Write the codes of linear light, clipped to 0 to 1, to an array of a dtype in DTYPES: the nearest level."""
    if out.dtype.kind == "f":
        out[...] = _code(light.clip(0, 1))
        return
    parts = np.float32(_PARTS[out.dtype.name])
    first_level, boundary = _boundaries(out.dtype.name)
    for rows in _bands(light):
        clipped = light[rows].clip(0, 1)
        part = (clipped * parts).astype(np.intp)
        np.add(first_level.take(part), clipped >= boundary.take(part), out=out[rows], casting="unsafe")


def _light(code: Array) -> Array:
    curve = ((np.maximum(code, 0.04) + 0.055) / 1.055) ** 2.4
    return np.where(code <= 0.04045, code / 12.92, curve)


def _code(light: Array) -> Array:
    root = np.maximum(light, 0.003) ** (1 / 2.4)
    curve = root + 0.055 * (root - 1)  # as 1.055 * root - 0.055, and 1 for 1
    return np.where(light <= 0.0031308, light * 12.92, curve)


@cache
def _table(dtype: str) -> Array:
    """Return the linear light of each level of an unsigned type, float32."""
    levels = np.arange(np.iinfo(dtype).max + 1, dtype=np.float64)
    return _light(levels / levels[-1]).astype(np.float32)


@cache
def _boundaries(dtype: str) -> tuple[Array, Array]:
    """Return the level where each part begins, and the least float32 that belongs to the next level."""
    last, parts = np.iinfo(dtype).max, _PARTS[dtype]
    exact = _light((np.arange(last) + 0.5) / last)
    least = exact.astype(np.float32)
    least = np.where(least < exact, np.nextafter(least, np.float32(1)), least)
    level = np.searchsorted(least, np.arange(parts + 1) / np.float32(parts), side="right")
    return level.astype(dtype), np.append(least, np.float32(np.inf))[level]


def _bands(array: Array) -> Iterator[slice]:
    """Return slices of rows, so few that what lies between two steps stays in the cache.

    NumPy holds the GIL too often here for threads to be of use.
    """
    step = max(1, _CHUNK * len(array) // array.size)
    return (slice(top, top + step) for top in range(0, len(array), step))
