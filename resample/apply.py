"""Contract the axes of an array with their tables."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache

import numpy as np

from resample.arrays import Array
from resample.blocks import LINED, new_array
from resample.kernels import cpu
from resample.kernels.cpu import Pass, staging_bytes
from resample.kernels.entry import address
from resample.taps import Taps
from resample.team import in_bands


def apply(src: Array, tables: Mapping[int, Taps], out: Array | None = None) -> Array:
    """Return `src` with each axis in `tables` resampled, the last axis first.

    `src` and `out` are C-contiguous; `out` is written if given, else a new array is returned. Between two axes, sums
    are rounded to the dtype of `src`, which is what torch does.
    """
    return run(src, planned(src.shape, src.dtype, tuple(tables.items())), out)


def run(src: Array, passes: Sequence[Pass], out: Array | None = None) -> Array:
    """Return what `planned` passes make of `src`, which are of its shape, or of one with the same values in order."""
    if not passes:
        if out is None:
            return np.array(src)
        out[...] = src
        return out
    for step in passes:
        if out is not None and step is passes[-1]:
            dst = out
        else:
            shape, dtype = step.shape, src.dtype
            dst = np.empty(shape, dtype) if step.is_small else new_array(shape, dtype, step.is_straight)
        if dst.size:
            scratch = (*step.scratch[:-1], staging_bytes(dst)) if step.takes_staging else step.scratch
            in_bands(step.kernel, (address(dst), address(src)), step.fixed, step.length, step.cost, scratch)
        src = dst
    return src


@lru_cache(maxsize=256)
def planned(shape: tuple[int, ...], dtype: np.dtype[np.generic], tables: tuple[tuple[int, Taps], ...]) -> list[Pass]:
    """Return the passes of `apply`, kept for the next array of this shape.

    Two neighbouring axes go at once where a kernel takes both, so that what lies between them never reaches memory;
    copies and means go all at once.
    """
    axes, passes = dict(tables), []
    while axes:
        last = max(axes)
        if axes[last].selects:
            some = {axis: taps for axis, taps in axes.items() if taps.selects}
            step = cpu.copy_pass(shape, dtype, some)
        elif axes[last].averages:
            some = axes
            step = cpu.mean_pass(shape, dtype, axes)
        else:
            some = {axis: axes[axis] for axis in (last - 1, last) if axis in axes}
            fast = cpu.fast_pass(shape, dtype, some)
            if fast is None:
                some = {last: axes[last]}
                fast = cpu.fast_pass(shape, dtype, some)
            step = fast or cpu.plain_pass(shape, dtype, last, axes[last])
        axes = {axis: taps for axis, taps in axes.items() if axis not in some}
        shape = step.shape
        passes.append(step._replace(is_small=math.prod(shape) * dtype.itemsize < LINED))
    return passes
