"""Contract the axes of an array with their tables."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from resample.arrays import Array
from resample.kernels import cpu
from resample.taps import Taps


def apply(src: Array, tables: Mapping[int, Taps], out: Array | None = None) -> Array:
    """Return `src` with each axis in `tables` resampled, the last axis first.

    `src` and `out` are C-contiguous; `out` is written if given, else a new array is returned. Between two axes, values
    are rounded to the dtype of `src`, which is what torch does.
    """
    axes = sorted(tables, reverse=True)
    if not axes:
        if out is None:
            return np.array(src)
        out[...] = src
        return out
    for axis in axes:
        shape = (*src.shape[:axis], tables[axis].n_out, *src.shape[axis + 1 :])
        last = axis == axes[-1]
        dst = out if last and out is not None else np.empty(shape, src.dtype)
        cpu.contract(dst, src, axis, tables[axis])
        src = dst
    return src
