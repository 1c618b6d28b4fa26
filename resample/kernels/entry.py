"""What a caller of kernels needs: a compiled function, and addresses to give it."""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

from resample.arrays import Array

if TYPE_CHECKING:
    from resample.kernels.store import Kernel


@cache
def kernel(module: str, name: str, types: tuple[str, ...]) -> Kernel:
    """Return function `name` of `resample.kernels.module`, compiled for arguments of these types; see `store`."""
    from resample.kernels import store  # imports llvmlite, which a process that computes nothing need not wait for

    return store.kernel(f"resample.kernels.{module}", name, types)


def packed(*values: int) -> bytes:
    """Return integers and addresses as the block of int64 that a kernel reads its arguments from."""
    return _packer(len(values))(*values)


@cache
def _packer(count: int) -> Callable[..., bytes]:
    return struct.Struct(f"={count}q").pack


def address(array: Array) -> int:
    """Return where the data of an array begins, which is how kernels take it."""
    try:
        return ctypes.addressof(ctypes.c_char.from_buffer(array))  # type: ignore[arg-type]
    except (TypeError, ValueError, BufferError):  # read-only, empty, not contiguous: at three times the cost
        place: int = array.__array_interface__["data"][0]
        return place
