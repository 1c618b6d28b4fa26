"""Large results are written past the caches: see `kernels/past.py`."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from guards import Guarded
from plans import tables_of

import resample
from resample import apply, image, memory, shuffle, team, threads
from resample.functional import pixel_shuffle
from resample.kernels import compile, cpu, link, processor, store
from resample.kernels.sizes import STAGING

pytestmark = pytest.mark.skipif(not link.IS_HERE, reason="done on Linux on x86-64 alone")


@pytest.fixture
def no_plans() -> Iterator[None]:
    """Have calls planned anew, and forget these plans."""
    plans = apply.planned, image._passes, image._steps
    for kept in plans:
        kept.cache_clear()
    yield
    for kept in plans:
        kept.cache_clear()


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch, no_plans: None) -> list[int]:
    """Have every result written past the caches that can be, and give a list of their lengths in rows."""
    lengths: list[int] = []
    in_bands = team.in_bands

    def counted(kernel: Any, places: Any, fixed: bytes, length: int, cost: int, scratch: Any = ()) -> None:
        if scratch and scratch[-1] == STAGING:
            lengths.append(length)
        in_bands(kernel, places, fixed, length, cost, scratch)

    for module in (apply, shuffle):
        monkeypatch.setattr(module, "staging_bytes", lambda result: STAGING)
        monkeypatch.setattr(module, "in_bands", counted)
    for module in (cpu, shuffle):
        monkeypatch.setattr(module, "goes_past", lambda *_: True)
    return lengths


def same_past(call: Callable[[], Any], monkeypatch: pytest.MonkeyPatch, guarded: Guarded) -> None:
    """Check that a call gives the same past the caches, in memory with guard pages, and in threads that share it."""
    with monkeypatch.context() as patch:
        for module in (apply, shuffle):
            patch.setattr(module, "staging_bytes", lambda result: 0)
        patch.setattr(threads, "_count", 1)
        expected = call()
    for at_end in (True, False):
        with guarded(at_end):
            np.testing.assert_array_equal(call(), expected)
    with monkeypatch.context() as patch:
        patch.setattr(team, "GRAIN", 1)
        patch.setattr(team, "WAKING_GRAIN", 1)
        for count in (1, 2, 3):
            patch.setattr(threads, "_count", count)
            np.testing.assert_array_equal(call(), expected)


CALLS = 5  # of `same_past`, that are past the caches

SIZES = [
    ((9, 70), (20, 150)),  # rows of a line and a bit
    ((40, 700), (17, 1501)),
    ((60, 3000), (60, 1111)),  # the height stays
    ((33, 900), (70, 900)),  # the width stays
    ((90, 515), (45, 257)),
]
HALF = ((40, 1200), (20, 600))


@pytest.mark.parametrize("window", [64, 32, 16])
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
@pytest.mark.parametrize(
    ("mode", "antialias"), [("nearest", False), ("bilinear", False), ("bicubic", False), ("lanczos", True)]
)
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_rows(
    dtype: str,
    mode: str,
    antialias: bool,
    channels: int,
    window: int,
    always: list[int],
    monkeypatch: pytest.MonkeyPatch,
    guarded: Guarded,
) -> None:
    if processor.shuffle_width() < window:
        pytest.skip(f"this processor has no shuffle of {window} bytes")
    monkeypatch.setattr(cpu, "window", lambda: window)
    if window < 64:
        monkeypatch.setattr(cpu, "float_lanes", lambda: min(processor.float_lanes(), {32: 8, 16: 0}[window]))
    rng = np.random.default_rng(channels)
    sizes = SIZES if dtype == "uint8" else [*SIZES, HALF]
    for before, after in sizes:
        array = rng.integers(0, 256, (2, *before, channels)).astype(dtype)
        tables = tables_of(mode, antialias, dtype, before, after)
        same_past(partial(apply.apply, array, tables), monkeypatch, guarded)
    kind = np.dtype(dtype)
    # a shuffle chooses three samples or more; where a width shrinks much, they are copied one by one
    size = channels * kind.itemsize
    shuffle = 16 if window == 32 and size % 4 else window
    is_fast = 3 * size <= shuffle if mode == "nearest" else cpu.fast_sums(kind)
    assert (len(always) > 0) == is_fast
    if is_fast and mode != "nearest":
        assert len(always) >= CALLS * len(sizes)


@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32", "float64", "complex128"])
@pytest.mark.parametrize("factor", [2, 3, 4])
def test_woven_rows(
    dtype: str, factor: int, always: list[int], monkeypatch: pytest.MonkeyPatch, guarded: Guarded
) -> None:
    rng = np.random.default_rng(factor)
    for height, width in [(5, 3), (7, 64), (9, 67), (20, 300), (3, 1111)]:
        always.clear()
        array = rng.integers(0, 256, (3, 2 * factor * factor, height, width)).astype(dtype)
        same_past(partial(pixel_shuffle, array, factor), monkeypatch, guarded)
        assert len(always) == (CALLS if factor * width * array.itemsize >= 64 else 0)


def new_memory(nbytes: int) -> np.ndarray[Any, Any]:
    """Memory from the system itself: what an allocator gives may have been used, whatever its size."""
    return np.frombuffer(mmap.mmap(-1, nbytes), np.uint8)


@pytest.mark.parametrize("offset", [0, 4, 16, 60])
def test_places_in_a_line(offset: int, always: list[int]) -> None:
    """Results that begin anywhere in a line of the cache; what is around them stays."""
    array = np.random.default_rng(0).integers(0, 256, (50, 300, 3)).astype(np.float32)
    for size in ((71, 400), (25, 150)):
        expected = resample.resize(array, size=size)
        memory = np.full(expected.nbytes + 200, 7, np.uint8)
        start = -memory.__array_interface__["data"][0] % 64 + offset
        out = memory[start : start + expected.nbytes].view(np.float32).reshape(expected.shape)
        resample.resize(array, size=size, out=out)
        np.testing.assert_array_equal(out, expected)
        assert set(memory[:start].tolist()) <= {7}
        assert set(memory[start + expected.nbytes :].tolist()) == {7}
    assert len(always) == 4


def test_which_results(monkeypatch: pytest.MonkeyPatch) -> None:
    """Large ones of calls that the last level does not hold, by its size or by what others leave of it."""
    for level, cached, bound in (
        (1 << 20, cpu.CACHED, 1 << 24),
        (1 << 25, cpu.CACHED, 3 << 23),
        (1 << 29, cpu.CACHED, 1 << 25),
        (1 << 29, cpu.CACHED_BY_SUMS, 5 << 23),
    ):
        monkeypatch.setattr(cpu, "last_level", lambda level=level: level)
        assert cpu.goes_past(bound - cpu.PAST, cpu.PAST, cached)
        assert not cpu.goes_past(1 << 30, cpu.PAST - 1, cached)
        assert cpu.goes_past(bound - cpu.PAST - 1, cpu.PAST, cached) == (bound == cpu.PAST)
    monkeypatch.setattr(link, "IS_HERE", False)
    assert not cpu.goes_past(1 << 30, 1 << 30)


def test_which_memory() -> None:
    """What is there, so that the system does not clear it just before."""
    large = new_memory(1 << 22)
    assert cpu.staging_bytes(large) == 0
    large[:-5000] = 1
    assert cpu.staging_bytes(large[:-5000]) == STAGING
    assert cpu.staging_bytes(large) == 0
    large[:] = 1
    assert cpu.staging_bytes(large) == STAGING
    assert cpu.staging_bytes(large[1:-7].view(np.float64)) == 0


def test_last_level(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert memory.last_level() >= 1 << 20
    size = tmp_path / "size"
    monkeypatch.setattr(memory, "LAST_LEVEL", str(size))
    memory.last_level.cache_clear()
    assert memory.last_level() == 1 << 25
    for text, expected in (("49152K\n", 48 << 20), ("", 1 << 25), ("about\n", 1 << 25)):
        size.write_text(text)
        memory.last_level.cache_clear()
        assert memory.last_level() == expected
    memory.last_level.cache_clear()


def test_memory_is_new_until_it_is_written_to() -> None:
    large = new_memory(1 << 26)
    address = large.__array_interface__["data"][0]
    assert memory.is_new(address, large.nbytes)
    large[: 1 << 25] = 1
    assert memory.is_new(address, large.nbytes)
    assert not memory.is_new(address, 1 << 25)
    assert not memory.is_new(address + 5, 1)
    large[1 << 25 :] = 1
    assert not memory.is_new(address, large.nbytes)


def test_a_large_result_again(monkeypatch: pytest.MonkeyPatch, no_plans: None) -> None:
    """The same bytes into new memory and into memory that was used, by calls as anybody makes them."""
    seen: list[int] = []

    def by_way(result: np.ndarray[Any, Any]) -> int:
        seen.append(cpu.staging_bytes(result))
        return seen[-1]

    monkeypatch.setattr(apply, "staging_bytes", by_way)
    monkeypatch.setattr(cpu, "last_level", lambda: 0)
    array = np.random.default_rng(0).integers(0, 256, (1201, 1801, 3), np.uint8)
    for mode in ("nearest", "bilinear"):
        seen.clear()
        out = new_memory(2000 * 3001 * 3).reshape(2000, 3001, 3)
        first = resample.resize(array, size=(2000, 3001), mode=mode, out=out).copy()
        out[:] = 0
        resample.resize(array, size=(2000, 3001), mode=mode, out=out)
        np.testing.assert_array_equal(out, first)
        assert seen == [0, STAGING]


def test_instructions() -> None:
    """Lines are written past the caches, and the end of that is waited for: wrong bytes would not show it."""
    processor: Any = store._machine()

    class Assembler:
        def emit_object(self, program: Any) -> bytes:
            return processor.emit_assembly(program).encode()

    types = ("uint32*", "uint32*", *("int64*",) * 3, "uint32*", "int64", "int64")
    assembly = compile.object_code("resample.kernels.shuffle", "rearrange", types, Assembler()).decode()
    assert "movnt" in assembly
    assert "sfence" in assembly
