"""How much two results differ, in levels of 0 to 255, and where."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from PIL import Image

Levels = np.ndarray[Any, np.dtype[Any]]


class Difference(NamedTuple):
    """How much two pictures differ, over all pixels and channels, in levels."""

    largest: int
    mean: float

    def __str__(self) -> str:
        return f"largest {self.largest}, mean {self.mean:.2f} levels" if self.largest else "no difference"


def between(one: Image.Image, other: Image.Image) -> Levels:
    """Return by how many levels two RGB or RGBA pictures of one mode and size differ, (height, width, 3) uint8.

    For RGBA it is the most that is seen before any background: that of black or of white, as the difference of
    `alpha * colour + (1 - alpha) * background` is linear in the background.
    """
    a, b = np.asarray(one), np.asarray(other)
    if one.mode != "RGBA":
        result: Levels = np.maximum(a, b) - np.minimum(a, b)
        return result
    a, b = a.astype(np.int32), b.astype(np.int32)
    on_black = a[..., :3] * a[..., 3:] - b[..., :3] * b[..., 3:]
    on_white = on_black - 255 * (a[..., 3:] - b[..., 3:])
    result = ((np.maximum(np.abs(on_black), np.abs(on_white)) + 127) // 255).astype(np.uint8)
    return result


def summed_up(levels: Levels) -> Difference:
    """Return how much two pictures differ whose differences `between` these are."""
    return Difference(int(levels.max()), float(levels.mean(dtype=np.float64)))


def amplification(maps: list[Levels]) -> int:
    """Return the power of two from 1 to 64 that shows these differences: 19 in 20 that are not 0 stay below white."""
    counts = np.sum([np.bincount(levels.ravel(), minlength=256) for levels in maps], 0)
    below = counts[1:].cumsum()
    if not below[-1]:
        return 1
    level = 1 + int(np.searchsorted(below, 0.95 * below[-1]))
    return min(64, 1 << ((255 // level).bit_length() - 1))


def liveliest(levels: Levels, width: int, height: int) -> tuple[int, int]:
    """Return (left, top) of the part of that size in which (height, width) `levels` have the greatest sum."""
    sums = np.pad(levels.astype(np.int64).cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    sums = sums[height:] - sums[:-height]
    sums = sums[:, width:] - sums[:, :-width]
    top, left = np.unravel_index(sums.argmax(), sums.shape)
    return int(left), int(top)
