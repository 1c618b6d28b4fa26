"""Contract the axes of an array with their tables."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache, partial

import numpy as np

from resample import threads
from resample.arrays import Array
from resample.kernels import cpu
from resample.kernels.cpu import Pass
from resample.kernels.entry import address
from resample.taps import Taps


def apply(src: Array, tables: Mapping[int, Taps], out: Array | None = None) -> Array:
    """Return `src` with each axis in `tables` resampled, the last axis first.

    `src` and `out` are C-contiguous; `out` is written if given, else a new array is returned. Between two axes, values
    are rounded to the dtype of `src`, which is what torch does.
    """
    passes = planned(src.shape, src.dtype, tuple(tables.items()))
    if not passes:
        if out is None:
            return np.array(src)
        out[...] = src
        return out
    for step in passes:
        dst = out if out is not None and step is passes[-1] else np.empty(step.shape, src.dtype)
        if dst.size:
            threads.in_bands(partial(step.band, address(dst), address(src)), step.length, step.cost)
        src = dst
    return src


@lru_cache(maxsize=256)
def planned(shape: tuple[int, ...], dtype: np.dtype[np.generic], tables: tuple[tuple[int, Taps], ...]) -> list[Pass]:
    """Return the passes of `apply`, kept for the next array of this shape.

    Two neighbouring axes go at once where a kernel takes both, so that what lies between them never reaches memory.
    """
    axes, passes = dict(tables), []
    while axes:
        last = max(axes)
        both = {axis: axes[axis] for axis in (last - 1, last) if axis in axes}
        step = cpu.fast_pass(shape, dtype, both)
        if step is None:
            # copies may go in any order: rows that are dropped need not be looked at
            rows_first = all(taps.selects and taps.n_out < taps.n_in for taps in both.values())
            axis = min(both) if rows_first else last
            both = {axis: axes[axis]}
            step = cpu.fast_pass(shape, dtype, both) or cpu.plain_pass(shape, dtype, axis, axes[axis])
        axes = {axis: taps for axis, taps in axes.items() if axis not in both}
        shape = step.shape
        passes.append(step)
    return passes
