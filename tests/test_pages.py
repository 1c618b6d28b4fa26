"""The order in which new memory is cleared: see `kernels/pages.py`."""

from __future__ import annotations

import ctypes
import mmap
import platform
import sys
from functools import partial
from typing import Any

import numpy as np
import pytest
from guards import Guarded

from resample import shuffle, threads
from resample.apply import apply
from resample.functional import pixel_shuffle, pixel_unshuffle
from resample.interpolate import Axis, plan
from resample.kernels import entry
from resample.kernels.entry import packed
from resample.kernels.sizes import HUGE_PAGE
from resample.memory import is_new


def touched(length: int, first: int, count: int, end: int, dtype: str = "uint8") -> list[int]:
    """Return which pages of new memory, from the beginning of a huge page on, `clear_onward` has the system clear."""
    if not sys.platform.startswith("linux") or platform.machine() != "x86_64":
        pytest.skip("needs mincore, and a processor on which pages are touched")
    libc = ctypes.CDLL(None)
    memory = mmap.mmap(-1, length + HUGE_PAGE)
    memory.madvise(mmap.MADV_NOHUGEPAGE)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    start += -start % HUGE_PAGE
    kernel = entry.kernel("pages", "clear_onward", (f"{dtype}*", *("int64",) * 3))
    kernel(packed(start, first, count, end))
    resident = (ctypes.c_ubyte * (length // mmap.PAGESIZE))()
    assert libc.mincore(ctypes.c_void_p(start), ctypes.c_size_t(length), resident) == 0
    return [page for page, there in enumerate(resident) if there & 1]


def test_the_end_of_each_huge_page_that_begins_within_a_row_is_touched_and_nothing_else() -> None:
    pages = HUGE_PAGE // mmap.PAGESIZE
    assert touched(4 * HUGE_PAGE, 0, 100, 4 * HUGE_PAGE) == [pages - 1]
    assert touched(4 * HUGE_PAGE, 1, 100, 4 * HUGE_PAGE) == []
    assert touched(4 * HUGE_PAGE, HUGE_PAGE - 50, 100, 4 * HUGE_PAGE) == [2 * pages - 1]
    assert touched(4 * HUGE_PAGE, HUGE_PAGE - 50, 50, 4 * HUGE_PAGE) == []
    assert touched(4 * HUGE_PAGE, 7, 2 * HUGE_PAGE, 4 * HUGE_PAGE) == [2 * pages - 1, 3 * pages - 1]
    assert touched(4 * HUGE_PAGE, 0, 25, HUGE_PAGE, "float32") == [pages - 1]


def test_nothing_behind_the_end_is_touched() -> None:
    pages, page = HUGE_PAGE // mmap.PAGESIZE, mmap.PAGESIZE
    assert touched(4 * HUGE_PAGE, 0, 100, HUGE_PAGE // 2 + 1) == [pages // 2 - 1]
    assert touched(4 * HUGE_PAGE, HUGE_PAGE - 4, 8, HUGE_PAGE + page) == [pages]
    assert touched(4 * HUGE_PAGE, HUGE_PAGE - 4, 8, HUGE_PAGE + 8) == []


def test_rows_that_are_woven_come_to_pages_whose_ends_were_touched(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the first two rows of the second huge page its last small page is there, and none before that."""
    if not sys.platform.startswith("linux") or platform.machine() != "x86_64":
        pytest.skip("needs mincore, and a processor on which pages are touched")
    memory = mmap.mmap(-1, 4 * HUGE_PAGE)
    memory.madvise(mmap.MADV_NOHUGEPAGE)
    start = -ctypes.addressof(ctypes.c_char.from_buffer(memory)) % HUGE_PAGE
    new = np.frombuffer(memory, np.float32, 3 * HUGE_PAGE // 4, start)
    monkeypatch.setattr(shuffle, "_empty", lambda shape, *_: new.reshape(shape))
    in_bands, rows, pages = shuffle.in_bands, HUGE_PAGE // 4096, HUGE_PAGE // mmap.PAGESIZE

    def of_some_rows(kernel: Any, places: Any, fixed: bytes, length: int, *rest: Any) -> None:
        assert length == 3 * rows
        in_bands(kernel, places, fixed, rows + 2, *rest)

    monkeypatch.setattr(shuffle, "in_bands", of_some_rows)
    monkeypatch.setattr(threads, "_count", 1)
    pixel_shuffle(np.ones((1, 4, 3 * rows // 2, 512), np.float32), 2)
    address = entry.address(new)
    assert not is_new(address + (2 * pages - 1) * mmap.PAGESIZE, 1)
    assert is_new(address + (2 * pages - 2) * mmap.PAGESIZE, 1)
    assert is_new(address + (3 * pages - 1) * mmap.PAGESIZE, 1)


def test_what_memory_holds_stays() -> None:
    memory = np.arange(3 * HUGE_PAGE, dtype=np.uint8)
    before = memory.copy()
    kernel = entry.kernel("pages", "clear_onward", ("uint8*", *("int64",) * 3))
    for first in range(0, 3 * HUGE_PAGE, 999_983):
        kernel(packed(entry.address(memory), first, len(memory) - first, len(memory)))
    np.testing.assert_array_equal(memory, before)


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float64"])
def test_results_of_several_huge_pages(dtype: str, guarded: Guarded, monkeypatch: pytest.MonkeyPatch) -> None:
    """Are the same for one thread and for several that share a page, and stay inside their buffers."""
    array = np.random.default_rng(0).integers(0, 256, (16, 400, 500)).astype(dtype)
    sizes = [(700, 900), (400, 1700)] if dtype == "uint8" else [(400, 901), (800, 500)]
    calls = [
        partial(apply, array[:8], {axis + 1: plan(Axis(mode, n, size[axis], None, False, False, dtype, False))})
        for mode in ("nearest", "bilinear")
        for axis, n in ((0, 400), (1, 500))
        for size in sizes
        if size[axis] != n
    ]
    calls += [partial(pixel_shuffle, array, 2), partial(pixel_shuffle, array, 4), partial(pixel_unshuffle, array, 2)]
    for call in calls:
        monkeypatch.setattr(threads, "_count", 1)
        expected = call()
        assert expected.nbytes > HUGE_PAGE
        monkeypatch.setattr(threads, "_count", 3)
        np.testing.assert_array_equal(call(), expected)
        for at_end in (True, False):
            with guarded(at_end):
                np.testing.assert_array_equal(call(), expected)
