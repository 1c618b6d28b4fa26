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
    are rounded to the dtype of `src`, which is what torch does. Two neighbouring axes go at once where a kernel takes
    both, so that what lies between them never reaches memory.
    """
    axes = sorted(tables)
    if not axes:
        if out is None:
            return np.array(src)
        out[...] = src
    while axes:
        both = {axis: tables[axis] for axis in axes[-2:]}
        neighbours = len(both) == 2 and axes[-1] - axes[-2] == 1
        used = both if neighbours and cpu.fast_rows(src, both) else {axes[-1]: tables[axes[-1]]}
        axes = axes[: -len(used)]
        shape = tuple(used[axis].n_out if axis in used else n for axis, n in enumerate(src.shape))
        dst = out if out is not None and not axes else np.empty(shape, src.dtype)
        cpu.contract(dst, src, used)
        src = dst
    return src if out is None else out
