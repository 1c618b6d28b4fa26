"""The CPU backend: which kernel serves a table, its arguments, and the bands that threads take."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

from resample import threads
from resample.arrays import Array
from resample.taps import Taps

_EXTENT = ("int64",) * 7  # n_in, n_out, inner, outer_low, outer_high, low, high
_WEIGHT = {"uint8": "int16", "float32": "float32", "float64": "float64"}

# from so many values a sample on, sums are kept in blocks of them, not pixel by pixel
SHORT_INNER = 16


@cache
def _kernel(name: str, arguments: tuple[str, ...]) -> Callable[..., None]:
    from resample.kernels import store  # imports llvmlite, which a process that resizes nothing need not wait for

    return store.kernel("resample.kernels.loops", name, arguments)


def contract(dst: Array, src: Array, axis: int, taps: Taps) -> None:
    """Write `src` with `axis` resampled by `taps` to `dst`.

    Both are C-contiguous, of one dtype and of equal shape but for `axis`. Tables that select take any dtype; others
    float32 and float64 with weights of the same type, and uint8 with int16 weights.
    """
    if dst.size == 0:
        return
    outer, inner = math.prod(src.shape[:axis]), math.prod(src.shape[axis + 1 :])
    if taps.selects:
        unit, inner = _units(inner * src.itemsize)
        kernel = _kernel("select", (f"{unit}*", f"{unit}*", "int64*", *_EXTENT))
        arguments = [_address(dst), _address(src), _address(taps.start)]
    else:
        value, weight = src.dtype.name, _WEIGHT[src.dtype.name]
        name = "contract_pixels" if inner < SHORT_INNER else "contract_rows"
        pointers = (f"{value}*", f"{value}*", "int64*", "int64*", f"{weight}*")
        kernel = _kernel(name, (*pointers, "int64", "int64", *_EXTENT))
        tables = [_address(taps.start), _address(taps.length), _address(taps.weight), taps.n_taps, taps.precision]
        arguments = [_address(dst), _address(src), *tables]
    arguments += [taps.n_in, taps.n_out, inner]
    if outer >= taps.n_out or outer >= 4 * threads.get_num_threads():
        threads.in_bands(lambda low, high: kernel(*arguments, low, high, 0, taps.n_out), outer, dst.size)
    else:
        threads.in_bands(lambda low, high: kernel(*arguments, 0, outer, low, high), taps.n_out, dst.size)


def _units(size: int) -> tuple[str, int]:
    """Return the widest unsigned type that divides `size` bytes, and how many make them up."""
    width = math.gcd(size, 8)
    return f"uint{8 * width}", size // width


def _address(array: Array) -> int:
    return int(array.ctypes.data)
