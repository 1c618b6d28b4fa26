"""Where output sample o lies on the input axis: one function a convention.

Sample i of an axis sits at position i. All functions return one position (or index) per output sample, with torch's
own roundings: `dtype` is float64 for float64 data, else float32, and positions are computed in that type, because a
position in another type moves the result of a large float32 axis by 1e-3.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from resample.rounding import Floats, fma

FLOAT32 = np.dtype(np.float32)

Indices = NDArray[np.intp]


def step(n_in: int, n_out: int, factor: float | None, dtype: np.dtype[Any]) -> Any:
    """Return the distance between two output samples: 1 / factor where a factor is given, else n_in / n_out."""
    if factor is not None and factor > 0:
        return dtype.type(1.0 / factor)
    return dtype.type(n_in) / dtype.type(n_out)


def corner_step(n_in: int, n_out: int, dtype: np.dtype[Any]) -> Any:
    """Return the step that puts the first and the last samples of both axes on each other; 0 for one output."""
    if n_out <= 1:
        return dtype.type(0)
    return dtype.type(n_in - 1) / dtype.type(n_out - 1)


def half_pixel(n_in: int, n_out: int, factor: float | None, dtype: np.dtype[Any]) -> Floats:
    """Return positions for align_corners=False: samples are centres of equal cells, `(o + 1/2) * step - 1/2`."""
    centres = np.arange(n_out, dtype=dtype) + dtype.type(0.5)
    return fma(step(n_in, n_out, factor, dtype), centres, -0.5, dtype)


def centres(n_out: int, step: Any) -> Floats:
    """Return the centres of outputs for antialias, `(o + 1/2) * step`, where sample i is the cell from i to i + 1."""
    return np.asarray((np.float64(step) * (np.arange(n_out) + 0.5)).astype(type(step)))


def align_corners(n_in: int, n_out: int, dtype: np.dtype[Any]) -> Floats:
    """Return positions for align_corners=True: the corner samples coincide, `o * step`."""
    return np.asarray(np.arange(n_out, dtype=dtype) * corner_step(n_in, n_out, dtype))


def nearest(n_in: int, n_out: int, factor: float | None, dtype: np.dtype[Any], packed: bool) -> Indices:
    """Return the input index of each output for mode "nearest": `floor(o * step)`.

    `packed` selects the arithmetic of torch's second kernel, see `uses_packed_kernel`: always float32, with shortcuts
    for equal size and for doubling that ignore a factor.
    """
    outputs = np.arange(n_out)
    if packed and n_out == n_in:
        return outputs
    if packed and n_out == 2 * n_in:
        return outputs >> 1
    kind = FLOAT32 if packed else dtype
    positions = outputs.astype(kind) * step(n_in, n_out, factor, kind)
    return base_index(positions, n_in)


def nearest_exact(n_in: int, n_out: int, factor: float | None, dtype: np.dtype[Any], packed: bool) -> Indices:
    """Return the input index of each output for mode "nearest-exact": the sample under the centre of the output."""
    if packed:
        positions = (np.arange(n_out) + 0.5) * np.float64(step(n_in, n_out, factor, FLOAT32))
    else:
        positions = np.maximum(half_pixel(n_in, n_out, factor, dtype), 0).astype(np.float64) + 0.5
    return base_index(positions, n_in)


def base_index(positions: Floats, n_in: int) -> Indices:
    """Return the index of the sample at or below each position, at most `n_in - 1`; it may be negative."""
    # torch takes the floor in float32 even of float64 positions
    return np.minimum(np.floor(positions.astype(np.float32)).astype(np.intp), n_in - 1)


def uses_packed_kernel(n_out: tuple[int, ...], channels_last: bool, channels: int) -> bool:
    """Return whether torch takes, for nearest and linear modes, the kernel that it wrote for channels-last tensors.

    It takes that one for channels-last data of more than 3 channels, and in 2-D for small outputs of any layout; the
    two kernels round differently and pick other samples at a few sizes.
    """
    if len(n_out) == 1:
        return False
    return (channels_last and channels > 3) or (len(n_out) == 2 and sum(n_out) <= 128)
