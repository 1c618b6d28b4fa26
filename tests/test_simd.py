"""What the vector intrinsics become."""

from __future__ import annotations

import platform
import re

import numba
import pytest
from numba import types

from resample.kernels import processor, simd


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="reads the instructions of x86")
@pytest.mark.parametrize("register", [16, 32, 64])
@pytest.mark.parametrize("element", [types.uint8, types.float32, types.float64])
def test_long_vectors_are_stored_in_order(element: types.Type, register: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the first lane to the last, by registers: LLVM alone would take any order."""
    if register > processor.register_bytes():
        pytest.skip(f"this processor has no registers of {register} bytes")
    monkeypatch.setattr(processor, "register_bytes", lambda: register)
    pointer = types.CPointer(element)

    @numba.njit((pointer, pointer))
    def move(dst, src):  # type: ignore[no-untyped-def]
        simd.store(dst, 0, simd.load(src, 0, 64))

    (code,) = move.inspect_asm().values()
    body = code[code.index("move") :]
    stores = re.findall(r"\tv?mov[a-z0-9]+\t%[xyz]mm\d+, (\d*)\(%r\w+\)", body)
    # LLVM may put neighbours together again
    places = [int(place or 0) for place in stores]
    assert places[0] == 0
    assert places == sorted(places)
