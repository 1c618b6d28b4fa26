"""What the system does with memory: asked by its functions, where it has them."""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Callable
from functools import cache


def ask_for_huge_pages(address: int, nbytes: int) -> None:
    """Have new memory come in pages of 2 MB, where the system can."""
    advise = _function("madvise")
    if advise and hasattr(mmap, "MADV_HUGEPAGE"):
        start = -(-address // mmap.PAGESIZE) * mmap.PAGESIZE
        advise(start, address + nbytes - start, mmap.MADV_HUGEPAGE)  # whether it is taken does not matter


def is_new(address: int, nbytes: int) -> bool:
    """Return whether a page of some memory is not there yet, as the system clears it when it is written to.

    True also where nobody can tell.
    """
    ask, start = _function("mincore"), address & -mmap.PAGESIZE
    are_there = bytearray(-(-(address + nbytes - start) // mmap.PAGESIZE))
    failed = ask is None or ask(
        start, address + nbytes - start, (ctypes.c_ubyte * len(are_there)).from_buffer(are_there)
    )
    return bool(failed) or 0 in are_there


@cache
def _function(name: str) -> Callable[..., int] | None:
    function = getattr(ctypes.CDLL(None), name, None) if hasattr(mmap, "MADV_HUGEPAGE") else None
    if function:
        function.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int if name == "madvise" else ctypes.c_void_p)
    return function
