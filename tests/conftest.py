"""Fixtures of several test files."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import sys
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from guards import Guarded

from resample import apply, threads
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

    def address(array: np.ndarray, at_end: bool) -> int:
        extent = 1 + sum((n - 1) * step for n, step in zip(array.shape, array.strides, strict=True)) // array.itemsize
        flat = np.lib.stride_tricks.as_strided(array, (extent if array.size else 0,), (array.itemsize,))
        length = -(-max(flat.nbytes, 1) // page) * page
        memory = mmap.mmap(-1, length + 2 * page)
        start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
        offset = page + (length - flat.nbytes if at_end else 0)
        copy = np.frombuffer(memory, array.dtype, flat.size, offset)
        copy[:] = flat
        for guard in (start, start + page + length):
            assert libc.mprotect(ctypes.c_void_p(guard), page, 0) == 0
        placed.append((flat, copy))
        return start + offset

    def kernel(module: str, name: str, types: tuple[str, ...]) -> Callable[..., None]:
        compiled = compiled_kernel(module, name, types)

        def run(arguments: bytes) -> None:
            compiled(arguments)
            for flat, copy in placed:
                if flat.flags.writeable:
                    flat[:] = copy

        return run

    @contextlib.contextmanager
    def context(at_end: bool) -> Iterator[None]:
        with monkeypatch.context() as patch:
            patch.setattr(entry, "address", lambda array: address(array, at_end))
            patch.setattr(entry, "kernel", kernel)
            patch.setattr(apply, "address", lambda array: address(array, at_end))
            patch.setattr(threads, "_count", 1)
            apply.planned.cache_clear()  # plans hold addresses
            yield
        apply.planned.cache_clear()
        placed.clear()

    return context
