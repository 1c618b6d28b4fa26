"""What the system and the processor do with memory: asked by the system's functions and files, where it has them."""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Callable
from functools import cache

# where Linux tells the size of the third level of caches, and how it promises memory
LAST_LEVEL, OVERCOMMIT = "/sys/devices/system/cpu/cpu0/cache/index3/size", "/proc/sys/vm/overcommit_memory"


def ask_for_huge_pages(address: int, nbytes: int) -> None:
    """Have new memory come in pages of 2 MB, where the system can."""
    advise, start = _function("madvise"), -(-address // mmap.PAGESIZE) * mmap.PAGESIZE
    if advise:
        length = ctypes.c_size_t(address + nbytes - start)
        advise(ctypes.c_void_p(start), length, mmap.MADV_HUGEPAGE)  # whether it is taken does not matter


def is_new(address: int, nbytes: int) -> bool:
    """Return whether a page of some memory is not there yet, as the system clears it when it is written to.

    True also where nobody can tell.
    """
    ask, start = _function("mincore"), address & -mmap.PAGESIZE
    length = address + nbytes - start
    are_there = (ctypes.c_ubyte * -(-length // mmap.PAGESIZE))()
    failed = ask is None or ask(ctypes.c_void_p(start), ctypes.c_size_t(length), are_there)
    return bool(failed) or 0 in bytes(are_there)  # Linux leaves all but the lowest bit 0


def address_space_counts() -> bool:
    """Return whether memory that is kept, though not used, may be what others lack: where address space is limited."""
    import resource  # there is none on Windows

    limits = (resource.getrlimit(which)[0] for which in (resource.RLIMIT_AS, resource.RLIMIT_DATA))
    return any(limit != resource.RLIM_INFINITY for limit in limits) or _is_promised()


@cache
def _is_promised() -> bool:
    """Return whether the system gives out no more memory than it has: Linux's strict overcommit."""
    return _told(OVERCOMMIT) == "2"


@cache
def last_level() -> int:
    """Return the bytes of the third level of caches, which is the last: 32 MB where nobody can tell."""
    try:
        return int(_told(LAST_LEVEL).removesuffix("K")) << 10
    except ValueError:
        return 1 << 25


def _told(path: str) -> str:
    """Return what a file of the system's says, nothing if there is none."""
    try:
        with open(path) as file:
            return file.read().strip()
    except OSError:
        return ""


@cache
def _function(name: str) -> Callable[..., int] | None:
    """Return a function of the system's, on Linux."""
    return getattr(ctypes.CDLL(None), name, None) if hasattr(mmap, "MADV_HUGEPAGE") else None
