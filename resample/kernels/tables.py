"""Tap tables as the fast kernels read them, built once a plan in NumPy."""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from resample.arrays import Array
from resample.taps import Taps

UNUSED = 255  # `simd.UNUSED`: the index of a lane whose row of the table has no such tap


class Width(NamedTuple):
    """How `rows` resamples a row of interleaved bytes: groups of outputs, and units of taps within a group."""

    outputs: int
    """Values that a group writes: of bytes window / 2, / 4, / 8 or / 16, of floats 16, 8 or 4."""
    at: Array
    """(groups,) where in the output row; the last group overlaps the one before."""
    base: Array
    """(groups, units) where in the source row a window begins."""
    source: Array
    """For bytes (groups, units, window / 2, 2): which of the window make a pair, one output's tap and the next one.
    For floats (groups, taps, 16): which of the window is an output's tap, or UNUSED."""
    weight: Array
    """The same shape; int16 for bytes."""


@lru_cache(maxsize=128)
def widths(taps: Taps, channels: int, window: int) -> Width | None:
    """Return the tables for rows of `channels` interleaved bytes, or None where taps lie too far apart for a window.

    A pair of taps costs one lane, a window has `window / 2`. With few outputs in a group more of the lanes are left
    for their taps, and the window need not reach as far; but sums of lanes must be added up in the end.
    """
    fits = [fit for k in (2, 4, 8, 16) if (fit := _widths(taps, channels, window, window // k)) is not None]
    return min(fits, key=lambda fit: fit.base.size * 2 + len(fit.at) * (2 * window // fit.outputs), default=None)


def _widths(taps: Taps, channels: int, window: int, outputs: int) -> Width | None:
    total, row = taps.n_out * channels, taps.n_in * channels
    if total < outputs or row < window:
        return None
    groups = -(-total // outputs)
    at = np.minimum(np.arange(groups) * outputs, total - outputs)
    pixel, channel = np.divmod(at[:, None] + np.arange(outputs), channels)
    first = taps.start[pixel] * channels + channel  # the byte of each output's first tap
    leftmost = first.min(axis=1)
    span = int((first.max(axis=1) - leftmost).max())
    reach = (window - 1 - span) // channels + 1  # taps of which the window holds those of every output
    taps_of_unit = min(window // outputs, reach // 2 * 2)
    if taps_of_unit < 2:
        return None
    units = -(-taps.n_taps // taps_of_unit)
    base = np.clip(leftmost[:, None] + np.arange(units) * taps_of_unit * channels, 0, row - window)
    source = np.zeros((groups, units, window // 2, 2), np.uint8)
    weight = np.zeros(source.shape, np.int16)
    for tap in range(taps.n_taps):
        unit, slot = divmod(tap, taps_of_unit)
        lanes, half = slice(slot // 2 * outputs, (slot // 2 + 1) * outputs), slot % 2
        used = tap < taps.length[pixel]
        source[:, unit, lanes, half] = np.where(used, first + tap * channels - base[:, unit, None], 0)
        weight[:, unit, lanes, half] = np.where(used, taps.weight[pixel, tap], 0)
    return Width(outputs, at, base, source, weight)


@lru_cache(maxsize=128)
def float_widths(taps: Taps, channels: int) -> Width | None:
    """Return the tables for rows of float32: a unit is a tap, whose samples lie within 32 neighbours, of 16 outputs."""
    total, row = taps.n_out * channels, taps.n_in * channels
    if row < 32:
        return None
    for outputs in (16, 8, 4):
        if total < outputs:
            continue
        groups = -(-total // outputs)
        at = np.minimum(np.arange(groups) * outputs, total - outputs)
        pixel, channel = np.divmod(at[:, None] + np.arange(outputs), channels)
        tap = np.arange(taps.n_taps)[:, None]
        place = (taps.start[pixel] * channels + channel)[:, None] + tap * channels  # (groups, taps, outputs)
        used = tap < taps.length[pixel][:, None]
        base = np.where(used, place, row).min(axis=2).clip(0, row - 32)
        offset = np.where(used, place - base[..., None], 0)
        if offset.max() < 32:
            source = np.full((groups, taps.n_taps, 16), UNUSED, np.uint8)
            weight = np.zeros(source.shape, np.float32)
            source[..., :outputs] = np.where(used, offset, UNUSED)
            weight[..., :outputs] = np.where(used, taps.weight[pixel].transpose(0, 2, 1), 0)
            return Width(outputs, at, base, source, weight)
    return None


class Choice(NamedTuple):
    """How `rows` chooses the samples of a row."""

    outputs: int
    """Bytes that a group writes: window, / 2 or / 4."""
    at: Array
    """(groups,) where in the output row; the last group overlaps the one before."""
    base: Array
    """(groups,) where in the source row a window begins."""
    source: Array
    """(groups, window) which bytes of the window are written; those beyond `outputs` are not."""


@lru_cache(maxsize=128)
def choices(taps: Taps, size: int, window: int) -> Choice | None:
    """Return the tables for samples of `size` bytes, or None where a window does not hold a quarter of itself."""
    total, row = taps.n_out * size, taps.n_in * size
    if row < window:
        return None
    for outputs in (window, window // 2, window // 4):
        if total < outputs:
            continue
        groups = -(-total // outputs)
        at = np.minimum(np.arange(groups) * outputs, total - outputs)
        sample, byte = np.divmod(at[:, None] + np.arange(outputs), size)
        place = taps.start[sample] * size + byte
        base = np.minimum(place.min(axis=1), row - window)
        if (place.max(axis=1) - base).max() < window:
            source = np.zeros((groups, window), np.uint8)
            source[:, :outputs] = place - base[:, None]
            return Choice(outputs, at, base, source)
    return None


@lru_cache(maxsize=128)
def heights(taps: Taps) -> Array:
    """Return (n_out, pairs) int32: the weights of two rows each, the first in the half that comes first in memory."""
    used = np.arange(taps.n_taps) < taps.length[:, None]
    weight = np.zeros((taps.n_out, taps.n_taps + taps.n_taps % 2), np.int16)
    weight[:, : taps.n_taps] = np.where(used, taps.weight, 0)
    return weight.view(np.int32)
