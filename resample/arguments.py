"""Checks of arguments that several operators share."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
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


# of what stays the same number, as a tensor may not, though it stands for one
_NUMBERS = frozenset((type(None), bool, int, float, np.int32, np.int64, np.float32, np.float64))


def keyed(size: Any, factor: Any) -> tuple[Any, Any, Any]:
    """Return a size and a factor as keys, and what tells those apart that are equal: 2 and 2.0, but not both a size.

    Raises:
        TypeError: there is something else than the most usual numbers of Python and NumPy, and tuples and lists of
            them: the call is not kept for others like it.
    """
    if factor is None and type(size) is tuple and len(size) == 2 and type(size[0]) is int is type(size[1]):
        return size, None, None  # as most are, and quicker so
    values = [tuple(value) if isinstance(value, (list, tuple)) else value for value in (size, factor)]
    types = [tuple(map(type, value)) if type(value) is tuple else (type(value),) for value in values]
    if not _NUMBERS.issuperset(types[0] + types[1]):
        raise TypeError(f"size and factor are not taken as keys: {size!r}, {factor!r}")
    return values[0], values[1], tuple(types)


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


def pair(name: str, value: Any, check: Callable[[str, Any], Any]) -> tuple[Any, Any]:
    """Return (vertical, horizontal) from one value for both or two, each as `check(name, value)` returns it.

    Raises:
        ValueError: there are more or fewer than two.
    """
    if not isinstance(value, (tuple, list)):
        value = (value, value)
    if len(value) != 2:
        raise ValueError(f"{name} must be one value or (height, width), got {value!r}")
    return check(name, value[0]), check(name, value[1])


def length(name: str, value: Any) -> int:
    """Return `value` as an int of 1 or more.

    Raises:
        TypeError, ValueError: it is not.
    """
    length = integer(name, value, "an int or a pair of ints, (height, width)")
    if length < 1:
        raise ValueError(f"{name} must be at least 1 pixel, got {value!r}")
    return length


def factor(name: str, value: Any) -> float:
    """Return `value` as a positive, finite float.

    Raises:
        TypeError, ValueError: it is not.
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{name} must be a number or a pair of numbers, (height, width), got {value!r}")
    try:
        factor = float(value)
    except OverflowError:
        factor = math.inf
    if not (math.isfinite(factor) and factor > 0):
        raise ValueError(f"{name} must be positive and finite, got {value!r}")
    return factor


def check_addressable(shape: Sequence[int], dtype: np.dtype[Any]) -> None:
    """Refuse the shape of a result that no memory could hold.

    Raises:
        RuntimeError: it has 2**63 bytes or more.
    """
    if math.prod(shape) * dtype.itemsize >= 1 << 63:
        raise RuntimeError(f"the result must have less than 2**63 bytes, got shape {tuple(shape)} of {dtype}")
