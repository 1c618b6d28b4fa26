"""How weight falls off with distance: a filter is a value (name, radius, weight function).

`weight(x, dtype)` takes distances in samples, of any sign, and returns weights in `dtype`; outside the radius it
returns 0. Constants and the places where one rounding is saved (`fma`) are torch's.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from resample.rounding import Floats, fma


class Filter(NamedTuple):
    """An even function of distance with a finite radius, in samples, that is 1 at 0."""

    name: str
    radius: int
    weight: Callable[[Floats, np.dtype[Any]], Floats]


def _triangle(x: Floats, dtype: np.dtype[Any]) -> Floats:
    return np.asarray(np.maximum(1.0 - np.abs(x), 0), dtype)


def _cubic(a: float) -> Callable[[Floats, np.dtype[Any]], Floats]:
    """Return Keys' cubic convolution (1981) with parameter `a`, the slope at distance 1."""

    def weight(x: Floats, dtype: np.dtype[Any]) -> Floats:
        distance = np.abs(x).astype(dtype)
        near = fma(dtype.type(a + 2), distance, -(a + 3), dtype) * distance * distance + dtype.type(1)
        far = fma(dtype.type(a), distance, -5 * a, dtype)
        far = fma(far, distance, 8 * a, dtype) * distance - dtype.type(4 * a)
        return np.asarray(np.where(distance < 1, near, np.where(distance < 2, far, dtype.type(0))))

    return weight


# libm's sine, not NumPy's: NumPy picks another implementation, with other last bits, on other processors
_sine = np.frompyfunc(math.sin, 1, 1)


def _sinc(x: Floats, dtype: np.dtype[Any]) -> Floats:
    angle = x.astype(dtype) * dtype.type(math.pi)
    sine = _sine(angle.astype(np.float64)).astype(np.float64).astype(dtype)
    safe = np.where(angle == 0, dtype.type(1), angle)
    return np.asarray(np.where(angle == 0, dtype.type(1), sine / safe))


def _lanczos3(x: Floats, dtype: np.dtype[Any]) -> Floats:
    distance = np.abs(x).astype(dtype)
    # torch takes the second factor in double whatever the type
    window = _sinc(distance.astype(np.float64) / 3.0, np.dtype(np.float64))
    weight = (_sinc(distance, dtype).astype(np.float64) * window).astype(dtype)
    return np.asarray(np.where(distance < 3, weight, dtype.type(0)))


TRIANGLE = Filter("triangle", 1, _triangle)
CUBIC = Filter("cubic", 2, _cubic(-0.75))  # OpenCV's parameter, torch's without antialias
CUBIC_ANTIALIAS = Filter("cubic", 2, _cubic(-0.5))  # Pillow's parameter, torch's with antialias
LANCZOS3 = Filter("lanczos3", 3, _lanczos3)


def stepped(filter: Filter, stride: int) -> Floats:
    """Return the filter at every 1 / stride of a sample, centred, as float64.

    As the kernel of a transposed convolution with this stride and padding `(len - stride) // 2` it interpolates: output
    o is the sum over i of `weight(position(o) - i) * input[i]` with the half-pixel position of `coordinates`.
    """
    length = 2 * filter.radius * stride - stride % 2
    offsets = np.arange(length) - (length - 1) / 2
    return filter.weight(offsets / stride, np.dtype(np.float64))
