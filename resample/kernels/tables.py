"""Tap tables as the fast kernels read them, built once a plan in NumPy."""

from __future__ import annotations

import math
from bisect import bisect_left
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from resample.arrays import Array
from resample.blocks import from_a_line
from resample.kernels.sizes import ABREAST, NO_BYTE, UNUSED, VECTOR
from resample.taps import Taps


class Width(NamedTuple):
    """How `byte_sums` and `float_sums` resample a row.

    In groups of outputs, and within a group by units of taps that share a window.
    """

    kernel: str
    """The kernel that these tables are for, without the length of vectors that ends the name."""
    outputs: int
    """Values that a group writes: of bytes window / 2, / 4, / 8 or / 16, of floats as many as there are lanes. With
    AVX2 the window of bytes is of 16, but where pairs are in order."""
    taps: int
    """Taps of a unit."""
    at: Array
    """(groups,) where in the output row; what a group writes beyond the next one's beginning is written again. Where
    two groups lie abreast in a register, (pairs of groups, 2), and two pieces of a window are theirs."""
    base: Array
    """(groups, units, pieces) where in the source row the pieces of a window begin. A window is one piece, but where
    bytes of outputs lie far apart: then it is four or eight, all as long, and serves more of them."""
    source: Array
    """For bytes (groups, units, window / 2, 2): which of the window make a pair, one output's tap and the next one.
    With AVX2 and weights of 16 bits (..., 2), NO_BYTE behind each: the bytes of words.
    For floats (groups, units, taps, lanes): which of the window is an output's tap, or UNUSED."""
    weight: Array
    """The same shape; of the type of the weights of the taps."""
    in_order: bool
    """Whether some groups are alike, and the pairs of all the window as it is, which spares the shuffle."""
    alike: tuple[int, int]
    """The first of the groups that differ in `at` and `base` alone, both growing evenly, and the one behind the last.
    There are such where the ratio of sizes is that of small numbers, so that weights repeat after few outputs. Of
    groups abreast, pairs are counted."""


@lru_cache(maxsize=128)
def narrowed(taps: Taps) -> Taps | None:
    """Return the table with int8 weights, where that changes no weight and 16 bits hold all sums, else None.

    It is so where weights are some eighths or thirty-seconds: bilinear to twice or half the size, say. A few outputs at
    the ends may have weights of more bits, where the edge cuts off the filter: theirs are 0 here, see `edges`.
    """
    used = np.where(np.arange(taps.n_taps) < taps.length[:, None], taps.weight, 0).astype(np.int64)
    bits = np.bitwise_or.reduce(used, axis=1)
    unit = bits & -bits  # which an output's weights are multiples of
    inner = np.flatnonzero(unit >= np.median(unit))
    apart = np.r_[: inner[0], inner[-1] + 1 : taps.n_out]
    if len(apart) > taps.n_taps or taps.precision == 0:
        return None
    used[apart] = 0
    common = min(int(unit[inner[0] : inner[-1] + 1].min()), 1 << taps.precision - 1)  # see `simd.shifted_words`
    used //= common
    precision = taps.precision - common.bit_length() + 1
    highest = 255 * np.maximum(used, 0).sum(axis=1).max() + (1 << precision >> 1)
    lowest = 255 * np.minimum(used, 0).sum(axis=1).min()
    if np.abs(used).max() > 127 or highest >= 1 << 15 or lowest < -(1 << 15):
        return None
    return Taps(taps.n_in, taps.start, taps.length, used.astype(np.int8), precision=precision)


def edges(taps: Taps, narrow: Taps, channels: int = 1) -> Array:
    """Return as int64 the outputs that `narrow` leaves out, of an axis of interleaved `channels`: none if it is `taps`.

    First how many, the fraction bits of weights, and how many numbers follow for each: where it is, and for each tap
    where that is and its weight; -1 ends them.
    """
    apart = np.flatnonzero(~narrow.weight.any(axis=1))
    channel, tap = np.arange(channels)[:, None], np.arange(taps.n_taps)
    rows = np.full((len(apart), channels, 2 + 2 * taps.n_taps), -1)
    rows[..., 0] = apart[:, None] * channels + channel[:, 0]
    place = ((taps.start[apart, None] + tap) * channels)[:, None] + channel
    rows[..., 1:-1:2] = np.where(tap < taps.length[apart, None, None], place, -1)
    rows[..., 2:-1:2] = taps.weight[apart, None]
    return np.array([len(apart) * channels, taps.precision, rows.shape[-1], *rows.ravel()], np.int64)


