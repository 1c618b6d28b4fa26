"""Fixtures of several test files."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import sys
from collections.abc import Iterator
from types import SimpleNamespace

import numpy as np
import pytest
from guards import Guarded

from resample import apply, team, threads
from resample.kernels import entry


@pytest.fixture
def guarded(monkeypatch: pytest.MonkeyPatch) -> Guarded:
    """A context in which kernels get buffers that end, or begin, at a page that may not be touched.

    A read or write past the end of a buffer, or before its beginning, ends the process there.
    """
    if not sys.platform.startswith("linux"):
        pytest.skip("needs mprotect")
    libc = ctypes.CDLL(None, use_errno=True)
    page = mmap.PAGESIZE
    placed: list[tuple[np.ndarray, np.ndarray]] = []
    compiled_kernel = entry.kernel

    def between(nbytes: int, at_end: bool) -> tuple[int, np.ndarray]:
        length = -(-max(nbytes, 1) // page) * page
        memory = mmap.mmap(-1, length + 2 * page)
        start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        offset = page + (length - nbytes if at_end else 0)
        for guard in (start, start + page + length):
            assert libc.mprotect(ctypes.c_void_p(guard), page, 0) == 0
        return start + offset, np.frombuffer(memory, np.uint8, nbytes, offset)

    def address(array: np.ndarray, at_end: bool) -> int:
        extent = 1 + sum((n - 1) * step for n, step in zip(array.shape, array.strides, strict=True)) // array.itemsize
        flat = np.lib.stride_tricks.as_strided(array, (extent if array.size else 0,), (array.itemsize,))
        place, memory = between(flat.nbytes, at_end)
        copy = memory.view(array.dtype)
        copy[:] = flat
        placed.append((flat, copy))
        return place

    def memory(nbytes: int, at_end: bool) -> SimpleNamespace:
        place, found = between(nbytes, at_end)
        return SimpleNamespace(address=place, bytes=found.data, numbers=found.data.cast("q"), nbytes=1 << 60)

    def kernel(module: str, name: str, types: tuple[str, ...]) -> SimpleNamespace:
        compiled = compiled_kernel(module, name, types)

        def call(place: int) -> None:
            compiled.call(place)
            for flat, copy in placed:
                if flat.flags.writeable:
                    flat[:] = copy

        return SimpleNamespace(check=compiled.check, call=call, address=0)  # nobody shares the call

    @contextlib.contextmanager
    def context(at_end: bool) -> Iterator[None]:
        with monkeypatch.context() as patch:
            patch.setattr(entry, "address", lambda array: address(array, at_end))
            patch.setattr(entry, "kernel", kernel)
            patch.setattr(apply, "address", lambda array: address(array, at_end))
            patch.setattr(team, "_Memory", lambda nbytes: memory(nbytes, at_end))
            patch.setattr(team, "_spare", [])
            patch.setattr(threads, "_count", 1)
            apply.planned.cache_clear()  # plans hold addresses
            yield
        apply.planned.cache_clear()
        placed.clear()

    return context
