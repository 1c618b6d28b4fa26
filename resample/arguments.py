"""Checks of arguments that several operators share."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

Ints = int | Sequence[int]


def integer(name: str, value: Any, allowed: str = "an int") -> int:
    """Return `value` as an int, from anything that is one (NumPy's integers too, but no bool).

    Raises:
        TypeError: it is not; the message says that `name` must be `allowed`.
    """
    if not isinstance(value, (bool, np.bool_)):
        try:
            return operator.index(value)
        except TypeError:
            pass
    raise TypeError(f"{name} must be {allowed}, got {value!r}")


def per_axis(name: str, value: Any, axes: int) -> tuple[int, ...]:
    """Return one int for each of `axes` spatial axes, from an int for all or a sequence of one or `axes`.

    Raises:
        TypeError: there is something else than an int.
        RuntimeError: the sequence has another length.
    """
    values = value if isinstance(value, (list, tuple)) else (value,)
    if len(values) not in (1, axes):
        raise RuntimeError(f"{name} must be one int or {axes}, one for each spatial axis, got {value!r}")
    return tuple(integer(name, each, "an int or a sequence of ints") for each in values) * (axes // len(values))


def check_addressable(shape: Sequence[int], dtype: np.dtype[Any]) -> None:
    """Refuse the shape of a result that no memory could hold.

    Raises:
        RuntimeError: it has 2**63 bytes or more.
    """
    if math.prod(shape) * dtype.itemsize >= 1 << 63:
        raise RuntimeError(f"the result must have less than 2**63 bytes, got shape {tuple(shape)} of {dtype}")
