"""The central type: one axis of a resize as a sparse matrix with a run of taps a row, and its builders.

    out[o] = sum over t < length[o] of  weight[o, t] * src[start[o] + t]

Everything delicate (conventions, filters, edges, torch's roundings) is settled here; kernels only multiply and add.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from resample import coordinates
from resample.coordinates import Indices
from resample.filters import Filter
from resample.rounding import Floats


class Taps:
    """Row o reads `length[o]` samples from `start[o]` on: `0 <= start` and `start + length <= n_in`.

    A row keeps its own length, and no zero weight is added to pad it: a zero times an infinite neighbour is NaN.
    Tables are never changed, and two are equal if they are the same one, so that more can be derived and kept by table.

    Attributes:
        n_in, n_out, n_taps: samples of the input axis, of the output axis, and of the longest row.
        start: (n_out,) intp.
        length: (n_out,) intp, each at least 1 and at most n_taps.
        weight: (n_out, n_taps), C-contiguous unless `averages`; float32 or float64, or int16 in units of
            2**-precision; what lies beyond a row's length means nothing.
        precision: fraction bits of int16 weights; 0 for floats.
        peak: largest value that any weight took while edges were folded into it: what sets `precision` in torch.
        selects: whether each output is a copy of one sample (mode nearest); then values of any type pass unchanged.
        averages: whether each output is the mean of its row (mode area); then the weight, 1 / length, is not used, as a
            sum divided by its length is more exact.
    """

    def __init__(
        self,
        n_in: int,
        start: Indices,
        length: Indices,
        weight: NDArray[Any],
        *,
        precision: int = 0,
        peak: float = 0.0,
        selects: bool = False,
        averages: bool = False,
    ) -> None:
        self.n_in = n_in
        self.n_out, self.n_taps = weight.shape
        self.start = start
        self.length = length
        self.weight = weight
        self.precision = precision
        self.peak = peak
        self.selects = selects
        self.averages = averages


def selecting(index: Indices, n_in: int) -> Taps:
    """Return the table that copies sample `index[o]` to output o."""
    return Taps(n_in, index, np.ones_like(index), np.ones((len(index), 1), np.float32), selects=True)


def interpolating(positions: Floats, n_in: int, filter: Filter, *, in_half: bool = False) -> Taps:
    """Return the table that evaluates `filter` through the samples around each position.

    Samples outside the axis repeat the edge sample, so their weights are folded into the edge tap. `in_half` rounds
    weights to float16 as torch does for float16 data.
    """
    dtype = positions.dtype
    base = coordinates.base_index(positions, n_in)
    fraction = np.clip(positions - base.astype(dtype), 0, 1).astype(dtype)
    if in_half and filter.radius == 1:
        fraction = fraction.astype(np.float16).astype(dtype)
    weights = _phase(fraction, filter)
    if in_half:
        weights = weights.astype(np.float16).astype(dtype)
    first = base - (filter.radius - 1)
    start = np.maximum(first, 0)
    length = np.minimum(first + 2 * filter.radius, n_in) - start
    folded = np.zeros((len(positions), min(2 * filter.radius, n_in)), dtype)
    rows = np.arange(len(positions))
    peak = 0.0
    for j in range(2 * filter.radius):
        slot = np.clip(first + j, 0, n_in - 1) - start
        folded[rows, slot] += weights[:, j]
        peak = max(peak, float(folded[rows, slot].max()))
    return Taps(n_in, start, length, folded, peak=peak)


def _phase(fraction: Floats, filter: Filter) -> Floats:
    """Return (n_out, 2 * radius) weights of the samples around a position `fraction` past one of them."""
    dtype = fraction.dtype
    if filter.radius == 1:
        # the exact pair (1 - t, t): 1 - (1 - t) would lose the last bits of a small t
        return np.stack([dtype.type(1) - fraction, fraction], axis=1)
    left = np.float64(fraction)
    right = (1 - left).astype(dtype)
    behind = [(left + j).astype(dtype) for j in reversed(range(filter.radius))]
    ahead = [(np.float64(right) + j).astype(dtype) for j in range(filter.radius)]
    return filter.weight(np.stack(behind + ahead, axis=1), dtype)


def antialiased(n_in: int, n_out: int, step: Any, filter: Filter) -> Taps:
    """Return the table of `filter` stretched by `step`, the distance of two outputs, where that is more than 1.

    Rows are cut at the edges of the axis and divided by their sum, as in Pillow.
    """
    dtype = np.dtype(type(step))
    wide = np.float64(step)
    support = dtype.type(filter.radius * wide) if wide >= 1 else dtype.type(filter.radius)
    inverse = np.float64(dtype.type(1 / wide)) if wide >= 1 else 1.0
    n_taps = math.ceil(support) * 2 + 1
    centre = coordinates.centres(n_out, step)
    start = np.maximum((np.float64(centre - support) + 0.5).astype(np.intp), 0)
    end = np.minimum((np.float64(centre + support) + 0.5).astype(np.intp), n_in)
    length = np.clip(end - start, 0, n_taps)
    n_taps = int(length.max())
    taps = np.arange(n_taps)
    offset = np.float64((start[:, None] + taps).astype(dtype) - centre[:, None])
    weight = filter.weight(((offset + 0.5) * inverse).astype(dtype), dtype)
    weight = np.where(taps < length[:, None], weight, dtype.type(0))
    total = np.cumsum(weight, axis=1, dtype=dtype)[:, -1:]
    weight = weight / np.where(total == 0, dtype.type(1), total)
    return Taps(n_in, start, length, np.ascontiguousarray(weight), peak=max(0.0, float(weight.max())))


def averaging(n_in: int, n_out: int) -> Taps:
    """Return the table of mode "area": output o is the mean of the samples that its cell touches.

    The cell is `[floor(o * n_in / n_out), ceil((o + 1) * n_in / n_out))`, torch's adaptive average pooling.
    """
    outputs = np.arange(n_out)
    start = outputs * n_in // n_out
    length = -(-(outputs + 1) * n_in // n_out) - start
    weight = np.broadcast_to(1 / length[:, None], (n_out, length.max(initial=1)))
    return Taps(n_in, start, length, weight, averages=True)


def quantised(taps: Taps) -> Taps:
    """Return the float64 table in int16, with as many fraction bits as the largest weight leaves room for.

    One precision for the whole axis; products of such weights with bytes are summed in int32. Rule and limits are
    those of torch's uint8 kernels (which took them from Pillow-SIMD).
    """
    precision = next((p for p in range(22) if int(0.5 + taps.peak * 2.0 ** (p + 1)) >= 1 << 15), 22)
    scaled = taps.weight * 2.0**precision
    weight = np.trunc(scaled + np.where(scaled < 0, -0.5, 0.5)).astype(np.int16)
    return Taps(taps.n_in, taps.start, taps.length, weight, precision=precision, peak=taps.peak)