@lru_cache(maxsize=128)
def widths(taps: Taps, channels: int, window: int) -> Width | None:
    """Return the tables for rows of `channels` interleaved bytes, or None where the row is shorter than a window."""
    if window != 32:
        return _widths(taps, channels, window)
    # with AVX2 shuffles choose within 16 bytes: two groups lie abreast, but where no byte moves, as in halves of one
    # channel; for others that is not tried, as it takes time
    narrow = taps.weight.itemsize == 1
    is_half = narrow and channels == 1 and abs(taps.n_in - 2 * taps.n_out) < 2
    whole = _widths(taps, channels, 32) if is_half else None
    if whole and whole.in_order:
        return whole
    width = _widths(taps, channels, 16)
    return width and (_abreast(width) if narrow else _of_words(width))


def _of_words(width: Width) -> Width:
    """Return tables whose index chooses a byte and 0 by turns, which makes words of 16 bytes."""
    source = np.full((*width.source.shape, 2), NO_BYTE, np.uint8)
    source[..., 0] = width.source
    return width._replace(source=aligned(source))


def _abreast(width: Width) -> Width:
    """Return tables with two groups side by side; of an odd number the last one is done twice."""
    groups = np.minimum(np.arange(-(-len(width.at) // ABREAST) * ABREAST), len(width.at) - 1).reshape(-1, ABREAST)
    at, base = width.at[groups], width.base[groups, :, 0].swapaxes(1, 2).copy()
    source, weight = (
        aligned(table[groups].swapaxes(1, 2).reshape(*base.shape[:2], -1, 2)) for table in (width.source, width.weight)
    )
    alike = _alike(at, base, source, weight) if width.alike != (0, 0) else (0, 0)
    return Width("contract_narrow", width.outputs, width.taps, at, base, source, weight, False, alike)


def _widths(taps: Taps, channels: int, window: int) -> Width | None:
    """Return the tables for a window of which outputs may choose any byte.

    A unit serves `outputs` times `taps_of_unit` products, half a window of pairs. Many outputs leave few taps to a
    unit, many taps leave less of the window for outputs that lie apart, and sums of lanes must be added up in the end:
    the cheapest of all is taken.
    """
    if taps.n_in * channels < window:
        return None
    narrow = taps.weight.itemsize == 1
    firsts = _Firsts(taps, channels)
    weighted = np.flatnonzero(taps.weight.any(axis=1))  # those at the ends may be for `edges`
    span = int(weighted[0]) * channels, int(weighted[-1] + 1) * channels
    # pieces pay where samples lie between the taps of neighbouring outputs that neither takes
    apart = window == 64 and not narrow and (np.diff(taps.start) > taps.n_taps).all()
    fits = []
    for outputs in (window // 2, window // 4, window // 8, window // 16):
        additions = (window // outputs).bit_length() - 2
        for taps_of_unit in range(2, min(window // outputs, taps.n_taps + 1) + 1, 2):
            units = -(-taps.n_taps // taps_of_unit)
            for pieces in (1, 4, 8) if apart else (1,):
                reach = window // pieces - (taps_of_unit - 1) * channels
                begins = firsts.packed(span, outputs, reach, pieces=pieces)
                if begins is not None:
                    cost = len(begins) * ((3 + pieces) * units + 2 + 2 * additions)
                    fits.append((cost, outputs, taps_of_unit, begins))
    period = taps.n_out // math.gcd(taps.n_in, taps.n_out) * channels
    if narrow and taps.n_taps <= 4 and period <= window // 2:
        begins = firsts.packed(span, window // 2, window - channels, window // 2 // period * period)
        if begins is not None:
            fits.append((len(begins) * (2 * -(-taps.n_taps // 2) + 2), window // 2, 2, begins))
    if not fits:
        return None
    _, outputs, taps_of_unit, begins = min(fits, key=lambda fit: fit[0])
    at, pieces = begins[:, 0].copy(), begins.shape[1]  # copied, as kernels read what lies side by side
    size = window // pieces
    outermost = len(firsts.places) - 1
    lane = np.minimum(at[:, None] + np.arange(outputs), outermost)
    piece = np.zeros((1, 1), np.int64) if pieces == 1 else (lane[..., None] >= begins[:, None, 1:]).sum(axis=2)
    least = np.array(firsts.least(outputs))[np.minimum(begins, outermost)]
    # where in the row the pieces of each unit begin, and for each lane the piece that has its tap
    units, end = np.arange(-(-taps.n_taps // taps_of_unit)) * taps_of_unit * channels, taps.n_in * channels - size
    base = np.minimum(least[:, None] + units[:, None], end)
    least = np.take_along_axis(least, piece, axis=1)
    pixel, first = lane // channels, firsts.places[lane]
    source = np.zeros((*base.shape[:2], window // 2, 2), np.uint8)
    weight = np.zeros(source.shape, taps.weight.dtype)
    for tap in range(taps.n_taps):
        unit, slot = divmod(tap, taps_of_unit)
        lanes, half = slice(slot // 2 * outputs, (slot // 2 + 1) * outputs), slot % 2
        offset = first + tap * channels - np.minimum(least + units[unit], end)
        # the lanes that the next group writes again may be beyond
        used = (tap < taps.length[pixel]) & (offset < size)
        source[:, unit, lanes, half] = np.where(used, piece * size + offset, 0)
        weight[:, unit, lanes, half] = np.where(used, taps.weight[pixel, tap], 0)
    by_window = *base.shape[:2], window
    identity = (source.reshape(by_window) == np.arange(window)) | (weight.reshape(by_window) == 0)
    if weight.itemsize == 2:
        # `byte_sums` widens bytes by `simd.interleave`, which moves the pairs, and either moves them back or need not
        moved = np.arange(window // 2).reshape(-1, 2, 4).transpose(1, 0, 2).ravel()
        if outputs == window // 2:
            weight = weight[:, :, moved]
        else:
            source[:, :, moved] = source.copy()
    # wider sums take so long that it would not pay
    alike = _alike(at, base, source, weight) if narrow and outputs == window // 2 else (0, 0)
    in_order = alike != (0, 0) and bool(identity.all())
    if narrow:
        kernel = "contract_ordered" if in_order else "contract_narrow"
    else:
        kernel = "contract_wide" if pieces == 1 else f"contract_by_{pieces}"
    return Width(kernel, outputs, taps_of_unit, at, base, aligned(source), aligned(weight), in_order, alike)


# by lanes: kernels, the values of a window, and what it costs, and each tap that is chosen from it, in instructions
FLOAT_COSTS = {
    16: [("contract_floats", 32, 4, 3)],
    8: [("contract_floats", 16, 2, 9), ("contract_near_floats", 8, 1, 6)],
}
# of 8 lanes: what a group and a tap cost that is loaded by itself; and each unit, but for the few taps that
# `float_sums` writes out
FAR_GROUP, FAR_TAP, IN_LOOP = 18, 17, 4


@lru_cache(maxsize=128)
def float_widths(taps: Taps, channels: int, lanes: int) -> Width | None:
    """Return the tables for rows of float32, so many outputs a group, or None where the row is shorter than a window.

    A window is twice as many neighbours. Loading it costs about as much as the two or three taps that may share it; the
    more do, the closer must the outputs of a group lie. Of 8 lanes, as many neighbours are cheaper, where they will do;
    and where outputs lie far apart it pays to load taps one by one. Taps come in the order in which
    `simd.second_first` sums them.
    """
    if taps.n_in * channels < 2 * lanes:
        return None
    firsts = _Firsts(taps, channels)
    fits = []
    for kernel, window, of_unit, of_tap in FLOAT_COSTS[lanes]:
        for taps_of_unit in range(1, min(taps.n_taps, (window - 1) // channels + 1) + 1):
            begins = firsts.packed((0, len(firsts.places)), lanes, window - (taps_of_unit - 1) * channels)
            if begins is not None:
                units = -(-taps.n_taps // taps_of_unit)
                in_loop = IN_LOOP if lanes == 8 and units * taps_of_unit not in (2, 4) else 0
                cost = len(begins) * units * (of_unit + of_tap * taps_of_unit + in_loop)
                fits.append((cost, kernel, taps_of_unit, begins[:, 0]))
    if lanes == 8 and len(firsts.places) >= lanes:
        at = np.minimum(np.arange(0, len(firsts.places), lanes), len(firsts.places) - lanes)
        fits.append((len(at) * (FAR_GROUP + taps.n_taps * FAR_TAP), "contract_far_floats", 1, at))
    if not fits:
        return None
    _, kernel, taps_of_unit, at = min(fits, key=lambda fit: fit[0])
    return _of_floats(taps, channels, firsts, lanes, kernel, taps_of_unit, at)


@lru_cache(maxsize=128)
def float_halves(taps: Taps, channels: int, lanes: int) -> Width | None:
    """Return the tables of `float_widths` for `halving.halve_floats`, or None where it does not serve.

    It does where a row becomes half, of two taps or four, two a unit, and all groups but some at the ends are alike:
    where groups end with a pixel, and so may be less than a vector. The kernel relies on it that only the last group
    reaches beyond the row.
    """
    if taps.n_taps not in (2, 4) or taps.n_in * channels < 2 * lanes or channels > lanes:
        return None
    firsts = _Firsts(taps, channels)
    begins = firsts.packed((0, len(firsts.places)), lanes, 2 * lanes - channels, lanes // channels * channels)
    if begins is None or (begins[:-1] + lanes > len(firsts.places)).any():
        return None
    width = _of_floats(taps, channels, firsts, lanes, "contract_floats", 2, begins[:, 0])
    first, end = _alike(width.at, width.base, width.source, width.weight)
    if end == 0 or (width.source[first:end] == UNUSED).any():
        return None
    if width.base[first + 1, 0, 0] - width.base[first, 0, 0] != 2 * (width.at[first + 1] - width.at[first]):
        return None
    return width._replace(alike=(first, end))


def _of_floats(
    taps: Taps, channels: int, firsts: _Firsts, lanes: int, kernel: str, taps_of_unit: int, at: Array
) -> Width:
    """Return the tables for groups of as many outputs as `lanes` that begin `at` these, and units of so many taps."""
    window = 2 * lanes if kernel == "contract_floats" else lanes
    row, units = taps.n_in * channels, -(-taps.n_taps // taps_of_unit)
    lane = np.minimum(at[:, None] + np.arange(lanes), len(firsts.places) - 1)
    pixel, first = lane // channels, firsts.places[lane]
    order = np.arange(units * taps_of_unit).reshape(units, taps_of_unit)
    if taps.n_taps > 1:
        order = np.where(order < 2, order ^ 1, order)
    place = first[:, None, None] + order[..., None] * channels  # (groups, units, taps, lanes)
    if kernel == "contract_far_floats":
        base, offset = np.minimum(place[:, :, 0], row - 1), np.zeros_like(place)
    else:
        base = np.minimum(first.min(axis=1)[:, None] + order.min(axis=1) * channels, row - window)[..., None]
        offset = np.minimum(place - base[..., None], window - 1)
    # the lanes that the next group writes again may take anything, and they alone may have taps beyond the window
    again = np.arange(lanes) >= np.diff(at, append=at[-1] + lanes)[:, None, None, None]
    used = (order[..., None] < taps.length[pixel][:, None, None]) | again
    source = np.where(used, offset, UNUSED).astype(np.uint8)
    tap = np.minimum(order, taps.n_taps - 1)[..., None]
    weight = np.where(used, taps.weight[pixel[:, None, None], tap], 0).astype(np.float32)
    return Width(kernel, lanes, taps_of_unit, at, base, aligned(source), aligned(weight), False, (0, 0))


def _alike(at: Array, base: Array, source: Array, weight: Array) -> tuple[int, int]:
    """Return the ends of the longest run of groups as `Width.alike` says, three at least, or (0, 0)."""
    if base.shape[1] > 2:
        return 0, 0
    same = np.ones(max(0, len(at) - 2), np.bool_)  # whether groups g, g + 1 and g + 2 are as far apart
    for places in (at, base):
        steps = np.diff(places.reshape(len(at), -1), axis=0)
        even = (steps == steps[:, :1]).all(axis=1)  # all parts of a group
        same &= even[1:] & even[:-1] & (steps[1:] == steps[:-1]).all(axis=1)
    for table in (source, weight):
        table = table.reshape(len(at), -1)
        equal = (table[1:] == table[:-1]).all(axis=1)
        same &= equal[1:] & equal[:-1]
    ends = np.flatnonzero(np.diff(np.r_[0, same, 0]))
    first, end = max(zip(ends[::2], ends[1::2], strict=True), key=lambda run: run[1] - run[0], default=(0, 0))
    return (int(first), int(end) + 2) if end > first else (0, 0)


class _Firsts:
    """Where the first taps of a row's outputs lie, and how groups of these are packed.

    As lists: a process for one picture would spend as long here, in NumPy's calls on numbers, as on the picture.
    """

    def __init__(self, taps: Taps, channels: int) -> None:
        self.places: Array = np.asarray((taps.start[:, None] * channels + np.arange(channels)).ravel())
        self.furthest = np.maximum.accumulate(self.places).tolist()
        self.furthest += self.furthest[-1:] * VECTOR  # the last group may reach beyond the end
        self._least: dict[int, list[int]] = {}

    def least(self, outputs: int) -> list[int]:
        """Return for each output the least place of it and those behind it, so many together, a power of two."""
        if outputs not in self._least:
            least, width = self.places.copy(), 1
            while width < outputs:
                least[:-width] = np.minimum(least[:-width], least[width:])
                width *= 2
            self._least[outputs] = least.tolist()
        return self._least[outputs]

    def packed(
        self, span: tuple[int, int], outputs: int, reach: int, longest: int | None = None, pieces: int = 1
    ) -> Array | None:
        """Return (groups, pieces): with which output each piece of each group of a span begins.

        A group is as long as it may be, `outputs` or, where that is less, `longest`, and a piece as long as its first
        taps lie in `reach`. None where three lanes in four would be idle.
        """
        leftmost, furthest, longest = self.least(outputs), self.furthest, longest or outputs
        begin, end = span
        most = ((end - begin) // outputs * 4 + 4) * pieces
        begins: list[int] = []
        while begin < end and len(begins) <= most:
            behind = begin + longest
            for _ in range(pieces):
                begins.append(begin)
                if begin < behind and begin < len(leftmost):
                    begin = bisect_left(furthest, leftmost[begin] + reach, begin, behind)
            if begin == begins[-pieces]:
                return None
        if begin < end:
            return None
        last = end - outputs
        if pieces == 1 and span[0] <= last < begins[-1]:
            whole = self.places[last:end]
            if whole.max() - whole.min() < reach:
                begins[-1] = last  # a whole group, whose window is not cut off by the end of the row
        return np.array(begins).reshape(-1, pieces)


def halving(taps: Taps) -> tuple[int, Array] | None:
    """Return (lead, weights) where the taps of output o lie in the four rows from 2 * o + lead on, else None.

    `weights` is (n_out, 2): those of two rows each as one int16, the first in the lower half.
    """
    middle = taps.n_out // 2
    lead = int(taps.start[middle] + taps.length[middle]) - 4 - 2 * middle
    outputs, tap = np.nonzero(np.arange(taps.n_taps) < taps.length[:, None])
    place = taps.start[outputs] + tap - 2 * outputs - lead
    if not 0 <= place.min() <= place.max() < 4:
        return None
    weight = np.zeros((taps.n_out, 4), np.int8)
    weight[outputs, place] = taps.weight[outputs, tap]
    return lead, weight.view(np.int16)


def aligned(array: Array) -> Array:
    """Return a copy that begins at a cache line, so that no vector of it lies in two."""
    copy = from_a_line(array.nbytes).view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


class Choice(NamedTuple):
    """How `copies` chooses the samples of a row."""

    outputs: int
    """Bytes that a group writes: window, / 2, / 4 or / 8."""
    at: Array
    """(groups,) where in the output row; the last group overlaps the one before."""
    base: Array
    """(groups,) where in the source row a window begins."""
    source: Array
    """(groups, window) which bytes of the window are written; those beyond `outputs` are not. For a window of 32, as
    the bytes of (groups, 8) int32: which 4 neighbours are."""
    in_order: Array
    """(groups,) whether that is the whole window as it is: most of a row that hardly changes its width."""


@lru_cache(maxsize=128)
def choices(taps: Taps, size: int, window: int) -> Choice | None:
    """Return the tables for samples of `size` bytes, or None where a window serves fewer than three of them.

    Then they are copied as quickly one by one.
    """
    total, row = taps.n_out * size, taps.n_in * size
    if row < window:
        return None
    for outputs in (window, window // 2, window // 4, window // 8):
        if total < outputs or outputs < 3 * size:
            continue
        groups = -(-total // outputs)
        at = np.minimum(np.arange(groups) * outputs, total - outputs)
        sample, byte = np.divmod(at[:, None] + np.arange(outputs), size)
        place = taps.start[sample] * size + byte
        base = np.minimum(place.min(axis=1), row - window)
        if (place.max(axis=1) - base).max() < window:
            source = np.zeros((groups, window), np.uint8)
            source[:, :outputs] = place - base[:, None]
            in_order = (outputs == window) & (source == np.arange(window)).all(axis=1)
            if window == 32:
                source = (source[:, ::4] // 4).astype(np.int32).view(np.uint8)
            return Choice(outputs, at, base, aligned(source), in_order.astype(np.uint8))
    return None


@lru_cache(maxsize=128)
def heights(taps: Taps) -> Array:
    """Return (n_out, pairs): the weights of two rows each as one int32 or int16, the first in the lower half."""
    used = np.arange(taps.n_taps) < taps.length[:, None]
    weight = np.zeros((taps.n_out, taps.n_taps + taps.n_taps % 2), taps.weight.dtype)
    weight[:, : taps.n_taps] = np.where(used, taps.weight, 0)
    return weight.view(np.int32 if weight.itemsize == 2 else np.int16)
