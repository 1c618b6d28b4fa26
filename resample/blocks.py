"""The memory of large results: what one that is gone had, the next one gets.

What is smaller than LARGE the C library keeps for whoever comes next; what is not it gives back to the system as soon
as it is freed, and Linux clears memory before it gives it out again: a program that makes one large result after the
other would wait for that longer than for the resampling (benchmarks/NOTES.md, "Kept memory"). So a few blocks are kept.
The system is told that it may take their pages whenever it needs some (MADV_FREE). Where address space counts, none is
kept.
"""

from __future__ import annotations

import _thread
import math
import mmap
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from resample.arrays import Array
from resample.kernels.sizes import HUGE_PAGE, VECTOR
from resample.memory import address_space_counts, ask_for_huge_pages

# bytes from which on a result has a block: what glibc's malloc never keeps (DEFAULT_MMAP_THRESHOLD_MAX)
LARGE = 1 << 25

# bytes from which on it may be made to begin at a line of the caches; a block always does
LINED = 1 << 20

# bytes of all blocks that are kept; what is larger is not
MOST = 1 << 28

# the one that was freed last is the last
_kept: list[_Block] = []


def new_array(shape: tuple[int, ...], dtype: np.dtype[Any], lined: bool = False) -> Array:
    """Return a C-contiguous array whose values are not set, as `np.empty` does, in a block if it is large.

    `lined`: it begins at a line of the caches, unless it is small. Memory of malloc's begins within a line, and a
    kernel each of whose vectors then lies in two may take 1.7 times as long. But memory of exactly this size malloc
    hands round among all who ask for it, still in the caches, which makes other kernels 1.1 times as fast.
    """
    nbytes = 0 if dtype.hasobject else math.prod(shape) * dtype.itemsize
    memory = _of_a_block(nbytes) if nbytes >= LARGE else None
    if memory is None:
        if not lined or nbytes < LINED:
            return np.empty(shape, dtype)
        memory = from_a_line(nbytes)
    array: Array = np.ndarray(shape, dtype, memory)
    return array


def from_a_line(nbytes: int) -> Array:
    """Return so many bytes of new memory that begin at a line of the caches."""
    memory = np.empty(nbytes + VECTOR, np.uint8)
    begin = -memory.__array_interface__["data"][0] % VECTOR
    return memory[begin : begin + nbytes]


def _of_a_block(nbytes: int) -> Array | None:
    """Return the memory of a block, or None where there may be none: elsewhere than on Linux nobody has measured."""
    if sys.platform != "linux" or not hasattr(mmap, "MADV_FREE"):
        return None
    if address_space_counts():
        _kept.clear()
        return None
    try:
        return np.asarray(_Owner(_taken(nbytes) or _Block(nbytes)))
    except OSError:  # no room
        _kept.clear()
        return None


class _Block:
    """Memory of the system's own, in whole huge pages."""

    def __init__(self, nbytes: int) -> None:
        self.nbytes = -(-nbytes // HUGE_PAGE) * HUGE_PAGE
        self.memory = mmap.mmap(-1, self.nbytes + HUGE_PAGE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        start = np.frombuffer(self.memory, np.uint8).__array_interface__["data"][0]
        self.begin = -start % HUGE_PAGE
        self.address = start + self.begin
        ask_for_huge_pages(self.address, self.nbytes)


class _Owner:
    """What an array is a view of, and so are all views of that; the block is free when there are none."""

    def __init__(self, block: _Block) -> None:
        self.block = block
        shape = (block.nbytes,)
        self.__array_interface__ = {"data": (block.address, False), "shape": shape, "typestr": "|u1", "version": 3}

    def __del__(self, is_finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        if is_finalizing():  # what is needed here may be gone
            return
        try:
            _keep(self.block)
        except KeyboardInterrupt:  # Python would drop it here: another thread has it raised again, behind this
            _thread.start_new_thread(_thread.interrupt_main, ())


def _taken(nbytes: int) -> _Block | None:
    """Return the smallest of the blocks that are kept and large enough, but not twice as large; it is the caller's."""
    for block in sorted(_kept, key=lambda block: block.nbytes):
        if nbytes <= block.nbytes < 2 * nbytes:
            try:
                _kept.remove(block)
            except ValueError:  # another thread has it
                continue
            return block
    return None


def _keep(block: _Block) -> None:
    if block.nbytes > MOST:
        return
    try:
        block.memory.madvise(mmap.MADV_FREE, block.begin, block.nbytes)
    except OSError:  # a system that has no such thing: the memory is freed
        return
    _kept.append(block)
    while sum(each.nbytes for each in [*_kept]) > MOST:
        del _kept[:1]
