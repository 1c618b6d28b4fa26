"""Arrays of any library on the CPU in, NumPy views inside, the caller's kind out; and how they lie in memory."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
GiveBack = Callable[[Array], Any]

_CPU_DEVICES = (1, 3)  # DLPack's kDLCPU and kDLCUDAHost, pinned memory of the host


def borrowed(name: str, array: Any) -> tuple[Array, GiveBack]:
    """Return a NumPy view of `array` and the function that turns a result into the caller's kind.

    NumPy arrays stay as they are. What speaks DLPack on the CPU (torch tensors among them) comes back through the
    `from_dlpack` of its own library, which the caller has loaded. What speaks `__array_interface__` or the buffer
    protocol comes back as a NumPy array.

    Raises:
        TypeError: `array` is none of these (lists are not), or its values have no NumPy dtype.
        ValueError: `array` is on another device, or its library does not export it (it requires a gradient, say).
    """
    if isinstance(array, np.ndarray):
        return np.asarray(array), _unchanged  # a matrix would not take the shapes that we need
    if hasattr(array, "__dlpack__") and hasattr(array, "__dlpack_device__"):
        device = array.__dlpack_device__()
        if device[0] not in _CPU_DEVICES:
            raise ValueError(f"{name} must be on the CPU, got a {type(array).__name__} on DLPack device {device}")
        try:
            view = np.from_dlpack(array)
        except (BufferError, RuntimeError) as error:
            raise ValueError(f"{name} cannot be read through DLPack: {error}") from error
        return view, _importer(array)
    if hasattr(array, "__array_interface__") or _has_buffer(array):
        return np.asarray(array), _unchanged
    raise TypeError(
        f"{name} must be a NumPy array or speak DLPack, __array_interface__ or the buffer protocol, "
        f"got {type(array).__name__}"
    )


def _unchanged(result: Array) -> Array:
    return result


def _importer(array: Any) -> GiveBack:
    if hasattr(array, "__array_namespace__"):
        namespaces = [array.__array_namespace__()]
    else:
        # of a subclass too
        namespaces = [sys.modules.get(kind.__module__.partition(".")[0]) for kind in type(array).__mro__]
    importers = (getattr(namespace, "from_dlpack", None) for namespace in namespaces)
    return next((importer for importer in importers if importer), _unchanged)


def _has_buffer(array: Any) -> bool:
    try:
        memoryview(array)
    except TypeError:
        return False
    return not isinstance(array, (bytes, str))


def memory_order(shape: tuple[int, ...], strides: tuple[int, ...]) -> tuple[int, ...]:
    """Return the order in which to work on (N, C, *spatial): channels last if strides lie so, else as they are.

    torch's rule for the memory format of a result; ties (one channel, one pixel) go to channels first.
    """
    first = tuple(range(len(shape)))
    last = (0, *first[2:], 1)
    least = 0
    for axis in reversed(last):
        stride, length = strides[axis], shape[axis]
        if axis == 0 and length == 1 and least > strides[1]:
            break  # the stride of a batch of one means nothing
        if length == 0 or stride < max(least, 1) or (axis == 0 and least == strides[1]):
            return first
        least = stride * length
    return last


def is_channels_last(shape: tuple[int, ...], strides: tuple[int, ...], itemsize: int) -> bool:
    """Return whether (N, C, *spatial) is the view of a C-contiguous array with the channels last."""
    expected = itemsize
    for axis in (1, *range(len(shape) - 1, 1, -1), 0):
        if shape[axis] != 1 and strides[axis] != expected:
            return False
        expected *= shape[axis]
    return True
