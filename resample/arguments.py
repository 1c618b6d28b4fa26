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


def frozen(value: Any) -> Any:
    """Return a list as a tuple, which can be a key; anything else as it is."""
    return tuple(value) if isinstance(value, list) else value


def types(value: Any) -> tuple[type, ...]:
    """Return the types of one number or of a tuple of them: 2 and 2.0 are equal, and one key, but not both a size.

    Raises:
        TypeError: something is no number but may stand for one, as a tensor does, and another one later.
    """
    values = value if isinstance(value, tuple) else (value,)
    for each in values:
        if not (each is None or isinstance(each, (int, float, np.generic))):
            raise TypeError(f"a key must be of numbers, got {each!r}")
    return tuple(map(type, values))


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
