"""Fused multiply-add in NumPy: torch's builds for AVX2 and later contract `a * b + c` into one rounding."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[Any]

_SPLIT = 134217729.0  # 2**27 + 1, Veltkamp's constant for 53-bit significands


def fma(a: Floats | float, b: Floats | float, c: Floats | float, dtype: np.dtype[Any]) -> Floats:
    """Return `a * b + c` rounded once to `dtype` (float32 or float64).

    float32 products are exact in float64. float64 uses the error-free product and sum of Dekker (1971) and Knuth:
    what they lose is added back before the last rounding.
    """
    wide_a, wide_b, wide_c = np.float64(a), np.float64(b), np.float64(c)
    if dtype == np.float32:
        return np.asarray(wide_a * wide_b + wide_c).astype(np.float32)
    product, product_error = _exact_product(wide_a, wide_b)
    total, total_error = _exact_sum(product, wide_c)
    return np.asarray(total + (product_error + total_error))


def _exact_product(a: Any, b: Any) -> tuple[Any, Any]:
    high_a, low_a = _halves(a)
    high_b, low_b = _halves(b)
    product = a * b
    return product, ((high_a * high_b - product) + high_a * low_b + low_a * high_b) + low_a * low_b


def _halves(a: Any) -> tuple[Any, Any]:
    scaled = _SPLIT * a
    high = scaled - (scaled - a)
    return high, a - high


def _exact_sum(a: Any, b: Any) -> tuple[Any, Any]:
    total = a + b
    other = total - a
    return total, (a - (total - other)) + (b - other)
